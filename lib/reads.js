'use strict'

// Joins equal reads, and hands those of one turn of the loop over together.

const { againAt, callSite, failed } = require('./errors')
const { queueMicrotask } = require('./real-time')
const { isEmpty } = require('./variables')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */
/** @typedef {Record<string, string>} Found */

/**
 * So many reads that are under way, and so many of a turn, note where they were called. Walking the stack takes longer than all else that
 * JavaScript does for a read, so the others have the frames of whoever awaits them, as Node's own promises have.
 */
const SITES = 4

/** One read that the caches of this process do not answer. */
class Read {
  /**
   * @param {string} name
   * @param {Found | undefined} variables
   * @param {{ stack?: unknown } | undefined} site
   */
  constructor(name, variables, site) {
    this.name = name
    this.variables = variables
    this.site = site
    /** How many readers share it. */
    this.readers = 1
    /** Whether it was handed over to the addon. */
    this.hasBegun = false
    /** @type {Promise<string | null>} */
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/**
 * A promise of its own: each reader that does not handle a rejection hears of it, with its own frames.
 *
 * @param {Promise<string | null>} shared
 * @param {{ stack?: unknown }} site
 */
function joined(shared, site) {
  return shared.then(undefined, (error) => {
    throw againAt(error, site)
  })
}

/**
 * Takes a rejection: the frames are those of whoever awaits it.
 *
 * @param {unknown} error
 * @returns {never}
 */
function atAwaiter(error) {
  throw againAt(error, callSite(atAwaiter))
}

/** The reads of one turn: one operation of the addon, whose answers come in portions. */
class Turn {
  /** @type {Read[]} */
  reads = []
  #end

  /** @param {(read: Read, answer: any) => void} end Ends one read. */
  constructor(end) {
    this.#end = end
  }

  /**
   * @param {number} first The number of the read that the first answer belongs to.
   * @param {any[]} answers
   */
  answered(first, answers) {
    for (let at = 0; at < answers.length; at++) {
      const read = this.reads[first + at]
      try {
        this.#end(read, answers[at])
      } catch (error) {
        // The others have answers as well.
        read.reject?.(error)
      }
    }
  }

  /** Nobody will answer. @param {unknown} error */
  failed(error) {
    for (const read of this.reads) read.reject?.(error)
  }
}

/**
 * Reads of one delivery. The addon divides those of a turn into portions and calls; what none of them finds in the caches is
 * fetched in few calls (decision 11).
 */
class Reads {
  #native
  #operations
  #isAudited
  /** By name: readers of one secret share one read. @type {Map<string, Read>} */
  #underWay = new Map()
  /** The turn that is not handed over yet. @type {Turn | undefined} */
  #turn
  #endTurn = () => {
    const turn = this.#turn
    this.#turn = undefined
    // None where the stack was full when the first one was to be noted.
    if (turn === undefined || turn.reads.length === 0) return
    const names = turn.reads.map(({ name }) => name)
    for (const read of turn.reads) read.hasBegun = true
    const readers = turn.reads.some((read) => read.readers > 1) ? turn.reads.map((read) => read.readers) : undefined
    const variables = turn.reads[0].variables === undefined ? undefined : turn.reads.map((read) => read.variables ?? {})
    try {
      this.#operations.beginReads(this.#native, (id) => this.#native.getSecrets(id, names, variables, readers), turn)
    } catch (error) {
      for (const read of turn.reads) this.#leave(read)
      turn.failed(error)
    }
  }
  #end = (/** @type {Read} */ read, /** @type {any} */ answer) => {
    // Removed before anyone goes on: a reader that asks from then on gets a read of its own.
    this.#leave(read)
    if (typeof answer !== 'object' || answer === null) return read.resolve?.(answer)
    read.reject?.(answer instanceof Error ? answer : failed(answer, read.site))
  }

  /**
   * @param {NativeDelivery} native
   * @param {InstanceType<typeof import('./operations').Operations>} operations
   */
  constructor(native, operations) {
    this.#native = native
    this.#operations = operations
    this.#isAudited = native.isAudited()
  }

  /**
   * Joins the read of `name` under way or begins one. A read that was given variables is not shared: each such read sees
   * them as they are at its own time. With an audit log a read that has begun is not joined here: the addon writes down,
   * before it answers, for how many readers that is. It joins equal reads itself, so AWS is asked once all the same.
   *
   * @param {string} name
   * @param {Found | undefined} variables Unset where the addon asks for them when it needs them.
   * @returns {Promise<string | null>}
   */
  read(name, variables) {
    const isShared = variables === undefined || isEmpty(variables)
    if (isShared) {
      const other = this.#underWay.get(name)
      if (other !== undefined && !(other.hasBegun && this.#isAudited)) {
        other.readers++
        return joined(other.promise, callSite(this.read))
      }
    }
    // Each call may find the stack full, and whoever reads may go on all the same. So the read is noted last.
    const noted = this.#turn?.reads.length ?? 0
    const site = noted < SITES && this.#underWay.size < SITES ? callSite(this.read) : undefined
    const read = new Read(name, variables, site)
    const promise = site === undefined ? read.promise.then(undefined, atAwaiter) : read.promise
    if (this.#turn === undefined) {
      const turn = new Turn(this.#end)
      queueMicrotask(this.#endTurn)
      this.#turn = turn
    }
    this.#turn.reads.push(read)
    if (isShared) this.#underWay.set(name, read)
    return promise
  }

  /** @param {Read} read */
  #leave(read) {
    if (this.#underWay.get(read.name) === read) this.#underWay.delete(read.name)
  }

  /** Called before a change: a read after it must not join one begun before it. */
  forget() {
    this.#underWay.clear()
  }
}

module.exports = { Reads }
