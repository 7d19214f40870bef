'use strict'

// Runs one fault: readers read known secrets steadily, all of which are cached; the fault begins, lasts for a stated time, and
// ends.

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { until } = require('../../__test__/support/until')
const { KNOWN, Stage } = require('./stage')
const { stored } = require('./values')

/** The longest wait of a cached read. */
const CACHED_MS = 5
/** The longest wait with a lookup in Redis, which may take 250 ms. */
const REDIS_LOOK_MS = 300
/** How much longer than its deadline a read may take on a busy machine. */
const MACHINE_MS = 150
const RECOVERY_S = 30
/** The codes with which a read without a copy may reject while AWS fails. */
const TRANSIENT = ['SOURCE_UNAVAILABLE', 'SOURCE_TIMEOUT', 'SOURCE_RESPONSE_INVALID']
const LOAD = { readsPerSecond: 1000, coldPerSecond: 20 }

/**
 * The TTL, the deadline of a read, and the duration of the fault. Their proportions matter: the deadline fits
 * between the refresh ahead (at 90 % of the TTL at the latest) and the end of the TTL, as it does with the defaults
 * (30 s of 300 s, against 4.5 s). So the TTL is 6 s with a deadline of 200 ms, and 12 s with a Redis
 * that may take 250 to 500 ms.
 *
 * @typedef {{ ttlSeconds: number, timeoutMs: number, windowMs: number }} Pace
 */

/**
 * @typedef {object} Fault
 * @property {string} name
 * @property {string} what Its row's first cell.
 * @property {'aws' | 'redis'} on
 * @property {Pace} pace
 * @property {import('./stage').Wanted} [stage]
 * @property {(stage: Stage) => { aws?: object, cache?: object }} [options] Of the service.
 * @property {boolean} [atStart] The service starts while the fault is there already, and holds nothing.
 * @property {Partial<import('./load').LoadOptions>} [load]
 * @property {(stage: Stage) => Promise<unknown>} [prepare] After the servers, before the service.
 * @property {(stage: Stage) => Promise<unknown>} apply
 * @property {(stage: Stage) => Promise<unknown>} lift
 * @property {boolean} [startsAgain] And once more when it is over: its options were the fault.
 * @property {boolean} [looksAgain] Subscriptions to Redis may be lost and renewed while it lasts.
 * @property {boolean} coldMayFail
 * @property {boolean} [knownMayFail] Because there is nothing left that could answer.
 * @property {(stage: Stage) => Promise<number>} [awsCalls] Default: what the endpoint was asked.
 * @property {(windowSeconds: number) => number} [mostAwsCalls] Default: what success would have cost.
 * @property {(stage: Stage, service: import('./service').Service) => Promise<boolean>} [recovered] Default: every known
 *   secret was read with the value that AWS got as the fault ended.
 */

/** The result of a scenario: rows of its table, and a line for each broken bound. @typedef {{ rows: string[][], broken: string[] }} Outcome */

const HEADING = [
  'fault',
  'known reads',
  'failed',
  'wrong',
  'worst wait, ms',
  'p99 / max as seen, ms',
  'cold reads',
  'failed',
  'worst wait, ms',
  'AWS calls',
  'recovery, s',
  'verdict',
]

/**
 * @param {Fault} fault
 * @param {'debug' | 'release'} profile
 * @returns {Promise<Outcome>}
 */
function measure(fault, profile) {
  const { ttlSeconds, timeoutMs, windowMs } = fault.pace
  return Stage.use(profile, fault.stage ?? {}, async (stage) => {
    const options = (/** @type {{ aws?: object, cache?: object }} */ { aws, cache } = {}) => ({
      aws: { timeoutMs, connectTimeoutMs: Math.min(1000, timeoutMs), ...aws },
      cache: { ttlSeconds, ...cache },
    })
    const start = () => stage.service(options(fault.options?.(stage)))
    await fault.prepare?.(stage)
    let service = await start()
    await service.warm(KNOWN)
    await stage.settled(KNOWN, [service])
    const load = { known: KNOWN, cold: 'COLD', ...LOAD, ...fault.load }
    if (fault.atStart) {
      await service.stop()
    } else {
      await service.ask('startLoad', load)
      await until('every known secret is under load', async () => (await service.ask('behind', 1)) === 0)
      await service.ask('cut')
    }

    const count = fault.awsCalls ?? (async ({ aws }) => (await aws.calls()).total)
    const before = await count(stage)
    await fault.apply(stage)
    // AWS works while Redis fails, so the copies of the services must follow it.
    if (fault.on === 'redis') await stage.aws.put(stored(KNOWN, 2))
    if (fault.atStart) {
      service = await start()
      await service.ask('startLoad', load)
    }
    await sleep(windowMs)
    const awsCalls = (await count(stage)) - before
    // The TTL has passed, so every copy must have followed AWS by now.
    const outdated = fault.on === 'redis' ? await service.ask('behind', 2) : 0
    const during = await service.ask('cut')

    const version = fault.on === 'redis' ? 3 : 2
    await fault.lift(stage)
    await stage.aws.put(stored(KNOWN, version))
    const lifted = performance.now()
    if (fault.startsAgain) {
      await service.ask('stopLoad')
      await service.stop()
      service = await start()
      await service.ask('startLoad', load)
    }
    const recovered = fault.recovered ?? (async () => (await service.ask('behind', version)) === 0)
    const recovery = await until('recovery', () => recovered(stage, service), 2000 * RECOVERY_S).then(
      () => (performance.now() - lifted) / 1e3,
      () => Infinity,
    )
    const after = await service.ask('stopLoad')
    return rowOf(fault, { during, after, outdated, awsCalls, recovery, seconds: windowMs / 1e3 })
  })
}

