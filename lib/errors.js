'use strict'

// The errors of this package, and what it may repeat of the errors of others.

/** @typedef {import('../native').NativeFailure} NativeFailure */

/** Every error of this package: an `Error` with a stable `code`. Its message never holds a value. */
class SecretError extends Error {
  /**
   * @param {import('../index').SecretErrorCode} code
   * @param {string} message
   * @param {Pick<NativeFailure, 'requestId' | 'cause'>} [more]
   */
  constructor(code, message, more) {
    super(message, more?.cause && { cause: causeOf(more.cause) })
    this.code = code
    if (more?.requestId) this.requestId = more.requestId
    // A copy (structuredClone, a message to another thread) keeps the stack and not the code.
    replaceStack(this, stackOf(this))
  }

  /** What `JSON.stringify` writes; without it the message would be missing. */
  toJSON() {
    const { name, code, message, requestId, cause } = /** @type {any} */ (this)
    return { name, code, message, requestId, cause: cause && { ...cause, message: cause.message } }
  }
}

// Like that of Node's errors: not listed, and free to be changed on one of them.
Object.defineProperty(SecretError.prototype, 'name', { value: 'SecretError', writable: true, configurable: true })

/** @type {WeakSet<object>} */
const explained = new WeakSet()

/**
 * An error of a ready-made rotation hook. Its message is fixed words of this package, which may be repeated in reports.
 *
 * @param {string} message
 */
function refusal(message) {
  const error = new SecretError('CONFIG_INVALID', message)
  explained.add(error)
  return error
}

/** The message of a refusal; of any other error none, since it may hold a value. @param {any} error @returns {string | undefined} */
const explanationOf = (error) => (explained.has(error) ? error.message : undefined)

/**
 * @param {NonNullable<NativeFailure['cause']>} cause
 * @returns {Error}
 */
function causeOf({ code, message, host, port }) {
  const error = Object.assign(new Error(message), { code }, host !== undefined && { host, port })
  // It has none of its own: it was made where the failure became known, and not where it happened.
  error.stack = `Error [${code}]: ${message}`
  return error
}

/**
 * Gives an error the frames of another stack, below its own name, code and message.
 *
 * @param {SecretError} error
 * @param {unknown} stack
 */
function replaceStack(error, stack) {
  // Whoever sets Error.prepareStackTrace may have anything there.
  if (typeof stack !== 'string') return
  const at = stack.search(/^ +at /m)
  const frames = at < 0 ? '' : `\n${stack.slice(at)}`
  Object.defineProperty(error, 'stack', {
    value: `SecretError [${error.code}]: ${error.message}${frames}`,
    writable: true,
    configurable: true,
  })
}

/**
 * Where an operation was called: a failure that comes later has these frames.
 *
 * @param {Function} below The function of this package that was called.
 * @returns {{ stack?: unknown }}
 */
function callSite(below) {
  const site = {}
  // Some sandboxes take it away.
  Error.captureStackTrace?.(site, below)
  return site
}

/**
 * The frames of `holder`. `Error.prepareStackTrace`, which makes them when they are read first, is the service's: that of a library for
 * source maps throws where a map is broken.
 *
 * @param {{ stack?: unknown }} holder
 * @returns {unknown}
 */
function stackOf(holder) {
  try {
    return holder.stack
  } catch {
    return undefined
  }
}

/**
 * The error of an operation that failed, with the frames of its caller.
 *
 * @param {NativeFailure} failure
 * @param {{ stack?: unknown }} [site]
 */
function failed(failure, site) {
  const error = new SecretError(/** @type {any} */ (failure.code), failure.message, failure)
  if (site !== undefined) replaceStack(error, stackOf(site))
  return error
}

/**
 * The same error for another caller.
 *
 * @param {unknown} error
 * @param {{ stack?: unknown }} site
 */
function againAt(error, site) {
  if (!(error instanceof SecretError)) return error
  const { code, message, requestId, cause } = /** @type {any} */ (error)
  const again = new SecretError(code, message, { requestId })
  if (cause !== undefined) Object.defineProperty(again, 'cause', { value: cause, writable: true, configurable: true })
  replaceStack(again, stackOf(site))
  return again
}

/**
 * Throws what the addon refused.
 *
 * @template T
 * @param {T | NativeFailure} answer
 * @returns {T}
 */
function orThrow(answer) {
  if (typeof answer === 'object' && answer !== null && 'code' in answer && 'message' in answer) {
    throw failed(/** @type {NativeFailure} */ (answer))
  }
  return /** @type {T} */ (answer)
}

/**
 * Whether AWS answered that it is asked too often, or something on the way to it that it cannot answer now (an HTTP status
 * without an error code of AWS). Both pass by themselves. The words are those of `crates/aws/src/codes.rs` and `classify.rs`.
 *
 * @param {any} error
 */
function isPassing(error) {
  const cause = error instanceof SecretError ? /** @type {any} */ (error).cause : undefined
  if (typeof cause?.message !== 'string') return false
  return cause.message.startsWith('throttled (') || /^HTTP 50[0234]$/.test(cause.code)
}

/**
 * The class and the code of an error of the service or its drivers. Its message is left out: drivers put statements, and
 * so values, into theirs.
 *
 * @param {unknown} error
 * @returns {{ name: string, code: string | undefined }}
 */
function describe(error) {
  if (typeof error !== 'object' || error === null) return { name: 'Error', code: undefined }
  let name, code
  try {
    ;({ name, code } = /** @type {{ name?: unknown, code?: unknown }} */ (error))
  } catch {
    // What is thrown may be anything, such as a revoked proxy.
  }
  return {
    name: typeof name === 'string' ? name : 'Error',
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : undefined,
  }
}

module.exports = { SecretError, againAt, callSite, describe, explanationOf, failed, isPassing, orThrow, refusal }
