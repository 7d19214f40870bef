'use strict'

const { execFile } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const { temporaryDirectory } = require('../files')
const { unprivileged } = require('../unprivileged')
const { Server, freePort, programIn } = require('./server')

const PLACES = ['/usr/sbin', '/usr/bin', ...(process.env.PATH ?? '').split(path.delimiter).filter(path.isAbsolute)]

/** @param {string} name */
const program = (name) => programIn(name, PLACES)

/** A MariaDB server in a directory of its own, which ends with it. */
class MariadbServer {
  /** @param {Server} server @param {string} directory @param {number} port @param {string} password Of the user `admin`. */
  constructor(server, directory, port, password) {
    this.server = server
    this.directory = directory
    this.port = port
    this.password = password
  }

  static isInstalled() {
    return program('mariadbd') !== undefined && program('mariadb-install-db') !== undefined
  }

  /** @returns {Promise<MariadbServer>} */
  static async start() {
    const [daemon, install] = [program('mariadbd'), program('mariadb-install-db')]
    if (daemon === undefined || install === undefined) throw new Error('MariaDB is not installed')
    const [directory, port, password] = [temporaryDirectory(), await freePort(), randomBytes(16).toString('hex')]
    const owner = unprivileged()
    const data = path.join(directory, 'data')
    const init = path.join(directory, 'init.sql')
    const statements = [
      `CREATE USER admin@'%' IDENTIFIED BY '${password}'`,
      "GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION",
    ]
    fs.mkdirSync(data)
    fs.writeFileSync(init, statements.map((statement) => `${statement};\n`).join(''))
    if (owner.uid !== undefined) for (const own of [directory, data, init]) fs.chownSync(own, owner.uid, owner.gid)
    const as = { ...owner, cwd: directory }
    // Servers that run at the same time would remove each other's temporary tables.
    const place = ['--no-defaults', `--datadir=${data}`, `--tmpdir=${directory}`]
    await promisify(execFile)(install, [...place, '--auth-root-authentication-method=normal', '--skip-test-db'], as)
    const socket = path.join(directory, 's')
    const settings = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${socket}`, `--init-file=${init}`]
    const more = ['--skip-name-resolve', '--innodb-flush-log-at-trx-commit=0', '--max-connections=300']
    const server = new Server(daemon, [...place, ...settings, ...more, `--pid-file=${directory}/pid`], as)
    const started = new MariadbServer(server, directory, port, password)
    await server.ready(() => started.#answers())
    return started
  }

  /** The options of `mysql2` for a connection. @param {{ user: string, password: string }} login */
  options(login) {
    return { host: '127.0.0.1', port: this.port, ...login }
  }

  /** A connection that may alter users. */
  admin() {
    const mysql = require('mysql2/promise')
    return mysql.createConnection(this.options({ user: 'admin', password: this.password }))
  }

  /** Runs one statement as `admin`. @param {string} text @param {unknown[]} [values] */
  async query(text, values) {
    const connection = await this.admin()
    try {
      return (await connection.query(text, values))[0]
    } finally {
      await connection.end()
    }
  }

  async #answers() {
    try {
      await this.query('SELECT 1')
      return true
    } catch (error) {
      // The server listens before the user was made.
      if (['ECONNREFUSED', 'ER_ACCESS_DENIED_ERROR'].includes(/** @type {any} */ (error).code)) return false
      throw error
    }
  }

  async stop() {
    this.server.signal('SIGKILL')
    await this.server.ended
    fs.rmSync(this.directory, { recursive: true, maxRetries: 10, retryDelay: 50 })
  }
}

module.exports = { MariadbServer }
