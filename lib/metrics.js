'use strict'

// `delivery.metrics`: counters, their text formats, and registries for `prom-client`.

const { assertName } = require('./arguments')
const { SecretError } = require('./errors')
const native = require('./load')
const { withExemplars } = require('./monitoring')
const { plainOptions } = require('./options')
const { guard, identify } = require('./receiver')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** @typedef {import('../index').PromClientMetric} Family */
/** @typedef {import('../index').PromClientRegistry} Registry */
/** @typedef {import('../native').NativeDelivery} NativeDelivery */

class MetricsCollector {
  #native
  #monitor

  /** @param {NativeDelivery} nativeDelivery @param {import('./monitoring').Monitor} [monitor] */
  constructor(nativeDelivery, monitor) {
    identify(this)
    this.#native = nativeDelivery
    this.#monitor = monitor
  }

  /**
   * @param {string} secretName
   * @param {string} source
   * @param {number} latency
   * @param {boolean} success
   * @returns {Promise<void>}
   */
  async recordSecretRetrieval(secretName, source, latency, success) {
    assertName('secretName', secretName)
    assertName('source', source)
    if (!Number.isFinite(latency) || latency < 0) {
      throw new SecretError('CONFIG_INVALID', 'latency must be a number of milliseconds, 0 or more')
    }
    this.#native.recordRetrieval(latency, success === true)
  }

