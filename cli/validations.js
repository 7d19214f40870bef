'use strict'

// Runs the four validations of a migration. The result contains no values.

const { functionsOf } = require('../lib/config-file')
const { CliError, EXIT, describe } = require('./exit')
const { plural, told } = require('./words')

const VALIDATIONS = /** @type {const} */ (['access', 'consistency', 'functionality', 'performance'])

/** @typedef {import('./context').SecretDelivery} SecretDelivery */
/** @typedef {(typeof VALIDATIONS)[number]} Validation */
/** @typedef {Record<string, (delivery: SecretDelivery) => Promise<void> | void>} Checks The service's own. */
/** @typedef {{ code: string, message: string }} Failure */
/**
 * @typedef {object} Validations Those that were made. One that a source did not let happen is a failure.
 * @property {import('../index').AccessValidationResult | Failure} [access]
 * @property {import('../index').ValidationResult | Failure} [consistency]
 * @property {import('../index').ValidationResult | Failure} [functionality]
 * @property {import('../index').PerformanceMetrics | Failure} [performance]
 */

/**
 * @param {SecretDelivery} delivery
 * @param {object} wanted
 * @param {readonly Validation[]} wanted.only
 * @param {import('../index').MigrationScope} wanted.scope
 * @param {import('../index').MigrationScope} wanted.inFile For the validations of the env file.
 * @param {Checks} wanted.checks
 * @returns {Promise<{ validations: Validations, exit: import('./exit').ExitCode }>}
 */
async function validate(delivery, { only, scope, inFile, checks }) {
  const bound = Object.entries(checks).map(([name, check]) => [name, () => check(delivery)])
  const calls = {
    access: () => delivery.validateSecretAccess(inFile),
    consistency: () => delivery.validateSecretConsistency(inFile),
    functionality: () => delivery.validateApplicationFunctionality({ ...scope, checks: Object.fromEntries(bound) }),
    performance: () => delivery.assessPerformanceImpact(),
  }
  /** @type {Validations} */
  const validations = {}
  /** @type {import('./exit').ExitCode} */
  let exit = EXIT.ok
  // One after the other, so that none slows down the measurement of another.
  for (const name of VALIDATIONS.filter((name) => only.includes(name))) {
    try {
      const result = await calls[name]()
      Object.assign(validations, { [name]: result })
      if (!isPassed(result)) exit ||= EXIT.no
    } catch (error) {
      const { code, message, exit: failed } = describe(error)
      if (failed !== EXIT.source) throw error
      Object.assign(validations, { [name]: { code, message } })
      exit = failed
    }
  }
  return { validations, exit }
}

/** @param {import('../index').ValidationResult | import('../index').PerformanceMetrics} result */
function isPassed(result) {
  return 'valid' in result ? result.valid : result.withinThreshold
}

/**
 * The service's own checks: the functions that a module exports, by name.
 *
 * @param {string} file
 * @returns {Promise<Checks>}
 */
async function loadChecks(file) {
  const checks = /** @type {Checks} */ (await functionsOf(file))
  if (Object.keys(checks).length > 0) return checks
  const message = `${file} exports no checks: functions by name, such as 'export async function database(delivery) { … }'`
  throw new CliError('CONFIG_INVALID', EXIT.configuration, message)
}

/**
 * @param {string} environment
 * @param {Validations} validations
 * @param {import('./terminal').Terminal} terminal
 */
function shown(environment, validations, terminal) {
  const colours = terminal.words(1, {
    passed: 'green',
    granted: 'green',
    unchecked: 'yellow',
    warning: 'yellow',
    unknown: 'yellow',
    failed: 'red',
    denied: 'red',
    error: 'red',
  })
  /** @param {string[]} headings @param {string[][]} rows */
  const table = (headings, rows) => terminal.table(headings, rows, colours)
  const results = /** @type {[Validation, NonNullable<Validations[Validation]>][]} */ (Object.entries(validations))
  const issues = results.flatMap(([name, result]) => issuesOf(name, result))
  const { access } = validations
  const permissions = access !== undefined && 'permissions' in access ? access.permissions : []
  return [
    `${terminal.style('bold', 'Migration')} of ${environment}\n`,
    table(
      ['VALIDATION', 'RESULT', ''],
      results.map(([name, result]) => [name, ...verdict(result)]),
    ),
    ...(permissions.length === 0
      ? []
      : [
          table(
            ['PERMISSION', 'STATE', 'REFUSED FOR'],
            permissions.map(({ action, state, refusedFor }) => [action, state, refusedFor.join(', ')]),
          ),
        ]),
    ...(issues.length === 0 ? [] : [table(['VALIDATION', 'SEVERITY', 'NAME', 'ISSUE'], issues)]),
  ].join('\n')
}

/** @param {NonNullable<Validations[Validation]>} result @returns {[string, string]} */
function verdict(result) {
  if ('code' in result) return ['failed', told(result)]
  if ('layers' in result) {
    const layers = result.layers.map(({ layer, p99Ms }) => `${layer} ${p99Ms.toFixed(1)}`)
    const unread = new Set(result.layers.flatMap(({ failures }) => failures.map(({ name }) => name)))
    const rest = unread.size === 0 ? '' : `; not read: ${[...unread].join(', ')}`
    const figures = `p99 in ms: ${layers.join(', ')}; allowed ${result.thresholdMs}${rest}`
    return [result.withinThreshold ? 'passed' : 'failed', figures]
  }
  const { valid, secrets, checks } = result
  // Nothing was found wrong, because nothing was looked at.
  if (secrets.length === 0 && !(checks?.length ?? 0)) return ['unchecked', 'there is no secret to check']
  const looked = plural(secrets.length, 'secret')
  if (checks === undefined) return [valid ? 'passed' : 'failed', looked]
  const passed = checks.filter(({ passed }) => passed).length
  const own =
    checks.length === 0
      ? 'no checks of the service: name a module with --checks'
      : `${passed} of ${checks.length} checks`
  return [valid ? (checks.length === 0 ? 'unchecked' : 'passed') : 'failed', `${looked}; ${own}`]
}

/** @param {Validation} validation @param {NonNullable<Validations[Validation]>} result */
function issuesOf(validation, result) {
  if (!('secrets' in result)) return []
  const ofSecrets = result.secrets.flatMap(({ name, issues }) =>
    issues.map(({ severity, code, message }) => [validation, severity, name, told({ code, message })]),
  )
  const ofChecks = (result.checks ?? []).flatMap(({ name, issue }) =>
    issue === null ? [] : [[validation, issue.severity, name, told(issue)]],
  )
  return [...ofSecrets, ...ofChecks]
}

/**
 * Warns of values that dotenv reads otherwise than it seems.
 *
 * @param {import('./judgement').Judged[]} doubtful
 * @param {import('./terminal').Terminal} terminal
 */
function warnOf(doubtful, terminal) {
  for (const { name, line, why } of doubtful) terminal.warn(`line ${line} of the env file, ${name}: ${why}`)
}

module.exports = { VALIDATIONS, loadChecks, shown, validate, warnOf }
