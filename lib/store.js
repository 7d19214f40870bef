'use strict'

// `delivery.store`: compares, writes, deletes and brings back single secrets in AWS.

const { assertEnvironment, assertName, assertText, checked } = require('./arguments')
const { SecretError } = require('./errors')
const { guard, identify } = require('./receiver')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const DEFAULT_LENGTH = 32
const DEFAULT_RECOVERY_DAYS = 30

/** See `index.d.ts` for the documentation of every member. */
class SecretStore {
  #start
  #native

  /**
   * @param {<T>(begin: (id: number) => void) => Promise<T>} start
   * @param {import('../native').NativeDelivery} nativeDelivery
   */
  constructor(start, nativeDelivery) {
    identify(this)
    this.#start = start
    this.#native = nativeDelivery
  }

  /**
   * @param {string} secretName
   * @param {string} [environment]
   * @returns {Promise<string | Uint8Array | null>}
   */
  async read(secretName, environment) {
    assertName('secretName', secretName)
    if (environment !== undefined) assertEnvironment(environment)
    return this.#start((id) => this.#native.storeRead(id, secretName, environment))
  }

  /**
   * @param {Readonly<Record<string, string | Uint8Array>>} values
   * @returns {Promise<import('../index').ComparedSecret[]>}
   */
  async compare(values) {
    if (typeof values !== 'object' || values === null) {
      throw new SecretError('CONFIG_INVALID', 'values must be an object: values by the names of secrets')
    }
    const names = Object.keys(values)
    const written = names.map((name) => writtenOf(`the value of ${name}`, values[name]))
    const texts = written.map(({ text }) => text)
    const areBytes = written.map(({ isBytes }) => isBytes)
    return this.#start((id) => this.#native.storeCompare(id, names, texts, areBytes))
  }

  /**
   * @param {string} secretName
   * @param {string | Uint8Array} value
   * @param {import('../index').WriteOptions} [options]
   * @returns {Promise<import('../index').StoreReport>}
   */
  async put(secretName, value, options) {
    assertName('secretName', secretName)
    const { text, isBytes } = writtenOf('value', value)
    const { ifVersionId } = checked(options, ['ifVersionId'])
    const version = versionOf(ifVersionId)
    return this.#start((id) => this.#native.storePut(id, secretName, text, isBytes, version))
  }

  /**
   * @param {string} secretName
   * @param {import('../index').GenerateOptions} [options]
   * @returns {Promise<import('../index').StoreReport>}
   */
  async generate(secretName, options) {
    assertName('secretName', secretName)
    const given = checked(options, ['length', 'alphabet', 'ifVersionId'])
    const { length = DEFAULT_LENGTH, alphabet = LETTERS_AND_DIGITS, ifVersionId } = given
    assertWhole('length', length)
    assertText('alphabet', alphabet)
    const version = versionOf(ifVersionId)
    return this.#start((id) => this.#native.storeGenerate(id, secretName, length, alphabet, version))
  }

  /**
   * @param {string} secretName
   * @param {import('../index').DeleteOptions} [options]
   * @returns {Promise<import('../index').StoreReport>}
   */
  async delete(secretName, options) {
    assertName('secretName', secretName)
    const { recoveryDays = DEFAULT_RECOVERY_DAYS, ifVersionId } = checked(options, ['recoveryDays', 'ifVersionId'])
    assertWhole('recoveryDays', recoveryDays)
    const version = versionOf(ifVersionId)
    return this.#start((id) => this.#native.storeDelete(id, secretName, recoveryDays, version))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<import('../index').StoreReport>}
   */
  async undelete(secretName) {
    assertName('secretName', secretName)
    return this.#start((id) => this.#native.storeUndelete(id, secretName))
  }

  [inspect]() {
    return 'SecretStore {}'
  }
}

/** The addon's form of a value: a text, or the base64 of bytes. @param {string} what @param {unknown} value */
function writtenOf(what, value) {
  if (value instanceof Uint8Array) {
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
    return { text, isBytes: true }
  }
  if (typeof value !== 'string') {
    throw new SecretError('CONFIG_INVALID', `${what} must be a string or a Uint8Array, got ${typeof value}`)
  }
  assertText(what, value)
  return { text: value, isBytes: false }
}

/** The addon's form: nothing for any version, `''` for none. @param {unknown} version */
function versionOf(version) {
  if (version === undefined) return undefined
  if (version === null) return ''
  if (typeof version === 'string' && version !== '') return version
  throw new SecretError(
    'CONFIG_INVALID',
    'ifVersionId must be the id of a version, or null: there is no such secret yet',
  )
}

/** @param {string} what @param {unknown} number */
function assertWhole(what, number) {
  if (!Number.isInteger(number) || Number(number) < 0 || Number(number) > 0xffff_ffff) {
    throw new SecretError('CONFIG_INVALID', `${what} must be a whole number`)
  }
}

guard(SecretStore, 'delivery.store')

module.exports = { SecretStore }
