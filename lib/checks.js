'use strict'

const { SecretError } = require('./errors')
const { describe } = require('./hooks')
const { checked, scopeOf } = require('./migration')
const { clearTimeout, setTimeout } = require('./real-time')

/** @typedef {Record<string, () => Promise<void> | void>} Checks */
/** @typedef {import('../index').CheckResult} CheckResult */

const TIMED_OUT = Symbol('timed out')

/**
 * @param {unknown} options
 * @returns {{ checks: Checks, timeoutMs: number, scope: import('../native').NativeScope }}
 */
function checkedChecks(options) {
  const given = checked(options, ['phase', 'names', 'checks', 'timeoutMs'])
  const { checks = {}, timeoutMs = 30_000 } = given
  if (typeof checks !== 'object' || checks === null || Object.values(checks).some((f) => typeof f !== 'function')) {
    throw new SecretError('CONFIG_INVALID', 'checks must be an object of functions')
  }
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 3_600_000) {
    throw new SecretError('CONFIG_INVALID', 'timeoutMs must be a whole number from 1 to 3600000')
  }
  return { checks, timeoutMs, scope: scopeOf(given) }
}

/**
 * Runs the service's own checks, one after the other. Never rejects; what a check threw is not repeated, since drivers
 * put statements, and so values, into their messages.
 *
 * @param {{ checks: Checks, timeoutMs: number }} given
 * @returns {Promise<CheckResult[]>}
 */
async function runChecks({ checks, timeoutMs }) {
  const results = []
  for (const [name, check] of Object.entries(checks)) {
    const why = await failure(check, timeoutMs)
    const message = `the check '${name}' failed: ${why}`
    /** @type {import('../index').ValidationIssue | null} */
    const issue = why === undefined ? null : { code: 'CHECK_FAILED', severity: 'error', message }
    results.push({ name, passed: issue === null, issue })
  }
  return results
}

/**
 * @param {() => Promise<void> | void} check
 * @param {number} timeoutMs
 * @returns {Promise<string | undefined>}
 */
async function failure(check, timeoutMs) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs, TIMED_OUT)))
  try {
    // Asynchronous, so that one that throws at once is as one that rejects.
    const ended = await Promise.race([(async () => check())(), late])
    return ended === TIMED_OUT ? `it did not end within ${timeoutMs} ms` : undefined
  } catch (error) {
    const { name, code } = describe(error)
    return [plain(name) ?? 'Error', plain(code)].filter((word) => word !== undefined).join(' ')
  } finally {
    clearTimeout(timer)
  }
}

/**
 * A word that can only be a class or a driver's code, as for rotation hooks.
 *
 * @param {string | undefined} text
 */
function plain(text) {
  return text !== undefined && /^\w{1,40}$/.test(text) ? text : undefined
}

module.exports = { checkedChecks, runChecks }
