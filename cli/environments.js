'use strict'

const { CliError, EXIT } = require('./exit')
const { didYouMean } = require('../lib/suggest')

/** The names that every service knows; its configuration may declare others. */
const ENVIRONMENTS = ['development', 'test', 'staging', 'production', 'dev', 'stage', 'prod']

/** The names that may be used. @param {import('../index').SecretDeliveryOptions} options */
function environmentsOf({ environments }) {
  return [...ENVIRONMENTS, ...Object.keys(environments ?? {})]
}

/** The long name of an environment. @param {string} name */
function longName(name) {
  return { dev: 'development', stage: 'staging', prod: 'production' }[name] ?? name
}

/** An environment as the core reads it: its long name, whatever the case and the white space around it. @param {string} name */
function readName(name) {
  return longName(name.trim().toLowerCase())
}

/**
 * @param {string} name What an option of the command line names.
 * @param {import('../index').SecretDeliveryOptions} options
 * @returns {any} The name.
 */
function knownEnvironment(name, { environments }) {
  const known = environmentsOf({ environments })
  if (known.some((one) => one.toLowerCase() === name.trim().toLowerCase())) return name
  const choices = known.join(', ')
  throw new CliError(
    'USAGE',
    EXIT.usage,
    `'${name}' is no environment: there are ${choices} (see "environments" in the configuration file)${didYouMean(name, known)}`,
  )
}

/**
 * The one of the four environments whose preset applies.
 *
 * @param {string} name
 * @param {import('../index').SecretDeliveryOptions} options
 * @returns {string}
 */
function baseOf(name, { environments }) {
  const plain = name.trim().toLowerCase()
  const own = Object.entries(environments ?? {}).find(([one]) => one.toLowerCase() === plain)?.[1]
  return own === undefined ? plain : String(own?.like ?? own)
}

/**
 * The preset that applies: that of a declared environment is the one that it is like.
 *
 * @param {string} name
 * @param {import('../index').SecretDeliveryOptions} options
 * @param {typeof import('../index').environmentDefaults} defaults
 * @returns {import('../index').EnvironmentDefaults | undefined} Unset where there is no such environment: the delivery says so.
 */
function presetOf(name, { environments }, defaults) {
  const plain = name.trim().toLowerCase()
  const base = baseOf(name, { environments })
  try {
    const preset = defaults(base)
    return base === plain || preset.fallback === null ? preset : { ...preset, fallback: `.env.${plain}` }
  } catch {
    return undefined
  }
}

module.exports = { ENVIRONMENTS, baseOf, environmentsOf, knownEnvironment, longName, presetOf, readName }
