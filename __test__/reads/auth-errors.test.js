'use strict'

// Which errors mean wrong credentials, as the drivers themselves make them: names, codes and texts are from their sources.

const { isAuthError } = require('../../lib/auth-errors')

/** @param {string} message @param {object} members */
const error = (message, members = {}) => Object.assign(new Error(message), members)
const mysql = error("Access denied for user 'app'@'10.0.0.1' (using password: YES)", {
  code: 'ER_ACCESS_DENIED_ERROR',
  errno: 1045,
  sqlState: '28000',
})
const postgres = error('password authentication failed for user "app"', { code: '28P01' })
const kafka = error('SASL PLAIN authentication failed: Invalid username or password', {
  name: 'KafkaJSSASLAuthenticationError',
})
const cassandra = error('Provided username app and/or password are incorrect', { name: 'AuthenticationError' })

test.each([
  ['kafkajs', kafka],
  ['kafkajs, the protocol', error('SASL Authentication failed', { type: 'SASL_AUTHENTICATION_FAILED', code: 58 })],
  ['kafkajs, after retries', error('SASL PLAIN', { name: 'KafkaJSNumberOfRetriesExceeded', cause: kafka })],
  ['librdkafka', error('SASL authentication error: Authentication failed', { code: -169, name: 'LibrdKafkaError' })],
  ['Sequelize over mysql2', error('Access denied', { name: 'SequelizeAccessDeniedError', parent: mysql })],
  ['Sequelize over pg', error('password', { name: 'SequelizeConnectionError', original: postgres })],
  ['TypeORM', error('password', { name: 'QueryFailedError', driverError: postgres })],
  ['Prisma 7', error('x', { name: 'DriverAdapterError', cause: { kind: 'AuthenticationFailed', user: 'app' } })],
  ['ioredis, a cluster', error('Failed to refresh slots cache.', { lastNodeError: error('WRONGPASS invalid') })],
  ['Redis 5', error('ERR invalid username-password pair')],
  [
    'oracledb',
    error('ORA-01017: invalid credential or not authorized; logon denied', { code: 'ORA-01017', errorNum: 1017 }),
  ],
  ['oracledb before 6', error('invalid username/password; logon denied', { errorNum: 1017 })],
  ['Snowflake', error('Incorrect username or password was specified.', { code: '390100', sqlState: '08001' })],
  ['Db2', error('SQL30082N  Security processing failed with reason "24"', { sqlcode: -30_082 })],
  ['SAP HANA', error('authentication failed', { code: 10, sqlState: '28000' })],
  ['Firebird', error('Your user name and password are not defined.', { gdscode: 335_544_472 })],
  ['ClickHouse', error('default: Authentication failed', { code: '516', type: 'AUTHENTICATION_FAILED' })],
  ['Supavisor', error('Tenant or user not found', { code: 'XX000' })],
  ['nodemailer without a code', error('535 auth failed', { responseCode: 535 })],
  ['imapflow', error('Command failed', { authenticationFailed: true })],
  ['node-imap', error('Invalid credentials (Failure)', { textCode: 'AUTHENTICATIONFAILED', source: 'authentication' })],
  [
    'ldapjs, ldapts',
    error('Invalid credentials during a bind operation.', { name: 'InvalidCredentialsError', code: 49 }),
  ],
  ['Cassandra', cassandra],
  ['Cassandra, no host left', error('All host(s) tried failed', { innerErrors: { '10.0.0.1:9042': cassandra } })],
  ['Neo4j', error('unauthorized', { code: 'Neo.ClientError.Security.Unauthorized' })],
  ['ssh2', error('All configured authentication methods failed', { level: 'client-authentication' })],
  [
    'ssh2-sftp-client',
    error('getConnection: All configured authentication methods failed', { code: 'ERR_GENERIC_CLIENT' }),
  ],
  ['basic-ftp', error('530 Login incorrect.', { name: 'FTPError', code: 530 })],
  ['NATS', error("'Authorization Violation'", { name: 'NatsError', code: 'AUTHORIZATION_VIOLATION' })],
  ['NATS 3', error('Authorization Violation', { name: 'AuthorizationError' })],
  ['MQTT 3.1.1', error('Connection refused: Bad username or password', { code: 4 })],
  ['MQTT 5', error('Connection refused: Bad User Name or Password', { code: 134 })],
  ['rhea', error('Failed to authenticate: 1')],
  ['memjs', error('Memcached server authentication failed!')],
  ['ws', error('Unexpected server response: 401')],
  ['Connect', error('[unauthenticated] bad', { name: 'ConnectError', code: 16, rawMessage: 'bad' })],
  ['Slack', error('invalid_auth', { code: 'slack_webapi_platform_error', data: { ok: false, error: 'invalid_auth' } })],
  ['OAuth', error('status code 400', { response: { status: 400, headers: {}, data: { error: 'invalid_client' } } })],
  ['googleapis', error('invalid authentication credentials', { code: 401 })],
  ['AWS', error('no such key', { name: 'InvalidAccessKeyId', $metadata: { httpStatusCode: 403 } })],
  ['AWS, STS', error('The security token is invalid.', { name: 'UnrecognizedClientException', $metadata: {} })],
  ['Azure', error('x', { name: 'RestError', code: 'AuthenticationFailed', statusCode: 403 })],
])('%s: a wrong password or token', (_, thrown) => {
  expect(isAuthError(thrown)).toBe(true)
})

