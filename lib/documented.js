'use strict'

// The short forms of the specification ("Environment-Specific Delivery Mechanisms"), as the options that they stand for.

const { SecretError } = require('./errors')

const SOURCE = 'aws-secrets-manager'
const INTERVALS = ['manual', 'weekly', 'bi-weekly']

/**
 * @param {Record<string, any>} given Options with own members.
 * @returns {Record<string, any>}
 */
function fromDocumented(given) {
  const { source, fallback, ...options } = given
  if (source !== undefined && source !== null && source !== SOURCE) throw invalid('source', `must be '${SOURCE}'`)
  if (fallback !== undefined) options.envFile = envFileOf(fallback, options.envFile)
  // `true`: as the environment has it, and on where the environment has none.
  for (const section of ['cache', 'audit']) if (options[section] === true) options[section] = {}
  if (typeof options.rotation === 'string') {
    if (!INTERVALS.includes(options.rotation)) {
      throw invalid('rotation', `must be an object, or one of ${INTERVALS.map((one) => `'${one}'`).join(', ')}`)
    }
    options.rotation = { interval: options.rotation }
  }
  return options
}

/**
 * The env file that `fallback` names; `null`: none, also where the environment has one.
 *
 * @param {unknown} fallback
 * @param {any} envFile
 */
function envFileOf(fallback, envFile) {
  if (fallback !== null && (typeof fallback !== 'string' || fallback === '')) {
    throw invalid('fallback', 'must be the name of an env file, or null for none')
  }
  if (envFile === undefined || envFile === null) return fallback === null ? false : { path: fallback }
  if (fallback === null && envFile === false) return false
  if (fallback !== null && typeof envFile === 'object' && (envFile.path ?? fallback) === fallback) {
    return { ...envFile, path: fallback }
  }
  throw invalid('fallback', 'and envFile contradict each other: leave one out')
}

/** @param {string} option @param {string} why */
function invalid(option, why) {
  return new SecretError('CONFIG_INVALID', `options.${option} ${why}`)
}

module.exports = { fromDocumented }
