'use strict'

// Reports for when the addon cannot make them.

const PARTS = /** @type {const} */ (['aws', 'envFile', 'runtime', 'memory', 'redis', 'audit'])

/**
 * The report of `health()` when nothing could be asked.
 *
 * @param {import('../index').Environment} environment
 * @param {unknown} error
 * @returns {import('../index').HealthReport}
 */
function downReport(environment, error) {
  const check = /** @type {const} */ ({ status: 'down', reason: String(/** @type {Error} */ (error).message) })
  const checks = /** @type {any} */ (Object.fromEntries(PARTS.map((part) => [part, { ...check }])))
  return { status: 'down', environment, checkedAt: new Date().toISOString(), checks }
}

module.exports = { downReport }
