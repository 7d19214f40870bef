'use strict'

const { Option } = require('commander')
const { Command, endLike, tooLong, variables } = require('../child')
const { define } = require('../define')
const { CliError, EXIT, describe } = require('../exit')
const { asVariables } = require('../formats')
const { matcher } = require('../glob')
const { SecretFiles } = require('../secret-files')
const { readTools } = require('../secrets')
const { plural } = require('../words')

/**
 * @typedef {object} Options
 * @property {string[]} [tool]
 * @property {string[]} [only]
 * @property {string} [prefix]
 * @property {boolean} [files]
 * @property {string | true} [watch]
 * @property {NodeJS.Signals} [signal]
 * @property {boolean} [mask]
 */

const WATCH_SECONDS = 60
/** Signals that a command may be sent when a secret has changed. */
const RELOAD = ['SIGHUP', 'SIGUSR1', 'SIGUSR2']

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'run', {
    summary: 'run a command with secrets as variables',
    description:
      "Reads the secrets of tools and starts the command with them as environment variables, GITHUB_API_TOKEN for the tool github and the type api_token. Only the command gets them, and they are not visible in any command line. The command inherits standard input and output, receives the signals, and decides the exit code. '--' may be left out, or may have been taken by a package manager, if every option takes one value.",
    examples: [
      'run -- node server.js',
      'run --tool github --tool slack -- npm start',
      'run --only DATABASE_* --prefix APP_ -- npx prisma migrate deploy',
      'run --files --watch 30 --signal SIGHUP -- nginx',
    ],
    exits: {
      1: 'a required secret is missing, or a value cannot be a variable; the command was not started',
      126: 'the command cannot be executed',
      127: 'there is no such command',
      '…': "otherwise the command's own; if a signal ended it, the same signal ends this program",
    },
  })
    .usage('[options] -- <command> [arguments…]')
    .argument('<command...>', 'the command and its arguments')
    .option('-t, --tool <name...>', 'tools whose secrets are passed (default: all declared tools)')
    .option('--only <name...>', "only these secrets; '*' stands for any characters")
    .option('--prefix <text>', 'what the names of the variables begin with, such as APP_')
    .option('--files', 'write the values to private files and pass their paths as NAME_FILE')
    .option(
      '--watch [seconds]',
      `look for changed values so often (default: ${WATCH_SECONDS}), and restart the command`,
    )
    .option('--mask', 'replace values in what the command writes by [secret NAME]; it then has no terminal')
    .addOption(new Option('--signal <name>', 'with --watch and --files: send this instead').choices(RELOAD))
    .action(handle(run))
}

/**
 * @param {import('../context').Context} context
 * @param {string[]} line
 * @param {Options} options
 */
async function run(context, line, options) {
  const watch = secondsOf(options)
  const command = new Command(line)
  /** @type {SecretFiles | undefined} */
  let files
  /** @type {import('../child').End} */
  let end
  const mask = (/** @type {import('../context').SecretDelivery} */ delivery) => {
    if (options.mask) command.redactor ??= delivery.redactor()
  }
  // A value in the output is what --mask looks for, and no fault of who runs it.
  const changed = (/** @type {import('../context').Config['options']} */ given) =>
    options.mask ? { ...given, alerts: /** @type {const} */ (false) } : given
  try {
    if (watch === undefined) {
      const values = await context.withDelivery((delivery, config) => {
        mask(delivery)
        return read(delivery, config, options)
      }, changed)
      files = options.files ? new SecretFiles() : undefined
      end = await ended(command, values, files)
    } else {
      end = await context.withDelivery(async (delivery, config) => {
        mask(delivery)
        const values = await read(delivery, config, options)
        files = options.files ? new SecretFiles() : undefined
        const fresh = async () => {
          await Promise.all(config.declared.map(({ name }) => delivery.refresh(name)))
          return read(delivery, config, options)
        }
        return watched(command, values, files, { fresh, watch, signal: options.signal, context })
      }, changed)
    }
  } finally {
    command.release()
    files?.remove()
  }
  return endLike(end)
}

