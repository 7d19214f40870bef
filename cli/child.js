'use strict'

// Starts the command of `run`, passes signals on to it, and ends as it ends.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { constants } = require('node:os')
const { pipeline } = require('node:stream/promises')
const { CliError, EXIT } = require('./exit')
const { windowsCommand } = require('./windows-command')

/** Signals that are passed on to the command. */
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'])
/** Signals that a terminal also sends to the command. */
const FROM_TERMINAL = new Set(['SIGINT', 'SIGQUIT'])
/** The exit codes of shells and `env` when they cannot start a command. */
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126
/** How long a command that is to be restarted may take to end, in milliseconds. */
const GRACE_MS = 10_000
/** How long output is awaited after the end of a masked command, in milliseconds. */
const LEFT_MS = 1000
/** The longest variable that Linux hands to a program, with its name, `=` and the zero at its end, in bytes. */
const LINUX_MOST_BYTES = 131_072
/** The longest variable of Windows, in characters. */
const WINDOWS_MOST = 32_767

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null }} End */

/** A command that can be started again. */
class Command {
  #command
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child
  /** Takes values out of what the command writes. @type {import('../index').Redactor | undefined} */
  redactor
  #pass = (/** @type {NodeJS.Signals} */ signal) => this.#received(signal)

  /** @param {string[]} command The program and its arguments. From now on signals are handled. */
  constructor(command) {
    if (command[0] === '') throw new CliError('USAGE', EXIT.usage, 'the command is empty: is its variable set?')
    this.#command = command
    for (const signal of SIGNALS) process.on(signal, this.#pass)
  }

  /**
   * Starts the command. Resolves when it has ended.
   *
   * @param {NodeJS.ProcessEnv} env
   * @returns {Promise<End>}
   */
  run(env) {
    const [file = '', ...args] = this.#command
    return new Promise((resolve, reject) => {
      const started = process.platform === 'win32' ? windowsCommand(file, args, env) : { file, args, options: {} }
      const stdio = /** @type {any} */ (this.redactor === undefined ? 'inherit' : ['inherit', 'pipe', 'pipe'])
      const child = spawn(started.file, started.args, { ...started.options, env, stdio })
      const written = this.redactor === undefined ? undefined : masked(child, this.redactor)
      this.#child = child
      child.once('error', (error) => reject(notStarted(file, /** @type {NodeJS.ErrnoException} */ (error))))
      child.once('exit', (code, signal) => {
        this.#child = undefined
        if (written === undefined) resolve({ code, signal })
        else void written.then(() => resolve({ code, signal }))
      })
    })
  }

  /** Asks the command to end, and ends it when it does not. */
  stop() {
    const child = this.#child
    child?.kill('SIGTERM')
    const force = setTimeout(() => child?.kill('SIGKILL'), GRACE_MS)
    child?.once('exit', () => clearTimeout(force))
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    this.#child?.kill(signal)
  }

  /** Signals have their usual effect again. */
  release() {
    for (const signal of SIGNALS) process.off(signal, this.#pass)
  }

  /** @param {NodeJS.Signals} signal */
  #received(signal) {
    // Nothing was started yet. The first process of a container gets no usual effect of a signal, so it ends by itself.
    if (this.#child === undefined) {
      this.release()
      process.kill(process.pid, signal)
      setTimeout(() => process.exit(128 + constants.signals[signal]), 100)
    } else if (!(FROM_TERMINAL.has(signal) && process.stdin.isTTY)) {
      // On a terminal Ctrl-C reaches the command too. Do not send it again: many programs treat a second one as a request
      // to stop at once.
      this.#child.kill(signal)
    }
  }
}

/**
 * Passes on what a command writes, without values. What it started and left behind may write on: that is waited for no longer than
 * the command itself lives, and a moment.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {import('../index').Redactor} redactor
 */
async function masked(child, redactor) {
  const pass = (/** @type {any} */ from, /** @type {NodeJS.WriteStream} */ to) =>
    // Whoever reads it may stop early: the command then notices.
    pipeline(from, redactor.stream(), to, { end: false }).catch(() => {})
  const all = Promise.all([pass(child.stdout, process.stdout), pass(child.stderr, process.stderr)])
  const left = once(child, 'exit').then(() => new Promise((resolve) => setTimeout(resolve, LEFT_MS).unref()))
  await Promise.race([all, left.catch(() => {})])
}

/**
 * Ends this process as the command ended, so that the caller sees it. A signal that cannot end this process becomes an exit code.
 *
 * @param {End} end
 * @returns {Promise<number>}
 */
function endLike({ code, signal }) {
  if (signal === null) return Promise.resolve(code ?? 0)
  process.kill(process.pid, signal)
  return new Promise((resolve) => setImmediate(resolve, 128 + (constants.signals[signal] ?? 0)))
}

/**
 * Variables with others over them. Windows does not distinguish upper and lower case in their names.
 *
 * @param {NodeJS.ProcessEnv} base
 * @param {Map<string, string>} over
 * @param {NodeJS.Platform} [platform]
 * @returns {NodeJS.ProcessEnv}
 */
function variables(base, over, platform = process.platform) {
  const names = new Set([...over.keys()].map((name) => name.toUpperCase()))
  const kept = platform === 'win32' ? Object.entries(base).filter(([name]) => !names.has(name.toUpperCase())) : []
  return { ...(platform === 'win32' ? Object.fromEntries(kept) : base), ...Object.fromEntries(over) }
}

/**
 * Why a variable cannot be handed to a program; `undefined`: it can.
 *
 * @param {string} name
 * @param {string} value
 * @param {NodeJS.Platform} [platform]
 */
function tooLong(name, value, platform = process.platform) {
  const bytes = Buffer.byteLength(`${name}=${value}`) + 1
  if (platform === 'linux' && bytes > LINUX_MOST_BYTES) {
    return `${name} has ${Buffer.byteLength(value)} bytes, and a variable at most ${LINUX_MOST_BYTES - name.length - 2}`
  }
  if (platform === 'win32' && value.length >= WINDOWS_MOST) {
    return `${name} has ${value.length} characters, and a variable at most ${WINDOWS_MOST - 1}`
  }
  return undefined
}

/** @param {string} file @param {NodeJS.ErrnoException} error */
function notStarted(file, { code }) {
  const exit = /** @type {any} */ (code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE)
  const why =
    code === 'ENOENT'
      ? 'there is no such command'
      : code === 'E2BIG'
        ? 'its arguments and variables are too long together; --only passes fewer secrets, --files gives files'
        : `it cannot be executed (${code})`
  return new CliError('COMMAND_NOT_STARTED', exit, `${file}: ${why}`)
}

// Named exports: as a member of an object literal the class would not be a type.
exports.Command = Command
exports.endLike = endLike
exports.tooLong = tooLong
exports.variables = variables
