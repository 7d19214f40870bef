'use strict'

const { hanging } = require('./layout')

/** The width of a terminal, for the lines that Commander does not break. */
const WIDTH = 80

/**
 * Adds a command with its help: what it does, examples, and exit codes.
 *
 * @param {import('commander').Command} parent
 * @param {string} name
 * @param {object} texts
 * @param {string} texts.summary One line for the list of commands.
 * @param {string} [texts.description] Default: the summary.
 * @param {string[]} texts.examples Without the program's name.
 * @param {Record<string, string>} texts.exits Meanings of exit codes for this command.
 * @returns {import('commander').Command}
 */
function define(parent, name, { summary, description = summary, examples, exits }) {
  const shown = examples.map((example) => `  $ tcs-secrets ${example}`)
  const codes = Object.entries(exits).map(([code, meaning]) => hanging(`  ${code.padEnd(3)}  `, meaning, WIDTH))
  return parent
    .command(name)
    .summary(summary)
    .description(description)
    .addHelpText(
      'after',
      ['', 'Examples:', ...shown, '', "Exit codes, beside those of 'tcs-secrets --help':", ...codes].join('\n'),
    )
}

module.exports = { define }
