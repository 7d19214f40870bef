'use strict'

const path = require('node:path')
const { pythonPrograms } = require('../../../tools/setup')
const { Server, accepts, freePort } = require('./server')

/** moto's server, an AWS stand-in from PyPI; tools/setup.js installs it. */
class Moto {
  /** @param {Server} server @param {string} url */
  constructor(server, url) {
    this.server = server
    this.url = url
  }

  /** @returns {Promise<Moto>} */
  static async start() {
    const port = await freePort()
    const args = ['-H', '127.0.0.1', '-p', String(port)]
    const server = new Server(path.join(pythonPrograms, 'moto_server'), args)
    await server.ready(() => accepts(port))
    return new Moto(server, `http://127.0.0.1:${port}`)
  }

  stop() {
    return this.server.stop()
  }
}

module.exports = { Moto }
