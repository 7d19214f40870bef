'use strict'

// The errors of this package, and what it may repeat of the errors of others.

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
 * The class and the code of an error of the service or its drivers. Its message is left out: drivers put statements, and
 * so values, into theirs.
 *
 * @param {unknown} error
 * @returns {{ name: string, code: string | undefined }}
 */
function describe(error) {
  if (typeof error !== 'object' || error === null) return { name: 'Error', code: undefined }
  const { name, code } = /** @type {{ name?: unknown, code?: unknown }} */ (error)
  return {
    name: typeof name === 'string' ? name : 'Error',
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : undefined,
  }
}

module.exports = { SecretError, orThrow, describe }
