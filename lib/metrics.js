'use strict'

const { SecretError, assertName } = require('./errors')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const PROMETHEUS = /** @type {const} */ ('text/plain; version=0.0.4; charset=utf-8')
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

class MetricsCollector {
  #native

  /** @param {import('../native').NativeDelivery} nativeDelivery */
  constructor(nativeDelivery) {
    this.#native = nativeDelivery
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
    return JSON.parse(this.#native.metricsSnapshot())
  }

  get contentType() {
    return PROMETHEUS
  }

  get openMetricsContentType() {
    return OPENMETRICS
  }

  /** @returns {string} */
  prometheus() {
    return this.#native.metricsText(false)
  }

  /** @returns {string} */
  openMetrics() {
    return this.#native.metricsText(true)
  }

  /** @returns {import('../index').PromClientRegistry} */
  registry() {
    return new PromClientRegistry(this.#native)
  }

  [inspect]() {
    return 'MetricsCollector {}'
  }
}

/** What `prom-client`'s `Registry.merge` asks of a registry. Its metrics are read anew for each scrape. */
class PromClientRegistry {
  #native

  /** @param {import('../native').NativeDelivery} nativeDelivery */
  constructor(nativeDelivery) {
    this.#native = nativeDelivery
  }

  get contentType() {
    return PROMETHEUS
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
    return this.#native.metricsText(false)
  }

  /** @returns {import('../index').PromClientMetric[]} */
  #families() {
    return JSON.parse(this.#native.metricFamilies())
  }
}

module.exports = { MetricsCollector }
