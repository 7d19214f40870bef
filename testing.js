'use strict'

const { assertName } = require('./lib/arguments')
const { Candidates, valuesOf } = require('./lib/candidates')
const { Copies } = require('./lib/copies')
const { SecretDelivery } = require('./lib/delivery')
const { SecretError, orThrow } = require('./lib/errors')
const { listen } = require('./lib/listeners')
const native = require('./lib/load')
const { plainOptions } = require('./lib/options')
const { guard, identify } = require('./lib/receiver')
const { withSecret } = require('./lib/with-secret')

const inspect = Symbol.for('nodejs.util.inspect.custom')

const OPTIONS = ['environment', 'tools', 'secrets', 'names', 'ttlSeconds', 'maxStaleSeconds']
const MOST_SECONDS = 8_640_000

/**
 * The versions that AWS would have of a secret.
 *
 * @typedef {{ value: string, versionId: string }} Version
 * @typedef {{ count: number, current?: Version, previous?: Version, pending?: Version }} Versions
 */

/** See `testing.d.ts` for the documentation of every member. */
class TestDelivery extends SecretDelivery {
  /** The delivery reads this very object at each call. @type {Record<string, string>} */
  #values
  /** @type {Map<string, Versions>} */
  #versions = new Map()
  /** Tool and secret type of names that were set by them. @type {Map<string, [string, string]>} */
  #tools = new Map()
  /** What this instance knows of each secret, and has announced. @type {Map<string, string>} */
  #known = new Map()
  /** @type {Set<(tool: string, secretType: string) => void>} */
  #listeners = new Set()
  /** @type {InstanceType<typeof SecretError> | undefined} */
  #failure
  #copies
  #candidates = new Candidates({
    look: (name) => this.#allValues(name),
    known: async (name) => this.#triable(name),
    handOut: async () => {},
  })

  /** @param {import('./testing').TestDeliveryOptions<any>} [options] */
  constructor(options) {
    const given = plainOptions(options)
    const unknown = Object.keys(given).find((name) => !OPTIONS.includes(name))
    if (unknown !== undefined) {
      throw new SecretError('CONFIG_INVALID', `options.${unknown} is unknown (${OPTIONS.join(', ')})`)
    }
    const { environment, tools } = given
    /** @type {Record<string, string>} */
    const values = {}
    super({
      environment: environment ?? 'test',
      ...(tools !== undefined && { tools }),
      aws: { enabled: false },
      envFile: false,
      runtime: { variables: values, secretDirectories: [] },
      cache: false,
      audit: false,
      alerts: false,
    })
    identify(this)
    this.#values = values
    this.#copies = new Copies({
      ttlSeconds: seconds('ttlSeconds', given.ttlSeconds),
      maxStaleSeconds: seconds('maxStaleSeconds', given.maxStaleSeconds),
    })
    this.cache = /** @type {any} */ (Object.freeze(new TestCache(this.#copies)))
    for (const [tool, types] of Object.entries(given.secrets ?? {})) {
      for (const [type, value] of Object.entries(types ?? {})) this.setToolSecret(tool, type, value ?? null)
    }
    for (const [name, value] of Object.entries(given.names ?? {})) this.setSecret(name, value ?? null)
  }

  /**
   * @param {string} toolName
   * @param {string} secretType
   * @param {string | null} value
   */
  setToolSecret(toolName, secretType, value) {
    const name = nameOf(toolName, secretType)
    this.#tools.set(name, [toolName.toLowerCase(), secretType.toLowerCase()])
    this.setSecret(name, value)
  }

  /**
   * @param {string} secretName
   * @param {string | null} value
   */
  setSecret(secretName, value) {
    assertName('secretName', secretName)
    assertValue(value)
    const versions = this.#versionsOf(secretName)
    if (value === null) {
      delete this.#values[secretName]
      this.#versions.delete(secretName)
    } else if (versions.current?.value !== value) {
      const { current, pending } = versions
      const next = pending?.value === value ? pending : this.#version(secretName, value)
      this.#versions.set(secretName, { count: versions.count, current: next, ...(current && { previous: current }) })
      this.#values[secretName] = value
    }
    // Without copies, the next read sees the new value: this instance knows it from now on.
    if (this.#copies.areKept) return
    this.#learn(secretName, value)
  }

  /**
   * @param {string} secretName
   * @param {string | null} value
   */
  setPending(secretName, value) {
    assertName('secretName', secretName)
    assertValue(value)
    const versions = this.#versionsOf(secretName)
    if (value === null) delete versions.pending
    else versions.pending = this.#version(secretName, value)
  }

  /** @param {number} time Seconds. */
  advance(time) {
    this.#copies.advance(seconds('advance', time))
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
    return this.#read(nameOf(toolName, secretType), () => super.getToolSecret(toolName, secretType))
  }

  /** @param {string} secretName */
  async getSecret(secretName) {
    assertName('secretName', secretName)
    return this.#read(secretName, () => super.getSecret(secretName))
  }

  /**
   * @param {string} toolName
   * @param {string} secretType
   */
  async getToolSecretBytes(toolName, secretType) {
    const text = await this.getToolSecret(toolName, secretType)
    return text === null ? null : new TextEncoder().encode(text)
  }

  /** @param {string} toolName */
  async getToolSecrets(toolName) {
    assertName('toolName', toolName)
    const prefix = `${toolName.toUpperCase()}_`
    const copied = this.#copies.namesWith(prefix)
    // A listing that fails is answered from copies, as far as there are any.
    const listed =
      this.#failure !== undefined && copied.length > 0 ? {} : await this.#source(() => super.getToolSecrets(toolName))
    /** @type {Record<string, string>} */
    const found = {}
    const types = new Set([...Object.keys(listed), ...copied.map((name) => name.slice(prefix.length).toLowerCase())])
    for (const type of types) {
      const value = await this.getToolSecret(toolName, type)
      if (value !== null) found[type] = value
    }
    return found
  }

  /** @param {string} secretName */
  async refresh(secretName) {
    assertName('secretName', secretName)
    return this.#fetch(secretName, () => super.refresh(secretName))
  }

  /**
   * @param {string} secretName
   * @returns {Promise<import('./index').SecretVersions>}
   */
  async getSecretVersions(secretName) {
    assertName('secretName', secretName)
    return this.#source(async () => {
      // For its checks: the name, and whether the delivery is closed.
      await super.getSecret(secretName)
      const { current, previous, pending } = this.#versionsOf(secretName)
      const shown = (/** @type {Version | undefined} */ version) => (version ? { ...version, createdAt: null } : null)
      return { current: shown(current), previous: shown(previous), pending: shown(pending) }
    })
  }

  /**
   * @template T
   * @param {string} toolName
   * @param {string} secretType
   * @param {(secret: string) => Promise<T>} use
   * @param {import('./index').WithSecretOptions} [options]
   * @returns {Promise<T>}
   */
  async withSecret(toolName, secretType, use, options) {
    const name = nameOf(toolName, secretType)
    const read = () => this.getToolSecret(toolName, secretType)
    return withSecret({ name, read, candidates: this.#candidates }, use, options)
  }

  /** @param {(tool: string, secretType: string) => void} callback */
  onSecretRotated(callback) {
    return listen(this.#listeners, callback, 'onSecretRotated')
  }

  async close() {
    this.#candidates.close()
    this.#copies.clear()
    return super.close()
  }

  /**
   * @param {string} name
   * @param {() => Promise<string | null>} read
   */
  async #read(name, read) {
    const copy = this.#copies.fresh(name)
    if (copy !== undefined) return copy
    try {
      return await this.#fetch(name, read)
    } catch (error) {
      const stale = this.#copies.insteadOf(name, /** @type {any} */ (error).code)
      if (stale === undefined) throw error
      return stale
    }
  }

  /**
   * @param {string} name
   * @param {() => Promise<string | null>} read
   */
  async #fetch(name, read) {
    const value = await this.#source(read)
    this.#copies.keep(name, value)
    this.#learn(name, value)
    return value
  }

  /**
   * @template T
   * @param {() => Promise<T>} read
   * @returns {Promise<T>}
   */
  async #source(read) {
    if (this.#failure !== undefined) throw this.#failure
    return read()
  }

  /**
   * Tells the listeners of a value that replaces the one that this instance knew.
   *
   * @param {string} name
   * @param {string | null} value
   */
  #learn(name, value) {
    const before = this.#known.get(name)
    if (value === null) this.#known.delete(name)
    else this.#known.set(name, value)
    if (value === null || before === undefined || before === value) return
    const [tool, type] = this.#tools.get(name) ?? toolAndType(name)
    // A name without a tool comes as it is.
    for (const callback of this.#listeners) callback(tool, tool === '' ? name : type)
  }

  /** @param {string} name @returns {Promise<import('./lib/candidates').Candidate[]>} */
  async #allValues(name) {
    const live = await this.refresh(name).catch(() => null)
    return live === null ? this.#triable(name).filter(({ label }) => label !== 'live') : this.#triable(name)
  }

  /** @param {string} name @returns {import('./lib/candidates').Candidate[]} */
  #triable(name) {
    const { current, pending, previous } = this.#versionsOf(name)
    return valuesOf({ current: current ?? null, pending: pending ?? null, previous: previous ?? null })
  }

  /** @param {string} name */
  #versionsOf(name) {
    const known = this.#versions.get(name)
    if (known !== undefined) return known
    /** @type {Versions} */
    const versions = { count: 0 }
    this.#versions.set(name, versions)
    return versions
  }

  /** @param {string} name @param {string} value @returns {Version} */
  #version(name, value) {
    const versions = this.#versionsOf(name)
    versions.count += 1
    return { value, versionId: `version-${versions.count}` }
  }
}

