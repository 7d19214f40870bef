'use strict'

const { define } = require('../define')
const { namesInEnvFile } = require('../env-file')
const { EXIT } = require('../exit')
const { toolMeant } = require('../secrets')

/** How many undeclared names are looked up at once; each may cost an AWS call. */
const AT_ONCE = 8

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
module.exports = (program, _, handleOpen) => {
  define(program, 'list', {
    summary: 'list secrets with their source and state',
    description:
      'Lists the declared secrets and the names of the env file that are not declared; for a tool without declared secrets, the secrets that the sources have. Values are not printed.',
    examples: ['list', 'list github --environment staging', 'list --json'],
    exits: {
      0: 'the list was printed, whatever the state of the secrets',
      4: 'a source failed during the search for secrets',
    },
  })
    .argument('[tool]', 'only the secrets of this tool')
    .action(
      handleOpen(async ({ terminal, delivery, config }, tool) => {
        const secrets = [...(await known(delivery, config, tool)), ...(await undeclared(delivery, config, tool))]
        const { environment } = delivery
        terminal.result({ environment, tool: tool ?? null, secrets }, ({ secrets }) =>
          secrets.length > 0
            ? shown(secrets, terminal)
            : `No secrets are declared or found in ${environment}${(tool && toolMeant(tool, config)) || '.'}\n`,
        )
        return EXIT.ok
      }),
    )
}

/**
 * @param {SecretDelivery} delivery
 * @param {Config} config
 * @param {string | undefined} tool
 * @returns {Promise<Listed[]>}
 */
async function known(delivery, { declared }, tool) {
  const byName = new Map(declared.map((secret) => [secret.name, secret]))
  const { secrets } =
    tool === undefined ? await delivery.validateApplicationFunctionality() : await delivery.validateToolSecrets(tool)
  return secrets.map(({ name, present, source, versionId, issues }) => {
    const error = issues.find(({ code }) => code === 'SOURCE_ERROR')?.message ?? null
    const { required = false } = byName.get(name) ?? {}
    const state = error === null ? (present ? 'present' : 'absent') : 'error'
    // A copy in memory was made a moment ago: the search for the secrets of a tool has read them.
    const from = source === 'memory' ? 'aws' : source
    return { name, declared: byName.has(name), required, source: from, versionId, state, error }
  })
}

/**
 * @param {SecretDelivery} delivery
 * @param {Config} config
 * @param {string | undefined} tool
 * @returns {Promise<Listed[]>}
 */
async function undeclared(delivery, config, tool) {
  const declared = new Set(config.declared.map(({ name }) => name))
  // `known` has already found the secrets of a tool without declarations.
  if (tool !== undefined && !config.declared.some((secret) => secret.tool?.toUpperCase() === tool.toUpperCase()))
    return []
  const prefix = tool === undefined ? '' : `${tool.toUpperCase()}_`
  const names = namesInEnvFile(config, delivery.environment).filter(
    (name) => name.startsWith(prefix) && !declared.has(name),
  )
  /** @type {Listed[]} */
  const listed = []
  while (names.length > 0) listed.push(...(await Promise.all(names.splice(0, AT_ONCE).map(found))))
  return listed

  /** @param {string} name @returns {Promise<Listed>} */
  async function found(name) {
    const { answeredBy: source, versionId, error } = await delivery.explain(name)
    const state = error === null ? (source === null ? 'absent' : 'present') : 'error'
    const message = error && `${error.code}: ${error.message}`
    return { name, declared: false, required: false, source, versionId, state, error: message }
  }
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
