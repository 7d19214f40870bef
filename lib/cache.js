'use strict'

// `delivery.cache`: the documented interface over both caches.

const { assertName, assertText } = require('./arguments')
const { SecretError } = require('./errors')
const { guard, identify } = require('./receiver')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** See `index.d.ts` for the documentation of every member. */
class SecretCache {
  #start
  #forgetFlights
  #native

  /**
   * @param {<T>(begin: (id: number) => void) => Promise<T>} start
   * @param {() => void} forgetFlights Called before a change: a read that begins after it must not join one begun before.
   * @param {import('../native').NativeDelivery} nativeDelivery
   */
  constructor(start, forgetFlights, nativeDelivery) {
    identify(this)
    this.#start = start
    this.#forgetFlights = forgetFlights
    this.#native = nativeDelivery
  }

  /**
   * @param {string} secretName
   * @returns {Promise<string | null>}
   */
  async get(secretName) {
    assertName('secretName', secretName)
    return this.#start((id) => this.#native.cacheGet(id, secretName))
  }

  /**
   * @param {string} secretName
   * @param {string} value
   * @param {number} [ttlSeconds]
   * @returns {Promise<void>}
   */
  async set(secretName, value, ttlSeconds) {
    assertName('secretName', secretName)
    assertText('value', value)
    if (ttlSeconds !== undefined && !(Number.isInteger(ttlSeconds) && ttlSeconds > 0 && ttlSeconds <= 8_640_000)) {
      throw new SecretError('CONFIG_INVALID', 'ttlSeconds must be a whole number from 1 to 8640000')
    }
    this.#forgetFlights()
    await this.#start((id) => this.#native.cacheSet(id, secretName, value, ttlSeconds))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<void>}
   */
  async invalidate(secretName) {
    assertName('secretName', secretName)
    this.#forgetFlights()
    await this.#start((id) => this.#native.cacheInvalidate(id, secretName))
  }

  /** @returns {Promise<void>} */
  async clear() {
    this.#forgetFlights()
    await this.#start((id) => this.#native.cacheClear(id))
  }

  [inspect]() {
    return 'SecretCache {}'
  }
}

guard(SecretCache, 'delivery.cache')

module.exports = { SecretCache }
