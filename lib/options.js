'use strict'

// Options as own members: also those that are getters, or inherited in a configuration class, which the addon would not see.
// What cannot be read is refused.

const { types } = require('node:util')
const { SecretError } = require('./errors')

/** No option is nested deeper. What is, such as a cyclic object, is handed to the addon as it is, which refuses it. */
const MAX_DEPTH = 12

/** Objects of these kinds have no members that could be options. */
const KINDS = /** @type {const} */ ([
  ['a Map', types.isMap],
  ['a Set', types.isSet],
  ['a WeakMap', types.isWeakMap],
  ['a WeakSet', types.isWeakSet],
  ['a Promise', types.isPromise],
  ['a Date', types.isDate],
  ['a regular expression', types.isRegExp],
  ['an error', types.isNativeError],
  ['a generator', types.isGeneratorObject],
])

/**
 * Checks what only JavaScript can: that options are an object, and that the logger can log.
 *
 * @param {unknown} given
 * @returns {{ logger: import('./logger').Logger | undefined, options: any }} Options without the logger.
 */
function checkedOptions(given) {
  const plainly = plainOptions(given)
  const { logger, logLevel, ...options } = hasShortForms(plainly)
    ? require('./documented').fromDocumented(plainly)
    : plainly
  const safe = logger === undefined || logger === null ? undefined : require('./logger').safeLogger(logger)
  const { rotation } = options
  if (hasNone(rotation?.hooks)) delete rotation.hooks
  return { logger: safe, options: { ...options, logLevel: logLevel ?? safe?.level ?? 'silent' } }
}

/** Whether these are hooks of which none is set. What is no object of hooks stays, and is refused. @param {unknown} hooks */
function hasNone(hooks) {
  if (typeof hooks !== 'object' || hooks === null || Array.isArray(hooks)) return false
  return Object.values(hooks).every((hook) => hook === undefined || hook === null)
}

/**
 * Whether there is a short form of the specification, which stands for other options.
 *
 * @param {Record<string, any>} options
 */
function hasShortForms(options) {
  const { cache, audit, rotation } = options
  // Also where they are unset: the addon does not know them.
  return (
    'source' in options || 'fallback' in options || cache === true || audit === true || typeof rotation === 'string'
  )
}

/**
 * A copy of options that has every member as its own, at any depth.
 *
 * @param {unknown} given
 * @returns {Record<string, any>}
 */
function plainOptions(given) {
  if (given === undefined || given === null) return {}
  return members(given, 'options', 0)
}

/** Options whose members are read when they are needed, and not only now. */
const AS_THEY_ARE = new Set(['options.logger', 'options.runtime.variables', 'options.others', 'options.signal'])

/**
 * @param {unknown} given
 * @param {string} path
 * @param {number} depth
 * @returns {any}
 */
function plain(given, path, depth) {
  if (typeof given !== 'object' || given === null || ArrayBuffer.isView(given) || depth >= MAX_DEPTH) return given
  if (Array.isArray(given)) return given.map((item, index) => plain(item, `${path}[${index}]`, depth + 1))
  if (AS_THEY_ARE.has(path)) return refuseKinds(given, path)
  if (path === 'options.aws.credentials.expiration' && types.isDate(given)) return given
  return members(given, path, depth)
}

/**
 * @param {unknown} given
 * @param {string} path
 * @param {number} depth
 * @returns {Record<string, any>}
 */
function members(given, path, depth) {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const got = Array.isArray(given) ? 'an array' : typeof given
    throw new SecretError('CONFIG_INVALID', `${path} must be an object, got ${got}`)
  }
  refuseKinds(given, path)
  const isPlain = isRoot(Object.getPrototypeOf(given))
  /** @type {Record<string, any>} */
  const found = {}
  for (let owner = given; owner !== null && !isRoot(owner); owner = Object.getPrototypeOf(owner)) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      // That of a class; a tool or a secret type may be called so.
      if ((name === 'constructor' && owner !== given) || Object.hasOwn(found, name)) continue
      const value = read(given, name, path)
      if (typeof value !== 'function') define(found, name, plain(value, `${path}.${name}`, depth + 1))
      // A method of a class, and one that a library hid in an object, is an option only where options are functions.
      else if (isShown(owner, name, given) || isFunction(`${path}.${name}`)) define(found, name, value.bind(given))
    }
  }
  if (!isPlain && Object.keys(found).length === 0) {
    const { name } = given.constructor ?? {}
    const what = typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object'
    throw new SecretError('CONFIG_INVALID', `${path} is ${what} that has no option as a member: pass a plain object`)
  }
  return found
}

/** @param {object} owner @param {string} name @param {object} given */
const isShown = (owner, name, given) => owner === given && Object.prototype.propertyIsEnumerable.call(owner, name)

/** @param {string} path */
const isFunction = (path) =>
  FUNCTIONS.has(path) || /^options\.rotation\.hooksOf\.[^.]+\.(create|set|test|verify|undo)$/.test(path)

/** Options that are functions, and may be methods of a class. */
const FUNCTIONS = new Set([
  'options.audit.sink',
  'options.aws.credentials',
  ...['create', 'set', 'test', 'verify', 'undo'].map((hook) => `options.rotation.hooks.${hook}`),
  'options.isAuthError',
  'options.onProgress',
])

/**
 * @template {object} T
 * @param {T} given
 * @param {string} path
 */
function refuseKinds(given, path) {
  for (const [kind, is] of KINDS) {
    if (!is(given)) continue
    const hint = kind === 'a Map' ? ', such as Object.fromEntries(map)' : ''
    throw new SecretError('CONFIG_INVALID', `${path} must be an object, got ${kind}: pass a plain object${hint}`)
  }
  return given
}

/**
 * @param {object} given
 * @param {string} name
 * @param {string} path
 */
function read(given, name, path) {
  try {
    return /** @type {any} */ (given)[name]
  } catch (cause) {
    const error = new SecretError('CONFIG_INVALID', `${path}.${name} could not be read: its getter failed`)
    throw Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true })
  }
}

/**
 * Also for a member named `__proto__`, which an assignment would not make.
 *
 * @param {object} into
 * @param {string} name
 * @param {unknown} value
 */
function define(into, name, value) {
  Object.defineProperty(into, name, { value, configurable: true, enumerable: true, writable: true })
}

/**
 * Whether this is the end of a chain of prototypes: nothing, or the `Object.prototype` of any realm.
 *
 * @param {any} prototype
 */
function isRoot(prototype) {
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
}

module.exports = { checkedOptions, plainOptions }
