'use strict'

// The values that `withSecret` may try: looked up in AWS with backoff, shared by all callers of a delivery.

const { setMaxListeners } = require('node:events')
const { SecretError } = require('./errors')
const { now, pause } = require('./real-time')

/** The pause between two lookups of one secret. It doubles while no value is accepted. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
/** How long no lookup begins after no version of a secret was accepted in time. */
const REST_MS = 30_000

/**
 * The values of a secret in AWS, the likeliest first, and whether a rotation is under way.
 *
 * @typedef {{ values: string[], isPending: boolean }} Found
 *
 * When AWS may be asked again for the values of one secret, and the lookup that is under way.
 *
 * @typedef {{ notBefore: number, wait: number, restUntil: number, underWay: Promise<Found> | undefined }} Lookup
 */

/**
 * The values to try for each secret. Callers share the lookups, and these back off: a password that is wrong everywhere
 * must not become a load on AWS.
 */
class Candidates {
  /** @type {Map<string, Lookup>} */
  #lookups = new Map()
  /**
   * The value that the target system accepted instead of the live one, because the target is ahead of AWS or behind it.
   *
   * @type {Map<string, { live: string, value: string }>}
   */
  #accepted = new Map()
  #closing = new AbortController()
  #read

  /** @param {(name: string) => Promise<Found>} read */
  constructor(read) {
    this.#read = read
    // Each lookup that waits adds a listener.
    setMaxListeners(0, this.#closing.signal)
  }

  /**
   * The value to try first: the one that was accepted last while `live` was the live value, else `live`.
   *
   * @param {string} name
   * @param {string} live
   */
  likeliest(name, live) {
    const accepted = this.#accepted.get(name)
    return accepted?.live === live ? accepted.value : live
  }

  /**
   * The values of `name` in AWS, or `undefined` when the next lookup may not begin before `end`.
   *
   * @param {string} name
   * @param {number} end
   */
  async values(name, end) {
    const lookup = this.#lookups.get(name) ?? { notBefore: 0, wait: FIRST_WAIT_MS, restUntil: 0, underWay: undefined }
    this.#lookups.set(name, lookup)
    this.#closing.signal.throwIfAborted()
    if (lookup.underWay !== undefined) return lookup.underWay
    const at = Math.max(lookup.notBefore, lookup.restUntil)
    if (at > end) return undefined
    const wait = at - now()
    const { signal } = this.#closing
    lookup.underWay = (wait > 0 ? pause(wait, signal) : Promise.resolve())
      .then(() => this.#read(name))
      .catch((error) => {
        throw signal.aborted ? signal.reason : error
      })
      .finally(() => {
        lookup.underWay = undefined
        lookup.notBefore = now() + lookup.wait * (0.5 + Math.random())
        lookup.wait = Math.min(lookup.wait * 2, LONGEST_WAIT_MS)
      })
    return lookup.underWay
  }

  /**
   * Notes that the target system accepted `value` while `live` was the live value.
   *
   * @param {string} name
   * @param {string} live
   * @param {string} value
   */
  accepted(name, live, value) {
    this.#lookups.delete(name)
    if (value === live) this.#accepted.delete(name)
    else this.#accepted.set(name, { live, value })
  }

  /**
   * Notes that no value was accepted in time. Lookups pause then; other callers do not make the pause longer.
   *
   * @param {string} name
   */
  gaveUp(name) {
    const lookup = this.#lookups.get(name)
    if (lookup && lookup.restUntil < now()) lookup.restUntil = now() + REST_MS
  }

  /** Ends the lookups that wait, and forgets all values. */
  close() {
    this.#accepted.clear()
    this.#closing.abort(new SecretError('CLOSED', 'this SecretDelivery was closed; create a new one to read secrets'))
  }
}

module.exports = { Candidates }
