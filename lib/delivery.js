'use strict'

const { SecretError, orThrow, assertName, assertEnvironment } = require('./errors')
const { checkedChecks, runChecks } = require('./checks')
const { checkedHooks } = require('./hooks')
const native = require('./load')
const { MetricsCollector } = require('./metrics')
const { SecretMigrationManager, checkedScope } = require('./migration')
const { Operations, listen } = require('./operations')
const { checkedOptions } = require('./options')
const { Reads } = require('./reads')
const { guard, identify } = require('./receiver')
const { SecretRotationManager } = require('./rotation')
const { currentTracer, traced } = require('./trace')
const { VariableSource, forConfiguration, isEmpty } = require('./variables')
const { Looks, withSecret } = require('./with-secret')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')

/** @typedef {import('../index').SecretDeliveryOptions} Options */

/** See `index.d.ts` for the documentation of every member. */
class SecretDelivery {
  #native
  #operations
  #reads
  #readCached
  /** Operations under way by what they read: who asks for the same shares them. @type {Map<string, Promise<any>>} */
  #flights = new Map()
  #variables
  #variablesComeFirst
  /** @type {Promise<void> | undefined} */
  #closing
  #looks = new Looks((name) => this.#allValues(name))

  /** @param {Options} [options] */
  constructor(options) {
    identify(this)
    const { logger, options: given } = checkedOptions(options)
    const { hooks, names } = checkedHooks(given.rotation?.hooks)
    const { sink, audit } = checkedSink(given.audit)
    const rest = { ...given, audit, ...(names.length > 0 && { rotation: { ...given.rotation, hooks: names } }) }
    const ambient = { variables: forConfiguration(), workingDirectory: process.cwd() }
    this.#variables = new VariableSource(rest.runtime?.variables)
    this.#operations = new Operations(logger, hooks, sink, this.#variables)
    this.#native = /** @type {import('../native').NativeDelivery} */ (
      orThrow(native.openDelivery(rest, ambient, this.#operations))
    )
    this.#operations.attach(this.#native)
    this.#reads = new Reads(this.#native, this.#operations)
    this.#variablesComeFirst = this.#native.variablesComeFirst()
    this.#readCached = this.#native.cachedReader()
    this.environment = /** @type {import('../index').Environment} */ (this.#native.environment())
    this.cache = Object.freeze(
      new SecretCache(
        (begin) => this.#start(begin),
        () => this.#forgetFlights(),
        this.#native,
      ),
    )
    this.rotation = Object.freeze(
      new SecretRotationManager((begin) => this.#startAnew(begin), this.#native, this.#operations),
    )
    this.migration = Object.freeze(
      new SecretMigrationManager((begin, progress) => {
        // What is written to AWS, or leaves the file, is another value for whoever reads from now on.
        this.#forgetFlights()
        return this.#operations.start(this.#native, begin, undefined, progress)
      }, this.#native),
    )
    this.metrics = Object.freeze(new MetricsCollector(this.#native))
    this.#operations.environment = this.environment
    Object.defineProperty(this, 'environment', { writable: false })
  }

  // The two reads are no `async` functions: the promise that one makes, and that of what it returns, cost more than the
  // rest of a read. Neither throws all the same.

  /**
   * @param {string} toolName
   * @param {string} secretType
   * @returns {Promise<string | null>}
   */
  getToolSecret(toolName, secretType) {
    try {
      // A cached value needs no operation: one synchronous call that copies it out of Rust.
      const cached = this.#readCached(toolName, secretType)
      if (cached !== undefined) return Promise.resolve(cached)
      assertName('toolName', toolName)
      assertName('secretType', secretType)
      return this.#read(orThrow(native.secretName(toolName, secretType)))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {string} secretName
   * @returns {Promise<string | null>}
   */
  getSecret(secretName) {
    try {
      const cached = this.#readCached(secretName)
      if (cached !== undefined) return Promise.resolve(cached)
      assertName('secretName', secretName)
      return this.#read(secretName)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {string} toolName
   * @returns {Promise<Record<string, string>>}
   */
  async getToolSecrets(toolName) {
    assertName('toolName', toolName)
    const cached = this.#native.cachedTool(toolName)
    if (cached !== null) return cached
    const found = this.#variables.forTool(toolName)
    // Each caller owns the object it receives.
    const shared = await this.#joined(`tool ${toolName}`, found, (id) =>
      this.#native.getToolSecrets(id, toolName, found),
    )
    return { ...shared }
  }

  /**
   * @param {string} secretName
   * @param {string} [environment]
   * @returns {Promise<string | null>}
   */
  async getSecretFromAWS(secretName, environment) {
    assertName('secretName', secretName)
    if (environment !== undefined) assertEnvironment(environment)
    return this.#start((id) => this.#native.getSecretFromAws(id, secretName, environment))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<string | null>}
   */
  async getSecretFromEnvFile(secretName) {
    assertName('secretName', secretName)
    return this.#start((id) => this.#native.getSecretFromEnvFile(id, secretName))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<string | null>}
   */
  async getSecretFromRuntime(secretName) {
    assertName('secretName', secretName)
    return this.#start((id) => this.#native.getSecretFromRuntime(id, secretName, this.#variables.forName(secretName)))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<string | null>}
   */
  async refresh(secretName) {
    assertName('secretName', secretName)
    this.#forgetFlights()
    return this.#start((id) => this.#native.refresh(id, secretName, this.#variables.forName(secretName)))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<import('../index').SecretExplanation>}
   */
  async explain(secretName) {
    assertName('secretName', secretName)
    return this.#start((id) => this.#native.explain(id, secretName, this.#variables.forName(secretName)))
  }

  /** @returns {Promise<import('../index').HealthReport>} */
  async health() {
    return this.#start((id) => this.#native.health(id))
  }

  /**
   * @param {string} toolName
   * @param {{ otherEnvironments?: string[] }} [options]
   * @returns {Promise<import('../index').ValidationResult>}
   */
  async validateToolSecrets(toolName, { otherEnvironments = [] } = {}) {
    assertName('toolName', toolName)
    if (!Array.isArray(otherEnvironments)) {
      throw new SecretError('CONFIG_INVALID', 'otherEnvironments must be an array of environments')
    }
    otherEnvironments.forEach(assertEnvironment)
    const found = this.#variables.all()
    return this.#start((id) => this.#native.validateToolSecrets(id, toolName, otherEnvironments, found))
  }

  /**
   * @param {import('../index').MigrationScope} [options]
   * @returns {Promise<import('../index').AccessValidationResult>}
   */
  async validateSecretAccess(options) {
    const scope = checkedScope(options)
    return this.#start((id) => this.#native.validateSecretAccess(id, scope))
  }

  /**
   * @param {import('../index').MigrationScope} [options]
   * @returns {Promise<import('../index').ValidationResult>}
   */
  async validateSecretConsistency(options) {
    const scope = checkedScope(options)
    return this.#start((id) => this.#native.validateSecretConsistency(id, scope))
  }

  /**
   * @param {import('../index').FunctionalityOptions} [options]
   * @returns {Promise<import('../index').ValidationResult>}
   */
  async validateApplicationFunctionality(options) {
    const given = checkedChecks(options)
    const found = this.#variables.all()
    /** @type {import('../index').ValidationResult} */
    const result = await this.#start((id) => this.#native.validateApplicationFunctionality(id, given.scope, found))
    if (options?.checks === undefined) return result
    const checks = await runChecks(given)
    return { ...result, valid: result.valid && checks.every(({ passed }) => passed), checks }
  }

  /** @returns {Promise<import('../index').PerformanceMetrics>} */
  async assessPerformanceImpact() {
    return this.#start((id) => this.#native.assessPerformanceImpact(id))
  }

  /**
   * @param {string} secretName
   * @param {string} environment
   * @returns {Promise<boolean>}
   */
  async rotateSecret(secretName, environment) {
    return this.rotation.rotateSecret(secretName, environment)
  }

  /**
   * @param {string} secretName
   * @returns {Promise<import('../index').SecretVersions>}
   */
  async getSecretVersions(secretName) {
    assertName('secretName', secretName)
    return this.#joined(`versions ${secretName}`, {}, (id) =>
      this.#native.getSecretVersions(id, secretName, false),
    ).then(versionsOf)
  }

  /**
   * @template T
   * @param {string} toolName
   * @param {string} secretType
   * @param {(secret: string) => Promise<T>} use
   * @param {import('../index').WithSecretOptions} [options]
   * @returns {Promise<T>}
   */
  async withSecret(toolName, secretType, use, options) {
    assertName('toolName', toolName)
    assertName('secretType', secretType)
    const name = orThrow(native.secretName(toolName, secretType))
    const read = () => this.getToolSecret(toolName, secretType)
    return withSecret({ name, read, looks: this.#looks }, use, options)
  }

  /**
   * @param {unknown} event
   * @returns {Promise<boolean>}
   */
  async handleSecretEvent(event) {
    return this.#startAnew((id) => this.#native.handleEvent(id, eventText(event)))
  }

  /**
   * @param {(toolName: string, secretType: string) => void} callback
   * @returns {() => void}
   */
  onSecretRotated(callback) {
    const unsubscribe = listen(this.#operations.rotationListeners, callback, 'onSecretRotated')
    this.#native.watch()
    return unsubscribe
  }

  /**
   * @param {(alert: import('../index').Alert) => void} callback
   * @returns {() => void}
   */
  onAlert(callback) {
    const unsubscribe = listen(this.#operations.alertListeners, callback, 'onAlert')
    this.#native.watchAlerts()
    return unsubscribe
  }

  /** @returns {Promise<void>} */
  async close() {
    this.#readCached = () => undefined
    this.#looks.close()
    this.#closing ??= this.#operations
      .start(this.#native, (id) => this.#native.close(id))
      .then(() => {
        this.#operations.rotationListeners.clear()
        this.#operations.noticeListeners.clear()
        this.#operations.alertListeners.clear()
      })
    return this.#closing
  }

  [asyncDispose]() {
    return this.close()
  }

  /** Shows what an operator wants to know and nothing that was ever read. */
  [inspect]() {
    return `SecretDelivery { environment: '${this.environment}' }`
  }

  /**
   * @param {string} name
   * @returns {Promise<string | null>}
   */
  #read(name) {
    const tracer = currentTracer()
    return tracer === undefined ? this.#readNow(name) : traced(tracer, name, () => this.#readNow(name))
  }

  /**
   * @param {string} name
   * @returns {Promise<string | null>}
   */
  #readNow(name) {
    return this.#reads.read(name, this.#variablesComeFirst ? this.#variables.forName(name) : undefined)
  }

  /**
   * Joins the operation of `key` under way or begins one. A read that process variables take part in is not shared:
   * each such read sees them as they are at its own time.
   *
   * @template T
   * @param {string} key
   * @param {Record<string, string>} found
   * @param {(id: number) => void} begin
   * @returns {Promise<T>}
   */
  #joined(key, found, begin) {
    if (!isEmpty(found)) return this.#start(begin)
    const flying = this.#flights.get(key)
    if (flying !== undefined) return flying
    // Off the list before anyone goes on: whoever asks from then on gets an operation of their own.
    const landed = () => void (this.#flights.get(key) === flight && this.#flights.delete(key))
    /** @type {Promise<T>} */
    const flight = this.#operations.start(this.#native, begin, landed)
    this.#flights.set(key, flight)
    return flight
  }

  /**
   * @template T
   * @param {(id: number) => void} begin
   * @returns {Promise<T>}
   */
  #start(begin) {
    return this.#operations.start(this.#native, begin)
  }

  #forgetFlights() {
    this.#flights.clear()
    this.#reads.forget()
  }

  /**
   * Starts what may change a secret: who reads after it must not join a read begun before it.
   *
   * @template T
   * @param {(id: number) => void} begin
   * @returns {Promise<T>}
   */
  #startAnew(begin) {
    this.#forgetFlights()
    return this.#start(begin)
  }

  /**
   * All values of a secret that something may still, or already, accept; the likeliest first. None while AWS fails.
   *
   * @param {string} name
   * @returns {Promise<import('./with-secret').Found>}
   */
  async #allValues(name) {
    const versions = this.#start((id) => this.#native.getSecretVersions(id, name, true)).then(versionsOf)
    const [current, others] = await Promise.allSettled([this.refresh(name), versions])
    const { pending, previous } = others.status === 'fulfilled' ? others.value : { pending: null, previous: null }
    const values = [current.status === 'fulfilled' ? current.value : null, pending?.value, previous?.value]
    return { values: values.filter((value) => typeof value === 'string'), isPending: pending !== null }
  }
}

class SecretCache {
  #start
  #forgetFlights
  #native

  /**
   * @param {<T>(begin: (id: number) => void) => Promise<T>} start
   * @param {() => void} forgetFlights Called before a change: who reads after it must not join a read begun before it.
   * @param {import('../native').NativeDelivery} nativeDelivery
   */
  constructor(start, forgetFlights, nativeDelivery) {
    identify(this)
    this.#start = start
    this.#forgetFlights = forgetFlights
    this.#native = nativeDelivery
  }

  /**
   * @param {string} secretName
   * @returns {Promise<string | null>}
   */
  async get(secretName) {
    assertName('secretName', secretName)
    return this.#start((id) => this.#native.cacheGet(id, secretName))
  }

  /**
   * @param {string} secretName
   * @param {string} value
   * @param {number} [ttlSeconds]
   * @returns {Promise<void>}
   */
  async set(secretName, value, ttlSeconds) {
    assertName('secretName', secretName)
    if (typeof value !== 'string')
      throw new SecretError('CONFIG_INVALID', `value must be a string, got ${typeof value}`)
    if (ttlSeconds !== undefined && !(Number.isInteger(ttlSeconds) && ttlSeconds > 0 && ttlSeconds <= 8_640_000)) {
      throw new SecretError('CONFIG_INVALID', 'ttlSeconds must be a whole number from 1 to 8640000')
    }
    this.#forgetFlights()
    await this.#start((id) => this.#native.cacheSet(id, secretName, value, ttlSeconds))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<void>}
   */
  async invalidate(secretName) {
    assertName('secretName', secretName)
    this.#forgetFlights()
    await this.#start((id) => this.#native.cacheInvalidate(id, secretName))
  }

  /** @returns {Promise<void>} */
  async clear() {
    this.#forgetFlights()
    await this.#start((id) => this.#native.cacheClear(id))
  }

  [inspect]() {
    return 'SecretCache {}'
  }
}

guard(SecretDelivery, 'delivery', ['onSecretRotated', 'onAlert'])
guard(SecretCache, 'delivery.cache')

/**
 * Splits the function off the audit options: it stays in JavaScript, the addon is told that there is one.
 *
 * @param {any} audit
 * @returns {{ audit: any, sink: ((lines: string) => Promise<void> | void) | undefined }}
 */
function checkedSink(audit) {
  const sink = audit?.sink
  if (sink === undefined || sink === null) return { audit, sink: undefined }
  if (typeof sink !== 'function') throw new SecretError('CONFIG_INVALID', 'options.audit.sink must be a function')
  return { audit: { ...audit, sink: true }, sink }
}

/**
 * @param {Record<string, string>} versions Values by label, and the rest as JSON text.
 * @returns {import('../index').SecretVersions}
 */
function versionsOf({ details, ...values }) {
  const all = JSON.parse(details)
  const version = (/** @type {string} */ label) => (all[label] ? { ...all[label], value: values[label] } : null)
  return { current: version('current'), previous: version('previous'), pending: version('pending') }
}

/**
 * @param {unknown} event
 * @returns {string}
 */
function eventText(event) {
  if (typeof event === 'string') return event
  try {
    const text = JSON.stringify(event)
    if (typeof text === 'string') return text
  } catch {
    // Not JSON: said below.
  }
  throw new SecretError('SOURCE_RESPONSE_INVALID', 'the event is not JSON')
}

/**
 * @param {string} environment
 * @returns {import('../index').EnvironmentDefaults}
 */
function environmentDefaults(environment) {
  assertEnvironment(environment)
  return JSON.parse(orThrow(native.environmentDefaults(environment)))
}

/**
 * @param {string} path
 * @param {{ key?: string | Uint8Array }} [options]
 * @returns {Promise<import('../index').AuditVerification>}
 */
async function verifyAuditLog(path, options = {}) {
  if (typeof path !== 'string' || path === '') throw new SecretError('CONFIG_INVALID', 'path must be a file name')
  const { key } = options
  if (key !== undefined && typeof key !== 'string' && !(key instanceof Uint8Array)) {
    throw new SecretError('CONFIG_INVALID', 'key must be a Uint8Array or base64 text')
  }
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key
  const verified = JSON.parse(await native.verifyAuditLog(path, bytes))
  if (verified.unreadable !== undefined) throw new SecretError('SOURCE_UNAVAILABLE', verified.unreadable)
  return verified
}

module.exports = { SecretDelivery, environmentDefaults, verifyAuditLog }
