'use strict'

// `delivery.metrics`: counters, their text formats, and a registry for `prom-client`.

const { assertName } = require('./arguments')
const { SecretError } = require('./errors')
const native = require('./load')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** @typedef {import('../index').PromClientRegistry} Registry */

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

/** The part of `prom-client`'s `Registry` that `Registry.merge` calls. Its metrics are read anew for each scrape. */
class PromClientRegistry {
  #native

  /** @param {import('../native').NativeDelivery} nativeDelivery */
  constructor(nativeDelivery) {
    this.#native = nativeDelivery
  }

  get contentType() {
    return /** @type {Registry['contentType']} */ (native.PROMETHEUS_CONTENT_TYPE)
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
    return /** @type {import('../index').PromClientMetric[]} */ (this.#native.promClientMetrics())
  }
}

module.exports = { MetricsCollector }
