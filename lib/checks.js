'use strict'

// The service's own checks, which `validateApplicationFunctionality` runs.

const { checked, scopeOf } = require('./arguments')
const { SecretError, describe } = require('./errors')
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
 * Runs the checks one after the other. Never rejects. Of what a check throws only the class and a plain code are repeated.
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
    // Called inside an async function, so that a check that throws at once also becomes a rejection.
    const ended = await Promise.race([(async () => check())(), late])
    if (ended === TIMED_OUT) return `it did not end within ${timeoutMs} ms`
    // A check that answers a question: nobody writes `false` for "all is well".
    return ended === false ? 'it returned false' : undefined
  } catch (error) {
    const { name, code } = describe(error)
    return [plain(name) ?? 'Error', plain(code)].filter((word) => word !== undefined).join(' ')
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The text, if it can only be a class or a driver's code. Rotation hooks have the same rule.
 *
 * @param {string | undefined} text
 */
function plain(text) {
  return text !== undefined && /^\w{1,40}$/.test(text) ? text : undefined
}

module.exports = { checkedChecks, runChecks }
