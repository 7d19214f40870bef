'use strict'

// The parts of a delivery. Each is loaded and made when it is first used: a file costs half a millisecond of a service's start.

/** @typedef {import('../native').NativeDelivery} NativeDelivery */

/**
 * What the parts work with.
 *
 * @typedef {object} Means
 * @property {NativeDelivery} native
 * @property {<T>(begin: (id: number) => void) => Promise<T>} start Starts an operation.
 * @property {<T>(begin: (id: number) => void, progress?: (report: any) => void) => Promise<T>} startAnew Starts one that may change a secret.
 * @property {() => void} forgetFlights
 * @property {InstanceType<typeof import('./variables').VariableSource>} variables
 * @property {ConstructorParameters<typeof import('./rotation').SecretRotationManager>[2]} listeners
 * @property {import('./monitoring').Monitor | undefined} monitor
 */

/** @param {Means} means */
function partsOf({ native, start, startAnew, forgetFlights, variables, listeners, monitor }) {
  return {
    sources: later(() => new (require('./sources').Sources)(start, native, variables)),
    inspections: later(() => new (require('./inspections').Inspections)(start, native, variables)),
    cache: later(() => Object.freeze(new (require('./cache').SecretCache)(start, forgetFlights, native))),
    metrics: later(() => Object.freeze(new (require('./metrics').MetricsCollector)(native, monitor))),
    rotation: later(() =>
      Object.freeze(new (require('./rotation').SecretRotationManager)(startAnew, native, listeners)),
    ),
    migration: later(() => Object.freeze(new (require('./migration').SecretMigrationManager)(startAnew, native))),
    store: later(() => Object.freeze(new (require('./store').SecretStore)(startAnew, native))),
  }
}

/** The parts that are public properties of a delivery. */
const PUBLIC = /** @type {const} */ (['cache', 'rotation', 'migration', 'metrics', 'store'])

/**
 * Gives a delivery its public parts, as properties that make them when they are first read. Another object may be put in the
 * place of one, as a test does.
 *
 * @param {object} delivery
 * @param {ReturnType<typeof partsOf>} parts
 */
function show(delivery, parts) {
  for (const name of PUBLIC) {
    const shape = { enumerable: true, configurable: true }
    const set = (/** @type {unknown} */ value) =>
      Object.defineProperty(delivery, name, { ...shape, value, writable: true })
    Object.defineProperty(delivery, name, { ...shape, get: parts[name], set })
  }
}

/**
 * @template T
 * @param {() => T} make Called once, when the function that is returned is first called.
 * @returns {() => T}
 */
function later(make) {
  /** @type {T | undefined} */
  let made
  return () => (made ??= make())
}

module.exports = { later, partsOf, show }
