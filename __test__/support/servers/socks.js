'use strict'

// A SOCKS proxy: version 5 (RFC 1928, with RFC 1929's user and password), 4 and 4a. It knows every host as the one at a port.

const net = require('node:net')
const { Listening } = require('./tls')

class Socks {
  /** The places that it was asked for, with the form of the name. @type {string[]} */
  asked = []
  /** The users, with their passwords, that it was given. @type {string[]} */
  users = []
  /** @type {Listening} */
  listening = /** @type {any} */ (undefined)

  /**
   * @param {number} port Where every host is.
   * @param {{ user?: string, refuses?: number }} [options] `user:password` that it wants; the state that it refuses with.
   */
  static async start(port, options = {}) {
    const socks = new Socks()
    const server = net.createServer((socket) => void socks.#serve(socket, port, options).catch(() => socket.destroy()))
    socks.listening = await Listening.start(server)
    return socks
  }

  /** @param {string} scheme @param {string} [user] `name:password@` */
  url(scheme, user = '') {
    return `${scheme}://${user}127.0.0.1:${this.listening.port}`
  }

  stop() {
    return this.listening.stop()
  }

  /** @param {net.Socket} socket @param {number} port @param {{ user?: string, refuses?: number }} options */
  async #serve(socket, port, options) {
    const [version] = await take(socket, 1)
    const granted = version === 5 ? await this.#five(socket, options) : await this.#four(socket, options)
    if (!granted) return void socket.end()
    const onward = net.connect(port, '127.0.0.1')
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
    onward.pipe(socket).pipe(onward)
  }

  async #five(socket, { user, refuses = 0 }) {
    const methods = await take(socket, (await take(socket, 1))[0])
    const wanted = user === undefined ? 0 : 2
    if (!methods.includes(wanted)) return void socket.end(Buffer.from([5, 255]))
    socket.write(Buffer.from([5, wanted]))
    if (wanted === 2) {
      await take(socket, 1)
      const name = await take(socket, (await take(socket, 1))[0])
      const given = `${name}:${await take(socket, (await take(socket, 1))[0])}`
      this.users.push(given)
      socket.write(Buffer.from([1, given === user ? 0 : 1]))
      if (given !== user) return false
    }
    const [, , , kind] = await take(socket, 4)
    const host =
      kind === 3
        ? `name ${await take(socket, (await take(socket, 1))[0])}`
        : `address ${[...(await take(socket, kind === 1 ? 4 : 16))].join('.')}`
    this.asked.push(`5 ${host}:${(await take(socket, 2)).readUInt16BE()}`)
    socket.write(Buffer.from([5, refuses, 0, 1, 0, 0, 0, 0, 0, 0]))
    return refuses === 0
  }

  async #four(socket, { refuses = 0 }) {
    const head = await take(socket, 7)
    const address = head.subarray(3)
    this.users.push(await text(socket))
    const isName = address.readUInt32BE() < 256
    const host = isName ? `name ${await text(socket)}` : `address ${[...address].join('.')}`
    this.asked.push(`4 ${host}:${head.readUInt16BE(1)}`)
    socket.write(Buffer.from([0, refuses === 0 ? 90 : 91, 0, 0, 0, 0, 0, 0]))
    return refuses === 0
  }
}

/** @param {net.Socket} socket @param {number} length @returns {Promise<Buffer>} */
async function take(socket, length) {
  for (;;) {
    const bytes = length === 0 ? Buffer.alloc(0) : socket.read(length)
    if (bytes !== null) return bytes
    await new Promise((resolve, reject) => {
      const done = (/** @type {Function} */ settle) => () => {
        socket.off('readable', readable).off('end', ended).off('error', ended)
        settle(new Error('the connection ended'))
      }
      const [readable, ended] = [done(resolve), done(reject)]
      socket.on('readable', readable).on('end', ended).on('error', ended)
    })
  }
}

/** Up to a zero byte. */
async function text(socket) {
  for (let read = ''; ;) {
    const [byte] = await take(socket, 1)
    if (byte === 0) return read
    read += String.fromCharCode(byte)
  }
}

module.exports = { Socks }
