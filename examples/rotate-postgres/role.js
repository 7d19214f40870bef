'use strict'

// What PostgreSQL is asked: to take a new password for a role, and whether it lets one in.

const { createHash, createHmac, pbkdf2, randomBytes } = require('node:crypto')
const { promisify } = require('node:util')
const { Client, escapeIdentifier, escapeLiteral } = require('pg')

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

/**
 * Connects anew, uses the connection and ends it.
 *
 * @template T
 * @param {import('pg').ClientConfig} options
 * @param {(client: Client) => Promise<T>} use
 * @returns {Promise<T>}
 */
async function connected(options, use) {
  const client = new Client({ connectionTimeoutMillis: 5_000, ...options })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/**
 * Gives a role a password, whatever characters that has. May be repeated.
 *
 * @param {import('pg').ClientConfig} admin
 * @param {string} role
 * @param {string} password
 */
async function setPassword(admin, role, password) {
  // ALTER ROLE takes no parameters.
  const statement = `ALTER ROLE ${escapeIdentifier(role)} PASSWORD ${escapeLiteral(await verifier(password))}`
  await connected(admin, (client) => client.query(statement))
}

/**
 * Rejects unless PostgreSQL lets `username` in with `password`.
 *
 * @param {import('pg').ClientConfig} place
 * @param {{ username: string, password: string }} credentials
 */
async function tryPassword(place, { username, password }) {
  await connected({ ...place, user: username, password }, (client) => client.query('SELECT 1'))
}

module.exports = { connected, setPassword, tryPassword }
