'use strict'

// Checks of arguments and options that have to happen in JavaScript, before anything reaches the addon.

const { SecretError } = require('./errors')

/** Options are at most this deep: `options.rotation.policies[0].…`. */
const MAX_DEPTH = 8

const { isWellFormed } = /** @type {any} */ (String.prototype)

/** @typedef {import('../index').SecretDeliveryOptions} Options */

/**
 * Refuses what is not a string before it reaches the addon, whose own message would not say which argument it was.
 *
 * @param {string} what
 * @param {unknown} value
 * @returns {void}
 */
function assertName(what, value) {
  if (typeof value !== 'string') {
    throw new SecretError(
      'SECRET_NAME_INVALID',
      `${what} must be a string, got ${value === null ? 'null' : typeof value}`,
    )
  }
}

/**
 * A value must be Unicode text: half of a surrogate pair would arrive in Rust as another character, so as another secret.
 *
 * @param {string} what
 * @param {unknown} value
 * @returns {void}
 */
function assertText(what, value) {
  if (typeof value !== 'string')
    throw new SecretError('CONFIG_INVALID', `${what} must be a string, got ${typeof value}`)
  if (!isWellFormed.call(value)) {
    throw new SecretError('CONFIG_INVALID', `${what} is not well-formed Unicode: it has half of a surrogate pair`)
  }
}

/** @param {unknown} environment */
function assertEnvironment(environment) {
  if (typeof environment !== 'string') {
    throw new SecretError('CONFIG_INVALID', `environment must be a string, got ${typeof environment}`)
  }
}

/**
 * Checks that options are an object and that the logger can log. The addon checks everything else.
 *
 * @param {Options | undefined} options
 * @returns {Options}
 */
function checkedOptions(options) {
  if (options === undefined || options === null) return {}
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw new SecretError(
      'CONFIG_INVALID',
      `options must be an object, got ${Array.isArray(options) ? 'an array' : typeof options}`,
    )
  }
  assertOwnMembers('options', options, MAX_DEPTH)
  const { logger } = options
  if (logger !== undefined && logger !== null && typeof logger.warn !== 'function') {
    throw new SecretError('CONFIG_INVALID', 'options.logger must have a warn(message) method')
  }
  return { ...options, logger: logger ?? undefined, logLevel: logLevel(options) }
}

/**
 * Options are copied member by member, and only an object's own enumerable members are copied. So a getter of a class, an
 * inherited member or an entry of a Map would silently be ignored: they are refused. Inherited methods are no options.
 *
 * @param {string} path
 * @param {unknown} value
 * @param {number} depth How many levels below are looked at.
 * @returns {void}
 */
function assertOwnMembers(path, value, depth) {
  if (Array.isArray(value)) value.forEach((item, i) => assertOwnMembers(`${path}[${i}]`, item, depth - 1))
  // What is not meant as options (a Buffer, a RegExp, a URL) is the addon's to take or to refuse.
  const tag = Object.prototype.toString.call(value)
  if (depth === 0 || (tag !== '[object Object]' && tag !== '[object Map]')) return
  const object = /** @type {object} */ (value)
  const ignored = ignoredMember(object)
  if (ignored !== undefined) {
    const why = `${path} has the member '${ignored}', which is inherited or not enumerable and would be ignored`
    throw new SecretError('CONFIG_INVALID', `${why}: give a plain object, such as { ...options }`)
  }
  for (const [key, member] of Object.entries(object)) {
    if (key !== 'logger') assertOwnMembers(`${path}.${key}`, member, depth - 1)
  }
}

/** @param {object} object @returns {string | undefined} */
function ignoredMember(object) {
  const names = (/** @type {object} */ owner) => Object.entries(Object.getOwnPropertyDescriptors(owner))
  const hidden = names(object).find(([, { enumerable }]) => !enumerable)
  if (hidden !== undefined) return hidden[0]
  for (
    let owner = Object.getPrototypeOf(object);
    owner !== null && !Object.hasOwn(owner, 'isPrototypeOf');
    owner = Object.getPrototypeOf(owner)
  ) {
    const inherited = names(owner).find(([, { value }]) => typeof value !== 'function')
    if (inherited !== undefined) return inherited[0]
  }
  return undefined
}

/**
 * The level of the log: the option's, else that of the logger itself (pino, winston), else warnings.
 *
 * @param {Options} options
 */
function logLevel({ logLevel, logger }) {
  if (logLevel !== undefined && logLevel !== null) return logLevel
  if (logger === undefined || logger === null) return 'silent'
  const { level } = /** @type {{ level?: unknown }} */ (logger)
  if (level === 'trace' || level === 'debug' || level === 'verbose' || level === 'silly') return 'debug'
  return level === 'info' || level === 'silent' ? level : 'warn'
}

/**
 * Takes the function out of the audit options: it stays in JavaScript, and the addon gets `true` in its place.
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
 * Returns options that have only known keys: with a misspelt `names` a command would move every secret.
 *
 * @param {unknown} options
 * @param {string[]} known
 * @returns {Record<string, any>}
 */
function checked(options, known) {
  if (options === undefined) return {}
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new SecretError('CONFIG_INVALID', 'options must be an object')
  }
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new SecretError('CONFIG_INVALID', `options has an unknown key (${known.join(', ')})`)
  return options
}

/** @param {unknown} options */
function checkedScope(options) {
  return scopeOf(checked(options, ['phase', 'names']))
}

/** @param {Record<string, any>} options */
function scopeOf({ phase, names }) {
  if (phase !== undefined && typeof phase !== 'string') {
    throw new SecretError('CONFIG_INVALID', "phase must be 'critical', 'tool' or 'other'")
  }
  if (names !== undefined && !Array.isArray(names)) {
    throw new SecretError('CONFIG_INVALID', 'names must be an array of secret names')
  }
  names?.forEach((/** @type {unknown} */ name) => assertName('each of names', name))
  return { phase, names }
}

/**
 * An event as JSON text.
 *
 * @param {unknown} event
 * @returns {string}
 */
function eventText(event) {
  if (typeof event === 'string') return event
  try {
    const text = JSON.stringify(event)
    if (typeof text === 'string') return text
  } catch {
    // A cyclic object, for example. The error below says so.
  }
  throw new SecretError('SOURCE_RESPONSE_INVALID', 'the event is not JSON')
}

module.exports = {
  assertEnvironment,
  assertName,
  assertText,
  checked,
  checkedOptions,
  checkedScope,
  checkedSink,
  eventText,
  scopeOf,
}
