'use strict'

// The class of the package: its methods check their arguments and start the operation that does the work. What a start and a
// cached read do not need is loaded when it is first called: each file costs a start a third of a millisecond.
const { assertName, eventText } = require('./arguments')
const { orThrow } = require('./errors')
const { listen } = require('./listeners')
const native = require('./load')
const { Messages } = require('./messages')
const { Operations } = require('./operations')
const { checkedOptions } = require('./options')
const { later, partsOf, show } = require('./parts')
const { Reads } = require('./reads')
const { SCANNER, guard, identify } = require('./receiver')
const { separated } = require('./separated')
const { NAME, cachedReader, cachedTools, parsed } = require('./strings')

/**
 * Loaded when they are first used.
 *
 * @typedef {import('./sources').Sources} Sources
 * @typedef {import('./inspections').Inspections} Inspections
 */

/** Where OpenTelemetry's API keeps the SDK that a service registered, as in trace.js, which is loaded only where there is one. */
const OPEN_TELEMETRY = Symbol.for('opentelemetry.js.api.1')
const isTraced = () => /** @type {any} */ (globalThis)[OPEN_TELEMETRY] !== undefined

const inspect = Symbol.for('nodejs.util.inspect.custom')
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')

/** See `index.d.ts` for the documentation of every member. */
class SecretDelivery {
  #native
  #operations
  #reads
  #readCached
  #cachedTool
  #monitor
  #parts
  #listeners
  #messages
  #flights = later(() => {
    const { Flights } = require('./flights')
    const isAudited = () => this.#native.isAudited()
    return new Flights((begin, landed) => this.#start(begin, landed), isAudited)
  })
  #variables
  #variablesComeFirst
  #closing = /** @type {Promise<void> | undefined} */ (undefined)
  #candidates = later(() => {
    const { Candidates, valuesOf } = require('./candidates')
    return new Candidates({
      look: (name) => this.#allValues(name),
      known: async (name) => valuesOf(await this.#parts.sources().versionsToTry(name, false)),
      handOut: async (name, versionId) => {
        if (versionId !== null) await this.#start((id) => this.#native.handOut(id, name, versionId))
      },
    })
  })
  /** Where relative paths start while `open` makes a delivery. @type {string | undefined} */
  static #directory

  /**
   * @param {any} [options]
   * @returns {Promise<any>}
   */
  static open(options) {
    return require('./open').opened(options, (directory, all) => {
      try {
        SecretDelivery.#directory = directory
        return new this(all)
      } finally {
        SecretDelivery.#directory = undefined
      }
    })
  }

  /** @param {import('../index').SecretDeliveryOptions} [options] */
  constructor(options) {
    identify(this)
    const { logger, options: given } = checkedOptions(options)
    const { configuration, ambient, variables, hooks, sink, credentials } = separated(given, SecretDelivery.#directory)
    this.#variables = variables
    const messages = new Messages(logger, hooks, sink, variables, credentials)
    this.#listeners = messages.listeners
    this.#messages = messages
    this.#operations = new Operations(messages)
    this.#native = /** @type {import('../native').NativeDelivery} */ (
      orThrow(native.openDelivery(configuration, ambient, this.#operations))
    )
    this.#operations.attach(this.#native)
    this.#reads = new Reads(this.#native, this.#operations)
    this.#variablesComeFirst = this.#native.variablesComeFirst()
    /** @template T @param {(id: number) => void} begin @returns {Promise<T>} */
    const start = (begin) => this.#start(begin)
    Object.defineProperty(this, SCANNER, { value: () => require('./scanner').scannerOf(start, this.#native) })
    this.#readCached = cachedReader(this.#native, this.#operations.held)
    this.#cachedTool = cachedTools(this.#native, this.#operations.held)
    this.environment = /** @type {import('../index').Environment} */ (this.#native.environment())
    this.#monitor = this.#native.isMonitored() ? require('./monitoring').monitorOf(this.#native) : undefined
    this.#parts = partsOf({
      native: this.#native,
      start,
      startAnew: this.#startAnew.bind(this),
      forgetFlights: () => this.#forgetFlights(),
      variables,
      listeners: messages.listeners,
      monitor: this.#monitor,
    })
    show(this, this.#parts)
    Object.defineProperty(this, 'environment', { writable: false })
  }

  // The three reads are not `async` functions: the extra promises of an `async` function cost more than the rest of a read.
  // They reject instead of throwing all the same.

  /**
   * @param {string} toolName
   * @param {string} secretType
   * @param {import('../index').ReadOptions} [options]
   * @returns {Promise<string | null>}
   */
  getToolSecret(toolName, secretType, options) {
    try {
      if (options !== undefined) {
        assertName('toolName', toolName)
        assertName('secretType', secretType)
        const name = orThrow(native.secretName(toolName, secretType))
        return this.#parts.sources().within(name, options, () => this.getToolSecret(toolName, secretType))
      }
      const cached = this.#readCached(toolName, secretType)
      if (typeof cached === 'string') return Promise.resolve(cached)
      if (cached !== undefined) return this.#read(cached[0])
      assertName('toolName', toolName)
      assertName('secretType', secretType)
      return this.#read(orThrow(native.secretName(toolName, secretType)))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {string} secretName
   * @param {import('../index').ReadOptions} [options]
   * @returns {Promise<string | null>}
   */
  getSecret(secretName, options) {
    try {
      if (options !== undefined) {
        assertName('secretName', secretName)
        return this.#parts.sources().within(secretName, options, () => this.getSecret(secretName))
      }
      const cached = this.#readCached(secretName, NAME)
      if (typeof cached === 'string') return Promise.resolve(cached)
      assertName('secretName', secretName)
      return this.#read(secretName)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {string} toolName
   * @param {import('../index').ReadOptions} [options]
   * @returns {Promise<Record<string, string>>}
   */
  getToolSecrets(toolName, options) {
    try {
      assertName('toolName', toolName)
      const cached = options === undefined ? this.#cachedTool(toolName) : undefined
      if (cached !== undefined) return Promise.resolve(cached)
      if (options === undefined) return this.#readTool(toolName)
      const { checkedLimits, limited } = require('./limits')
      const limits = checkedLimits(options)
      return limited(toolName, limits, () => this.#readTool(toolName, limits.maxAgeSeconds))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @param {[string, string, import('../index').ReadOptions?]} given @returns {Promise<any>} */
  async getToolSecretJson(...given) {
    return parsed(given[0], given[1], await this.getToolSecret(...given))
  }

  /** @param {Parameters<Sources['getToolSecretBytes']>} given */
  async getToolSecretBytes(...given) {
    return this.#parts.sources().getToolSecretBytes(...given)
  }

  /** @param {Parameters<Sources['getSecretFromAWS']>} given */
  async getSecretFromAWS(...given) {
    return this.#parts.sources().getSecretFromAWS(...given)
  }

  /** @param {Parameters<Sources['getSecretFromEnvFile']>} given */
  async getSecretFromEnvFile(...given) {
    return this.#parts.sources().getSecretFromEnvFile(...given)
  }

  /** @param {Parameters<Sources['getSecretFromRuntime']>} given */
  async getSecretFromRuntime(...given) {
    return this.#parts.sources().getSecretFromRuntime(...given)
  }

  /**
   * @param {string} secretName
   * @param {import('../index').ReadOptions} [options]
   * @returns {Promise<string | null>}
   */
  async refresh(secretName, options) {
    assertName('secretName', secretName)
    const { checkedLimits, limited } = require('./limits')
    return limited(secretName, checkedLimits(options), () => {
      this.#forgetFlights()
      return this.#start((id) => this.#native.refresh(id, secretName, this.#variables.forName(secretName)))
    })
  }

  /** @param {Parameters<Inspections['explain']>} given */
  async explain(...given) {
    return this.#parts.inspections().explain(...given)
  }

  /** @param {Parameters<Inspections['identity']>} given */
  async identity(...given) {
    return this.#parts.inspections().identity(...given)
  }

  /** @param {Parameters<Inspections['findInAws']>} given */
  async findInAws(...given) {
    return this.#parts.inspections().findInAws(...given)
  }

  /** @param {Parameters<Inspections['health']>} given */
  async health(...given) {
    return this.#parts.inspections().health(...given)
  }

  /** @param {Parameters<Inspections['ready']>} given */
  async ready(...given) {
    return this.#parts.inspections().ready(...given)
  }

  /** @param {Parameters<Inspections['compliance']>} given */
  async compliance(...given) {
    return this.#parts.inspections().compliance(...given)
  }

  /** @param {Parameters<Inspections['validateToolSecrets']>} given */
  async validateToolSecrets(...given) {
    return this.#parts.inspections().validateToolSecrets(...given)
  }

  /** @param {Parameters<Inspections['validateSecretAccess']>} given */
  async validateSecretAccess(...given) {
    return this.#parts.inspections().validateSecretAccess(...given)
  }

  /** @param {Parameters<Inspections['validateSecretConsistency']>} given */
  async validateSecretConsistency(...given) {
    return this.#parts.inspections().validateSecretConsistency(...given)
  }

  /** @param {Parameters<Inspections['validateApplicationFunctionality']>} given */
  async validateApplicationFunctionality(...given) {
    return this.#parts.inspections().validateApplicationFunctionality(...given)
  }

  /** @param {Parameters<Inspections['assessPerformanceImpact']>} given */
  async assessPerformanceImpact(...given) {
    return this.#parts.inspections().assessPerformanceImpact(...given)
  }

  /**
   * @param {string} secretName
   * @param {string} environment
   * @returns {Promise<boolean>}
   */
  async rotateSecret(secretName, environment) {
    return this.#parts.rotation().rotateSecret(secretName, environment)
  }

  /**
   * @param {string} secretName
   * @returns {Promise<import('../index').SecretVersions>}
   */
  async getSecretVersions(secretName) {
    assertName('secretName', secretName)
    /** @type {import('../index').SecretVersions} */
    const shared = await this.#flights().join(`versions ${secretName}`, {}, (id, callers) =>
      this.#native.getSecretVersions(id, secretName, false, callers),
    )
    return require('./copy').copyOf(shared)
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
    return require('./with-secret').withSecret({ name, read, candidates: this.#candidates() }, use, options)
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
    const unsubscribe = listen(this.#listeners.rotated, callback, 'onSecretRotated')
    this.#native.watch()
    return unsubscribe
  }

  /**
   * @param {(alert: import('../index').Alert) => void} callback
   * @returns {() => void}
   */
  onAlert(callback) {
    const unsubscribe = listen(this.#listeners.alert, callback, 'onAlert')
    this.#native.watchAlerts()
    return unsubscribe
  }

  /** @param {[import('../index').RedactorOptions?]} given */
  redactor(...given) {
    return require('./redactor').redactorOf(this.#native, ...given)
  }

  async close() {
    this.#readCached = () => undefined
    this.#candidates().close()
    this.#messages.close()
    this.#monitor?.stop()
    this.#closing ??= this.#start((id) => this.#native.close(id)).then(() => this.#listeners.clear())
    return this.#closing
  }

  [asyncDispose]() {
    return this.close()
  }

  [inspect]() {
    return `SecretDelivery { environment: '${this.environment}' }`
  }

  /**
   * @param {string} name
   * @returns {Promise<string | null>}
   */
  #read(name) {
    const tracer = isTraced() ? require('./trace').currentTracer() : undefined
    const readNow = () => this.#readNow(name)
    const read = this.#monitor?.around(readNow) ?? readNow
    return tracer === undefined ? read() : require('./trace').traced(tracer, name, read)
  }

  /**
   * @param {string} name
   * @returns {Promise<string | null>}
   */
  #readNow(name) {
    return this.#reads.read(name, this.#variablesComeFirst ? this.#variables.forName(name) : undefined)
  }

  /**
   * @param {string} toolName
   * @param {number} [maxAgeSeconds]
   * @returns {Promise<Record<string, string>>}
   */
  async #readTool(toolName, maxAgeSeconds) {
    const found = this.#variables.forTool(toolName)
    if (maxAgeSeconds !== undefined) {
      return this.#start((id) => this.#native.getToolSecrets(id, toolName, found, maxAgeSeconds))
    }
    /** @type {Record<string, string>} */
    const shared = await this.#flights().join(`tool ${toolName}`, found, (id, callers) =>
      this.#native.getToolSecrets(id, toolName, found, undefined, callers),
    )
    return require('./copy').copyOf(shared)
  }

  /**
   * @template T
   * @param {(id: number) => void} begin
   * @param {() => void} [landed] Called when it settles, before the code that awaits it continues.
   * @param {(report: any) => void} [progress] Called while it runs.
   * @returns {Promise<T>}
   */
  #start(begin, landed, progress) {
    return this.#operations.start(this.#native, begin, landed, progress)
  }

  /** Called before a change: a read that begins after it must not join one begun before. */
  #forgetFlights() {
    this.#flights().forget()
    this.#reads.forget()
  }

  /**
   * Starts an operation that may change a secret.
   *
   * @template T
   * @param {(id: number) => void} begin
   * @param {(report: any) => void} [progress] Called while it runs.
   * @returns {Promise<T>}
   */
  #startAnew(begin, progress) {
    this.#forgetFlights()
    return this.#start(begin, undefined, progress)
  }

  /**
   * All values of a secret that a target system may accept during a rotation, the likeliest first. None while AWS fails.
   *
   * @param {string} name
   * @returns {Promise<import('./candidates').Candidate[]>}
   */
  async #allValues(name) {
    const [current, others] = await Promise.allSettled([
      this.refresh(name),
      this.#parts.sources().versionsToTry(name, true),
    ])
    return require('./candidates').likeliestFirst(current, others)
  }
}

guard(SecretDelivery, 'delivery', ['onSecretRotated', 'onAlert', 'redactor'])

module.exports = { SecretDelivery }
