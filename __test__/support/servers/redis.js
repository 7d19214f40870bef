'use strict'

const os = require('node:os')
const { Server, accepts, freePort } = require('./server')

/** A Redis server without persistence. */
class RedisServer {
  /** @param {Server} server @param {number} port @param {string | undefined} password */
  constructor(server, port, password) {
    this.server = server
    this.port = port
    this.password = password
    this.url = `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`
  }

  /**
   * @param {{ port?: number, password?: string, args?: string[] }} [options]
   * @returns {Promise<RedisServer>}
   */
  static async start({ port, password, args = [] } = {}) {
    const chosen = port ?? (await freePort())
    const all = [
      '--port',
      String(chosen),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      os.tmpdir(),
    ]
    if (password !== undefined) all.push('--requirepass', password)
    const server = new Server('redis-server', [...all, ...args])
    await server.ready(async () => accepts(chosen))
    return new RedisServer(server, chosen, password)
  }

  /** Runs one command. @param {...(string | Buffer)} words @returns {Promise<any>} */
  async command(...words) {
    const { Redis } = require('ioredis')
    const client = new Redis({ host: '127.0.0.1', port: this.port, password: this.password, lazyConnect: true })
    try {
      await client.connect()
      return await client.callBuffer(/** @type {string} */ (words[0]), ...words.slice(1))
    } finally {
      client.disconnect()
    }
  }

  /** Stops answering without closing connections. */
  freeze() {
    this.server.signal('SIGSTOP')
  }

  thaw() {
    this.server.signal('SIGCONT')
  }

  stop() {
    return this.server.stop()
  }
}

module.exports = { RedisServer }
