'use strict'

// Connections of `pg` that end, and the first password of a role.

const { Client, escapeIdentifier, escapeLiteral } = require('pg')

/**
 * A new connection. Who asked for it ends it.
 *
 * @param {import('pg').ClientConfig} options
 */
async function connect(options) {
  const client = new Client({ connectionTimeoutMillis: 5_000, ...options })
  await client.connect()
  return client
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
  const client = await connect(options)
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/**
 * Gives a role the password that it has before its first rotation, whatever characters that has. Here the statement, and so
 * perhaps a log of the server, has the password; the hooks send none.
 *
 * @param {import('pg').ClientConfig} admin
 * @param {string} role
 * @param {string} password
 */
async function setPassword(admin, role, password) {
  const statement = `ALTER ROLE ${escapeIdentifier(role)} PASSWORD ${escapeLiteral(password)}`
  await connected(admin, (client) => client.query(statement))
}

module.exports = { connect, connected, setPassword }
