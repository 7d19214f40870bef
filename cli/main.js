'use strict'

const { CommanderError } = require('commander')
const { EXIT, describe } = require('./exit')
const { createProgram } = require('./program')
const { separated } = require('./separator')
const { Terminal } = require('./terminal')

/**
 * Runs the command line.
 *
 * @param {string[]} given As `process.argv`.
 * @returns {Promise<number>} The exit code.
 */
async function main(given) {
  // The program is made twice for `run` only.
  const argv = given.includes('run')
    ? separated(
        given,
        createProgram(new Terminal({ json: false }), () => {}),
      )
    : given
  const terminal = new Terminal({ json: asksForJson(argv) })
  /** @type {number} */
  let exit = EXIT.ok
  const program = createProgram(terminal, (code) => (exit = code))
  try {
    await program.parseAsync(argv)
    return exit
  } catch (error) {
    if (error instanceof CommanderError) return usage(error, terminal, program, argv)
    const { code, message, exit: failed } = describe(error)
    terminal.error({ code, message })
    return failed
  }
}

/** Whether --json was given. Read before parsing, since parsing may fail. @param {string[]} argv */
function asksForJson(argv) {
  const end = argv.indexOf('--')
  return argv.slice(2, end < 0 ? undefined : end).includes('--json')
}

/**
 * The names of the command that the words begin, such as `['migrate', 'plan']`. Options and their values are passed over.
 *
 * @param {import('commander').Command} program
 * @param {string[]} words
 */
function commandIn(program, words) {
  const names = []
  let command = program
  for (const word of words) {
    const next = command.commands.find((known) => known.name() === word)
    if (next === undefined) continue
    names.push(word)
    command = next
  }
  return names
}

/**
 * @param {CommanderError} error
 * @param {Terminal} terminal
 * @param {import('commander').Command} program
 * @param {string[]} argv
 */
function usage({ code, exitCode, message }, terminal, program, argv) {
  if (exitCode === 0) return EXIT.ok
  const help = `see ${['tcs-secrets', ...commandIn(program, argv.slice(2)), '--help'].join(' ')}`
  if (code !== 'commander.help') {
    // What stands behind '=' may be a value that was meant for another program.
    const [said = '', hint = ''] = message
      .replace(/^error: /, '')
      .replace(/'(--?[\w-]+)=[^]*'/, "'$1'")
      .split('\n')
    terminal.error({ code: 'USAGE', message: `${said}${hint && ` ${hint}`}; ${help}` })
  } else if (terminal.json) {
    terminal.error({ code: 'USAGE', message: `a command is needed; ${help}` })
  } else {
    terminal.note(program.helpInformation().trimEnd())
  }
  return EXIT.usage
}

module.exports = { main }
