'use strict'

const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { asVariables } = require('../formats')
const { readTools } = require('../secrets')

/** Passed on to the command. */
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'])
/** Those that a terminal sends to the command itself. */
const FROM_TERMINAL = new Set(['SIGINT', 'SIGQUIT'])
/** As shells and `env` end when they cannot start a command. */
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'run', {
    summary: 'run a command with secrets as variables',
    description:
      "Reads the secrets of tools and starts the command with them as environment variables, GITHUB_API_TOKEN for the tool github and the type api_token. Only the command gets them, and no command line shows them. Standard input and output, signals and the exit code are the command's.",
    examples: [
      'run -- node server.js',
      'run --tool github --tool slack -- npm start',
      'run --tool database -- npx prisma migrate deploy',
    ],
    exits: {
      1: 'a required secret is missing, and the command was not started',
      126: 'the command cannot be executed',
      127: 'there is no such command',
      '…': "else the command's own; a signal that ended it ends this as well",
    },
  })
    .usage('[options] -- <command> [arguments…]')
    .argument('<command...>', 'the command and its arguments')
    .option('-t, --tool <name...>', 'whose secrets (default: all declared tools)')
    .action(handle(run))
}

/**
 * @param {import('../context').Context} context
 * @param {string[]} command
 * @param {{ tool?: string[] }} options
 * @param {import('commander').Command} parsed
 */
async function run(context, command, { tool = [] }, parsed) {
  // Without it, options that are meant for the command would be taken from it.
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
      // The terminal's Ctrl-C reaches the command as well; a second one would be taken for impatience.
      if (!(FROM_TERMINAL.has(signal) && process.stdin.isTTY)) child.kill(signal)
    }
    for (const signal of SIGNALS) process.on(signal, pass)
    child.once('error', (error) => reject(notStarted(file, /** @type {NodeJS.ErrnoException} */ (error))))
    child.once('exit', (code, signal) => {
      for (const name of SIGNALS) process.off(name, pass)
      if (signal === null) return resolve(code ?? EXIT.internal)
      // Ends as the command did, so that whoever waits sees it. What cannot end this process becomes an exit code.
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
