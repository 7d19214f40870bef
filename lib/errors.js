'use strict'

/** Every error of this package: an `Error` with a stable `code`. Its message never holds a value. */
class SecretError extends Error {
  /**
   * @param {import('../index').SecretErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message)
    this.code = code
  }

  get name() {
    return 'SecretError'
  }
}

/**
 * Throws what the addon refused.
 *
 * @template T
 * @param {T | { code: string, message: string }} answer
 * @returns {T}
 */
function orThrow(answer) {
  if (typeof answer === 'object' && answer !== null && 'code' in answer && 'message' in answer) {
    throw new SecretError(/** @type {import('../index').SecretErrorCode} */ (answer.code), answer.message)
  }
  return /** @type {T} */ (answer)
}

/**
 * Refuses what is not a string before it reaches the addon, whose own message would not say which argument it was.
 *
 * @param {string} what
 * @param {unknown} value
 * @returns {void}
 */
function assertName(what, value) {
  if (typeof value !== 'string') {
    throw new SecretError(
      'SECRET_NAME_INVALID',
      `${what} must be a string, got ${value === null ? 'null' : typeof value}`,
    )
  }
}

/** @param {unknown} environment */
function assertEnvironment(environment) {
  if (typeof environment !== 'string') {
    throw new SecretError('CONFIG_INVALID', `environment must be a string, got ${typeof environment}`)
  }
}

module.exports = { SecretError, orThrow, assertName, assertEnvironment }
