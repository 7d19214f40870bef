'use strict'

/** The default timeout, in milliseconds. */
const DEADLINE_MS = 20_000

/**
 * Waits until `condition` returns something truthy and returns it.
 *
 * @template T
 * @param {string} what Named when it never happens.
 * @param {() => T | Promise<T>} condition
 * @param {number} [deadlineMs]
 * @returns {Promise<T>}
 */
async function until(what, condition, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs
  for (;;) {
    const result = await condition()
    if (result) return result
    if (Date.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

module.exports = { until }
