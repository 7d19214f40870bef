'use strict'

// A function that gives AWS credentials, such as those of `@aws-sdk/credential-providers`.

const { SecretError, describe } = require('./errors')

/** @typedef {import('../native').NativeCredentials} NativeCredentials */

/**
 * Takes the function out of the AWS options: it stays in JavaScript, and the addon gets `true` in its place.
 *
 * @param {any} aws
 * @returns {{ aws: any, credentials: (() => unknown) | undefined }}
 */
function splitCredentials(aws) {
  const credentials = aws?.credentials
  if (typeof credentials !== 'function') {
    // What the function becomes must not be written by anybody.
    if (credentials === true) throw new SecretError('CONFIG_INVALID', 'options.aws.credentials must be an object')
    // A client of AWS's SDK that was given the same object notes in it where it has it from.
    if (credentials?.$source === undefined) return { aws, credentials: undefined }
    const { $source: _, ...own } = credentials
    return { aws: { ...aws, credentials: own }, credentials: undefined }
  }
  return { aws: { ...aws, credentials: true }, credentials }
}

/**
 * @param {any} given
 * @returns {NativeCredentials}
 */
function checkedCredentials(given) {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = given ?? {}
  if (!isText(accessKeyId) || !isText(secretAccessKey)) {
    throw new SecretError(
      'CONFIG_INVALID',
      'must resolve to { accessKeyId, secretAccessKey, sessionToken?, expiration? }',
    )
  }
  if (sessionToken !== undefined && sessionToken !== null && typeof sessionToken !== 'string') {
    throw new SecretError('CONFIG_INVALID', 'resolved to a sessionToken that is no string')
  }
  const expiresAt = endOf(expiration)
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }), ...(expiresAt && { expiresAt }) }
}

/** @param {unknown} value */
function isText(value) {
  return typeof value === 'string' && value !== ''
}

/**
 * The milliseconds since 1970 of a date, or of a text or number that makes one.
 *
 * @param {unknown} expiration
 */
function endOf(expiration) {
  if (expiration === undefined || expiration === null) return undefined
  const end = new Date(/** @type {any} */ (expiration)).getTime()
  if (!(end > 0)) throw new SecretError('CONFIG_INVALID', 'resolved to an expiration that is no date')
  return end
}

/**
 * Why there are none. The message of the service's own error is left out: it may hold anything.
 *
 * @param {unknown} error
 */
function credentialsProblem(error) {
  if (error instanceof SecretError) return `aws.credentials ${error.message}`
  const { name, code } = describe(error)
  return `aws.credentials, the service's own function, threw ${name}${code === undefined ? '' : ` (${code})`}`
}

module.exports = { checkedCredentials, credentialsProblem, splitCredentials }
