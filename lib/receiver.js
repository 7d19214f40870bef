'use strict'

// What becomes of methods that are called on something else than their object: on a proxy of it they work, without an object
// their error says so. Without this, both end in a TypeError about a private member.

const { SecretError } = require('./errors')

/** Where an object keeps itself. A proxy hands it on, and so leads to the object behind it. */
const SELF = Symbol('tcs-secret-delivery.self')

/** Where a delivery keeps its scanner, which the command line uses. */
const SCANNER = Symbol('tcs-secret-delivery.scanner')

/**
 * Remembers the object behind its proxies. Its constructor calls this.
 *
 * @param {object} object
 */
function identify(object) {
  Object.defineProperty(object, SELF, { value: object })
}

/**
 * Wraps the methods of a class so that they run on the object behind a proxy.
 *
 * @param {Function} type
 * @param {string} name What the class is called where it is used, such as `delivery`.
 * @param {string[]} [synchronous] Methods that throw; the others reject.
 */
function guard(type, name, synchronous = []) {
  for (const key of Object.getOwnPropertyNames(type.prototype)) {
    const descriptor = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(type.prototype, key))
    const { value: method } = descriptor
    if (key === 'constructor' || typeof method !== 'function') continue
    const isSynchronous = synchronous.includes(key)
    const wrapped = {
      /** @this {any} @param {any} a @param {any} b @param {any} c @param {any} d @param {any} e */
      [key](a, b, c, d, e) {
        const self = this?.[SELF]
        if (self !== undefined) return method.call(self, a, b, c, d, e)
        const message = `${key} was called without its object: call it as ${name}.${key}(…), or bind it`
        const error = new SecretError('CONFIG_INVALID', message)
        if (isSynchronous) throw error
        return Promise.reject(error)
      },
    }[key]
    Object.defineProperty(wrapped, 'length', { value: method.length, configurable: true })
    Object.defineProperty(type.prototype, key, { ...descriptor, value: wrapped })
  }
}

module.exports = { SCANNER, guard, identify }