/** @param {Options} options */
function secondsOf({ watch, files, signal }) {
  if (signal !== undefined && !(files && watch !== undefined)) {
    throw new CliError(
      'USAGE',
      EXIT.usage,
      '--signal needs --watch and --files: variables of a running command cannot change',
    )
  }
  if (watch === undefined) return undefined
  const seconds = watch === true ? WATCH_SECONDS : Number(watch)
  if (seconds >= 1 && seconds <= 86_400) return seconds
  throw new CliError('USAGE', EXIT.usage, '--watch must be a number of seconds from 1 to 86400')
}

/**
 * The values by names of variables.
 *
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @param {Options} options
 * @returns {Promise<Map<string, string>>}
 */
async function read(delivery, config, { tool = [], only, prefix = '', files }) {
  if (!/^([A-Za-z_]\w*)?$/.test(prefix)) {
    throw new CliError('USAGE', EXIT.usage, '--prefix must be the beginning of a variable: letters, digits and _')
  }
  const found = await readTools(delivery, config, tool)
  const wanted = only?.map((pattern) => matcher(pattern))
  const chosen = [...found].filter(([name]) => wanted?.some((matches) => matches.test(name)) ?? true)
  const unmatched = only?.find((pattern) => ![...found.keys()].some((name) => matcher(pattern).test(name)))
  if (unmatched !== undefined) {
    throw new CliError('SECRET_NOT_FOUND', EXIT.no, `--only ${unmatched}: no secret that was read has this name`)
  }
  const values = new Map([...asVariables(new Map(chosen))].map(([name, value]) => [prefix + name, value]))
  if (files) return values
  for (const [name, value] of values) {
    const why = tooLong(name, value)
    if (why !== undefined) throw new CliError('FORMAT_UNFIT', EXIT.no, `${why}; --files gives files instead`)
  }
  return values
}

/**
 * @param {Command} command
 * @param {Map<string, string>} values
 * @param {SecretFiles | undefined} files
 */
function ended(command, values, files) {
  return command.run(variables(process.env, files === undefined ? values : files.write(values)))
}

/**
 * Restarts the command when a value has changed, or signals it.
 *
 * @param {Command} command
 * @param {Map<string, string>} first
 * @param {SecretFiles | undefined} files
 * @param {object} how
 * @param {() => Promise<Map<string, string>>} how.fresh
 * @param {number} how.watch Seconds.
 * @param {NodeJS.Signals | undefined} how.signal
 * @param {import('../context').Context} how.context
 */
async function watched(command, first, files, { fresh, watch, signal, context: { terminal } }) {
  let values = first
  let isRestart = false
  let isFailing = false
  const look = async () => {
    try {
      const now = await fresh()
      isFailing = false
      const changed = [...new Set([...values.keys(), ...now.keys()])].filter(
        (name) => values.get(name) !== now.get(name),
      )
      if (changed.length === 0) return
      values = now
      const told = `${changed.join(', ')}: ${plural(changed.length, 'secret')} changed`
      terminal.note(`${told}, so the command ${signal === undefined ? 'is restarted' : `gets ${signal}`}`)
      if (signal === undefined) {
        isRestart = true
        command.stop()
      } else {
        files?.write(values)
        command.kill(signal)
      }
    } catch (error) {
      // The command goes on with what it has.
      const { code, message } = describe(error)
      if (!isFailing) terminal.warn(`${code}: ${message}; the command keeps its values`)
      isFailing = true
    }
  }
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  let isOver = false
  const next = () => {
    if (!isOver) timer = setTimeout(() => void look().then(next), watch * 1000)
  }
  next()
  try {
    for (;;) {
      const end = await ended(command, values, files)
      if (!isRestart) return end
      isRestart = false
    }
  } finally {
    isOver = true
    clearTimeout(timer)
  }
}
