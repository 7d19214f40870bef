'use strict'

// Checks of arguments and options that have to happen in JavaScript, before anything reaches the addon.

const { SecretError } = require('./errors')
const { plainOptions } = require('./options')

const { isWellFormed } = /** @type {any} */ (String.prototype)

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
  if (options === null) throw new SecretError('CONFIG_INVALID', 'options must be an object')
  const given = plainOptions(options)
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new SecretError('CONFIG_INVALID', `options has an unknown key (${known.join(', ')})`)
  return given
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

/** What a secret's name is made of (`SecretName` in crates/secret checks it). */
const NAME = /^[A-Za-z0-9_-]*$/

/**
 * The reference that was given in place of a secret's name: an object, or a text with a character that no name has.
 *
 * @param {unknown} secret
 * @returns {import('../index').SecretReference | undefined} Unset for a name.
 */
function referenceOf(secret) {
  if (typeof secret === 'string') {
    if (NAME.test(secret)) return undefined
    return divided(secret)
  }
  if (typeof secret !== 'object' || secret === null) {
    throw new SecretError(
      'SECRET_NAME_INVALID',
      `secretName must be a string or a reference, got ${secret === null ? 'null' : typeof secret}`,
    )
  }
  const given = /** @type {Record<string, any>} */ (secret)
  assertName('id of the reference', given.id)
  const { id, field, versionStage, assumeRole } = /** @type {Record<string, any>} */ (
    checked(secret, ['id', 'field', 'versionStage', 'assumeRole'])
  )
  if (field !== undefined && field !== null) assertName('field of the reference', field)
  if (versionStage !== undefined && versionStage !== null) assertName('versionStage of the reference', versionStage)
  const own = divided(id)
  if (own.field !== undefined && typeof field === 'string') {
    throw new SecretError(
      'SECRET_NAME_INVALID',
      "the reference has a field twice: in its id, behind '#', and as 'field'",
    )
  }
  return { id: own.id, field: field ?? own.field, versionStage, assumeRole }
}

/** An id and the field behind its `#`. @param {string} text @returns {{ id: string, field: string | undefined }} */
function divided(text) {
  const at = text.indexOf('#')
  return at < 0 ? { id: text, field: undefined } : { id: text.slice(0, at), field: text.slice(at + 1) }
}

module.exports = {
  assertEnvironment,
  assertName,
  assertText,
  checked,
  checkedScope,
  checkedSink,
  eventText,
  referenceOf,
  scopeOf,
}
