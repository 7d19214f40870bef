'use strict'

// Reads of one source, past the caches and the others, reads with limits of their own, and other forms of a value.

const { assertEnvironment, assertName, referenceOf } = require('./arguments')
const { SecretError, orThrow } = require('./errors')
const { checkedLimits, limited } = require('./limits')
const native = require('./load')
const { Operating } = require('./operating')

/** See `index.d.ts` for the documentation of every member. */
class Sources extends Operating {
  /**
   * @param {string | import('../index').SecretReference} secret
   * @param {string | import('../index').ReadOptions} [second] The environment, which may be left out.
   * @param {import('../index').ReadOptions} [third]
   * @returns {Promise<string | null>}
   */
  async getSecretFromAWS(secret, second, third) {
    const reference = referenceOf(secret)
    const isOptions = typeof second === 'object' && second !== null && third === undefined
    const environment = isOptions ? undefined : /** @type {string | undefined} */ (second)
    const options = isOptions ? second : third
    if (environment !== undefined) assertEnvironment(environment)
    const what = typeof secret === 'string' ? secret : reference?.id
    return limited(`${what}`, checkedLimits(options), () =>
      this.start((id) => {
        if (reference === undefined)
          return this.native.getSecretFromAws(id, /** @type {string} */ (secret), environment)
        return this.native.getReferenceFromAws(id, reference, environment)
      }),
    )
  }

  /**
   * @param {string} secretName
   * @param {import('../index').ReadOptions} [options]
   * @returns {Promise<string | null>}
   */
  async getSecretFromEnvFile(secretName, options) {
    assertName('secretName', secretName)
    const read = () => this.start((id) => this.native.getSecretFromEnvFile(id, secretName))
    return limited(secretName, checkedLimits(options), read)
  }

  /**
   * @param {string} secretName
   * @param {import('../index').ReadOptions} [options]
   * @returns {Promise<string | null>}
   */
  async getSecretFromRuntime(secretName, options) {
    assertName('secretName', secretName)
    const found = this.variables.forName(secretName)
    const read = () => this.start((id) => this.native.getSecretFromRuntime(id, secretName, found))
    return limited(secretName, checkedLimits(options), read)
  }

  /**
   * A read with limits of its own.
   *
   * @param {string} name
   * @param {import('../index').ReadOptions} options
   * @param {() => Promise<string | null>} read Without limits.
   * @returns {Promise<string | null>}
   */
  within(name, options, read) {
    const limits = checkedLimits(options)
    const { maxAgeSeconds } = limits
    if (maxAgeSeconds === undefined) return limited(name, limits, read)
    const young = () => {
      const found = this.variables.forName(name)
      return /** @type {Promise<string | null>} */ (
        this.start((id) => this.native.getSecretWithin(id, name, found, maxAgeSeconds))
      )
    }
    return limited(name, limits, young)
  }

  /**
   * The bytes that AWS holds, or a text's as UTF-8.
   *
   * @param {string} toolName
   * @param {string} secretType
   * @param {import('../index').ReadOptions} [options]
   * @returns {Promise<Uint8Array | null>}
   */
  async getToolSecretBytes(toolName, secretType, options) {
    assertName('toolName', toolName)
    assertName('secretType', secretType)
    const name = orThrow(native.secretName(toolName, secretType))
    const limits = checkedLimits(options)
    return limited(name, limits, () => {
      const found = this.variables.forName(name)
      return this.start((id) => this.native.getSecretBytes(id, name, found, limits.maxAgeSeconds))
    })
  }

  /**
   * All versions of a secret that a target system may accept during a rotation.
   *
   * @param {string} name
   * @param {boolean} fresh
   * @returns {Promise<import('../index').SecretVersions>}
   */
  versionsToTry(name, fresh) {
    return this.start((id) => this.native.versionsToTry(id, name, fresh))
  }
}

// Named export: as a member of an object literal the class would not be a type.
exports.Sources = Sources
