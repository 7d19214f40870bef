'use strict'

// Spans for reads that leave the process, in services that have `@opentelemetry/api`. It is not a dependency of this
// package.

const { name, version } = require('../package.json')

/** Every copy of the API finds the registered SDK under this symbol. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** @type {any} */
let api

/**
 * The tracer of the SDK that the service registered, if any. This is asked for each read, since a service may register an
 * SDK late. Until then the API is not loaded: loading it takes longer than loading all of this package.
 */
function currentTracer() {
  const provider = /** @type {any} */ (globalThis)[REGISTERED]?.trace
  if (provider === undefined) return undefined
  api ??= loadedApi()
  if (api === null) return undefined
  // The API wraps the SDK's provider in one of its own. `getDelegateTracer` returns no tracer once the SDK was removed.
  return provider.getDelegateTracer === undefined
    ? provider.getTracer(name, version)
    : provider.getDelegateTracer(name, version)
}

function loadedApi() {
  try {
    return require('@opentelemetry/api')
  } catch {
    // The API cannot be resolved from here. Reads are not traced then.
    return null
  }
}

/**
 * Runs a read inside a span, as a child of the active span.
 *
 * @template T
 * @param {any} tracer {@link currentTracer}'s.
 * @param {string} secretName
 * @param {() => Promise<T>} read
 * @returns {Promise<T>}
 */
function traced(tracer, secretName, read) {
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

/** OpenTelemetry's API, once a tracer was found. */
const tracingApi = () => api ?? undefined

module.exports = { REGISTERED, currentTracer, traced, tracingApi }
