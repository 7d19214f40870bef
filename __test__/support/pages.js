'use strict'

// The Markdown pages of the repository, read as text: their tables and their blocks of code.

const fs = require('node:fs')
const path = require('node:path')
const { root } = require('./files')

/** @param {string[]} names A path below the repository's root. */
const read = (...names) => fs.readFileSync(path.join(root, ...names), 'utf8')

/**
 * The body rows of the page's table whose first heading is `heading`, as cells.
 *
 * @param {string} page
 * @param {string} heading
 */
function table(page, heading) {
  const lines = read(page).split('\n')
  const start = lines.findIndex((line) => line.startsWith('|') && line.split('|')[1].trim() === heading)
  if (start < 0) throw new Error(`${page} has no table that begins with '${heading}'`)
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'))
  return lines.slice(start + 2, start + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/**
 * The Markdown files below `directory`, hidden and generated directories left out.
 *
 * @param {string} directory
 * @returns {string[]}
 */
function pagesBelow(directory) {
  return fs.readdirSync(path.join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(directory, entry.name)
    const skipped = entry.name.startsWith('.') || ['node_modules', 'target'].includes(entry.name)
    if (entry.isDirectory() && !skipped) return pagesBelow(name)
    return entry.isFile() && entry.name.endsWith('.md') ? [name] : []
  })
}

/**
 * The blocks of code of a page that are in this language.
 *
 * @param {string} text
 * @param {string} language
 */
const blocksOf = (text, language) =>
  [...text.matchAll(/^```(.*)\n([^]*?)^```$/gm)].filter((match) => match[1] === language).map((match) => match[2])

/** The text between the first pair of backticks. @param {string} text */
const code = (text) => /`([^`]+)`/.exec(text)?.[1]

module.exports = { blocksOf, code, pagesBelow, read, root, table }
