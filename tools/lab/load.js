'use strict'

// A steady load of reads, like that of a service: reads are started on a schedule, even if earlier ones have not ended.

const { performance } = require('node:perf_hooks')
const { nameOf, versionOf } = require('./values')

/** How often the event loop is checked, in milliseconds. */
const BEAT_MS = 1
/** A check that is at most this late counts as on time: timers are never exact. */
const USUAL_GAP_MS = 2
/** The most examples of wrong answers in a report. */
const EXAMPLES = 3

/**
 * How long the event loop was blocked so far, by garbage collection or because another process used the core. The duration of
 * a read minus the time that the event loop was blocked meanwhile is the time it waited for an answer. Waiting for Redis or
 * AWS does not block the event loop, so it counts in full.
 */
class EventLoop {
  #last = performance.now()
  #still = 0
  #timer

  /** @param {() => void} onBeat */
  constructor(onBeat) {
    this.#timer = setInterval(() => {
      this.#still = this.stoodStillMs()
      this.#last = performance.now()
      onBeat()
    }, BEAT_MS)
  }

  stoodStillMs() {
    return this.#still + Math.max(0, performance.now() - this.#last - USUAL_GAP_MS)
  }

  stop() {
    clearInterval(this.#timer)
  }
}

/**
 * @typedef {object} Report
 * @property {number} reads
 * @property {Record<string, number>} failed By code.
 * @property {number} wrong
 * @property {string[]} examples Of wrong answers.
 * @property {number} worstMs Longest wait, less what the event loop stood still meanwhile.
 * @property {number} p99Ms As seen, event loop and all.
 * @property {number} maxMs As seen.
 * @property {number} controlP99Ms What a `Map` in place of the package shows, read at the same times.
 */

/** The reads of one kind in one phase. */
class Tally {
  /** @type {number[]} */
  #took = []
  /** @type {number[]} */
  #control = []
  #waited = 0
  #wrong = 0
  /** @type {string[]} */
  #examples = []
  /** @type {Record<string, number>} */
  #failed = {}

  /** @param {number} tookMs @param {number} waitedMs */
  took(tookMs, waitedMs) {
    this.#took.push(tookMs)
    this.#waited = Math.max(this.#waited, waitedMs)
  }

  /** @param {number} tookMs */
  controlTook(tookMs) {
    this.#control.push(tookMs)
  }

  /** @param {string} example */
  wrong(example) {
    this.#wrong++
    if (this.#examples.length < EXAMPLES) this.#examples.push(example)
  }

  /** @param {any} error */
  failed(error) {
    const code = error.code ?? String(error)
    this.#failed[code] = (this.#failed[code] ?? 0) + 1
  }

  /** @returns {Report} */
  report() {
    const ascending = (/** @type {number[]} */ figures) => figures.sort((a, b) => a - b)
    const p99 = (/** @type {number[]} */ sorted) => sorted[Math.floor(sorted.length * 0.99)] ?? 0
    const sorted = ascending(this.#took)
    return {
      reads: sorted.length,
      failed: this.#failed,
      wrong: this.#wrong,
      examples: this.#examples,
      worstMs: this.#waited,
      p99Ms: p99(sorted),
      maxMs: sorted.at(-1) ?? 0,
      controlP99Ms: p99(ascending(this.#control)),
    }
  }
}

/**
 * @typedef {object} LoadOptions
 * @property {string[]} known Secrets read over and over.
 * @property {number} readsPerSecond Of known ones.
 * @property {string} cold Prefix of secrets of which each is read once.
 * @property {number} coldPerSecond
 */

class Load {
  /** @type {Map<string, number>} The newest version that a read has returned. */
  #seen = new Map()
  #phase = { known: new Tally(), cold: new Tally(), pending: /** @type {Set<Promise<void>>} */ (new Set()) }
  #started = performance.now()
  #known = 0
  #cold = 0
  #eventLoop

  /**
   * @param {{ getSecret(name: string): Promise<string | null> }} delivery
   * @param {LoadOptions} options
   */
  constructor(delivery, options) {
    this.delivery = delivery
    this.options = options
    this.#eventLoop = new EventLoop(() => this.#beat())
  }

  #beat() {
    const { known, readsPerSecond, cold, coldPerSecond } = this.options
    const seconds = (performance.now() - this.#started) / 1e3
    for (; this.#known < seconds * readsPerSecond; this.#known++) {
      this.#read(this.#phase.known, known[this.#known % known.length])
      this.#readMap(this.#phase.known, known[this.#known % known.length])
    }
    for (; this.#cold < seconds * coldPerSecond; this.#cold++) {
      this.#read(this.#phase.cold, nameOf(cold, this.#cold))
    }
  }

  /** @param {Tally} tally @param {string} name */
  #read(tally, name) {
    const confirmed = this.#seen.get(name) ?? 0
    // In this order, so that time between the two is not counted as waiting.
    const still = this.#eventLoop.stoodStillMs()
    const started = performance.now()
    const ended = () => {
      const took = performance.now() - started
      tally.took(took, Math.max(0, took - (this.#eventLoop.stoodStillMs() - still)))
    }
    const { pending } = this.#phase
    const read = this.delivery.getSecret(name).then(
      (value) => {
        ended()
        pending.delete(read)
        const version = versionOf(name, value)
        if (version === undefined) tally.wrong(`${name}: ${value === null ? 'null' : String(value).slice(0, 60)}`)
        else if (version < confirmed) tally.wrong(`${name}: v${version} after v${confirmed}`)
        else this.#seen.set(name, Math.max(version, this.#seen.get(name) ?? 0))
      },
      (error) => {
        ended()
        pending.delete(read)
        tally.failed(error)
      },
    )
    pending.add(read)
  }

  /** The control group: reads from a `Map`. @param {Tally} tally @param {string} name */
  #readMap(tally, name) {
    const started = performance.now()
    const read = async () => this.#seen.get(name)
    read().then(() => tally.controlTook(performance.now() - started))
  }

  /** The number of known secrets that no read has returned in `version` or a newer one yet. @param {number} version */
  behind(version) {
    return this.options.known.filter((name) => (this.#seen.get(name) ?? 0) < version).length
  }

  /** Ends a phase and starts the next one. @returns {Promise<{ known: Report, cold: Report }>} Of the reads begun in it. */
  async cut() {
    const phase = this.#phase
    this.#phase = { known: new Tally(), cold: new Tally(), pending: new Set() }
    while (phase.pending.size > 0) await Promise.all(phase.pending)
    return { known: phase.known.report(), cold: phase.cold.report() }
  }

  /** Starts no more reads. @returns {ReturnType<Load['cut']>} */
  stop() {
    this.#eventLoop.stop()
    return this.cut()
  }
}

module.exports = { Load }
