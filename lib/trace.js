'use strict'

// Spans for reads that leave the process, where the service has `@opentelemetry/api`. It is not a dependency: whoever
// traces has it.

const { name, version } = require('../package.json')

/** @type {any} */
let api
try {
  api = require('@opentelemetry/api')
} catch {
  // Not there: nothing is traced.
}

/**
 * The tracer of the SDK that the service registered, asked for each time since it may register one late. Without one the
 * API would go through the motions of a span that nobody sees.
 */
function currentTracer() {
  const provider = api?.trace.getTracerProvider()
  // The API's own provider stands in until an SDK is there.
  if (provider?.getDelegateTracer !== undefined) return provider.getDelegateTracer(name, version)
  return provider?.getTracer(name, version)
}

/**
 * Runs a read inside a span, as a child of the one that is active.
 *
 * @template T
 * @param {string} secretName
 * @param {() => Promise<T>} read
 * @returns {Promise<T>}
 */
function traced(secretName, read) {
  const tracer = currentTracer()
  if (tracer === undefined) return read()
  const { SpanKind, SpanStatusCode } = api
  const options = { kind: SpanKind.CLIENT, attributes: { 'secret.name': secretName } }
  return tracer.startActiveSpan('secret read', options, async (/** @type {any} */ span) => {
    try {
      const value = await read()
      span.setAttribute('secret.found', value !== null)
      return value
    } catch (error) {
      const { code } = /** @type {{ code?: string }} */ (error)
      span.setAttribute('error.type', code ?? 'Error')
      span.setStatus({ code: SpanStatusCode.ERROR, message: code })
      throw error
    } finally {
      span.end()
    }
  })
}

module.exports = { traced }
