'use strict'

// A TCP proxy on loopback that misbehaves on demand. It runs in the process that created it. A mode lasts until the next one is
// set.

const net = require('node:net')
const { performance } = require('node:perf_hooks')
const { ownPort } = require('./port')

/**
 * @typedef {object} Fault
 * @property {number} latencyMs Every byte arrives so much later, in both directions.
 * @property {number} firstAnswerMs So much later come the first bytes that a new connection receives.
 * @property {boolean} silent Bytes are swallowed. A connection that lost some never speaks again: what comes back after
 *   a partition is a new connection.
 * @property {boolean} reset A new connection is reset at once.
 * @property {number} cutAfter So many bytes of answers, then the connection ends.
 * @property {number} corruptEvery Each so-many-th byte of the answers has a bit flipped; 0 for none.
 */

/** @type {Fault} */
const NONE = { latencyMs: 0, firstAnswerMs: 0, silent: false, reset: false, cutAfter: Infinity, corruptEvery: 0 }

class FaultProxy {
  /** @type {Set<Connection>} */
  #connections = new Set()
  /** @type {net.Server | undefined} */
  #server
  #counts

  /**
   * @param {number} port
   * @param {number} upstreamPort On loopback, as `port`.
   * @param {(chunk: Buffer) => boolean} counts
   */
  constructor(port, upstreamPort, counts) {
    this.port = port
    this.upstreamPort = upstreamPort
    this.fault = NONE
    /** Connections accepted so far. */
    this.accepted = 0
    /** Chunks from clients that `counts` recognised as a request, and connections reset before they could send one. */
    this.requests = 0
    this.#counts = counts
  }

  /**
   * @param {number} upstreamPort
   * @param {{ counts?: (chunk: Buffer) => boolean }} [options] `counts`: what the start of a request looks like.
   * @returns {Promise<FaultProxy>} Listening on a free port, passing everything through.
   */
  static async start(upstreamPort, { counts = () => false } = {}) {
    const proxy = new FaultProxy(await ownPort(), upstreamPort, counts)
    await proxy.#listen()
    return proxy
  }

  /** Passes everything on, delayed by `latencyMs` in each direction. */
  pass({ latencyMs = 0 } = {}) {
    return this.#become({ latencyMs })
  }

  /** Resets (RST) open connections now, and new ones at once. */
  async reset() {
    await this.#become({ reset: true })
    this.resetOpen()
  }

  /** Resets the open connections (RST), whatever the mode. */
  resetOpen() {
    for (const connection of this.#connections) connection.reset()
  }

  /** Open and new connections stay open without any answer, as behind a dead link. */
  async blackHole() {
    await this.#become({ silent: true })
  }

  /** Open connections get no more answers, as after a restart of the peer; new connections work. */
  async halfOpen() {
    await this.#become({})
    for (const connection of this.#connections) connection.lost = true
  }

  /** Closes each connection after `bytes` more bytes of answers. */
  async cutAfter(/** @type {number} */ bytes) {
    await this.#become({ cutAfter: bytes })
    for (const connection of this.#connections) connection.answered = 0
  }

  /** Stops listening, and resets open connections. */
  async refuse() {
    this.fault = NONE
    const closed = new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve(undefined)))
    this.#server = undefined
    this.resetOpen()
    await closed
  }

  /** Delays the first bytes of a new connection by `ms`, like a server that is slow to accept. */
  slowStart(/** @type {number} */ ms) {
    return this.#become({ firstAnswerMs: ms })
  }

  /** Flips a bit in each `every`-th byte of the answers. */
  corrupt(every = 16) {
    return this.#become({ corruptEvery: every })
  }

  /** Stops for good, like `refuse`. */
  close() {
    return this.refuse()
  }

  /** @param {Partial<Fault>} fault */
  async #become(fault) {
    this.fault = { ...NONE, ...fault }
    if (this.#server === undefined) await this.#listen()
  }

  /** @returns {Promise<void>} */
  #listen() {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
    this.#server = server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, '127.0.0.1', resolve)
    })
  }

  /** @param {net.Socket} client */
  #accept(client) {
    this.accepted++
    if (this.fault.reset) {
      this.requests++
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const connection = new Connection(this, client)
    this.#connections.add(connection)
    client.on('data', (chunk) => this.#counts(chunk) && this.requests++)
    client.once('close', () => this.#connections.delete(connection))
  }
}

/** The connection of a client, and the one to the server. */
class Connection {
  /**
   * @param {FaultProxy} proxy
   * @param {net.Socket} client
   */
  constructor(proxy, client) {
    this.proxy = proxy
    this.client = client
    this.server = net.connect({ port: proxy.upstreamPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    this.lost = false
    /** The number of bytes of answers passed on. */
    this.answered = 0
    this.#join(this.client, this.server, 0, (chunk) => chunk)
    this.#join(this.server, this.client, proxy.fault.firstAnswerMs, (chunk) => this.#answer(chunk))
  }

  /**
   * @param {net.Socket} from
   * @param {net.Socket} to
   * @param {number} firstMs
   * @param {(chunk: Buffer) => Buffer} change
   */
  #join(from, to, firstMs, change) {
    let late = firstMs
    /** Data that was read earlier, which is sent first. */
    let queue = Promise.resolve()
    const later = (/** @type {number} */ ms, /** @type {() => void} */ act) => {
      const due = performance.now() + ms
      queue = queue.then(() => until(due)).then(() => void (!this.lost && !to.destroyed && act()))
    }
    from.on('data', (chunk) => {
      const { silent, latencyMs } = this.proxy.fault
      if (silent) this.lost = true
      later(late + latencyMs, () => to.write(change(chunk)))
      late = 0
    })
    from.once('end', () => later(this.proxy.fault.latencyMs, () => to.end()))
    from.once('error', () => this.lost || this.reset())
    from.once('close', () => {
      // A client behind a dead link does not even see the end of the connection.
      if (from === this.client) to.destroy()
      else later(0, () => to.destroy())
    })
  }

  /** @param {Buffer} chunk */
  #answer(chunk) {
    const { cutAfter, corruptEvery } = this.proxy.fault
    const from = this.answered
    this.answered += chunk.length
    if (corruptEvery > 0) {
      for (let i = corruptEvery - 1 - (from % corruptEvery); i < chunk.length; i += corruptEvery) chunk[i] ^= 0x10
    }
    if (this.answered < cutAfter) return chunk
    queueMicrotask(() => {
      this.client.end()
      this.server.destroy()
    })
    return chunk.subarray(0, Math.max(0, cutAfter - from))
  }

  reset() {
    // A socket that is being shut down cannot be reset; Node would lose its handle and spin at the end of the process.
    if (this.client.writableEnded) this.client.destroy()
    else this.client.resetAndDestroy()
    this.server.destroy()
  }
}

/** @param {number} due @returns {Promise<void> | undefined} */
function until(due) {
  const left = due - performance.now()
  if (left <= 0) return undefined
  return new Promise((resolve) => setTimeout(resolve, left))
}

module.exports = { FaultProxy }
