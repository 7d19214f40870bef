'use strict'

// Pending operations of one delivery: their promises settle when the addon says how they ended.

// Not the global one, which a service's tests may replace (Jest's fake timers).
const { setImmediate } = require('node:timers')
const { SecretError } = require('./errors')
const { callOutside } = require('./listeners')
const { MessageKind } = require('./load')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */

/**
 * The callbacks of a pending operation. `landed` is called when it settles, before the code that awaits it continues;
 * `progress` is called while it runs.
 *
 * @typedef {{
 *   resolve: (value: any) => void, reject: (error: Error) => void, landed?: () => void, progress?: (report: any) => void
 * }} Operation
 */

/** The addon holds this object and not the delivery, so that an unused delivery can be collected. */
class Operations {
  /** @param {InstanceType<typeof import('./messages').Messages>} messages Takes what is not about an operation. */
  constructor(messages) {
    this.messages = messages
    /** @type {Map<number, Operation>} */
    this.pending = new Map()
    /** Held while an operation is pending. @type {NativeDelivery | undefined} */
    this.native = undefined
    /** @type {WeakRef<NativeDelivery> | undefined} */
    this.unheld = undefined
    this.lastId = 0
    this.settle = this.settle.bind(this)
    this.settleMore = this.settleMore.bind(this)
  }

  /** @param {NativeDelivery} native The delivery of these operations. */
  attach(native) {
    this.unheld = new WeakRef(native)
    this.messages.attach(this.unheld)
  }

  /**
   * Starts an operation; its promise settles when the addon says how it ended. While one is pending the process stays.
   *
   * @template T
   * @param {NativeDelivery} native
   * @param {(id: number) => void} begin
   * @param {() => void} [landed] Called when it settles, before the code that awaits it continues.
   * @param {(report: any) => void} [progress] Called while it runs.
   * @returns {Promise<T>}
   */
  start(native, begin, landed, progress) {
    return new Promise((resolve, reject) => {
      this.begin(native, begin, { resolve, reject, landed, progress })
    })
  }

  /**
   * Begins an operation unless `begin` returns `false`. Returns whether it did.
   *
   * @param {NativeDelivery} native
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

  /** Whether an operation is pending. Jest's `--detectOpenHandles` asks for it under this name, which is Node's. */
  hasRef() {
    return this.pending.size > 0
  }

  /**
   * Takes a batch: the ids of operations that ended with a plain value, those values, and all other messages in one flat list
   * (kind, id, two contents). Asks for more in the next turn of the loop, so that timers and sockets get their turn in
   * between.
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
   * Removes an operation that ended.
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
    if (kind === MessageKind.Report) return this.take(id)?.resolve(first)
    if (kind === MessageKind.Failed) return this.take(id)?.reject(new SecretError(first, second))
    if (kind === MessageKind.Progress) return this.progressed(id, first)
    this.messages.deliver(kind, id, first, second)
  }

  /**
   * @param {number} id
   * @param {unknown} report
   */
  progressed(id, report) {
    const progress = this.pending.get(id)?.progress
    if (progress !== undefined) callOutside(() => progress(report))
  }
}

module.exports = { Operations }
