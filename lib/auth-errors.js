'use strict'

// Which errors mean that the credentials are wrong: the table of docs/rotation.md. A refusal for another reason (a limit, a
// quota, a missing right) is none: other credentials would not help, and each further log-in could lock the account.

/** Codes that say it by themselves. */
const CODES = new Set([
  '28P01', // PostgreSQL, also through PgBouncer: invalid_password
  'ER_ACCESS_DENIED_ERROR', // MySQL, MariaDB
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ELOGIN', // SQL Server: tedious, mssql
  'EAUTH', // nodemailer
  'P1000', // Prisma
  'WRONGPASS', // Redis
  'NOAUTH',
  'ERR_HTTP_401',
])
const NUMBERS = new Set([
  1045, // MySQL, MariaDB: ER_ACCESS_DENIED_ERROR
  1698, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
  18_456, // SQL Server: login failed
  18, // MongoDB: AuthenticationFailed
])

/** The most errors of a tree of causes that are looked at. */
const MOST = 50

/**
 * Whether `error`, one of its causes, or one of the errors that it stands for says so.
 *
 * @param {unknown} error
 * @returns {boolean}
 */
function isAuthError(error) {
  const errors = [error]
  for (let at = 0; at < errors.length && at < MOST; at++) {
    const one = /** @type {any} */ (errors[at])
    if (typeof one !== 'object' || one === null) continue
    try {
      if (saysSo(one)) return true
      for (const cause of [one.cause, one.originalError, ...(Array.isArray(one.errors) ? one.errors : [])]) {
        if (!errors.includes(cause)) errors.push(cause)
      }
    } catch {
      // One that cannot be read says nothing. The caller gets the error itself.
    }
  }
  return false
}

/** @param {any} error */
function saysSo(error) {
  const { code, errorCode, errno, number } = error
  const text = typeof error.message === 'string' ? error.message : ''
  if (CODES.has(code) || CODES.has(errorCode)) return true
  if ([code, errno, number].some((value) => typeof value === 'number' && NUMBERS.has(value))) return true
  // invalid_authorization_specification: no such role. Also said of an address that pg_hba.conf does not let in.
  if (code === '28000') return !/pg_hba|not permitted to log in|SSL/i.test(text)
  // protocol_violation: PgBouncer, where the server refused it, or no such user.
  if (code === '08P01')
    return /(password|SASL) authentication failed|no such user|server login has been failing/i.test(text)
  // MongoDB Atlas, which has one code for whatever it refuses.
  if (code === 8000 || error.codeName === 'AtlasError') return /bad auth/i.test(text)
  // gRPC: UNAUTHENTICATED. 7, PERMISSION_DENIED, is another reason.
  if (code === 16 && 'details' in error) return true
  if (/^(WRONGPASS|NOAUTH)\b|^ERR invalid password/.test(text)) return true
  // RabbitMQ, in the words of amqplib. ACCESS_REFUSED is also said of queues and exchanges.
  if (/ACCESS[-_]REFUSED/.test(text)) return /login was refused/i.test(text)
  return isHttpRefusal(error, text)
}

/** @param {any} error @param {string} text */
function isHttpRefusal(error, text) {
  const { status, statusCode, response } = error
  const said = [status, statusCode, response?.status, response?.statusCode].find((value) => Number.isInteger(value))
  if (said !== 401 && said !== 403) return false
  const header = (/** @type {string} */ name) => {
    const headers = response?.headers ?? error.headers
    const value = typeof headers?.get === 'function' ? headers.get(name) : headers?.[name]
    return value === undefined || value === null ? '' : String(value)
  }
  if (header('retry-after') !== '' || header('x-ratelimit-remaining') === '0') return false
  if (/insufficient_scope/i.test(header('www-authenticate'))) return false
  return !/rate.?limit|quota|too many|scope|throttl|not accessible by/i.test(text)
}

module.exports = { isAuthError }
