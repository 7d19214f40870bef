'use strict'

// A service in a process of its own, which the lab controls (lab/service.js).

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { SecretDelivery } = require('../..')
const { Clients, connect } = require('./clients')
const { Load } = require('./load')

/** @type {SecretDelivery} */
let delivery
/** @type {Load} */
let load
/** @type {Clients} */
let clients

/** @type {Record<string, (...args: any[]) => unknown>} */
const commands = {
  /** @param {import('../..').SecretDeliveryOptions} options */
  open(options) {
    delivery = new SecretDelivery({ ...options, logger: { warn() {} } })
  },

  /** Calls a method of the delivery, such as `cache.invalidate`. @param {string} method @param {unknown[]} args */
  async call(method, ...args) {
    const names = method.split('.')
    const last = /** @type {string} */ (names.pop())
    const owner = names.reduce((/** @type {any} */ object, name) => object[name], delivery)
    return owner[last](...args)
  },

  /** Reads all of `names` at once, each `times` times. @param {string[]} names */
  async read(names, times = 1) {
    const started = performance.now()
    const reads = Array.from({ length: times }, () => names.map((name) => delivery.getSecret(name))).flat()
    const answers = (await Promise.allSettled(reads)).map((answer) =>
      answer.status === 'fulfilled' ? { value: answer.value } : { code: answer.reason.code },
    )
    return { answers, ms: performance.now() - started }
  },

  /** @param {import('./load').LoadOptions} options */
  startLoad(options) {
    load = new Load(delivery, options)
  },
  /** @param {number} version */
  behind: (version) => load.behind(version),
  cut: () => load.cut(),
  stopLoad: () => load.stop(),

  /** @param {import('./clients').ClientsOptions} options */
  startClients(options) {
    clients = new Clients(delivery, options)
  },
  clients: () => clients.report(),
  stopClients: () => clients.stop(),
  /** @param {import('./clients').ClientsOptions} options */
  connect: (options) => connect(delivery, options),

  /** Reads every millisecond until `name` has this value. @param {string} name @param {string} value */
  async waitFor(name, value) {
    while ((await delivery.getSecret(name)) !== value) await sleep(1)
  },

  close: () => delivery?.close(),
}

process.on('message', async (/** @type {{ id: number, command: string, args: unknown[] }} */ { id, command, args }) => {
  try {
    const result = await commands[command](...args)
    process.send?.({ id, result })
  } catch (error) {
    const { message, code } = /** @type {any} */ (error)
    process.send?.({ id, error: { message, code } })
  }
})
// The lab is done, or has ended.
process.on('disconnect', () => process.exit())
