'use strict'

// `delivery.rotation`: gives secrets new values, by hand and on schedule.

const { assertEnvironment, assertName } = require('./arguments')
const { SecretError } = require('./errors')
const { listen } = require('./listeners')
const { plainOptions } = require('./options')
const { guard, identify } = require('./receiver')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** See `index.d.ts` for the documentation of every member. */
class SecretRotationManager {
  #start
  #native
  #listeners

  /**
   * @param {<T>(begin: (id: number) => void) => Promise<T>} start
   * @param {import('../native').NativeDelivery} nativeDelivery
   * @param {InstanceType<typeof import('./listeners').Listeners>} listeners
   */
  constructor(start, nativeDelivery, listeners) {
    identify(this)
    this.#start = start
    this.#native = nativeDelivery
    this.#listeners = listeners
    this.policies = Object.freeze(nativeDelivery.rotationPolicies().map(Object.freeze))
  }

  /**
   * @param {string} secretName
   * @param {string} [environment]
   * @param {import('../index').RotateOptions} [options]
   * @returns {Promise<import('../index').RotationReport>}
   */
  async rotate(secretName, environment, options) {
    assertName('secretName', secretName)
    if (environment !== undefined) assertEnvironment(environment)
    const { generate } = plainOptions(options)
    if (generate !== undefined && generate !== null && typeof generate !== 'boolean') {
      throw new SecretError('CONFIG_INVALID', 'generate must be true or false')
    }
    return this.#start((id) => this.#native.rotate(id, secretName, environment, generate ?? true))
  }

  /**
   * @param {string} secretName
   * @param {import('../index').RestoreOptions} options
   * @returns {Promise<import('../index').RotationReport>}
   */
  async restore(secretName, options) {
    assertName('secretName', secretName)
    const { versionId, environment } = plainOptions(options)
    assertName('versionId', versionId)
    if (environment !== undefined && environment !== null) assertEnvironment(environment)
    return this.#start((id) => this.#native.rotationRestore(id, secretName, versionId, environment))
  }

  /**
   * @param {string} secretName
   * @param {string} environment
   * @returns {Promise<boolean>}
   */
  async rotateSecret(secretName, environment) {
    assertEnvironment(environment)
    const { outcome } = await this.rotate(secretName, environment)
    return outcome === 'finished' || outcome === 'unverified'
  }

  /** @returns {Promise<import('../index').RotationDue[]>} */
  async due() {
    return this.#start((id) => this.#native.rotationDue(id))
  }

  /** @returns {boolean} */
  start() {
    return this.#native.rotationStart()
  }

  stop() {
    this.#native.rotationStop()
  }

  /**
   * @param {(notice: import('../index').RotationNotice) => void} callback
   * @returns {() => void}
   */
  onNotice(callback) {
    return listen(this.#listeners.rotationNotice, callback, 'rotation.onNotice')
  }

  [inspect]() {
    return 'SecretRotationManager {}'
  }
}

guard(SecretRotationManager, 'delivery.rotation', ['start', 'stop', 'onNotice'])

module.exports = { SecretRotationManager }
