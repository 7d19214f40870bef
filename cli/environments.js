'use strict'

// Names of environments: the four, their short forms, and those that the configuration declares.

const { CliError, EXIT } = require('./exit')
const { didYouMean } = require('./suggest')

const ENVIRONMENTS = ['development', 'test', 'staging', 'production', 'dev', 'stage', 'prod']
/** @type {Record<string, string>} */
const LONG = { dev: 'development', stage: 'staging', prod: 'production' }

/** @typedef {import('../index').SecretDeliveryOptions} Options */

/** The names that may be used. @param {Options} options */
function environmentsOf({ environments }) {
  return [...ENVIRONMENTS, ...Object.keys(environments ?? {})]
}

/** Refuses a name that is none of an environment. @param {string} name @param {Options} options */
function assertEnvironment(name, options) {
  const known = environmentsOf(options)
  if (known.includes(name)) return
  const own = known.slice(ENVIRONMENTS.length)
  const declared =
    own.length === 0 ? 'or one that "environments" of the configuration declares' : `or ${own.join(', ')}`
  const message = `'${name}' is no environment: development, test, staging, production (or dev, stage, prod), ${declared}${didYouMean(name, known)}`
  throw new CliError('USAGE', EXIT.usage, message)
}

/** The long name of an environment. @param {string} name */
function longName(name) {
  return LONG[name] ?? name
}

/**
 * What an environment has by default. One that is declared is like one of the four, with an env file of its own.
 *
 * @param {string} name
 * @param {Options} options
 * @param {typeof import('../index').environmentDefaults} defaults
 */
function defaultsOf(name, { environments }, defaults) {
  const like = environments?.[name]?.like
  if (like === undefined) return defaults(name)
  const found = defaults(like)
  return { ...found, fallback: found.fallback === null ? null : `.env.${name}` }
}

module.exports = { ENVIRONMENTS, assertEnvironment, defaultsOf, environmentsOf, longName }
