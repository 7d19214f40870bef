'use strict'

const { SecretError } = require('./errors')
const { runHook } = require('./hooks')
const { queueMicrotask, setImmediate } = require('./real-time')

/** The kinds of message that the addon sends beside plain values (src/completions.rs). */
const FAILED = 1
const REPORT = 2
const WARNING = 3
const ROTATED = 4
const HOOK = 5
const ROTATION = 6
const ALERT = 7
const SHIP = 8
const LOG = 9
const PROGRESS = 10
const VARIABLES = 11

/**
 * Who waits for an operation. `landed` is called when it settles, before anyone who awaits it goes on; `progress` hears how
 * far it is.
 *
 * @typedef {{
 *   resolve: (value: any) => void, reject: (error: Error) => void, landed?: () => void, progress?: (told: any) => void
 * }} Operation
 */

/**
 * Pending operations of one delivery, and who wants to hear its notices. The addon holds this object and not the
 * delivery, so that an unused delivery can be collected.
 */
class Operations {
  /**
   * @param {{ warn(message: string): void } | undefined} logger
   * @param {import('../index').RotationHooks} hooks
   * @param {((lines: string) => Promise<void> | void) | undefined} sink
   * @param {InstanceType<typeof import('./variables').VariableSource>} variables
   */
  constructor(logger, hooks, sink, variables) {
    this.sink = sink
    this.variables = variables
    this.logger = logger
    this.hooks = hooks
    /** @type {Set<(tool: string, secretType: string) => void>} */
    this.rotationListeners = new Set()
    /** @type {Set<(notice: import('../index').RotationNotice) => void>} */
    this.noticeListeners = new Set()
    /** @type {Set<(alert: import('../index').Alert) => void>} */
    this.alertListeners = new Set()
    /** @type {import('../index').Environment | undefined} */
    this.environment = undefined
    /**
     * @type {Map<number, Operation>}
     */
    this.pending = new Map()
    /** Held while something is pending. @type {import('../native').NativeDelivery | undefined} */
    this.native = undefined
    /** @type {WeakRef<import('../native').NativeDelivery> | undefined} */
    this.unheld = undefined
    this.lastId = 0
    this.settle = this.settle.bind(this)
    this.settleMore = this.settleMore.bind(this)
  }

  /**
   * @param {import('../native').NativeDelivery} native Whose operations these are.
   */
  attach(native) {
    this.unheld = new WeakRef(native)
  }

  /**
   * Starts an operation; its promise settles when the addon says how it ended. While one is pending the process stays.
   *
   * @template T
   * @param {import('../native').NativeDelivery} native
   * @param {(id: number) => void} begin
   * @param {() => void} [landed] Called when it settles, before anyone who awaits it goes on.
   * @param {(told: any) => void} [progress] Hears how far it is.
   * @returns {Promise<T>}
   */
  start(native, begin, landed, progress) {
    return new Promise((resolve, reject) => {
      this.begin(native, begin, { resolve, reject, landed, progress })
    })
  }

  /**
   * Begins an operation unless `begin` says `false`; gives whether it did.
   *
   * @param {import('../native').NativeDelivery} native
   * @param {(id: number) => void | boolean} begin
   * @param {Operation} operation
   */
  begin(native, begin, operation) {
    const id = (this.lastId = (this.lastId + 1) >>> 0)
    if (begin(id) === false) return false
    if (this.native === undefined) {
      native.hold(true)
      this.native = native
    }
    this.pending.set(id, operation)
    return true
  }

  /** Whether the process waits for something: Node's own name for it, asked by Jest's `--detectOpenHandles`. */
  hasRef() {
    return this.pending.size > 0
  }

  /**
   * Takes what ended since the last time: operations that ended with a value, those values, and everything else (kind,
   * id, two texts; again and again). Comes back for more in the next turn of the loop, so that timers and sockets have
   * theirs in between.
   *
   * @param {{ ids: number[], values: any[], others: any[] }} batch
   */
  settle({ ids, values, others }) {
    setImmediate(this.settleMore)
    for (let at = 0; at < ids.length; at++) this.take(ids[at])?.resolve(values[at])
    for (let at = 0; at < others.length; at += 4) {
      this.deliver(others[at], others[at + 1], others[at + 2], others[at + 3])
    }
    if (!this.hasRef() && this.native !== undefined) {
      this.native.hold(false)
      this.native = undefined
    }
  }

  settleMore() {
    const batch = this.unheld?.deref()?.more()
    if (batch) this.settle(batch)
  }