guard(TestDelivery, 'delivery', ['setToolSecret', 'setSecret', 'setPending', 'advance', 'failWith', 'onSecretRotated'])

/** `delivery.cache`, over the copies of the test. */
class TestCache {
  #copies

  /** @param {InstanceType<typeof Copies>} copies */
  constructor(copies) {
    identify(this)
    this.#copies = copies
  }

  /** @param {string} secretName */
  async get(secretName) {
    assertName('secretName', secretName)
    return this.#copies.fresh(secretName) ?? null
  }

  /** @param {string} secretName @param {string} value */
  async set(secretName, value) {
    assertName('secretName', secretName)
    assertValue(value)
    this.#copies.keep(secretName, value)
  }

  /** @param {string} secretName */
  async invalidate(secretName) {
    assertName('secretName', secretName)
    this.#copies.drop(secretName)
  }

  async clear() {
    this.#copies.clear()
  }

  [inspect]() {
    return 'SecretCache {}'
  }
}

guard(TestCache, 'delivery.cache')

/** @param {string} toolName @param {string} secretType @returns {string} */
function nameOf(toolName, secretType) {
  assertName('toolName', toolName)
  assertName('secretType', secretType)
  return orThrow(native.secretName(toolName, secretType))
}

/** Tool and type by the first underscore, as a real delivery splits a name that is not declared. @param {string} name */
function toolAndType(name) {
  const at = name.indexOf('_')
  return at < 0 ? ['', ''] : [name.slice(0, at).toLowerCase(), name.slice(at + 1).toLowerCase()]
}

/** @param {unknown} value */
function assertValue(value) {
  if (value === null || typeof value === 'string') return
  throw new SecretError('CONFIG_INVALID', `value must be a string or null, got ${typeof value}`)
}

/**
 * @param {string} what
 * @param {unknown} value
 * @returns {number}
 */
function seconds(what, value) {
  if (value === undefined || value === null) return 0
  if (typeof value === 'number' && value >= 0 && value <= MOST_SECONDS) return value
  throw new SecretError('CONFIG_INVALID', `${what} must be a number of seconds from 0 to ${MOST_SECONDS}`)
}

exports.TestDelivery = TestDelivery
