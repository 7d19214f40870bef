'use strict'

// The secrets of batches that the logs have: each stands for one read in CloudTrail.

/** Between a batch and what CloudTrail writes for each of its secrets. */
const BATCH_MS = 5_000

class Batches {
  /** @type {Map<string, Times>} By secret and session. */
  #bySession = new Map()
  /** @type {Map<string, Times>} By secret and who it was, with the address and the program. */
  #byCaller = new Map()

  /** @param {string} secret @param {string} who @param {string} session @param {number} time */
  add(secret, who, session, time) {
    listIn(this.#bySession, `${secret} ${session}`).add(time)
    listIn(this.#byCaller, `${secret} ${who}`).add(time)
  }

  /** Call it when all were added. */
  sort() {
    for (const lists of [this.#bySession, this.#byCaller]) for (const list of lists.values()) list.sort()
  }

  /** Whether a batch with this secret came from where a read came from. @param {string} secret @param {string} who */
  knows(secret, who) {
    return this.#byCaller.has(`${secret} ${who}`)
  }

  /**
   * Takes the batch that is nearest to a read, if one is near and was not taken.
   *
   * @param {string} secret
   * @param {string} who
   * @param {string} session
   * @param {number} time
   * @param {boolean} isExact Only one that came from where the read came from.
   */
  take(secret, who, session, time, isExact) {
    const all = this.#bySession.get(`${secret} ${session}`)
    if (all === undefined) return false
    if (!isExact) return all.take(time)
    if (this.#byCaller.get(`${secret} ${who}`)?.take(time) !== true) return false
    all.take(time)
    return true
  }
}

/** @param {Map<string, Times>} lists @param {string} key */
function listIn(lists, key) {
  const known = lists.get(key)
  if (known !== undefined) return known
  const list = new Times()
  lists.set(key, list)
  return list
}

/** Times in milliseconds, each of which is taken once. */
class Times {
  #times = new Float64Array(4)
  #length = 0
  /** Of each place the nearest free one from there on, as far as it is known: `a` leads to the next one once `a` is taken. */
  #later = new Int32Array()
  /** The same backwards, and one place further on, so that 0 says that there is none. */
  #earlier = new Int32Array()

  /** @param {number} time */
  add(time) {
    if (this.#length === this.#times.length) {
      const longer = new Float64Array(2 * this.#length)
      longer.set(this.#times)
      this.#times = longer
    }
    this.#times[this.#length++] = time
  }

  sort() {
    this.#times.subarray(0, this.#length).sort()
    this.#later = Int32Array.from({ length: this.#length + 1 }, (_, at) => at)
    this.#earlier = Int32Array.from(this.#later)
  }

  /** Takes the time that is nearest and was not taken, within the bound. @param {number} time */
  take(time) {
    let low = 0
    for (let high = this.#length; low < high;) {
      const middle = (low + high) >> 1
      if (/** @type {number} */ (this.#times[middle]) < time) low = middle + 1
      else high = middle
    }
    const later = found(this.#later, low)
    const earlier = found(this.#earlier, low) - 1
    const laterGap = later < this.#length ? this.#gap(later, time) : Infinity
    const earlierGap = earlier >= 0 ? this.#gap(earlier, time) : Infinity
    if (Math.min(laterGap, earlierGap) > BATCH_MS) return false
    const best = laterGap <= earlierGap ? later : earlier
    this.#later[best] = best + 1
    this.#earlier[best + 1] = best
    return true
  }

  /** @param {number} at @param {number} time */
  #gap(at, time) {
    return Math.abs(/** @type {number} */ (this.#times[at]) - time)
  }
}

/** Where a chain of places ends. Shortens it, so that many that were taken cost nothing later. @param {Int32Array} next @param {number} at */
function found(next, at) {
  for (;;) {
    const after = /** @type {number} */ (next[at])
    if (after === at) return at
    next[at] = /** @type {number} */ (next[after])
    at = after
  }
}

exports.BATCH_MS = BATCH_MS
exports.Batches = Batches
