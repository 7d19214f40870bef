'use strict'

// Functions of the service that want to hear of something, and how the service's code is called.

const { SecretError } = require('./errors')
const { queueMicrotask } = require('./real-time')

/**
 * Adds a listener; gives the function that removes it. The listener is a wrapper of its own, so that the same function
 * can be registered twice and removed once.
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

/** The listeners of one delivery. */
class Listeners {
  constructor() {
    /** @type {Set<(tool: string, secretType: string) => void>} */
    this.rotated = new Set()
    /** @type {Set<(notice: import('../index').RotationNotice) => void>} */
    this.rotationNotice = new Set()
    /** @type {Set<(alert: import('../index').Alert) => void>} */
    this.alert = new Set()
  }

  clear() {
    this.rotated.clear()
    this.rotationNotice.clear()
    this.alert.clear()
  }
}

/**
 * Calls each listener. Each gets its own copy of the arguments.
 *
 * @template {unknown[]} A
 * @param {Set<(...args: A) => void>} listeners
 * @param {A} args
 */
function tell(listeners, ...args) {
  if (listeners.size === 0) return
  const { copyOf } = require('./copy')
  for (const listener of [...listeners]) callOutside(() => listener(...copyOf(args)))
}

/**
 * Calls the service's code in a microtask of its own: what it throws becomes an uncaught error of the service and cannot
 * stop the promises that settle in the same batch.
 *
 * @param {() => void} callback
 */
function callOutside(callback) {
  queueMicrotask(callback)
}

module.exports = { Listeners, callOutside, listen, tell }
