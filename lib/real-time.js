'use strict'

// Timers and the clock without the fake ones of Jest, Vitest and Sinon, which would stop what waits here. They are taken when
// this is loaded; where they are fake already, the originals are had from the fake.

const timers = require('node:timers')

/**
 * The original of a function that may be fake: each function of @sinonjs/fake-timers, which all three use, has its `clock`,
 * and that keeps the original `setTimeout` as `_setTimeout`.
 *
 * @template {Function} F
 * @param {string} name
 * @param {F} found
 * @returns {F}
 */
function real(name, found) {
  const { clock } = /** @type {{ clock?: Record<string, unknown> }} */ (/** @type {unknown} */ (found))
  const original = clock?.[`_${name}`]
  return /** @type {F} */ (typeof original === 'function' ? original : found)
}

const setTimeout = real('setTimeout', timers.setTimeout)
const clearTimeout = real('clearTimeout', timers.clearTimeout)
const setImmediate = real('setImmediate', timers.setImmediate)
const queueMicrotask = real('queueMicrotask', globalThis.queueMicrotask)
const hrtime = real('hrtime', process.hrtime)
/** Milliseconds since some moment, never going back. */
const now = () => Number(hrtime.bigint()) / 1e6

/**
 * Resolves after a time, unless `signal` aborts before: then it rejects with the signal's reason.
 *
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

module.exports = { clearTimeout, now, pause, queueMicrotask, setImmediate, setTimeout }
