'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../files')
const { unprivileged } = require('../unprivileged')
const { Server, accepts, freePort, programIn } = require('./server')

const program = () => programIn('pgbouncer', ['/usr/sbin', '/usr/bin', '/opt/homebrew/bin'])

/** A PgBouncer in front of a PostgreSQL server. */
class PgBouncer {
  /** @param {Server} server @param {string} directory @param {number} port */
  constructor(server, directory, port) {
    this.server = server
    this.directory = directory
    this.port = port
  }

  static isInstalled() {
    return program() !== undefined
  }

  /**
   * @param {string} users The lines of its file of users.
   * @param {{ host: string, port: number }} server Where the database `shop` is.
   */
  static async start(users, { host, port: at }) {
    const found = program()
    if (found === undefined) throw new Error('PgBouncer is not installed')
    const [directory, port, owner] = [temporaryDirectory(), await freePort(), unprivileged()]
    const [ini, list] = ['ini', 'users'].map((name) => path.join(directory, name))
    const lines = [
      '[databases]',
      `shop = host=${host} port=${at} dbname=postgres`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = plain',
      `auth_file = ${list}`,
      'server_login_retry = 0.2',
    ]
    fs.writeFileSync(list, users)
    fs.writeFileSync(ini, `${lines.join('\n')}\n`)
    if (owner.uid !== undefined) for (const file of [directory, ini, list]) fs.chownSync(file, owner.uid, owner.gid)
    const server = new Server(found, ['-q', ini], owner)
    await server.ready(async () => accepts(port))
    return new PgBouncer(server, directory, port)
  }

  async stop() {
    this.server.signal('SIGKILL')
    await this.server.ended
    fs.rmSync(this.directory, { recursive: true, maxRetries: 10, retryDelay: 50 })
  }
}

module.exports = { PgBouncer }
