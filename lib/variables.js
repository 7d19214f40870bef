'use strict'

/**
 * Reads process variables, always on the JavaScript thread: a native read of the C environment races with writes to
 * `process.env`, and a worker has an environment of its own.
 */

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

/**
 * The variables that may hold the secret `name`: itself, its `-` to `_` form, and Docker's `_FILE` form of both.
 *
 * @param {Variables} variables
 * @param {string} name
 * @returns {Record<string, string>}
 */
function forName(variables, name) {
  /** @type {Record<string, string>} */
  const found = {}
  take(variables, name, found)
  take(variables, name + FILE_SUFFIX, found)
  if (name.includes('-')) {
    const underscored = name.replaceAll('-', '_')
    take(variables, underscored, found)
    take(variables, underscored + FILE_SUFFIX, found)
  }
  return found
}

/**
 * The variables that may hold secrets of `tool`.
 *
 * @param {Variables} variables
 * @param {string} tool
 * @returns {Record<string, string>}
 */
function forTool(variables, tool) {
  /** @type {Record<string, string>} */
  const found = {}
  const prefix = `${tool.toUpperCase()}_`
  const underscored = prefix.replaceAll('-', '_')
  for (const name of Object.keys(variables)) {
    if (name.startsWith(prefix) || name.startsWith(underscored)) take(variables, name, found)
  }
  return found
}

/**
 * Every variable that is set.
 *
 * @param {Variables} variables
 * @returns {Record<string, string>}
 */
function all(variables) {
  /** @type {Record<string, string>} */
  const found = {}
  for (const name of Object.keys(variables)) take(variables, name, found)
  return found
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

module.exports = { all, forConfiguration, forName, forTool, isEmpty }
