'use strict'

// Checks the options of `withSecret` and of the ready-made rotation hooks. An option that is misspelt or of the wrong kind would make
// hooks that do something else, or nothing, and the rotation would make a value live that no system has.

const { SecretError } = require('./errors')
const { didYouMeanOption } = require('./suggest')

/**
 * @typedef {object} Rule
 * @property {string} must What it must be.
 * @property {(value: any) => boolean} is
 */

/** @type {Rule} */
const aFunction = { must: 'a function', is: (value) => typeof value === 'function' }
/** @type {Rule} */
const aText = { must: 'a text that is not empty', is: (value) => typeof value === 'string' && value !== '' }
/** @type {Rule} */
const aFlag = { must: 'true or false', is: (value) => typeof value === 'boolean' }
/** @type {Rule} */
const anObject = { must: 'an object', is: (value) => typeof value === 'object' && !Array.isArray(value) }
/** @type {Rule} */
const texts = { must: 'an object of texts', is: (value) => anObject.is(value) && Object.values(value).every(isText) }
/** @type {Rule} */
const twoUsers = {
  must: 'an array with the names of two users',
  is: (value) => Array.isArray(value) && value.length === 2 && value.every(aText.is) && value[0] !== value[1],
}
/** @type {Rule} */
const aKey = { must: 'a text of 16 characters or more', is: (value) => isText(value) && value.length >= 16 }

/** @param {unknown} value */
function isText(value) {
  return typeof value === 'string'
}

/** The kind of a value, never the value, which may be a key. @param {unknown} value */
function kindOf(value) {
  if (value === undefined || value === null) return 'none'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Promise) return 'a Promise (await it)'
  if (value === '') return 'an empty text'
  if (Number.isNaN(value)) return 'NaN'
  const kinds = { string: 'a text', object: 'an object', function: 'a function', number: 'a number' }
  return /** @type {Record<string, string>} */ (kinds)[typeof value] ?? `a ${typeof value}`
}

/**
 * The options of one function. `null` and `undefined` are unset.
 *
 * @param {string} owner Its name, for messages.
 * @param {unknown} given
 * @param {Record<string, Rule>} required
 * @param {Record<string, Rule>} [optional]
 * @returns {any} With the known options only.
 */
function ownOptions(owner, given, required, optional = {}) {
  if (typeof given !== 'object' || given === null || !anObject.is(given)) {
    throw new SecretError('CONFIG_INVALID', `${owner} needs an object with options, got ${kindOf(given)}`)
  }
  const rules = { ...required, ...optional }
  const known = Object.keys(rules)
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    const hint = didYouMeanOption(unknown, known)
    throw new SecretError('CONFIG_INVALID', `${owner}.${unknown.slice(0, 60)} is not an option${hint}`)
  }
  /** @type {Record<string, unknown>} */
  const checked = {}
  for (const [name, rule] of Object.entries(rules)) {
    const value = /** @type {Record<string, unknown>} */ (given)[name] ?? undefined
    const isUnset = value === undefined && !(name in required)
    if (!isUnset && (value === undefined || !rule.is(value))) {
      throw new SecretError('CONFIG_INVALID', `${owner}.${name} must be ${rule.must}, got ${kindOf(value)}`)
    }
    if (!isUnset) checked[name] = value
  }
  return checked
}

module.exports = { aFlag, aFunction, aKey, aText, anObject, ownOptions, texts, twoUsers }
