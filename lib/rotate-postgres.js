'use strict'

// Ready-made rotation hooks for users of PostgreSQL, over the service's own `pg` or a driver of that form.

const { createHash, createHmac, pbkdf2, randomBytes } = require('node:crypto')
const { promisify } = require('node:util')
const { ALTERNATING_USERS, SINGLE_USER, alternatingUsers, singleUser } = require('./logins')
const { ownOptions } = require('./own-options')

const ITERATIONS = 4096

/**
 * What PostgreSQL keeps of a password. Made here, so that the password is in no statement and thus in no server log.
 *
 * @param {string} password
 * @see https://www.postgresql.org/docs/current/catalog-pg-authid.html
 */
async function verifier(password) {
  const salt = randomBytes(16)
  const salted = await promisify(pbkdf2)(prepared(password), salt, ITERATIONS, 32, 'sha256')
  const hmac = (/** @type {string} */ text) => createHmac('sha256', salted).update(text).digest()
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`
}

/**
 * SASLprep, as far as PostgreSQL's clients apply it: it only matters beyond ASCII.
 *
 * @param {string} password
 */
function prepared(password) {
  const spaces = /[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/gu
  const nothing = /\u00AD|\u034F|\u1806|[\u180B-\u180D]|\u200C|\u200D|\u2060|[\uFE00-\uFE0F]|\uFEFF/gu
  return password.replace(spaces, ' ').replace(nothing, '').normalize('NFKC')
}

/** @param {string} name */
const identifier = (name) => `"${name.replaceAll('"', '""')}"`

/** @type {(connection: any, login: { user: string, password: string }) => Promise<void>} */
async function change(connection, { user, password }) {
  // ALTER ROLE takes no parameters. Neither quotes nor backslashes are in a verifier.
  const statement = `ALTER ROLE ${identifier(user)} PASSWORD '${await verifier(password)}'`
  // A role that only reads by default (default_transaction_read_only) may write in a transaction that says so. A setting of the
  // session would not do: a pooler may run the next statement in another session.
  for (const text of ['BEGIN READ WRITE', statement, 'COMMIT']) await connection.query(text)
}

/** @type {(connection: any) => Promise<void>} */
async function ask(connection) {
  await connection.query('SELECT 1')
}

/** @param {import('../rotation').SingleUserOptions} options */
function postgresSingleUser(options) {
  return singleUser({ ...ownOptions('postgresSingleUser', options, ...SINGLE_USER), change, ask })
}

/** @param {import('../rotation').AlternatingUsersOptions} options */
function postgresAlternatingUsers(options) {
  return alternatingUsers({
    ...ownOptions('postgresAlternatingUsers', options, ...ALTERNATING_USERS),
    change,
    ask,
  })
}

module.exports = { postgresAlternatingUsers, postgresSingleUser }
