'use strict'

// Puts the help of every command into docs/cli.md, under the heading with its name. Usage: node tools/cli-docs.js

const fs = require('node:fs')
const path = require('node:path')
const { createProgram } = require('../cli/program')
const { Terminal } = require('../cli/terminal')

const file = path.resolve(__dirname, '..', 'docs', 'cli.md')

/**
 * The help texts of the program and of every command, as they are printed without a terminal. The keys are the words of the
 * commands; '' is the program.
 *
 * @returns {Map<string, string>}
 */
function helps() {
  /** @type {Map<string, string>} */
  const found = new Map()
  /** @param {import('commander').Command} command @param {string} words */
  const visit = (command, words) => {
    let text = ''
    command.configureOutput({
      writeOut: (part) => void (text += part),
      getOutHelpWidth: () => 80,
      getOutHasColors: () => false,
    })
    command.outputHelp()
    found.set(words, text.trim())
    const shown = command.createHelp().visibleCommands(command)
    for (const child of command.commands.filter((one) => shown.includes(one)))
      visit(child, `${words} ${child.name()}`.trim())
  }
  visit(
    createProgram(new Terminal({ json: false }), () => {}),
    '',
  )
  return found
}

/**
 * The page with these help texts.
 *
 * @param {string} page
 * @param {Map<string, string>} texts
 */
function filled(page, texts) {
  return [...texts].reduce((result, [words, text]) => {
    const heading = words === '' ? '## Every command' : `### ${words}`
    const block = new RegExp(`(^${heading}\\n(?:(?!^#|^\`\`\`)[^])*^\`\`\`text\\n)[^]*?(^\`\`\`$)`, 'm')
    if (!block.test(result)) throw new Error(`docs/cli.md has no section '${heading}' with a block of text`)
    return result.replace(block, (_, before, after) => `${before}${text}\n${after}`)
  }, page)
}

if (require.main === module) fs.writeFileSync(file, filled(fs.readFileSync(file, 'utf8'), helps()))

module.exports = { file, filled, helps }
