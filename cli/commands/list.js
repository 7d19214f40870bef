'use strict'

const { nameOf } = require('../../lib/config-file')
const { define } = require('../define')
const { namesInEnvFile } = require('../env-file')
const { EXIT } = require('../exit')
const { toolMeant } = require('../secrets')

/** How many explanations are made at once. */
const AT_ONCE = 8
/** How long the copies of this run are kept. */
const KEPT_SECONDS = 600

/** @typedef {import('../context').SecretDelivery} SecretDelivery */
/** @typedef {import('../context').Config} Config */
/**
 * @typedef {object} Listed
 * @property {string} name
 * @property {boolean} declared
 * @property {boolean} required
 * @property {string | null} source
 * @property {string | null} versionId
 * @property {'present' | 'absent' | 'error'} state
 * @property {string | null} error
 */

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'list', {
    summary: 'list secrets with their source and state',
    description:
      'Lists the declared secrets and the names of the env file that are not declared; for a tool without declared secrets, the secrets that the sources have. Values are not printed. Twenty names cost one AWS call.',
    examples: ['list', 'list github --environment staging', 'list --json'],
    exits: {
      0: 'the list was printed, whatever the state of the secrets',
      4: 'a source failed during the search for secrets',
    },
  })
    .argument('[tool]', 'only the secrets of this tool')
    .action(
      handle((context, tool) =>
        context.withDelivery((delivery, config) => list(context, delivery, config, tool), cached),
      ),
    )
}

/** With copies in memory, so that an explanation of what was read asks nobody. @param {Config['options']} options */
function cached(options) {
  const { cache } = options
  return { ...options, cache: { ttlSeconds: KEPT_SECONDS, ...(cache || {}), negativeTtlSeconds: KEPT_SECONDS } }
}

/**
 * @param {import('../context').Context} context
 * @param {SecretDelivery} delivery
 * @param {Config} config
 * @param {string | undefined} tool
 */
async function list({ terminal }, delivery, config, tool) {
  const known = new Map(config.declared.map((secret) => [secret.name, secret]))
  const names = await namesOf(delivery, config, tool)
  // Read together, in calls of twenty. An error is told by the explanation.
  await Promise.all(names.map((name) => delivery.getSecret(name).catch(() => null)))
  /** @type {Listed[]} */
  const secrets = []
  while (names.length > 0) secrets.push(...(await Promise.all(names.splice(0, AT_ONCE).map(found))))
  const { environment } = delivery
  terminal.result({ environment, tool: tool ?? null, secrets }, ({ secrets }) =>
    secrets.length > 0
      ? shown(secrets, terminal)
      : `No secrets ${tool === undefined ? '' : `of ${tool} `}are declared or found in ${environment}${(tool && toolMeant(tool, config)) || '.'}\n`,
  )
  return EXIT.ok

  /** @param {string} name @returns {Promise<Listed>} */
  async function found(name) {
    const { answeredBy, versionId, error: failure } = await delivery.explain(name)
    const { required = false } = known.get(name) ?? {}
    const error =
      failure === null || String(failure.code) === 'SECRET_MISSING' ? null : `${failure.code}: ${failure.message}`
    const state = error === null ? (answeredBy === null ? 'absent' : 'present') : 'error'
    // A copy in memory was made a moment ago.
    const source = answeredBy === 'memory' ? 'aws' : answeredBy
    return { name, declared: known.has(name), required, source, versionId, state, error }
  }
}

/**
 * The names to list: those that are declared, then those of the env file; for a tool without declarations those that are found.
 *
 * @param {SecretDelivery} delivery
 * @param {Config} config
 * @param {string | undefined} tool
 * @returns {Promise<string[]>}
 */
async function namesOf(delivery, config, tool) {
  const isAsked = (/** @type {string | null} */ of) => tool === undefined || of?.toUpperCase() === tool.toUpperCase()
  const declared = config.declared.filter((secret) => isAsked(secret.tool)).map(({ name }) => name)
  if (tool !== undefined && declared.length === 0) {
    return Object.keys(await delivery.getToolSecrets(tool)).map((type) => nameOf(tool, type))
  }
  const known = new Set(config.declared.flatMap(({ name }) => [name, name.replaceAll('-', '_')]))
  const prefix = tool === undefined ? '' : `${tool.toUpperCase()}_`
  const others = namesInEnvFile(config, delivery.environment).filter(
    (name) => name.startsWith(prefix) && !known.has(name),
  )
  return [...declared.sort(), ...others]
}

/**
 * @param {Listed[]} secrets
 * @param {import('../terminal').Terminal} terminal
 */
function shown(secrets, terminal) {
  const rows = secrets.map(({ name, source, ...secret }) => [name, source ?? '–', stateOf(secret)])
  return terminal.table(['NAME', 'SOURCE', 'STATE'], rows, (text, row, column) => {
    const { state, required } = /** @type {Listed} */ (secrets[row])
    if (column !== 2 || state === 'present') return text
    return terminal.style(state === 'error' || required ? 'red' : 'yellow', text)
  })
}

/** @param {Omit<Listed, 'name' | 'source'>} secret */
function stateOf({ state, declared, required, error }) {
  if (state === 'error') return error ?? 'error'
  if (state === 'absent') return required ? 'missing (required)' : 'missing'
  return declared ? 'ok' : 'ok (not declared)'
}
