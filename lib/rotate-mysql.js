'use strict'

// Ready-made rotation hooks for users of MySQL and MariaDB, over the service's own `mysql2/promise`, `mariadb` or a driver of
// that form, which puts values into a statement itself.

const { ALTERNATING_USERS, SINGLE_USER, alternatingUsers, singleUser } = require('./logins')
const { aText, ownOptions } = require('./own-options')

/** @param {any} connection */
async function isMariadb(connection) {
  return /mariadb/i.test(JSON.stringify(await connection.query('SELECT VERSION() AS version')))
}

/** MariaDB: "SET PASSWORD is not applicable for users authenticating via … plugin". */
const ALSO_WITHOUT_PASSWORD = 1699
/** MariaDB: "Access denied for user … to database 'mysql'". */
const NO_RIGHT_TO_ACCOUNTS = 1044

/**
 * Runs a statement of MariaDB that changes a password. Where the account may be entered without a password as well, MariaDB
 * changes the password and then says that it cannot: the hooks that log in afterwards find out.
 *
 * @param {any} connection @param {string} statement @param {unknown[]} values
 */
async function changing(connection, statement, values) {
  try {
    await connection.query(statement, values)
  } catch (error) {
    if (/** @type {any} */ (error)?.errno !== ALSO_WITHOUT_PASSWORD) throw error
  }
}

/** @param {string} host */
const changes =
  (host) =>
  /**
   * SET PASSWORD keeps how the account is entered: its plugin (ed25519) and other ways (unix_socket). ALTER USER would replace
   * them by the server's default.
   *
   * @param {any} connection
   * @param {{ user: string, password: string }} login
   * @param {boolean} isOwn
   */
  async (connection, { user, password }, isOwn) => {
    // Drivers escape with backslashes. With NO_BACKSLASH_ESCAPES the server would take them for a part of the password.
    await connection.query("SET SESSION sql_mode = ''")
    const account = [user, host]
    if (!(await isMariadb(connection))) {
      if (isOwn) await connection.query('SET PASSWORD = ?', [password])
      else await connection.query('SET PASSWORD FOR ?@? = ?', [...account, password])
      return
    }
    if (isOwn) return changing(connection, 'SET PASSWORD = PASSWORD(?)', [password])
    try {
      await changing(connection, 'SET PASSWORD FOR ?@? = PASSWORD(?)', [...account, password])
    } catch (error) {
      // An administrator who has the right CREATE USER and none to the table of accounts.
      if (/** @type {any} */ (error)?.errno !== NO_RIGHT_TO_ACCOUNTS) throw error
      await connection.query('ALTER USER ?@? IDENTIFIED BY ?', [...account, password])
    }
  }

/** @type {(connection: any) => Promise<void>} */
async function ask(connection) {
  await connection.query('SELECT 1')
}

/** @param {import('../rotation').SingleUserOptions & import('../rotation').MysqlHost} options */
function mysqlSingleUser(options) {
  const [required, optional] = SINGLE_USER
  const checked = ownOptions('mysqlSingleUser', options, required, { ...optional, host: aText })
  const { host = '%', ...how } = checked
  return singleUser({ ...how, change: changes(host), ask })
}

/** @param {import('../rotation').AlternatingUsersOptions & import('../rotation').MysqlHost} options */
function mysqlAlternatingUsers(options) {
  const [required] = ALTERNATING_USERS
  const { host = '%', ...how } = ownOptions('mysqlAlternatingUsers', options, required, { host: aText })
  return alternatingUsers({ ...how, change: changes(host), ask })
}

module.exports = { mysqlAlternatingUsers, mysqlSingleUser }
