'use strict'

/** Exit codes. They are documented in docs/cli.md and never change their meaning. */
const EXIT = Object.freeze({
  ok: 0,
  /** A check found errors, a secret is missing, or a rotation did not succeed. */
  no: 1,
  usage: 2,
  /** The configuration or the installation is wrong. */
  configuration: 3,
  /** A source or a cache failed. */
  source: 4,
  /** Refused, because a secret would be exposed or a file overwritten. */
  refused: 5,
  /** A bug in this program. */
  internal: 70,
})

/** @typedef {(typeof EXIT)[keyof typeof EXIT]} ExitCode */

/** An error of the command line itself. Its message is one line that says what failed, why, and what to do; never a value. */
class CliError extends Error {
  /**
   * @param {string} code Stable, as in `--json`.
   * @param {ExitCode} exit
   * @param {string} message
   */
  constructor(code, exit, message) {
    super(message)
    this.code = code
    this.exit = exit
  }
}

const CONFIGURATION = new Set(['CONFIG_INVALID', 'ENCRYPTION_KEY_INVALID', 'COMPLIANCE_NOT_MET'])

/**
 * The text of an error, and the exit code after it.
 *
 * @param {unknown} error
 * @returns {{ code: string, message: string, exit: ExitCode }}
 */
function describe(error) {
  const { name, code, message, syscall } = /** @type {NodeJS.ErrnoException} */ (error)
  const line = oneLine(message)
  if (error instanceof CliError) return { code: error.code, message: line, exit: error.exit }
  // Recognised by its name: the addon, which has the class, may not be loaded.
  if (name === 'SecretError' && code !== undefined) return { code, message: line, exit: exitFor(code) }
  // What the operating system refuses is no defect.
  if (syscall === 'uv_cwd') {
    return { code: 'SYSTEM_ERROR', message: 'the working directory does not exist any more', exit: EXIT.source }
  }
  if (typeof syscall === 'string') return { code: 'SYSTEM_ERROR', message: line, exit: EXIT.source }
  return {
    code: 'INTERNAL',
    message: `${line} (this is a defect of tcs-secrets: please report it)`,
    exit: EXIT.internal,
  }
}

/** @param {string} code @returns {ExitCode} */
function exitFor(code) {
  if (CONFIGURATION.has(code)) return EXIT.configuration
  if (code === 'SECRET_MISSING' || code === 'SECRET_CHANGED') return EXIT.no
  return code === 'SECRET_NAME_INVALID' ? EXIT.usage : EXIT.source
}

/** @param {string} text */
function oneLine(text) {
  return String(text)
    .trim()
    .replace(/\s*\n\s*/g, ' ')
}

module.exports = { CliError, EXIT, describe, exitFor, oneLine }
