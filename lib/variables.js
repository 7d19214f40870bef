'use strict'

/**
 * Reads process variables, always on the JavaScript thread: a native read of the C environment races with writes to
 * `process.env`, and a worker has an environment of its own.
 */

const { queueMicrotask } = require('./microtask')

const FILE_SUFFIX = '_FILE'
const CONFIGURATION = ['NODE_ENV', 'REDIS_URL', 'HOME', 'USERPROFILE', 'SSL_CERT_FILE', 'TMPDIR']

/** @typedef {Record<string, string | undefined>} Variables */

/**
 * The variables that configuration may read.
 *
 * @returns {Record<string, string>}
 */
function forConfiguration() {
  /** @type {Record<string, string>} */
  const found = {}
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('AWS_') || name.startsWith('TCS_') || CONFIGURATION.includes(name)) {
      const value = process.env[name]
      if (value !== undefined) found[name] = value
    }
  }
  return found
}

/** @type {Record<string, string>} */
const NONE = Object.freeze({})
// Windows finds a variable whatever the case of its name.
const caseMatters = process.platform !== 'win32'

/** Where one delivery looks for variables. */
class VariableSource {
  #given
  #looked = false
  /** @type {Set<string> | undefined} */
  #listed
  #endTurn = () => {
    this.#looked = false
    this.#listed = undefined
  }

  /** @param {Variables | undefined} given Used instead of `process.env`. */
  constructor(given) {
    this.#given = given
  }

  /**
   * The variables that may hold the secret `name`: itself, its `-` to `_` form, and Docker's `_FILE` form of both.
   *
   * From the second look of a turn on a list of the names that are set counts, until the turn ends: asking `process.env`
   * makes V8 keep the name, which for names that no variable has costs more than half of what a read costs otherwise.
   *
   * @param {string} name
   * @returns {Record<string, string>}
   */
  forName(name) {
    const underscored = name.includes('-') ? name.replaceAll('-', '_') : undefined
    if (this.#given === undefined && caseMatters) {
      if (this.#looked) {
        const listed = (this.#listed ??= namesOf(process.env))
        if (!listed.has(name) && (underscored === undefined || !listed.has(underscored))) return NONE
      } else {
        this.#looked = true
        queueMicrotask(this.#endTurn)
      }
    }
    const variables = this.#all
    /** @type {Record<string, string>} */
    const found = {}
    take(variables, name, found)
    take(variables, name + FILE_SUFFIX, found)
    if (underscored !== undefined) {
      take(variables, underscored, found)
      take(variables, underscored + FILE_SUFFIX, found)
    }
    return found
  }

  /**
   * The variables that may hold secrets of `tool`.
   *
   * @param {string} tool
   * @returns {Record<string, string>}
   */
  forTool(tool) {
    const prefix = `${tool.toUpperCase()}_`
    const underscored = prefix.replaceAll('-', '_')
    return this.#those((name) => name.startsWith(prefix) || name.startsWith(underscored))
  }

  /**
   * Every variable that is set.
   *
   * @returns {Record<string, string>}
   */
  all() {
    return this.#those(() => true)
  }

  /** @param {(name: string) => boolean} wanted */
  #those(wanted) {
    const variables = this.#all
    /** @type {Record<string, string>} */
    const found = {}
    for (const name of Object.keys(variables)) if (wanted(name)) take(variables, name, found)
    return found
  }

  get #all() {
    return this.#given ?? process.env
  }
}

/**
 * The names that are set, each without Docker's ending as well.
 *
 * @param {Variables} variables
 */
function namesOf(variables) {
  const names = /** @type {string[]} */ (Reflect.ownKeys(variables))
  const files = names.filter((name) => name.endsWith(FILE_SUFFIX))
  return new Set([...names, ...files.map((name) => name.slice(0, -FILE_SUFFIX.length))])
}

/**
 * @param {Variables} variables
 * @param {string} name
 * @param {Record<string, string>} into
 */
function take(variables, name, into) {
  const value = variables[name]
  if (typeof value === 'string' && value !== '') into[name] = value
}

/** @param {Record<string, string>} found */
function isEmpty(found) {
  for (const _ in found) return false
  return true
}

module.exports = { VariableSource, forConfiguration, isEmpty }
