'use strict'

// Ten minutes without AWS on an accelerated clock, with the core alone (crates/core/examples/long_outage.rs).

const { execFile } = require('node:child_process')
const { promisify } = require('node:util')
const { RECOVERY_S, bounds } = require('../fault')

/** The deadline of a cold read, which is the default. */
const DEADLINE_MS = 4500
/** The AWS calls of a run without failures: each secret once in each TTL, and the unknown one each second. */
const MOST_CALLS = 50 * 3 + 600

/** @param {string} program @returns {Promise<import('../fault').Outcome>} */
async function tenMinutes(program) {
  const name = 'ten-minutes'
  const what = 'HTTP 500 for ten minutes, on an accelerated clock'
  const { stdout } = await promisify(execFile)(program, { timeout: 60_000 })
  const { reads, failed, wrong, worstMs, unknownWorstMs, awsCalls, recoverySeconds } = JSON.parse(stdout)
  const { bounded, row } = bounds(name)
  const recovery = recoverySeconds ?? Infinity
  return row([
    what,
    String(reads),
    bounded('known reads: failed', String(failed), '0', failed === 0),
    bounded('wrong values:', String(wrong), '0', wrong === 0),
    '–',
    `– / ${worstMs.toFixed(1)}`,
    '600',
    '600 (any)',
    bounded('cold reads: worst wait', unknownWorstMs.toFixed(0), `< ${DEADLINE_MS}`, unknownWorstMs < DEADLINE_MS),
    bounded('AWS calls', String(awsCalls), `≤ ${MOST_CALLS}`, awsCalls <= MOST_CALLS),
    bounded('recovery', recovery.toFixed(1), `≤ ${RECOVERY_S}`, recovery <= RECOVERY_S),
  ])
}

module.exports = { tenMinutes }
