'use strict'

// `--` before the command of `run`, where a package manager or a shell took it: Yarn 1, PowerShell's `npx`, `npm exec` and others
// remove the first one. Without it, options of the command would be parsed as options of this program.

/** @typedef {{ short?: string, long?: string, required: boolean, optional: boolean }} Flag */

/**
 * The arguments with a `--` before the command of `run`, if none is there.
 *
 * @param {string[]} argv As `process.argv`.
 * @param {import('commander').Command} program
 * @returns {string[]}
 */
function separated(argv, program) {
  const run = program.commands.find((command) => command.name() === 'run')
  const globals = program.options
  const at = afterOptions(argv, 2, globals)
  if (run === undefined || argv[at] !== 'run') return argv
  const options = [...globals, ...run.options]
  const begin = afterOptions(argv, at + 1, options)
  const first = argv[begin]
  // An unknown option is reported by the parser.
  if (first === undefined || first.startsWith('-')) return argv
  // `run --tool github slack -- node`: with a `--`, an option takes every word up to it.
  const variadic = options.filter((option) => option.variadic)
  const takesSeveral = argv.slice(at + 1, begin).some((word) => isOf(word, variadic))
  if (takesSeveral && argv.includes('--', begin)) return argv
  return [...argv.slice(0, begin), '--', ...argv.slice(begin)]
}

/**
 * The index of the first word that is no known option, and no value of one.
 *
 * @param {string[]} argv
 * @param {number} from
 * @param {readonly Flag[]} options
 */
function afterOptions(argv, from, options) {
  let at = from
  for (let word = argv[at]; word !== undefined && word !== '--' && word.startsWith('-'); word = argv[at]) {
    const option = options.find((known) => isOf(word, [known]))
    if (option === undefined) return at
    at += (option.required || option.optional) && word === (word.startsWith('--') ? option.long : option.short) ? 2 : 1
  }
  return at
}

/** @param {string} word @param {readonly Flag[]} options */
function isOf(word, options) {
  return options.some(({ short, long }) =>
    word.startsWith('--') ? word.split('=', 1)[0] === long : short !== undefined && word.startsWith(short),
  )
}

module.exports = { separated }
