'use strict'

// `withSecret`: which errors mean that the credentials are wrong, and which value is tried next.

const { SecretError } = require('./errors')
const { plainOptions } = require('./options')
const { now } = require('./real-time')

const DEFAULT_TIMEOUT_MS = 10_000

/** The codes with which drivers and clients say that credentials are wrong. */
const CODES = new Set([
  '28P01', // PostgreSQL: invalid_password
  '28000', // PostgreSQL: invalid_authorization_specification
  'ER_ACCESS_DENIED_ERROR', // MySQL
  'ER_DBACCESS_DENIED_ERROR',
  'EAUTH', // nodemailer
  'ELOGIN', // mssql
  'WRONGPASS', // Redis
  'NOAUTH',
  'ERR_HTTP_401',
])
const NUMBERS = new Set([
  1045, // MySQL
  18, // MongoDB: AuthenticationFailed
])
const STATUSES = new Set([401, 403])

/**
 * @param {any} error
 * @returns {boolean}
 */
function isAuthError(error) {
  for (let cause = error, depth = 0; typeof cause === 'object' && cause !== null && depth < 5; depth++) {
    const { code, errno, status, statusCode, response, message } = cause
    if (CODES.has(code) || NUMBERS.has(errno) || NUMBERS.has(code)) return true
    if (STATUSES.has(status) || STATUSES.has(statusCode) || STATUSES.has(response?.status)) return true
    if (typeof message === 'string' && /^(WRONGPASS|NOAUTH)\b/.test(message)) return true
    cause = cause.cause
  }
  return false
}

/**
 * @template T
 * @param {object} how
 * @param {string} how.name
 * @param {() => Promise<string | null>} how.read
 * @param {InstanceType<typeof import('./candidates').Candidates>} how.candidates
 * @param {(secret: string) => Promise<T>} use
 * @param {import('../index').WithSecretOptions} [options]
 * @returns {Promise<T>}
 */
async function withSecret({ name, read, candidates }, use, options) {
  const given = checked(use, options)
  const isAuth = given.isAuthError ?? isAuthError
  const end = now() + (given.timeoutMs ?? DEFAULT_TIMEOUT_MS)
  const first = await read()
  if (first === null) throw new SecretError('SOURCE_UNAVAILABLE', `${name}: no source has this secret`)
  let live = first
  /** @type {unknown} */
  let failure
  /** @type {Set<string>} */
  const tried = new Set()
  /** @param {string} secret */
  const attempt = async (secret) => {
    tried.add(secret)
    try {
      const result = await use(secret)
      candidates.accepted(name, live, secret)
      return { result }
    } catch (error) {
      if (!isAuth(error)) throw error
      failure = error
      return undefined
    }
  }
  /** @param {string[]} values */
  const tryEach = async (values) => {
    for (const value of values) {
      const done = tried.has(value) ? undefined : await attempt(value)
      if (done !== undefined) return done
    }
    return undefined
  }
  let done = await tryEach([candidates.likeliest(name, first), first])
  while (done === undefined) {
    const found = await candidates.values(name, end)
    if (found === undefined) {
      candidates.gaveUp(name)
      throw failure
    }
    live = found.values[0] ?? live
    done = await tryEach(found.values)
    // During a rotation a value can be refused and accepted a moment later: the target is set, and put back.
    if (found.isPending || live !== first) tried.clear()
  }
  return done.result
}

/**
 * @param {unknown} use
 * @param {unknown} options
 * @returns {import('../index').WithSecretOptions}
 */
function checked(use, options) {
  const given = plainOptions(options)
  const { isAuthError: isAuth, timeoutMs } = given
  if (typeof use !== 'function') throw new SecretError('CONFIG_INVALID', 'withSecret needs a function')
  if (isAuth !== undefined && isAuth !== null && typeof isAuth !== 'function') {
    throw new SecretError('CONFIG_INVALID', 'isAuthError must be a function')
  }
  const isTime = Number.isFinite(timeoutMs) && timeoutMs >= 0 && timeoutMs <= 600_000
  if (timeoutMs !== undefined && timeoutMs !== null && !isTime) {
    throw new SecretError('CONFIG_INVALID', 'timeoutMs must be a number from 0 to 600000')
  }
  return given
}

module.exports = { withSecret }
