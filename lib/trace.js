'use strict'

// Spans for reads that leave the process, where the service has `@opentelemetry/api`. It is not a dependency: whoever
// traces has it.

const { name, version } = require('../package.json')

/** Where every copy of the API keeps what an SDK registered. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** @type {any} */
let api

/**
 * The tracer of the SDK that the service registered, if there is one; asked for each time, since it may register one late. Until then the
 * API is not even loaded: it takes longer than all of this package.
 */
function currentTracer() {
  const provider = /** @type {any} */ (globalThis)[REGISTERED]?.trace
  if (provider === undefined) return undefined
  api ??= loadedApi()
  if (api === null) return undefined
  // The API's own provider stands before that of the SDK, and gives no tracer when the SDK was taken away.
  return provider.getDelegateTracer === undefined
    ? provider.getTracer(name, version)
    : provider.getDelegateTracer(name, version)
}

function loadedApi() {
  try {
    return require('@opentelemetry/api')
  } catch {
    // Not to be found from here: nothing is traced.
    return null
  }
}

/**
 * Runs a read inside a span, as a child of the one that is active.
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

module.exports = { currentTracer, traced }
