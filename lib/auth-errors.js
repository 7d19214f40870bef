'use strict'

// Which errors mean that the credentials are wrong: the table of docs/rotation.md. A refusal for another reason (a limit, a
// quota, a missing right) is none: other credentials would not help, and each further log-in could lock the account.

/** Codes that say it by themselves: in `code`, `errorCode`, or the member that a driver has for it. */
const CODES = new Set([
  '28P01', // PostgreSQL, also through PgBouncer: invalid_password
  'ER_ACCESS_DENIED_ERROR', // MySQL, MariaDB
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'EAUTH', // nodemailer
  'P1000', // Prisma
  'WRONGPASS', // Redis
  'NOAUTH',
  'ERR_HTTP_401',
  'ORA-01017', // Oracle
  '390100', // Snowflake: wrong user or password
  'Neo.ClientError.Security.Unauthorized',
  'Neo.ClientError.Security.CredentialsExpired',
  'AUTHORIZATION_VIOLATION', // NATS
  'AUTHENTICATION_EXPIRED',
  'AUTHENTICATIONFAILED', // IMAP
  'AUTHENTICATION_FAILED', // ClickHouse
  'SASL_AUTHENTICATION_FAILED', // Kafka
  'AuthenticationFailed', // MongoDB's name of 18, Azure, Prisma's driver adapters
])
const NUMBERS = new Set([
  1045, // MySQL, MariaDB: ER_ACCESS_DENIED_ERROR
  1698, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
  18_456, // SQL Server: login failed
  18, // MongoDB: AuthenticationFailed
  390_100, // Snowflake
  -169, // librdkafka: ERR__AUTHENTICATION
  -30_082, // Db2
  335_544_472, // Firebird
])
/** Names of errors that are about nothing else. */
const NAMES = new Set([
  'KafkaJSSASLAuthenticationError',
  'InvalidCredentialsError', // LDAP's 49: ldapjs, ldapts
  'AuthenticationError', // Cassandra, and others
  'AuthenticationFailureError', // Couchbase
  // AWS, for credentials that no longer exist. `AccessDenied` is about rights.
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'ExpiredTokenException',
])
/** What Slack says of a token. */
const SLACK = new Set(['invalid_auth', 'not_authed', 'account_inactive', 'token_revoked', 'token_expired'])
/** What OAuth 2 says of a client's secret or a refresh token, with status 400 as a rule. */
const OAUTH = new Set(['invalid_client', 'invalid_grant'])
/** Drivers that have words and no code. */
const WORDS = new RegExp(
  [
    '^(WRONGPASS|NOAUTH)\\b', // Redis
    '^ERR invalid (username-password pair|password)',
    '^ORA-01017:',
    '^All configured authentication methods failed|: All configured authentication methods failed$', // SSH
    '^Connection refused: (Bad user ?name or password|Not authorized)$', // MQTT's connect, in the words of mqtt.js
    '^Failed to authenticate: ', // AMQP 1.0: rhea
    '^Memcached server authentication failed',
    "^'?Authorization Violation'?$", // NATS
    '^Unexpected server response: 401$', // WebSockets: ws
  ].join('|'),
  'i',
)

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
      for (const cause of causesOf(one)) {
        if (!errors.includes(cause)) errors.push(cause)
      }
    } catch {
      // One that cannot be read says nothing. The caller gets the error itself.
    }
  }
  return false
}

/**
 * The errors that `error` wraps, under the names that drivers and the libraries above them have for it.
 *
 * @param {any} error
 * @returns {unknown[]}
 */
function causesOf(error) {
  const { cause, errors, innerErrors } = error
  return [
    cause,
    error.originalError, // mssql
    error.original, // Sequelize
    error.parent,
    error.driverError, // TypeORM
    error.lastNodeError, // ioredis, of a cluster
    ...(Array.isArray(errors) ? errors : []), // AggregateError
    ...(typeof innerErrors === 'object' && innerErrors !== null ? Object.values(innerErrors) : []), // Cassandra: by host
  ]
}

/** @param {any} error */
function saysSo(error) {
  const { code, name } = error
  const text = typeof error.message === 'string' ? error.message : ''
  // "Cannot open database" has the code of a refused login; so have accounts that are disabled or locked.
  if (code === 'ELOGIN') return !/cannot open database|account is (disabled|currently locked)/i.test(text)
  if ([code, error.errorCode, error.type, error.codeName, error.textCode, error.kind].some((one) => CODES.has(one)))
    return true
  if ([error.serverResponseCode, error.originalCode].some((one) => CODES.has(one))) return true
  const numbers = [code, error.errno, error.number, error.sqlcode, error.gdscode]
  if (numbers.some((value) => typeof value === 'number' && NUMBERS.has(value))) return true
  // Oracle. To MySQL 1017 is a file that is not there.
  if (error.errorNum === 1017) return true
  // invalid_authorization_specification: no such role. Also said of an address that pg_hba.conf does not let in.
  if (code === '28000' || error.sqlState === '28000') return !/pg_hba|not permitted to log in|SSL/i.test(text)
  // protocol_violation: PgBouncer, where the server refused it, or no such user. Pgpool and Supavisor have no better code either.
  if (code === '08P01' || code === 'XX000')
    return /(password|SASL) authentication failed|no such user|user not found|server login has been failing/i.test(text)
  // MongoDB Atlas, which has one code for whatever it refuses.
  if (code === 8000 || error.codeName === 'AtlasError') return /bad auth/i.test(text)
  // gRPC and Connect: UNAUTHENTICATED. 7, PERMISSION_DENIED, is another reason.
  if (code === 16 && ('details' in error || name === 'ConnectError')) return true
  // FTP's "not logged in" is of a log-in only with this class.
  if (code === 530 && name === 'FTPError') return true
  if (error.authenticationFailed === true || error.level === 'client-authentication' || error.responseCode === 535)
    return true // imapflow; ssh2; nodemailer
  if (code === 'slack_webapi_platform_error') return SLACK.has(error.data?.error)
  // RabbitMQ, in the words of amqplib. ACCESS_REFUSED is also said of queues and exchanges.
  if (/ACCESS[-_]REFUSED/.test(text)) return /login was refused/i.test(text)
  return NAMES.has(name) || WORDS.test(text) || isOAuthRefusal(error) || isHttpRefusal(error, text)
}

/** @param {any} error */
function isOAuthRefusal({ error, response }) {
  return [error, error?.error, response?.data?.error, response?.body?.error].some((said) => OAUTH.has(said))
}

/** @param {any} error @param {string} text */
function isHttpRefusal(error, text) {
  const { status, statusCode, response } = error
  const numbers = [status, statusCode, response?.status, response?.statusCode, error.$metadata?.httpStatusCode]
  const said = numbers.find((value) => Number.isInteger(value)) ?? (error.code === 401 ? 401 : undefined)
  if (said !== 401 && said !== 403) return false
  // AWS says 403 of a missing right, and has names for wrong credentials.
  if (said === 403 && error.$metadata !== undefined) return false
  const header = (/** @type {string} */ name) => {
    const headers = response?.headers ?? error.headers
    const value = typeof headers?.get === 'function' ? headers.get(name) : headers?.[name]
    return value === undefined || value === null ? '' : String(value)
  }
  if (header('retry-after') !== '' || header('x-ratelimit-remaining') === '0') return false
  const told = [header('www-authenticate'), response?.data?.error, response?.body?.error, error.error]
  if (told.some((words) => /insufficient_scope/i.test(String(words)))) return false
  return !/rate.?limit|quota|too many|scope|throttl|not accessible by|is unauthorized for/i.test(text)
}

module.exports = { isAuthError }
