'use strict'

const { nameOf } = require('../lib/config-file')
const { declaredTools, noToolsDeclared } = require('./context')
const { namesInEnvFile } = require('./env-file')
const { CliError, EXIT } = require('./exit')
const { didYouMean } = require('../lib/suggest')

/** @typedef {import('./context').SecretDelivery} SecretDelivery */
/** @typedef {import('./context').Config} Config */

/**
 * The name of a secret from a command's arguments: a name, or a tool and a type.
 *
 * @param {string} first
 * @param {string} [secretType]
 */
function namedBy(first, secretType) {
  return secretType === undefined ? first : nameOf(first, secretType)
}

/**
 * The same for commands that change AWS. A tool alone is no secret: its type was forgotten, and what would be written has a name
 * that no service reads.
 *
 * @param {string} first
 * @param {string | undefined} secretType
 * @param {Config} config
 */
function toChange(first, secretType, config) {
  const isSecret = config.declared.some(({ name }) => name.toUpperCase() === first.toUpperCase())
  const why = secretType === undefined && !isSecret ? typesOf(first, config) : ''
  if (why !== '') throw new CliError('USAGE', EXIT.usage, why.replace(/^; /, ''))
  return namedBy(first, secretType)
}

/**
 * For commands that look at what AWS has: it may have been deleted.
 *
 * @param {string} name
 * @param {SecretDelivery} delivery
 * @param {Config} config
 */
function notInAws(name, delivery, config) {
  const { code, exit, message } = notFound(name, delivery, config)
  const way = `if it was deleted, 'tcs-secrets undelete ${name}' brings it back`
  return new CliError(code, /** @type {import('./exit').ExitCode} */ (exit), `${message}; ${way}`)
}

/** @param {string} name @param {SecretDelivery} delivery @param {Config} config */
function notFound(name, { environment }, config) {
  const meant = meantBy(name, environment, config)
  const message = `${name}: no source has it in ${environment}${meant || `; 'tcs-secrets explain ${name}' shows where it was looked for`}`
  return new CliError('SECRET_NOT_FOUND', EXIT.no, message)
}

/**
 * What may have been meant by a name that no source has; empty if there is nothing to suggest.
 *
 * @param {string} name
 * @param {import('../index').Environment} environment
 * @param {Config} config
 */
function meantBy(name, environment, config) {
  return typesOf(name, config) || didYouMean(name, knownNames(config, environment))
}

/** What else a command needs where the name of a tool stands alone; empty if it is none. @param {string} name @param {Config} config */
function typesOf(name, config) {
  const types = config.declared
    .filter(({ tool }) => tool?.toUpperCase() === name.toUpperCase())
    .map((one) => one.secretType)
  return types.length === 0 ? '' : `; ${name} is a tool: name one of its secrets as well (${types.join(', ')})`
}

/**
 * The names that are declared or in the env file, for suggestions.
 *
 * @param {Config} config
 * @param {import('../index').Environment} environment
 */
function knownNames(config, environment) {
  const declared = config.declared.map(({ name }) => name)
  try {
    return [...declared, ...namesInEnvFile(config, environment)]
  } catch {
    return declared
  }
}

/** A question for a tool that nothing is known of; empty if there is nothing to suggest. @param {string} tool @param {Config} config */
function toolMeant(tool, config) {
  return isDeclared(tool, config) ? '' : didYouMean(tool, declaredTools(config))
}

/** @param {string} tool @param {Config} config */
function isDeclared(tool, config) {
  return declaredTools(config).some((known) => known.toUpperCase() === tool.toUpperCase())
}

/**
 * The values of tools by secret name. A missing required secret is an error.
 *
 * @param {SecretDelivery} delivery
 * @param {Config} config
 * @param {string[]} tools None: all declared tools.
 * @returns {Promise<Map<string, string>>}
 */
async function readTools(delivery, config, tools) {
  const wanted = tools.length > 0 ? tools : declaredTools(config)
  const alone = tools.length > 0 ? [] : namesAlone(config)
  if (wanted.length + alone.length === 0) throw noToolsDeclared(config)
  const results = await Promise.all(wanted.map((tool) => delivery.getToolSecrets(tool)))
  const unknown = wanted.filter((tool, i) => !isDeclared(tool, config) && Object.keys(results[i] ?? {}).length === 0)
  if (unknown[0] !== undefined) throw nothingOf(unknown[0], delivery, config)
  /** @type {Map<string, string>} */
  const values = new Map()
  results.forEach((secrets, i) => {
    for (const [type, value] of Object.entries(secrets)) values.set(nameOf(wanted[i] ?? '', type), value)
  })
  const withoutTool = await Promise.all(alone.map((name) => delivery.getSecret(name)))
  withoutTool.forEach((value, i) => {
    if (value !== null) values.set(alone[i] ?? '', value)
  })
  const asked = new Set(wanted.map((tool) => tool.toUpperCase()))
  const isAsked = (/** @type {string | null} */ tool) =>
    tool === null ? alone.length > 0 : asked.has(tool.toUpperCase())
  const missing = config.declared
    .filter(({ tool, required, name }) => required && isAsked(tool) && !values.has(name))
    .map(({ name }) => name)
  if (missing.length > 0) {
    const message = `no source has ${missing.join(', ')} in ${delivery.environment}, which ${missing.length > 1 ? 'are' : 'is'} required; 'tcs-secrets explain ${missing[0]}' shows where it was looked for`
    throw new CliError('SECRET_NOT_FOUND', EXIT.no, message)
  }
  return values
}

/** The declared names that have no tool. @param {Config} config */
function namesAlone({ declared }) {
  return declared.filter(({ tool }) => tool === null).map(({ name }) => name)
}

/** @param {string} tool @param {SecretDelivery} delivery @param {Config} config */
function nothingOf(tool, { environment }, config) {
  const message = `no source has a secret of ${tool} in ${environment}${toolMeant(tool, config)}`
  return new CliError('SECRET_NOT_FOUND', EXIT.no, message)
}

module.exports = {
  isDeclared,
  meantBy,
  namedBy,
  notFound,
  notInAws,
  namesAlone,
  nothingOf,
  readTools,
  toChange,
  toolMeant,
}
