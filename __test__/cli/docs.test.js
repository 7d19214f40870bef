'use strict'

// docs/cli.md has what the commands say of themselves, and all of their error codes.

const fs = require('node:fs')
const path = require('node:path')
const { file, filled, helps } = require('../../tools/cli-docs')
const { root } = require('../support/files')

const page = fs.readFileSync(file, 'utf8')

test("docs/cli.md has every command's help, else run 'node tools/cli-docs.js'", () => {
  expect(helps().size).toBeGreaterThan(10)
  expect(page).toBe(filled(page, helps()))
})

test('docs/cli.md has a section for each command, and for nothing else, in the order of the help', () => {
  const sections = [...page.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)
  expect(sections).toEqual([...helps().keys()].filter((words) => words !== ''))
})

test('docs/cli.md lists every error code that the command line makes itself', () => {
  const cli = path.join(root, 'cli')
  const sources = fs
    .readdirSync(cli, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => fs.readFileSync(path.join(cli, name), 'utf8'))
  const made = sources.flatMap((text) => [...text.matchAll(/new CliError\(\s*'(\w+)'/g)].map(([, code]) => code))
  const listed = [...page.matchAll(/^\| (.*?) \| \d/gm)].flatMap(([, cell]) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, code]) => code),
  )
  expect(new Set(made).size).toBeGreaterThan(8)
  expect([...new Set(made)].filter((code) => !listed.includes(code))).toEqual([])
})

test('every line of help fits a terminal of 80 columns', () => {
  const wide = [...helps()].flatMap(([words, text]) =>
    text
      .split('\n')
      .filter((line) => line.length > 80)
      .map((line) => [words, line]),
  )
  expect(wide).toEqual([])
})
