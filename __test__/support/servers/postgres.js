'use strict'

const { execFile } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const { temporaryDirectory } = require('../files')
const { unprivileged } = require('../unprivileged')
const { Server, freePort } = require('./server')

/** The time for PostgreSQL to end its processes, in milliseconds. */
const POSTGRES_STOP_MS = 5_000

/** A PostgreSQL server in a directory of its own, which ends with it. Passwords are checked by scram-sha-256. */
class PostgresServer {
  #server
  #directory
  #port
  #password

  /** @param {Server} server @param {string} directory @param {number} port @param {string} password Of the role `admin`. */
  constructor(server, directory, port, password) {
    this.#server = server
    this.#directory = directory
    this.#port = port
    this.#password = password
  }

  /** @returns {string | undefined} Where its programs are: Debian keeps them out of PATH. */
  static programs() {
    const versions = '/usr/lib/postgresql'
    const found = fs.existsSync(versions) ? fs.readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : []
    const places = [...found.map((version) => path.join(versions, version, 'bin')), ...pathDirectories()]
    return places.find((place) => ['initdb', 'postgres'].every((name) => fs.existsSync(path.join(place, name))))
  }

  /** @returns {Promise<PostgresServer>} */
  static async start() {
    const programs = PostgresServer.programs()
    if (programs === undefined) throw new Error('PostgreSQL is not installed')
    const [directory, port, password] = [temporaryDirectory(), await freePort(), randomBytes(16).toString('hex')]
    try {
      const owner = unprivileged()
      const [data, passwordFile] = [path.join(directory, 'data'), path.join(directory, 'password')]
      fs.writeFileSync(passwordFile, password, { mode: 0o600 })
      if (owner.uid !== undefined) for (const own of [directory, passwordFile]) fs.chownSync(own, owner.uid, owner.gid)
      // This user must be allowed to enter the working directory.
      const as = { ...owner, cwd: directory }
      const cluster = ['-D', data, '-U', 'admin', '-A', 'scram-sha-256', '--pwfile', passwordFile]
      const initdb = path.join(programs, 'initdb')
      await promisify(execFile)(initdb, [...cluster, '-E', 'UTF8', '--no-locale', '--no-sync'], as)
      fs.rmSync(passwordFile)
      const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'max_connections=200']
      const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
      const server = new Server(path.join(programs, 'postgres'), args, as)
      const started = new PostgresServer(server, directory, port, password)
      await server.ready(() => started.#answers())
      return started
    } catch (error) {
      removeDirectory(directory)
      throw error
    }
  }

  /** The options of `pg` for a connection. @param {string} user @param {string} password */
  options(user, password) {
    return { host: '127.0.0.1', port: this.#port, database: 'postgres', user, password }
  }

  /** The options of `pg` for the role that may alter the others. */
  get admin() {
    return this.options('admin', this.#password)
  }

  /** Runs one statement as `admin`. @param {string} text @param {unknown[]} [values] @returns {Promise<any[]>} Its rows. */
  async query(text, values) {
    const { Client } = require('pg')
    const client = new Client(this.admin)
    await client.connect()
    try {
      return (await client.query(text, values)).rows
    } finally {
      await client.end()
    }
  }

  async #answers() {
    try {
      await this.query('SELECT 1')
      return true
    } catch (error) {
      // 57P03: the server listens before it is ready.
      if (['ECONNREFUSED', '57P03'].includes(/** @type {any} */ (error).code)) return false
      throw error
    }
  }

  async stop() {
    // Stops at once, with all its processes: a SIGKILL of the first one would leave the others running.
    this.#server.signal('SIGQUIT')
    const late = setTimeout(() => this.#server.signal('SIGKILL'), POSTGRES_STOP_MS)
    await this.#server.ended
    clearTimeout(late)
    removeDirectory(this.#directory)
  }
}

/** @returns {string[]} */
const pathDirectories = () => (process.env.PATH ?? '').split(path.delimiter).filter(path.isAbsolute)

/** Removes a directory. Tries again while a process that is ending still writes into it. @param {string} directory */
const removeDirectory = (directory) => fs.rmSync(directory, { recursive: true, maxRetries: 10, retryDelay: 50 })

module.exports = { PostgresServer }
