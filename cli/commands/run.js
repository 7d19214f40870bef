'use strict'

const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { asVariables } = require('../formats')
const { readTools } = require('../secrets')

/** Signals that are passed on to the command. */
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'])
/** Signals that a terminal also sends to the command. */
const FROM_TERMINAL = new Set(['SIGINT', 'SIGQUIT'])
/** The exit codes of shells and `env` when they cannot start a command. */
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'run', {
    summary: 'run a command with secrets as variables',
    description:
      'Reads the secrets of tools and starts the command with them as environment variables, GITHUB_API_TOKEN for the tool github and the type api_token. Only the command gets them, and they are not visible in any command line. The command inherits standard input and output, receives the signals, and decides the exit code.',
    examples: [
      'run -- node server.js',
      'run --tool github --tool slack -- npm start',
      'run --tool database -- npx prisma migrate deploy',
    ],
    exits: {
      1: 'a required secret is missing, and the command was not started',
      126: 'the command cannot be executed',
      127: 'there is no such command',
      '…': "otherwise the command's own; if a signal ended it, the same signal ends this program",
    },
  })
    .usage('[options] -- <command> [arguments…]')
    .argument('<command...>', 'the command and its arguments')
    .option('-t, --tool <name...>', 'tools whose secrets are passed (default: all declared tools)')
    .action(handle(run))
}

/**
 * @param {import('../context').Context} context
 * @param {string[]} command
 * @param {{ tool?: string[] }} options
 * @param {import('commander').Command} parsed
 */
async function run(context, command, { tool = [] }, parsed) {
  // Without this, options for the command would be parsed as options of this program.
  const { rawArgs = [] } = /** @type {{ rawArgs?: string[] }} */ (parsed.parent ?? {})
  if (!rawArgs.includes('--')) {
    throw new CliError('USAGE', EXIT.usage, "put '--' before the command: tcs-secrets run -- <command>")
  }
  const secrets = await context.withDelivery(async (delivery, config) =>
    asVariables(await readTools(delivery, config, tool)),
  )
  return start(command, { ...process.env, ...Object.fromEntries(secrets) })
}

/**
 * @param {string[]} command
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>}
 */
function start([file = '', ...args], env) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio: 'inherit' })
    const pass = (/** @type {NodeJS.Signals} */ signal) => {
      // On a terminal Ctrl-C reaches the command too. Do not send it again: many programs treat a second one as a request
      // to stop at once.
      if (!(FROM_TERMINAL.has(signal) && process.stdin.isTTY)) child.kill(signal)
    }
    for (const signal of SIGNALS) process.on(signal, pass)
    child.once('error', (error) => reject(notStarted(file, /** @type {NodeJS.ErrnoException} */ (error))))
    child.once('exit', (code, signal) => {
      for (const name of SIGNALS) process.off(name, pass)
      if (signal === null) return resolve(code ?? EXIT.internal)
      // Ends like the command, so that the calling process sees it. A signal that cannot end this process becomes an exit
      // code.
      process.kill(process.pid, signal)
      return setImmediate(resolve, 128 + (constants.signals[signal] ?? 0))
    })
  })
}

/**
 * @param {string} file
 * @param {NodeJS.ErrnoException} error
 */
function notStarted(file, { code }) {
  const exit = /** @type {any} */ (code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE)
  const why = code === 'ENOENT' ? 'there is no such command' : `it cannot be executed (${code})`
  return new CliError('COMMAND_NOT_STARTED', exit, `${file}: ${why}`)
}
