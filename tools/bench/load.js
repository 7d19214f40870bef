'use strict'

const { monitorEventLoopDelay, performance } = require('node:perf_hooks')

// The AWS SDK for JavaScript warns about Node 20.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'

/** The resolution at which the event-loop delay is measured, which is subtracted from it. */
const RESOLUTION_MS = 1

const VALUE = 'x'.repeat(40)

/**
 * Reads `names` one after the other, in order.
 *
 * @param {number} reads
 * @param {(index: number) => Promise<unknown>} read
 * @returns {Promise<number>} Nanoseconds for each awaited read.
 */
async function oneByOne(reads, read) {
  const started = performance.now()
  for (let index = 0; index < reads; index++) await read(index)
  return ((performance.now() - started) * 1e6) / reads
}

/**
 * Reads with `concurrency` reads under way at any time, and looks at what that does to the process.
 *
 * @param {{ reads: number, concurrency: number, warmUp: number }} load
 * @param {(index: number) => Promise<unknown>} read
 */
async function atOnce({ reads, concurrency, warmUp }, read) {
  await run(0, warmUp, concurrency, read)
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const cpu = process.cpuUsage()
  const started = performance.now()
  await run(warmUp, warmUp + reads, concurrency, read)
  const seconds = (performance.now() - started) / 1e3
  const { user, system } = process.cpuUsage(cpu)
  delay.disable()
  const milliseconds = (/** @type {number} */ nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  return {
    readsPerSecond: reads / seconds,
    cpuMsPerThousand: (user + system) / reads,
    delayP99Ms: milliseconds(delay.percentile(99)),
    delayMaxMs: milliseconds(delay.max),
  }
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} concurrency
 * @param {(index: number) => Promise<unknown>} read
 */
async function run(from, to, concurrency, read) {
  let next = from
  const worker = async () => {
    while (next < to) await read(next++)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

/** @param {number[]} figures */
const median = (figures) => sortedAt(figures, 1 / 2)

/** @param {number[]} figures */
const lowerQuartile = (figures) => sortedAt(figures, 1 / 4)

/** @param {number[]} figures @param {number} share */
function sortedAt(figures, share) {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length * share)]
}

/**
 * Checks the values that were read: a measurement with wrong values would be worthless.
 *
 * @param {unknown} actual
 * @param {unknown} expected
 */
function assertRead(actual, expected) {
  if (actual !== expected) throw new Error('a read returned another value than the one that is stored')
}

module.exports = { VALUE, assertRead, atOnce, lowerQuartile, median, oneByOne }