  /**
   * Takes an operation that ended off the list.
   *
   * @param {number} id
   */
  take(id) {
    const operation = this.pending.get(id)
    if (operation === undefined) return undefined
    this.pending.delete(id)
    operation.landed?.()
    return operation
  }

  /**
   * @param {number} kind
   * @param {number} id
   * @param {any} first
   * @param {any} second
   */
  deliver(kind, id, first, second) {
    if (kind === WARNING) return this.warn(first, second)
    if (kind === ROTATED) return this.rotated(first, second)
    if (kind === ROTATION) return this.noticed(first)
    if (kind === ALERT) return this.alerted(first)
    if (kind === LOG) return this.log(first, second)
    if (kind === PROGRESS) return this.progressed(id, first)
    if (kind === VARIABLES) return this.readVariables(id, first)
    if (kind === SHIP) return void this.ship(id, first)
    if (kind === HOOK) return void runHook(this.hooks, this.unheld, id, JSON.parse(first))
    const operation = this.take(id)
    if (kind === FAILED) operation?.reject(new SecretError(first, second))
    else if (kind === REPORT) operation?.resolve(JSON.parse(first))
  }

  /**
   * @param {string} code
   * @param {string} message
   */
  warn(code, message) {
    const { logger } = this
    if (logger === undefined) process.emitWarning(message, { type: 'SecretDeliveryWarning', code })
    else callOutside(() => logger.warn(`${code}: ${message}`))
  }

  /**
   * What happened inside, filtered by level before it came here.
   *
   * @param {string} level
   * @param {string} message
   */
  log(level, message) {
    const { logger } = this
    const method = /** @type {any} */ (logger)?.[level]
    if (typeof method === 'function') callOutside(() => method.call(logger, message))
  }

  /**
   * @param {string} tool
   * @param {string} secretType
   */
  rotated(tool, secretType) {
    for (const listener of [...this.rotationListeners]) callOutside(() => listener(tool, secretType))
  }

  /**
   * @param {number} id
   * @param {string} json
   */
  progressed(id, json) {
    const progress = this.pending.get(id)?.progress
    if (progress !== undefined) callOutside(() => progress(JSON.parse(json)))
  }

  /**
   * Reads the process variables of a secret that AWS and the env file do not have.
   *
   * @param {number} id
   * @param {string} name
   */
  readVariables(id, name) {
    let found
    try {
      found = this.variables.forName(name)
    } catch {
      // The service's own object (`runtime.variables`) threw: the read is told that, and rejects with it.
    }
    this.unheld?.deref()?.variablesAre(id, found)
  }

  /**
   * Hands audit lines to the service. What it does not take is offered again.
   *
   * @param {number} id
   * @param {string} lines
   */
  async ship(id, lines) {
    try {
      await this.sink?.(lines)
      this.unheld?.deref()?.shipDone(id)
    } catch (error) {
      this.unheld?.deref()?.shipDone(id, error instanceof Error ? error.message : 'audit.sink failed')
    }
  }

  /**
   * Where nobody listens for alerts, they are warnings.
   *
   * @param {string} json
   */
  alerted(json) {
    const alert = () => ({ ...JSON.parse(json), environment: this.environment })
    for (const listener of [...this.alertListeners]) callOutside(() => listener(alert()))
    if (this.alertListeners.size > 0) return
    const { metric, state, value, threshold, action, since } = alert()
    this.warn('ALERT', `${metric} is ${state}: ${value} (threshold ${threshold}) since ${since}; ${action}`)
  }

  /** @param {string} json */
  noticed(json) {
    for (const listener of [...this.noticeListeners]) callOutside(() => listener(JSON.parse(json)))
  }
}

/**
 * Adds a listener; gives the function that takes it off. A wrapper of its own, so that the same function can be
 * registered twice and taken off once.
 *
 * @template {unknown[]} A
 * @param {Set<(...args: A) => void>} listeners
 * @param {(...args: A) => void} callback
 * @param {string} name The method, for the error.
 */
function listen(listeners, callback, name) {
  if (typeof callback !== 'function') throw new SecretError('CONFIG_INVALID', `${name} needs a function`)
  const listener = (/** @type {A} */ ...args) => callback(...args)
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

/**
 * Calls the service's code in a turn of its own: what it throws is reported as its own uncaught error and cannot stop
 * the promises that settle in the same batch.
 *
 * @param {() => void} callback
 */
function callOutside(callback) {
  queueMicrotask(callback)
}

module.exports = { Operations, listen }
