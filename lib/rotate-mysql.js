'use strict'

// Ready-made rotation hooks for users of MySQL and MariaDB, over the service's own `mysql2/promise`, `mariadb` or a driver of
// that form, which puts values into a statement itself.

const { ALTERNATING_USERS, SINGLE_USER, alternatingUsers, singleUser } = require('./logins')
const { aText, strategyOptions } = require('./strategy-options')

/** @param {any} connection */
async function isMariadb(connection) {
  return /mariadb/i.test(JSON.stringify(await connection.query('SELECT VERSION() AS version')))
}

/** @param {string} host */
const changes =
  (host) =>
  /**
   * @param {any} connection
   * @param {{ user: string, password: string }} login
   * @param {boolean} isOwn
   */
  async (connection, { user, password }, isOwn) => {
    if (!isOwn) await connection.query('ALTER USER ?@? IDENTIFIED BY ?', [user, host, password])
    // In MariaDB ALTER USER needs a right that a user does not have for itself; in MySQL PASSWORD() is gone.
    else if (await isMariadb(connection)) await connection.query('SET PASSWORD = PASSWORD(?)', [password])
    else await connection.query('ALTER USER CURRENT_USER() IDENTIFIED BY ?', [password])
  }

/** @type {(connection: any) => Promise<void>} */
async function ask(connection) {
  await connection.query('SELECT 1')
}

/** @param {import('../rotation').SingleUserOptions & import('../rotation').MysqlHost} options */
function mysqlSingleUser(options) {
  const [required, optional] = SINGLE_USER
  const checked = strategyOptions('mysqlSingleUser', options, required, { ...optional, host: aText })
  const { host = '%', ...how } = checked
  return singleUser({ ...how, change: changes(host), ask })
}

/** @param {import('../rotation').AlternatingUsersOptions & import('../rotation').MysqlHost} options */
function mysqlAlternatingUsers(options) {
  const [required] = ALTERNATING_USERS
  const { host = '%', ...how } = strategyOptions('mysqlAlternatingUsers', options, required, { host: aText })
  return alternatingUsers({ ...how, change: changes(host), ask })
}

module.exports = { mysqlAlternatingUsers, mysqlSingleUser }
