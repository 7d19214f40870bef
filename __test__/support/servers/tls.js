'use strict'

// Certificates that a test makes, TLS in front of another server, and an HTTP proxy.

const http = require('node:http')
const net = require('node:net')
const tls = require('node:tls')

const DAY_MS = 86_400_000

/** @typedef {{ key: string, cert: string }} Pair In PEM form. */

/**
 * A certificate authority of one's own.
 *
 * @param {string} [name]
 * @returns {Promise<Pair>}
 */
async function authority(name = 'Company root') {
  const { generate } = require('selfsigned')
  const extensions = [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
  ]
  const made = await generate([{ name: 'commonName', value: name }], { keySize: 2048, algorithm: 'sha256', extensions })
  return { key: made.private, cert: made.cert }
}

/**
 * A server's certificate.
 *
 * @param {Pair} ca
 * @param {{ host?: string, daysAgo?: number, days?: number }} [options] Valid from `daysAgo` on, for `days`.
 * @returns {Promise<Pair>}
 */
async function issued(ca, { host = 'localhost', daysAgo = 1, days = 30 } = {}) {
  const { generate } = require('selfsigned')
  const notBeforeDate = new Date(Date.now() - daysAgo * DAY_MS)
  const made = await generate([{ name: 'commonName', value: host }], {
    ca,
    keySize: 2048,
    algorithm: 'sha256',
    notBeforeDate,
    notAfterDate: new Date(notBeforeDate.getTime() + days * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: host }] },
    ],
  })
  return { key: made.private, cert: made.cert }
}

/** A server of this process. `stop()` ends its connections too. */
class Listening {
  #sockets = new Set()

  /** @param {net.Server} server */
  constructor(server) {
    this.server = server
    this.port = 0
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** @param {net.Server} server @returns {Promise<Listening>} */
  static async start(server) {
    const listening = new Listening(server)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    listening.port = /** @type {net.AddressInfo} */ (server.address()).port
    return listening
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

/**
 * Ends TLS in front of the server at `url`.
 *
 * @param {string} url
 * @param {tls.TlsOptions} options
 */
function inFrontOf(url, options) {
  const { port } = new URL(url)
  const server = tls.createServer(options, (socket) => join(socket, Number(port)))
  server.on('tlsClientError', () => undefined)
  return Listening.start(server)
}

/** @param {net.Socket} socket @param {number} port @param {Buffer} [head] */
function join(socket, port, head) {
  const onward = net.connect(port, '127.0.0.1', () => {
    if (head !== undefined) onward.write(head)
    onward.pipe(socket).pipe(onward)
  })
  onward.on('error', () => socket.destroy())
  socket.on('error', () => onward.destroy())
}

/** An HTTP proxy: `CONNECT`, and requests with a whole URL. It knows every host as the one at `port`. */
class Proxy {
  /** The places that it was asked for. @type {string[]} */
  asked = []
  /** The credentials that it was given. @type {(string | undefined)[]} */
  credentials = []

  /** @param {number} port @param {{ status?: number, opens?: string }} [options] What it refuses with; how it opens a way. */
  static async start(port, { status, opens = '200 OK' } = {}) {
    const proxy = new Proxy()
    const note = (/** @type {http.IncomingMessage} */ request) => {
      proxy.asked.push(String(request.url))
      proxy.credentials.push(request.headers['proxy-authorization'])
    }
    const server = http.createServer((request, answer) => {
      note(request)
      if (status !== undefined) return void answer.writeHead(status).end()
      const { pathname } = new URL(String(request.url))
      const { method, headers } = request
      const onward = http.request({ port, host: '127.0.0.1', path: pathname, method, headers }, (answered) => {
        answer.writeHead(answered.statusCode ?? 502, answered.headers)
        answered.pipe(answer)
      })
      request.pipe(onward)
    })
    server.on('connect', (request, socket, head) => {
      note(request)
      if (status !== undefined) return void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`)
      socket.write(`HTTP/1.1 ${opens}\r\n\r\n`)
      join(/** @type {net.Socket} */ (socket), port, head)
    })
    proxy.listening = await Listening.start(server)
    return proxy
  }

  /** @type {Listening} */
  listening = /** @type {any} */ (undefined)

  /** @param {string} [user] `name:password@` */
  url(user = '') {
    return `http://${user}127.0.0.1:${this.listening.port}`
  }

  stop() {
    return this.listening.stop()
  }
}

module.exports = { Listening, Proxy, authority, inFrontOf, issued }