  /** @returns {import('../index').MetricsSnapshot} */
  snapshot() {
    return /** @type {import('../index').MetricsSnapshot} */ (this.#native.metricsSnapshot())
  }

  get contentType() {
    return native.PROMETHEUS_CONTENT_TYPE
  }

  get openMetricsContentType() {
    return native.OPENMETRICS_CONTENT_TYPE
  }

  /** @returns {string} */
  prometheus() {
    return this.#native.metricsText(false)
  }

  /** @returns {string} */
  openMetrics() {
    return withExemplars(this.#native.metricsText(true), this.#monitor?.exemplars() ?? [])
  }

  /** @param {import('../index').RegistryOptions} [options] */
  registry(options) {
    const { openMetrics, name, others } = checked(options)
    const collectors = Object.entries(others).map(([other, delivery]) => {
      const metrics = /** @type {any} */ (delivery)?.metrics
      if (typeof metrics !== 'object' || metrics === null || !(#native in metrics)) {
        throw new SecretError('CONFIG_INVALID', `options.others.${other} must be a SecretDelivery of this package`)
      }
      return /** @type {[string, NativeDelivery]} */ ([other, metrics.#native])
    })
    const alone = collectors.length === 0 && name === undefined
    return new PromClientRegistry(
      alone ? this.#native : [[name ?? 'default', this.#native], ...collectors],
      openMetrics,
    )
  }

  [inspect]() {
    return 'MetricsCollector {}'
  }
}

guard(MetricsCollector, 'delivery.metrics', ['snapshot', 'prometheus', 'openMetrics', 'registry'])

/** The label that tells the samples of several deliveries apart. */
const LABEL = 'delivery'

/**
 * The part of `prom-client`'s `Registry` that `Registry.merge` calls. Its metrics are read anew for each scrape. In the
 * OpenMetrics format, the name of a counter has no `_total`: prom-client adds that to its samples.
 */
class PromClientRegistry {
  #source
  #openMetrics

  /**
   * @param {NativeDelivery | [string, NativeDelivery][]} source One delivery, or
   *   several by name.
   * @param {boolean} openMetrics
   */
  constructor(source, openMetrics) {
    this.#source = source
    this.#openMetrics = openMetrics
  }

  /** @returns {Registry['contentType']} */
  get contentType() {
    const type = this.#openMetrics ? native.OPENMETRICS_CONTENT_TYPE : native.PROMETHEUS_CONTENT_TYPE
    return /** @type {Registry['contentType']} */ (type)
  }

  getMetricsAsArray() {
    return this.#families().map(({ name, help, type, aggregator }) => ({
      name,
      help,
      type,
      aggregator,
      get: async () => this.#families().find((family) => family.name === name),
    }))
  }

  async getMetricsAsJSON() {
    return this.#families()
  }

  /** @param {string} name */
  getSingleMetric(name) {
    return this.getMetricsAsArray().find((metric) => metric.name === name)
  }

  async metrics() {
    if (!Array.isArray(this.#source)) return this.#source.metricsText(this.#openMetrics)
    return textOf(this.#families(), this.#openMetrics)
  }

  /** @returns {Family[]} */
  #families() {
    const families = Array.isArray(this.#source) ? joined(this.#source) : familiesOf(this.#source)
    if (!this.#openMetrics) return families
    return families.map((family) =>
      family.type === 'counter' ? { ...family, name: family.name.replace(/_total$/, '') } : family,
    )
  }
}

/** @param {NativeDelivery} delivery @returns {Family[]} */
function familiesOf(delivery) {
  return /** @type {Family[]} */ (delivery.promClientMetrics())
}

/**
 * The metrics of several deliveries: each metric once, its samples with the name of their delivery.
 *
 * @param {[string, NativeDelivery][]} deliveries
 * @returns {Family[]}
 */
function joined(deliveries) {
  /** @type {Map<string, Family>} */
  const byName = new Map()
  for (const [name, delivery] of deliveries) {
    for (const { values, ...family } of familiesOf(delivery)) {
      const labelled = values.map((value) => ({ ...value, labels: { ...value.labels, [LABEL]: name } }))
      const known = byName.get(family.name)
      if (known === undefined) byName.set(family.name, { ...family, values: labelled })
      else known.values.push(...labelled)
    }
  }
  return [...byName.values()]
}

/**
 * The text of metrics, in the format of Prometheus or of OpenMetrics.
 *
 * @param {Family[]} families
 * @param {boolean} openMetrics
 */
function textOf(families, openMetrics) {
  const texts = families.map(({ name, help, type, values }) => {
    const samples = values.map(({ metricName, labels, value }) => {
      const own = openMetrics && type === 'counter' ? `${name}_total` : (metricName ?? name)
      const pairs = Object.entries(labels).map(
        ([label, text]) => `${label}="${escaped(typeof text === 'number' ? bound(text) : text)}"`,
      )
      return `${own}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${number(value)}\n`
    })
    return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n${samples.join('')}`
  })
  return texts.join('') + (openMetrics ? '# EOF\n' : '')
}

/** @param {string} text */
const escaped = (text) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

/** The upper bound of a bucket, as both formats write it: `1.0`. @param {number} value */
const bound = (value) => (Number.isInteger(value) ? `${value}.0` : number(value))

/** @param {number} value */
const number = (value) =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'

/**
 * @param {unknown} options
 * @returns {{ openMetrics: boolean, name: string | undefined, others: Record<string, unknown> }}
 */
function checked(options) {
  const given = plainOptions(options)
  const unknown = Object.keys(given).find((name) => !['openMetrics', 'name', 'others'].includes(name))
  if (unknown !== undefined) {
    throw new SecretError(
      'CONFIG_INVALID',
      `options.${unknown} is not an option of registry (openMetrics, name, others)`,
    )
  }
  const openMetrics = given.openMetrics ?? false
  if (typeof openMetrics !== 'boolean')
    throw new SecretError('CONFIG_INVALID', 'options.openMetrics must be true or false')
  const name = given.name ?? undefined
  if (name !== undefined && typeof name !== 'string')
    throw new SecretError('CONFIG_INVALID', 'options.name must be a text')
  const others = given.others ?? {}
  if (Object.hasOwn(others, name ?? 'default')) {
    throw new SecretError(
      'CONFIG_INVALID',
      `options.others has a delivery that is named '${name ?? 'default'}' as this one`,
    )
  }
  return { openMetrics, name, others }
}

module.exports = { MetricsCollector }
