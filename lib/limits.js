'use strict'

// What one call may ask for itself: a signal that ends its wait, a deadline, the greatest age of a copy.

const { SecretError } = require('./errors')
const { clearTimeout, setTimeout } = require('./real-time')

const MOST_MILLISECONDS = 600_000

/**
 * @typedef {import('../index').ReadOptions} ReadOptions
 *
 * @typedef {{ signal?: import('../index').ReadSignal, timeoutMs?: number, maxAgeSeconds?: number }} Limits
 */

/**
 * @param {unknown} options
 * @returns {Limits}
 */
function checkedLimits(options) {
  if (options === undefined || options === null) return {}
  if (typeof options !== 'object') throw new SecretError('CONFIG_INVALID', 'options must be an object')
  const { signal: given, timeoutMs: timeout, maxAgeSeconds: age, ...others } = /** @type {any} */ (options)
  const [signal, timeoutMs, maxAgeSeconds] = [given ?? undefined, timeout ?? undefined, age ?? undefined]
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    throw new SecretError('CONFIG_INVALID', 'options has an unknown key (signal, timeoutMs, maxAgeSeconds)')
  }
  if (signal !== undefined && !(typeof signal.aborted === 'boolean' && typeof signal.addEventListener === 'function')) {
    throw new SecretError('CONFIG_INVALID', 'options.signal must be an AbortSignal')
  }
  if (timeoutMs !== undefined && !(Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= MOST_MILLISECONDS)) {
    throw new SecretError('CONFIG_INVALID', `options.timeoutMs must be a whole number from 1 to ${MOST_MILLISECONDS}`)
  }
  if (maxAgeSeconds !== undefined && !(typeof maxAgeSeconds === 'number' && maxAgeSeconds >= 0)) {
    throw new SecretError('CONFIG_INVALID', 'options.maxAgeSeconds must be a number that is not negative')
  }
  return { signal, timeoutMs, maxAgeSeconds }
}

/**
 * Ends the wait for `begin` when the signal or the deadline says so. The read itself goes on for others.
 *
 * @template T
 * @param {string} what The secret or tool, for messages.
 * @param {Limits} limits
 * @param {() => Promise<T>} begin
 * @returns {Promise<T>}
 */
function limited(what, { signal, timeoutMs }, begin) {
  if (signal === undefined && timeoutMs === undefined) return begin()
  return new Promise((resolve, reject) => {
    const abort = () => end(() => reject(aborted(what, signal?.reason)))
    if (signal?.aborted) return reject(aborted(what, signal.reason))
    const late = () =>
      end(() =>
        reject(new SecretError('SOURCE_TIMEOUT', `${what}: no answer within ${timeoutMs} ms (timeoutMs of this read)`)),
      )
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs)
    const stopListening = signal === undefined ? undefined : onAbort(signal, abort)
    /** @param {() => void} settle */
    function end(settle) {
      if (timer !== undefined) clearTimeout(timer)
      stopListening?.()
      settle()
    }
    begin().then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    )
  })
}

/** Who waits for a signal, and the one listener that tells them. @type {WeakMap<object, { waiting: Set<() => void>, listener: () => void }>} */
const signals = new WeakMap()

/**
 * Calls `abort` when the signal is aborted. A signal of a request or of a whole process is that of many reads at once, and Node
 * warns of a leak from the eleventh listener on, so they share one.
 *
 * @param {import('../index').ReadSignal} signal
 * @param {() => void} abort
 * @returns {() => void} Ends the wait.
 */
function onAbort(signal, abort) {
  let shared = signals.get(signal)
  if (shared === undefined) {
    /** @type {Set<() => void>} */
    const waiting = new Set()
    const listener = () => {
      for (const one of [...waiting]) one()
    }
    shared = { waiting, listener }
    signals.set(signal, shared)
    signal.addEventListener('abort', listener)
  }
  const { waiting, listener } = shared
  waiting.add(abort)
  return () => {
    waiting.delete(abort)
    if (waiting.size > 0 || signals.get(signal)?.waiting !== waiting) return
    signals.delete(signal)
    signal.removeEventListener('abort', listener)
  }
}

/**
 * @param {string} what
 * @param {unknown} reason
 */
function aborted(what, reason) {
  const error = new SecretError('ABORTED', `${what}: the signal of this read ended it`)
  return Object.defineProperty(error, 'cause', { value: reason, configurable: true, writable: true })
}

module.exports = { checkedLimits, limited }
