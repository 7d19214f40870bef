'use strict'

// Not the global ones, which a service's tests may replace (Jest's fake timers).
const { setTimeout } = require('node:timers/promises')
const { SecretError } = require('./errors')

const DEFAULT_TIMEOUT_MS = 10_000
/** Between two looks at AWS for one secret; doubles while nothing fits. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
/** After no version of a secret was accepted: how long AWS is not asked about it again for that reason. */
const REST_MS = 30_000

/** What drivers and clients call "these credentials are wrong". */
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
 * The looks at AWS of one secret. Whoever asks for one shares it, and their number is bounded in time: a password that
 * is wrong everywhere must not become a load on AWS.
 *
 * @typedef {{ notBefore: number, wait: number, restUntil: number, under: Promise<string[]> | undefined }} Look
 */
class Looks {
  /** @type {Map<string, Look>} */
  #byName = new Map()
  #read

  /** @param {(name: string) => Promise<string[]>} read All values of a secret, the likeliest first. */
  constructor(read) {
    this.#read = read
  }

  /**
   * All values of `name`, or `undefined` when they are not to be asked for before `end`.
   *
   * @param {string} name
   * @param {number} end
   */
  async values(name, end) {
    const look = this.#byName.get(name) ?? { notBefore: 0, wait: FIRST_WAIT_MS, restUntil: 0, under: undefined }
    this.#byName.set(name, look)
    if (look.under !== undefined) return look.under
    const at = Math.max(look.notBefore, look.restUntil)
    if (at > end) return undefined
    const pause = at - performance.now()
    look.under = (pause > 0 ? setTimeout(pause) : Promise.resolve())
      .then(() => this.#read(name))
      .finally(() => {
        look.under = undefined
        look.notBefore = performance.now() + look.wait * (0.5 + Math.random())
        look.wait = Math.min(look.wait * 2, LONGEST_WAIT_MS)
      })
    return look.under
  }

  /**
   * A value was accepted.
   *
   * @param {string} name
   */
  found(name) {
    this.#byName.delete(name)
  }

  /**
   * None was, for as long as somebody wanted to wait. The rest is not prolonged by those who come meanwhile.
   *
   * @param {string} name
   */
  gaveUp(name) {
    const look = this.#byName.get(name)
    if (look && look.restUntil < performance.now()) look.restUntil = performance.now() + REST_MS
  }
}

/**
 * @template T
 * @param {object} how
 * @param {string} how.name
 * @param {() => Promise<string | null>} how.read
 * @param {Looks} how.looks
 * @param {(secret: string) => Promise<T>} use
 * @param {import('../index').WithSecretOptions} [options]
 * @returns {Promise<T>}
 */
async function withSecret({ name, read, looks }, use, options = {}) {
  const { isAuthError: isAuth = isAuthError, timeoutMs = DEFAULT_TIMEOUT_MS } = checked(use, options)
  const end = performance.now() + timeoutMs
  const first = await read()
  if (first === null) throw new SecretError('SOURCE_UNAVAILABLE', `${name}: no source has this secret`)
  /** @type {unknown} */
  let failure
  /** @type {Set<string>} */
  const tried = new Set()
  /** @param {string} secret */
  const attempt = async (secret) => {
    tried.add(secret)
    try {
      const result = await use(secret)
      looks.found(name)
      return { result }
    } catch (error) {
      if (!isAuth(error)) throw error
      failure = error
      return undefined
    }
  }
  let done = await attempt(first)
  while (done === undefined) {
    const values = await looks.values(name, end)
    if (values === undefined) {
      looks.gaveUp(name)
      throw failure
    }
    for (const value of values) {
      if (!tried.has(value)) done ??= await attempt(value)
    }
  }
  return done.result
}

/**
 * @template {import('../index').WithSecretOptions} O
 * @param {unknown} use
 * @param {O} options
 * @returns {O}
 */
function checked(use, options) {
  const { isAuthError: isAuth, timeoutMs } = options
  if (typeof use !== 'function') throw new SecretError('CONFIG_INVALID', 'withSecret needs a function')
  if (isAuth !== undefined && typeof isAuth !== 'function') {
    throw new SecretError('CONFIG_INVALID', 'isAuthError must be a function')
  }
  if (timeoutMs !== undefined && !(Number.isFinite(timeoutMs) && timeoutMs >= 0 && timeoutMs <= 600_000)) {
    throw new SecretError('CONFIG_INVALID', 'timeoutMs must be a number from 0 to 600000')
  }
  return options
}

module.exports = { Looks, withSecret }
