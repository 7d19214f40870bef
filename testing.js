'use strict'

const { assertName } = require('./lib/arguments')
const { SecretDelivery } = require('./lib/delivery')
const { SecretError, orThrow } = require('./lib/errors')
const { listen } = require('./lib/listeners')
const native = require('./lib/load')

/** See `testing.d.ts` for the documentation of every member. */
class TestDelivery extends SecretDelivery {
  /** The delivery reads this very object at each call. @type {Record<string, string>} */
  #values
  /** @type {Set<(tool: string, secretType: string) => void>} */
  #listeners = new Set()
  /** @type {InstanceType<typeof SecretError> | undefined} */
  #failure

  /** @param {import('./testing').TestDeliveryOptions<any>} [options] */
  constructor({ environment = 'test', tools, secrets = {}, ...unknown } = {}) {
    const [key] = Object.keys(unknown)
    if (key !== undefined) {
      throw new SecretError('CONFIG_INVALID', `options.${key} is unknown (environment, tools, secrets)`)
    }
    /** @type {Record<string, string>} */
    const values = {}
    super({
      environment,
      ...(tools !== undefined && { tools }),
      aws: { enabled: false },
      envFile: false,
      runtime: { variables: values, secretDirectories: [] },
      cache: false,
      audit: false,
      alerts: false,
    })
    this.#values = values
    for (const [tool, types] of Object.entries(secrets)) {
      for (const [type, value] of Object.entries(types ?? {})) this.setToolSecret(tool, type, value ?? null)
    }
  }

  /**
   * @param {string} toolName
   * @param {string} secretType
   * @param {string | null} value
   */
  setToolSecret(toolName, secretType, value) {
    assertName('toolName', toolName)
    assertName('secretType', secretType)
    if (value !== null && typeof value !== 'string') {
      throw new SecretError('CONFIG_INVALID', `value must be a string or null, got ${typeof value}`)
    }
    const name = orThrow(native.secretName(toolName, secretType))
    const isChange = Object.hasOwn(this.#values, name) && value !== null && this.#values[name] !== value
    if (value === null) delete this.#values[name]
    else this.#values[name] = value
    if (!isChange) return
    for (const callback of this.#listeners) callback(toolName.toLowerCase(), secretType.toLowerCase())
  }

  /** @param {import('./index').SecretErrorCode | null} code */
  failWith(code) {
    const message = `reads fail with ${code} until failWith(null)`
    this.#failure = code === null ? undefined : new SecretError(code, message)
  }

  /**
   * @param {string} toolName
   * @param {string} secretType
   */
  async getToolSecret(toolName, secretType) {
    this.#orFail()
    return super.getToolSecret(toolName, secretType)
  }

  /** @param {string} toolName */
  async getToolSecrets(toolName) {
    this.#orFail()
    return super.getToolSecrets(toolName)
  }

  /** @param {string} secretName */
  async getSecret(secretName) {
    this.#orFail()
    return super.getSecret(secretName)
  }

  /** @param {string} secretName */
  async refresh(secretName) {
    this.#orFail()
    return super.refresh(secretName)
  }

  /** @param {(tool: string, secretType: string) => void} callback */
  onSecretRotated(callback) {
    return listen(this.#listeners, callback, 'onSecretRotated')
  }

  #orFail() {
    if (this.#failure !== undefined) throw this.#failure
  }
}

exports.TestDelivery = TestDelivery
