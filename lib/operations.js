'use strict'

// Pending operations of one delivery: their promises settle when the addon says how they ended.

const { callSite, failed } = require('./errors')
const { callOutside } = require('./listeners')
const { MessageKind } = require('./load')
const { setImmediate } = require('./real-time')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */

/**
 * The callbacks of a pending operation. `landed` is called when it settles, before the code that awaits it continues;
 * `progress` is called while it runs.
 *
 * @typedef {{
 *   resolve: (value: any) => void, reject: (error: Error) => void, landed?: () => void, progress?: (report: any) => void,
 *   site: { stack?: unknown }
 * }} Operation
 */

/** The addon holds this object and not the delivery, so that an unused delivery can be collected. */
class Operations {
  /** @param {InstanceType<typeof import('./messages').Messages>} messages Takes what is not about an operation. */
  constructor(messages) {
    this.messages = messages
    /** The strings of cached secrets (lib/strings.js). @type {(string | undefined)[]} */
    this.held = []
    /** @type {Map<number, Operation>} */
    this.pending = new Map()
    /** @type {Map<number, { turn: { answered: (first: number, answers: any[]) => void }, left: number }>} */
    this.turns = new Map()
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
    const site = callSite(this.start)
    return new Promise((resolve, reject) => {
      this.begin(native, begin, { resolve, reject, landed, progress, site })
    })
  }

  /**
   * @param {NativeDelivery} native
   * @param {(id: number) => void} begin
   * @param {Operation} operation
   */
  begin(native, begin, operation) {
    const id = this.nextId(native)
    begin(id)
    this.pending.set(id, operation)
  }

  /**
   * Begins the reads of a turn.
   *
   * @param {NativeDelivery} native
   * @param {(id: number) => void} begin
   * @param {{ reads: unknown[], answered: (first: number, answers: any[]) => void }} turn
   */
  beginReads(native, begin, turn) {
    const id = this.nextId(native)
    begin(id)
    this.turns.set(id, { turn, left: turn.reads.length })
  }

  /** @param {NativeDelivery} native Kept from being collected while one of its operations is pending. */
  nextId(native) {
    this.native = native
    return (this.lastId = (this.lastId + 1) >>> 0)
  }

  /** Whether an operation is pending. Jest's `--detectOpenHandles` asks for it under this name, which is Node's. */
  hasRef() {
    return this.pending.size + this.turns.size > 0
  }

  /**
   * Takes a batch: answers of reads in one flat list (id of the turn, number of the first read, answers), the ids of
   * operations that ended with another plain value, those values, and all other messages in one flat list (kind, id, two
   * contents). While there is more to come it asks for it in the next turn of the loop, so that timers and sockets get their
   * turn in between.
   *
   * @param {{ reads: any[], ids: number[], values: any[], others: any[], more: boolean }} batch
   */
  settle({ reads, ids, values, others, more }) {
    if (more) setImmediate(this.settleMore)
    for (let at = 0; at < reads.length; at += 3) this.answered(reads[at], reads[at + 1], reads[at + 2])
    for (let at = 0; at < ids.length; at++) this.take(ids[at])?.resolve(values[at])
    for (let at = 0; at < others.length; at += 4) {
      this.deliver(others[at], others[at + 1], others[at + 2], others[at + 3])
    }
    if (!this.hasRef()) this.native = undefined
  }

  /**
   * @param {number} id
   * @param {number} first
   * @param {any[]} answers
   */
  answered(id, first, answers) {
    const pending = this.turns.get(id)
    if (pending === undefined) return
    pending.left -= answers.length
    if (pending.left === 0) this.turns.delete(id)
    pending.turn.answered(first, answers)
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
    if (kind === MessageKind.Failed) {
      const operation = this.take(id)
      return operation?.reject(failed(first, operation.site))
    }
    if (kind === MessageKind.Progress) return this.progressed(id, first)
    if (kind === MessageKind.LetGo) return void (this.held[id] = undefined)
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