/**
 * @param {Fault} fault
 * @param {{ during: Reports, after: Reports, outdated: number, awsCalls: number, recovery: number, seconds: number }} measured
 * @typedef {{ known: import('./load').Report, cold: import('./load').Report }} Reports
 * @returns {Outcome}
 */
function rowOf(fault, { during, after, outdated, awsCalls, recovery, seconds }) {
  const { ttlSeconds, timeoutMs } = fault.pace
  const { bounded, broken, row } = bounds(fault.name)
  const [known, cold] = [during.known, during.cold]
  const sum = (/** @type {Record<string, number>} */ counts) => Object.values(counts).reduce((a, b) => a + b, 0)
  const codes = (/** @type {Record<string, number>} */ counts) =>
    Object.entries(counts).map(([code, times]) => `${code} ${times}`)

  // Reads during the recovery count too: none of them may fail.
  const knownFailed = sum(known.failed) + sum(after.known.failed)
  const wrong = [known, cold, after.known, after.cold]
  const unexpectedKnown = Object.keys(known.failed).filter((code) => !TRANSIENT.includes(code))
  const wrongReads = wrong.reduce((all, { wrong }) => all + wrong, outdated)
  const unexpected = Object.keys(cold.failed).filter((code) => !fault.coldMayFail || !TRANSIENT.includes(code))
  const deadline = timeoutMs + MACHINE_MS
  // A process that has just started has no copy that could answer at once.
  const wait = fault.atStart ? deadline : CACHED_MS
  // After a lost subscription each copy is looked up in Redis once more before it is trusted.
  const worstWait = fault.looksAgain ? REDIS_LOOK_MS : wait
  const p99 = worstWait + known.controlP99Ms
  const success = (KNOWN.length * (seconds / (0.8 * ttlSeconds) + 1) + cold.reads) | 0
  const mostCalls = fault.mostAwsCalls?.(seconds) ?? success
  const cells = [
    fault.what,
    String(known.reads),
    fault.knownMayFail
      ? bounded('known reads: failed', String(knownFailed), 'any', unexpectedKnown.length === 0)
      : bounded('known reads: failed', String(knownFailed), '0', knownFailed === 0),
    bounded('wrong values:', String(wrongReads), '0', wrongReads === 0),
    bounded('known reads: worst wait', known.worstMs.toFixed(1), `< ${worstWait}`, known.worstMs < worstWait),
    bounded('known reads: p99', known.p99Ms.toFixed(2), `< ${p99.toFixed(1)}`, known.p99Ms < p99) +
      ` / ${known.maxMs.toFixed(1)}`,
    String(cold.reads),
    bounded('cold reads: failed', String(sum(cold.failed)), fault.coldMayFail ? 'any' : '0', unexpected.length === 0),
    bounded('cold reads: worst wait', cold.worstMs.toFixed(0), `< ${deadline}`, cold.worstMs < deadline),
    bounded('AWS calls', String(awsCalls), `≤ ${mostCalls}`, awsCalls <= mostCalls),
    bounded('recovery', recovery.toFixed(1), `≤ ${RECOVERY_S}`, recovery <= RECOVERY_S),
  ]
  if (broken.length > 0) {
    if (outdated > 0) broken.push(`${outdated} known secrets had an outdated value beyond their TTL`)
    for (const { examples } of wrong) broken.push(...examples)
    const { failed } = known
    broken.push(...codes(failed).map((text) => `known, during: ${text}`))
    broken.push(...codes(after.known.failed).map((text) => `known, after: ${text}`))
    broken.push(...codes(cold.failed).map((text) => `cold, during: ${text}`))
  }
  return row(cells)
}

/**
 * Collects the bounds of one row.
 *
 * @param {string} name
 */
function bounds(name) {
  /** @type {string[]} */
  const broken = []
  return {
    broken,
    /** Adds a cell with a measured value and its bound. @param {string} what @param {string} got @param {string} bound @param {boolean} [met] */
    bounded(what, got, bound, met = true) {
      if (!met) broken.push(`${what} ${got}, bound ${bound}`)
      return `${met ? got : `**${got}**`} (${bound})`
    },
    /** Returns the row with its verdict. @param {string[]} cells @returns {Outcome} */
    row: (cells) => ({
      rows: [[...cells, broken.length === 0 ? 'kept' : '**broken**']],
      broken: broken.map((line) => `${name}: ${line}`),
    }),
  }
}

module.exports = { HEADING, MACHINE_MS, RECOVERY_S, TRANSIENT, bounds, measure }
