'use strict'

const { setMaxListeners } = require('node:events')
const { SecretError } = require('./errors')
const { plainOptions } = require('./options')
const { now, pause } = require('./real-time')

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
 * What AWS has of a secret: its values, the likeliest first, and whether a rotation is under way.
 *
 * @typedef {{ values: string[], isPending: boolean }} Found
 *
 * The looks at AWS of one secret. Whoever asks for one shares it, and their number is bounded in time: a password that
 * is wrong everywhere must not become a load on AWS.
 *
 * @typedef {{ notBefore: number, wait: number, restUntil: number, under: Promise<Found> | undefined }} Look
 */
class Looks {
  /** @type {Map<string, Look>} */
  #byName = new Map()
  /** What the target accepted in place of the live value: it is ahead of AWS, or behind. @type {Map<string, { live: string, value: string }>} */
  #accepted = new Map()
  #closing = new AbortController()
  #read

  /** @param {(name: string) => Promise<Found>} read */
  constructor(read) {
    this.#read = read
    // One for each secret that is looked for.
    setMaxListeners(0, this.#closing.signal)
  }

  /**
   * The value that was accepted last while `live` was the live one.
   *
   * @param {string} name
   * @param {string} live
   */
  likeliest(name, live) {
    const accepted = this.#accepted.get(name)
    return accepted?.live === live ? accepted.value : live
  }

  /**
   * What AWS has of `name`, or `undefined` when it is not to be asked for that before `end`.
   *
   * @param {string} name
   * @param {number} end
   */
  async values(name, end) {
    const look = this.#byName.get(name) ?? { notBefore: 0, wait: FIRST_WAIT_MS, restUntil: 0, under: undefined }
    this.#byName.set(name, look)
    this.#closing.signal.throwIfAborted()
    if (look.under !== undefined) return look.under
    const at = Math.max(look.notBefore, look.restUntil)
    if (at > end) return undefined
    const wait = at - now()
    const { signal } = this.#closing
    look.under = (wait > 0 ? pause(wait, signal) : Promise.resolve())
      .then(() => this.#read(name))
      .catch((error) => {
        throw signal.aborted ? signal.reason : error
      })
      .finally(() => {
        look.under = undefined
        look.notBefore = now() + look.wait * (0.5 + Math.random())
        look.wait = Math.min(look.wait * 2, LONGEST_WAIT_MS)
      })
    return look.under
  }

  /**
   * `value` was accepted while `live` was the live one.
   *
   * @param {string} name
   * @param {string} live
   * @param {string} value
   */
  found(name, live, value) {
    this.#byName.delete(name)
    if (value === live) this.#accepted.delete(name)
    else this.#accepted.set(name, { live, value })
  }

  /**
   * None was, for as long as somebody wanted to wait. The rest is not prolonged by those who come meanwhile.
   *
   * @param {string} name
   */
  gaveUp(name) {
    const look = this.#byName.get(name)
    if (look && look.restUntil < now()) look.restUntil = now() + REST_MS
  }

  /** Ends the waits, and holds no value any more. */
  close() {
    this.#accepted.clear()
    this.#closing.abort(new SecretError('CLOSED', 'this SecretDelivery was closed; create a new one to read secrets'))
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
async function withSecret({ name, read, looks }, use, options) {
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
      looks.found(name, live, secret)
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
  let done = await tryEach([looks.likeliest(name, first), first])
  while (done === undefined) {
    const found = await looks.values(name, end)
    if (found === undefined) {
      looks.gaveUp(name)
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

module.exports = { Looks, withSecret }
