'use strict'

// The copies of a `TestDelivery`, on a clock that the test sets: fresh for their TTL, then stale for a while. They follow the
// same rules as the caches of a real delivery.

/** What a read does when its source fails in this way, and there is a stale copy: it answers with the copy. */
const TRANSIENT = new Set(['SOURCE_UNAVAILABLE', 'SOURCE_TIMEOUT'])
/** AWS refused this identity, or has no such secret any more: the copy is dropped. */
const FINAL = new Set(['SECRET_ACCESS_DENIED', 'ROLE_NOT_ASSUMED'])

class Copies {
  #ttl
  #maxStale
  #now = 0
  /** @type {Map<string, { value: string, since: number }>} */
  #byName = new Map()

  /** @param {{ ttlSeconds: number, maxStaleSeconds: number }} limits */
  constructor({ ttlSeconds, maxStaleSeconds }) {
    this.#ttl = ttlSeconds
    this.#maxStale = maxStaleSeconds
  }

  /** Whether anything is kept: else each read asks the source. */
  get areKept() {
    return this.#ttl > 0
  }

  /** @param {number} seconds */
  advance(seconds) {
    this.#now += seconds
  }

  /**
   * The value of the copy when it is fresh.
   *
   * @param {string} name
   * @returns {string | undefined}
   */
  fresh(name) {
    const copy = this.#byName.get(name)
    return copy !== undefined && this.#now - copy.since < this.#ttl ? copy.value : undefined
  }

  /**
   * The value that answers although the source failed with this code.
   *
   * @param {string} name
   * @param {string} code
   * @returns {string | undefined}
   */
  insteadOf(name, code) {
    if (FINAL.has(code)) this.#byName.delete(name)
    const copy = this.#byName.get(name)
    if (copy === undefined || !TRANSIENT.has(code)) return undefined
    return this.#now - copy.since < this.#ttl + this.#maxStale ? copy.value : undefined
  }

  /**
   * Keeps what the source gave. A secret that no source has is not kept.
   *
   * @param {string} name
   * @param {string | null} value
   */
  keep(name, value) {
    if (value === null || this.#ttl === 0) this.#byName.delete(name)
    else this.#byName.set(name, { value, since: this.#now })
  }

  /** @param {string} name */
  drop(name) {
    this.#byName.delete(name)
  }

  clear() {
    this.#byName.clear()
  }

  /** @param {string} prefix @returns {string[]} */
  namesWith(prefix) {
    return [...this.#byName.keys()].filter((name) => name.startsWith(prefix))
  }
}

module.exports = { Copies }