test.each([
  [
    'SQL Server, a database that is not there',
    error('Cannot open database "x" requested by the login.', { code: 'ELOGIN' }),
  ],
  ['SQL Server, disabled', error("Login failed for user 'a'. Reason: The account is disabled.", { code: 'ELOGIN' })],
  ['MySQL, a database', error('Access denied', { code: 'ER_DBACCESS_DENIED_ERROR', errno: 1044, sqlState: '42000' })],
  ['MySQL, a file', error("Can't find file", { code: 'ER_FILE_NOT_FOUND', errno: 1017, sqlState: 'HY000' })],
  ['Oracle, locked', error('ORA-28000: The account is locked.', { code: 'ORA-28000', errorNum: 28_000 })],
  ['Kafka, a topic', error('Not authorized', { type: 'TOPIC_AUTHORIZATION_FAILED', code: 29 })],
  ['LDAP, rights', error('x', { name: 'InsufficientAccessRightsError', code: 50 })],
  ['NATS, rights', error('Permissions Violation', { code: 'PERMISSIONS_VIOLATION' })],
  ['Neo4j, too many', error('x', { code: 'Neo.ClientError.Security.AuthenticationRateLimit' })],
  ['Slack, a scope', error('x', { code: 'slack_webapi_platform_error', data: { error: 'missing_scope' } })],
  ['OAuth, a scope', error('x', { response: { status: 400, headers: {}, data: { error: 'invalid_scope' } } })],
  ['AWS, rights', error('Access Denied', { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } })],
  [
    'Elasticsearch, rights',
    error('security_exception\n action [indices:data/read] is unauthorized for user [app]', { statusCode: 403 }),
  ],
  ['ClickHouse, rights', error('Not enough privileges', { code: '497', type: 'ACCESS_DENIED' })],
  ['ssh2, a timeout', error('Timed out while waiting for handshake', { level: 'client-timeout' })],
  ['Redis, rights', error("NOPERM User app has no permissions to run the 'get' command")],
  ['PostgreSQL, an internal error', error('could not open relation', { code: 'XX000' })],
  ['numbers that mean something only with their class', error('x', { code: 530 })],
  ['a system error', error('connect ECONNREFUSED', { code: 'ECONNREFUSED', errno: -111, syscall: 'connect' })],
])('%s: another reason', (_, thrown) => {
  expect(isAuthError(thrown)).toBe(false)
})
