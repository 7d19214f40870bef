'use strict'

// Services whose database password is rotated: they read the secret and open a new connection, on a schedule.

const { performance } = require('node:perf_hooks')
const { connected } = require('../../examples/rotate-postgres/role')

const BEAT_MS = 2

/**
 * @typedef {object} ClientsOptions
 * @property {string} tool
 * @property {string} secretType
 * @property {import('pg').ClientConfig} place Where to connect.
 * @property {number} readsPerSecond
 * @property {number} connectionsPerSecond
 *
 * @typedef {object} ClientsReport
 * @property {number} reads
 * @property {number} connections
 * @property {string[]} failedReads
 * @property {string[]} failedConnections
 * @property {number} refused Attempts that PostgreSQL refused on the way in.
 * @property {number} worstMs The longest that a connection took.
 * @property {(string | null)[]} values Every value that was read.
 */

/**
 * Connects with the current value of the secret.
 *
 * @param {import('../..').SecretDelivery} delivery
 * @param {Pick<ClientsOptions, 'tool' | 'secretType' | 'place'>} options
 * @param {() => void} [refused]
 */
function connect(delivery, { tool, secretType, place }, refused = () => {}) {
  return delivery.withSecret(tool, secretType, async (secret) => {
    const { username, password } = JSON.parse(secret)
    try {
      await connected({ ...place, user: username, password }, (client) => client.query('SELECT 1'))
    } catch (error) {
      if (/** @type {any} */ (error).code === '28P01') refused()
      throw error
    }
  })
}

class Clients {
  #pending = new Set()
  #started = performance.now()
  #timer
  #values = new Set()
  #seen = {
    reads: 0,
    connections: 0,
    failedReads: /** @type {string[]} */ ([]),
    failedConnections: /** @type {string[]} */ ([]),
    refused: 0,
    worstMs: 0,
  }

  /** @param {import('../..').SecretDelivery} delivery @param {ClientsOptions} options */
  constructor(delivery, options) {
    this.delivery = delivery
    this.options = options
    this.#timer = setInterval(() => this.#beat(), BEAT_MS)
  }

  /** Starts the attempts that are due, even if earlier ones have not ended. */
  #beat() {
    const { tool, secretType, readsPerSecond, connectionsPerSecond } = this.options
    const seen = this.#seen
    const seconds = (performance.now() - this.#started) / 1e3
    for (; seen.reads < seconds * readsPerSecond; seen.reads++) {
      const read = this.delivery.getToolSecret(tool, secretType).then((value) => this.#values.add(value))
      this.#begin(read, seen.failedReads)
    }
    for (; seen.connections < seconds * connectionsPerSecond; seen.connections++) {
      this.#begin(this.#connect(), seen.failedConnections)
    }
  }

  async #connect() {
    const started = performance.now()
    await connect(this.delivery, this.options, () => this.#seen.refused++)
    this.#seen.worstMs = Math.max(this.#seen.worstMs, performance.now() - started)
  }

  /** @param {Promise<unknown>} work @param {string[]} failed */
  #begin(work, failed) {
    const ended = work
      .catch((error) => failed.push(String(error.code ?? error)))
      .finally(() => this.#pending.delete(ended))
    this.#pending.add(ended)
  }

  /** @returns {ClientsReport} So far. */
  report() {
    return { ...this.#seen, values: [...this.#values] }
  }

  /** Starts no more attempts. */
  async stop() {
    clearInterval(this.#timer)
    await Promise.all(this.#pending)
    return this.report()
  }
}

module.exports = { Clients, connect }
