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
    if (typeof credentials !== 'object' || Array.isArray(credentials)) return { aws, credentials: undefined }
    // A client of AWS's SDK that was given the same object notes in it where it has it from.
    const { $source: _, expiration, ...own } = credentials
    const end = fixedEnd(expiration)
    return {
      aws: { ...aws, credentials: { ...own, ...(end !== undefined && { expiration: end }) } },
      credentials: undefined,
    }
  }
  return { aws: { ...aws, credentials: true }, credentials }
}

/** @param {unknown} expiration */
function fixedEnd(expiration) {
  try {
    return endOf(expiration)
  } catch {
    throw new SecretError('CONFIG_INVALID', 'options.aws.credentials.expiration is no date')
  }
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
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken && { sessionToken }),
    ...(expiresAt !== undefined && { expiresAt }),
  }
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
  if (Number.isNaN(end)) throw new SecretError('CONFIG_INVALID', 'resolved to an expiration that is no date')
  return Math.max(0, end)
}

/** What AWS's SDK for JavaScript says. Only these words of a message are repeated: anything may be in the rest. */
const KNOWN = [
  'Token is expired',
  'The SSO session associated with this profile has expired',
  'The SSO session associated with this profile is invalid',
  'The SSO session token associated with this profile was not found or is invalid',
  'Could not load credentials from any providers',
  'Unable to find environment variable credentials',
  'Error response received from instance metadata service',
]

/**
 * Why there are none, and what was below it. The message of the service's own error is left out but for what is known: it may
 * hold anything.
 *
 * @param {unknown} error
 * @returns {{ why: string, cause?: import('../native').NativeCause }}
 */
function credentialsProblem(error) {
  if (error instanceof SecretError) return { why: `aws.credentials ${error.message}` }
  const { name, code } = describe(error)
  const { words, ...place } = told(error)
  const threw = `${name}${code === undefined ? '' : ` (${code})`}${words === undefined ? '' : `: ${words}`}`
  return {
    why: `aws.credentials, the service's own function, threw ${threw}`,
    cause: { code: code ?? name, message: threw, ...place },
  }
}

/**
 * What may be repeated of an error of the service: words of AWS's SDK, and what Node.js says of the network.
 *
 * @param {any} error
 * @returns {{ words?: string, host?: string, port?: number }}
 */
function told(error) {
  try {
    const { message, syscall, code, address, hostname, port } = error
    if (
      typeof code === 'string' &&
      /^E[A-Z_]{2,20}$/.test(code) &&
      /^(connect|getaddrinfo|read|write)$/.test(syscall)
    ) {
      const host = [address, hostname].find((text) => typeof text === 'string' && /^[\w.:-]{1,253}$/.test(text))
      const at = Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
      const shown = host === undefined ? '' : ` ${host}${at === undefined ? '' : `:${at}`}`
      return { words: `${syscall}${shown}`, ...(host !== undefined && at !== undefined && { host, port: at }) }
    }
    const words = typeof message === 'string' ? KNOWN.find((words) => message.includes(words)) : undefined
    return words === undefined ? {} : { words }
  } catch {
    // What is thrown may be anything, such as a revoked proxy.
    return {}
  }
}

module.exports = { checkedCredentials, credentialsProblem, splitCredentials }
