'use strict'

// `monitoring: true`: every metric as an instrument of the process's OpenTelemetry meter provider, where one is registered, and
// the traces of slow reads as exemplars.

const { name, version } = require('../package.json')
const { REGISTERED, tracingApi } = require('./trace')

const LATENCY = 'secret_delivery_retrieval_latency_seconds'

/** @typedef {import('../index').PromClientMetric} Family */
/** @typedef {{ traceId: string, seconds: number, at: number }} Exemplar */

/** Observes the metrics of a delivery until it is stopped. */
class Monitor {
  #families
  #labels
  /** @type {any} */
  #latency
  /** @type {(() => void) | undefined} */
  #release
  #stopped = false
  /** The last traced read of each power of two of its duration. @type {Map<number, Exemplar>} */
  #exemplars = new Map()

  /**
   * @param {() => Family[]} families Must not keep the delivery alive: providers live as long as the process.
   * @param {Record<string, string>} labels
   */
  constructor(families, labels) {
    this.#families = families
    this.#labels = labels
    this.#begin()
  }

  /**
   * The same read, one that the memory cache did not answer, which records how long it took, in the context of its span, where anything
   * can hear of it.
   *
   * @template T
   * @param {() => Promise<T>} read
   * @returns {() => Promise<T>}
   */
  around(read) {
    this.#begin()
    return this.#latency === undefined && tracingApi() === undefined ? read : () => this.#timed(read)
  }

  /** @template T @param {() => Promise<T>} read @returns {Promise<T>} */
  async #timed(read) {
    const begun = process.hrtime.bigint()
    let outcome = 'ok'
    try {
      return await read()
    } catch (error) {
      outcome = 'error'
      throw error
    } finally {
      this.#record(Number(process.hrtime.bigint() - begun) / 1e9, outcome)
    }
  }

  /** Traced reads, for the text of OpenMetrics. @returns {Exemplar[]} */
  exemplars() {
    return [...this.#exemplars.values()]
  }

  stop() {
    this.#stopped = true
    this.#release?.()
    this.#release = undefined
    this.#latency = undefined
  }

  /** A service may register its provider late, so this is tried at each read that takes long anyway. */
  #begin() {
    if (this.#stopped || this.#release !== undefined) return
    try {
      this.#register()
    } catch {
      // A provider that fails must not take reads with it.
    }
  }

  #register() {
    const meter = /** @type {any} */ (globalThis)[REGISTERED]?.metrics?.getMeter?.(name, version)
    if (meter === undefined) return
    this.#release = observed(meter, this.#families)
    this.#latency = meter.createHistogram(LATENCY, {
      unit: 's',
      description: 'How long retrievals took that the memory cache did not answer',
      advice: { explicitBucketBoundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] },
    })
  }

  /** @param {number} seconds @param {string} outcome */
  #record(seconds, outcome) {
    try {
      this.#recordIn(tracingApi(), seconds, outcome)
    } catch {
      // As above.
    }
  }

  /** @param {any} api @param {number} seconds @param {string} outcome */
  #recordIn(api, seconds, outcome) {
    const context = api?.context?.active()
    this.#latency?.record(seconds, { ...this.#labels, outcome }, context)
    const span = api?.trace?.getSpanContext(context)
    const isSampled = span !== undefined && (span.traceFlags & 1) === 1
    if (isSampled)
      this.#exemplars.set(Math.ceil(Math.log2(seconds)), { traceId: span.traceId, seconds, at: Date.now() })
  }
}

/** The monitor of a delivery that is monitored. @param {import('../native').NativeDelivery} native */
function monitorOf(native) {
  const weak = new WeakRef(native)
  const families = () => /** @type {any[]} */ (weak.deref()?.promClientMetrics() ?? [])
  const service = native.service()
  return new Monitor(families, { environment: native.environment(), ...(service && { service }) })
}

/**
 * An observable instrument for each metric but histograms.
 *
 * @param {any} meter
 * @param {() => Family[]} families
 * @returns {() => void} Ends it.
 */
function observed(meter, families) {
  /** @type {Map<string, any>} */
  const instruments = new Map()
  for (const { name: metric, help, type } of families()) {
    if (type === 'histogram') continue
    const make = type === 'counter' ? 'createObservableCounter' : 'createObservableGauge'
    instruments.set(metric, meter[make](metric, { description: help }))
  }
  const callback = (/** @type {any} */ result) => {
    for (const { name: metric, values } of families()) {
      const instrument = instruments.get(metric)
      if (instrument === undefined) continue
      for (const { labels, value } of values) result.observe(instrument, value, labels)
    }
  }
  const all = [...instruments.values()]
  meter.addBatchObservableCallback(callback, all)
  return () => meter.removeBatchObservableCallback(callback, all)
}

/**
 * The text of OpenMetrics with exemplars at the buckets of reads from AWS: of each, one that is in it.
 *
 * @param {string} text
 * @param {Exemplar[]} exemplars
 */
function withExemplars(text, exemplars) {
  if (exemplars.length === 0) return text
  const left = [...exemplars]
  const bucket = new RegExp(
    `^${LATENCY}_bucket\\{(?=[^}]*source="aws")(?=[^}]*outcome="ok")[^}]*le="([^"]+)"[^}]*\\} (\\d+)$`,
    'gm',
  )
  return text.replace(bucket, (line, le, count) => {
    const bound = le === '+Inf' ? Infinity : Number(le)
    const at = left.findIndex(({ seconds }) => seconds <= bound)
    const [found] = Number(count) > 0 && at >= 0 ? left.splice(at, 1) : []
    if (found === undefined) return line
    return `${line} # {trace_id="${found.traceId}"} ${found.seconds} ${(found.at / 1000).toFixed(3)}`
  })
}

// Named exports: as members of an object literal the class would not be a type.
exports.Monitor = Monitor
exports.monitorOf = monitorOf
exports.withExemplars = withExemplars
