'use strict'

// Counts hit rate and latency of the service's reads over time, from its audit log.

const { records } = require('../audit-log')

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The most bars of a chart. A log with more hours is counted by days, and only its last days are shown. */
const MOST_BARS = 72
/** Latencies are counted in classes, each a tenth wider than the one before: a chart shows no finer detail. */
const WIDTH = Math.log(1.1)

/** Whether a cache answered, by the field `cache`. Reads with other values did not ask a cache. @type {Record<string, boolean>} */
const ANSWERED = { hit: true, stale: true, miss: false }

/**
 * @typedef {object} Span Reads of an hour or a day.
 * @property {string} from ISO 8601, UTC.
 * @property {number} reads
 * @property {number} lookups Reads for which a cache was asked.
 * @property {number} hits
 * @property {number} p50Ms
 * @property {number} p99Ms
 */
/**
 * @typedef {object} Traffic
 * @property {'hour' | 'day'} by
 * @property {Span[]} spans Spans with reads, the oldest first.
 * @property {number} reads
 * @property {number} lookups
 * @property {number} hits
 * @property {Record<string, Readers>} secrets By name.
 */
/**
 * @typedef {object} Readers Who read a secret, and who was refused it.
 * @property {string | null} lastReadAt ISO 8601, UTC.
 * @property {string[]} callers Labels of the services that got it, at most ten.
 * @property {number} denied
 * @property {string | null} lastDeniedAt
 * @property {string[]} deniedCallers
 */

/** The most labels that are listed for a secret. */
const MOST_CALLERS = 10

class Counts {
  reads = 0
  lookups = 0
  hits = 0
  /** The number of reads by class of latency. @type {Map<number, number>} */
  latencies = new Map()

  /** @param {any} record */
  add({ cache, latency_us: latency, count = 1 }) {
    this.reads += count
    const answered = ANSWERED[cache]
    if (answered !== undefined) this.lookups += count
    if (answered) this.hits += count
    const place = Math.ceil(Math.log(Math.max(Number(latency) || 1, 1)) / WIDTH)
    this.latencies.set(place, (this.latencies.get(place) ?? 0) + count)
  }

  /** @param {Counts} other */
  join(other) {
    this.reads += other.reads
    this.lookups += other.lookups
    this.hits += other.hits
    for (const [place, count] of other.latencies) this.latencies.set(place, (this.latencies.get(place) ?? 0) + count)
    return this
  }

  /** The upper bound of the class at this share of the reads, in milliseconds. @param {number} share */
  percentile(share) {
    let left = Math.ceil(this.reads * share)
    const places = [...this.latencies].sort(([a], [b]) => a - b)
    const [place] = places.find(([, count]) => (left -= count) <= 0) ?? [0]
    return Math.round(Math.exp(place * WIDTH)) / 1000
  }
}

/**
 * Counts the reads of a log, except for those of this program.
 *
 * @param {string} file
 * @param {string} environment
 * @returns {Promise<Traffic>}
 */
async function trafficOf(file, environment) {
  /** @type {Map<number, Counts>} */
  let spans = new Map()
  /** @type {Map<string, Readers>} */
  const secrets = new Map()
  for await (const record of records(file)) {
    const time = Date.parse(record.time)
    if (record.event !== 'access' || record.caller === 'tcs-secrets' || Number.isNaN(time)) continue
    if (record.environment !== environment) continue
    at(spans, time, HOUR_MS).add(record)
    note(secrets, record)
  }
  const times = [...spans.keys()]
  const isLong = Math.max(...times) - Math.min(...times) >= MOST_BARS * HOUR_MS
  if (isLong) {
    /** @type {Map<number, Counts>} */
    const days = new Map()
    for (const [time, counts] of spans) at(days, time, DAY_MS).join(counts)
    const first = Math.max(...days.keys()) - (MOST_BARS - 1) * DAY_MS
    spans = new Map([...days].filter(([time]) => time >= first))
  }
  const all = [...spans.values()].reduce((sum, counts) => sum.join(counts), new Counts())
  return {
    by: isLong ? 'day' : 'hour',
    spans: [...spans]
      .sort(([a], [b]) => a - b)
      .map(([time, counts]) => ({
        from: new Date(time).toISOString(),
        reads: counts.reads,
        lookups: counts.lookups,
        hits: counts.hits,
        p50Ms: counts.percentile(0.5),
        p99Ms: counts.percentile(0.99),
      })),
    reads: all.reads,
    lookups: all.lookups,
    hits: all.hits,
    secrets: Object.fromEntries([...secrets].sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

/** @param {Map<string, Readers>} secrets @param {any} record */
function note(secrets, { secret, time, outcome, caller }) {
  if (typeof secret !== 'string') return
  const found = secrets.get(secret) ?? {
    lastReadAt: null,
    callers: [],
    denied: 0,
    lastDeniedAt: null,
    deniedCallers: [],
  }
  secrets.set(secret, found)
  const add = (/** @type {string[]} */ callers) => {
    const label = typeof caller === 'string' ? caller : 'without a label'
    if (callers.length < MOST_CALLERS && !callers.includes(label)) callers.push(label)
  }
  if (outcome === 'ok') {
    found.lastReadAt = time
    add(found.callers)
  } else if (outcome === 'denied') {
    found.denied += 1
    found.lastDeniedAt = time
    add(found.deniedCallers)
  }
}

/** @param {Map<number, Counts>} spans @param {number} time @param {number} length */
function at(spans, time, length) {
  const from = Math.floor(time / length) * length
  const counts = spans.get(from) ?? new Counts()
  spans.set(from, counts)
  return counts
}

module.exports = { DAY_MS, HOUR_MS, trafficOf }
