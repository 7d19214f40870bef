'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { Option } = require('commander')
const { declaredTools, noToolsDeclared } = require('../context')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { FORMATS, asVariables, externalSecret, maskLines } = require('../formats')
const { assertPrivate, refused, writeAtomically } = require('../private-file')
const { namesAlone, nothingOf, readTools } = require('../secrets')

/**
 * @typedef {object} Options
 * @property {string} format
 * @property {string} [out]
 * @property {boolean} [reveal]
 * @property {string} [name]
 * @property {string} [namespace]
 * @property {'variable' | 'kebab'} keys
 * @property {string} [store]
 * @property {string} storeKind
 */

/** The format without values. */
const EXTERNAL = 'external-secret'
const ACTIONS = 'github-actions'

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'export', {
    summary: 'write the secrets of tools to a file',
    description:
      "Reads the secrets of tools as the service would and writes them to a file with mode 0600, atomically. The file holds the values in readable form: prefer 'run', which needs no file. 'external-secret' is a manifest for the External Secrets Operator and holds none. 'github-actions' masks the values in logs and appends them to the file that GITHUB_ENV names.",
    examples: [
      'export github --format dotenv --out github.env',
      'export --format k8s --name shop --out secret.yaml',
      'export github --format external-secret --store aws',
      'export github --format shell --reveal',
    ],
    exits: {
      0: 'the file was written',
      1: 'a required secret is missing, or the format cannot hold a value',
      5: 'nothing was written; the message says why',
    },
  })
    .argument('[tool...]', 'tools whose secrets are exported (default: all declared tools)')
    .addOption(
      new Option('-f, --format <format>', 'format of the file; k8s is a Kubernetes Secret')
        .choices([...Object.keys(FORMATS), EXTERNAL])
        .makeOptionMandatory(),
    )
    .option('-o, --out <file>', 'path of the file; an existing file must be readable by its owner only')
    .option('--reveal', 'print the values instead of writing a file')
    .option(
      '--name <app>',
      "k8s, external-secret: the Secret is named <app>-<environment>-secrets (default: the tool's name)",
    )
    .option('--namespace <name>', 'k8s, external-secret: namespace of the Secret')
    .addOption(
      new Option(
        '--keys <spelling>',
        'k8s: GITHUB_API_TOKEN, for mounts and envFrom, or github-api-token, for mounts only',
      )
        .choices(['variable', 'kebab'])
        .default('variable'),
    )
    .option('--store <name>', 'external-secret: name of the SecretStore')
    .addOption(
      new Option('--store-kind <kind>', 'external-secret: kind of the store')
        .choices(['SecretStore', 'ClusterSecretStore'])
        .default('SecretStore'),
    )
    .action(handle(exportTools))
}

/**
 * @param {import('../context').Context} context
 * @param {string[]} named
 * @param {Options} options
 */
async function exportTools(context, named, options) {
  const { format, out, reveal } = options
  const { terminal } = context
  const inActions = format === ACTIONS && out === undefined && !reveal
  const file = out === undefined ? undefined : path.resolve(out)
  if (inActions) assertActions(terminal)
  else if (file === undefined && !reveal && format !== EXTERNAL) {
    throw refused('the values would be printed: name a file with --out, or add --reveal to print them')
  }
  if (file === undefined && terminal.json) throw new CliError('USAGE', EXIT.usage, '--json needs --out')
  if (file !== undefined) assertPrivate(file)
  return context.withDelivery(async (delivery, config) => {
    const tools = named.length > 0 ? named : declaredTools(config)
    const isNothing = tools.length === 0 && namesAlone(config).length === 0
    if (isNothing) throw noToolsDeclared(config)
    const about = describe(tools, delivery, options)
    const places = format === EXTERNAL ? await placesOf(delivery, config, named) : undefined
    const values = places ?? (await readTools(delivery, config, named))
    if (values.size === 0) throw nothingOf(tools.join(', ') || 'those declared', delivery, config)
    const warn = (/** @type {string} */ message) => terminal.warn(message)
    const text =
      places === undefined
        ? /** @type {(typeof FORMATS)[string]} */ (FORMATS[format])(values, about, warn)
        : externalSecret(asVariables(places), about)
    if (file !== undefined) writeAtomically(file, text)
    else if (inActions) publish(values, text, terminal)
    else terminal.reveal(format === ACTIONS ? maskLines(values.values()) + text : text)
    if (file === undefined) return EXIT.ok
    const secrets = [...values.keys()]
    const { environment } = delivery
    const tool = tools.length === 1 ? tools[0] : null
    terminal.result({ tool, environment, format, file, secrets }, ({ file, secrets }) => {
      return `${file}: ${secrets.join(', ')}\n`
    })
    return EXIT.ok
  })
}

/** @param {string[]} tools @param {import('../context').SecretDelivery} delivery @param {Options} options */
function describe(tools, { environment }, { format, name, namespace, keys, store = '', storeKind }) {
  const ofKubernetes = format === 'k8s' || format === EXTERNAL
  const [only, ...others] = tools
  if (ofKubernetes && name === undefined && (only === undefined || others.length > 0)) {
    throw new CliError('USAGE', EXIT.usage, 'not one tool is exported: name the Secret with --name')
  }
  if (format === EXTERNAL && store === '') {
    throw new CliError('USAGE', EXIT.usage, 'name the SecretStore with --store')
  }
  const app = name ?? (only ?? '').toLowerCase().replaceAll('_', '-')
  return { app, environment, namespace, keys, store, storeKind }
}

/**
 * The AWS ids of the declared secrets of tools, by secret name.
 *
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @param {string[]} tools None: all that are declared.
 * @returns {Promise<Map<string, string>>}
 */
async function placesOf(delivery, { declared }, tools) {
  const wanted = new Set(tools.map((tool) => tool.toUpperCase()))
  const isWanted = (/** @type {string | null} */ tool) => tools.length === 0 || wanted.has(tool?.toUpperCase() ?? '')
  const names = declared.filter(({ tool }) => isWanted(tool)).map(({ name }) => name)
  /** @type {Map<string, string>} */
  const places = new Map()
  for (const name of names) {
    const { layers } = await delivery.explain(name)
    const place = layers.find(({ layer }) => layer === 'aws')?.place
    if (!place) throw new CliError('FORMAT_UNFIT', EXIT.no, `${name} has no place in AWS, which is switched off`)
    places.set(name, place)
  }
  return places
}

/** @param {import('../terminal').Terminal} terminal */
function assertActions(terminal) {
  const { GITHUB_ACTIONS, GITHUB_ENV } = process.env
  if (GITHUB_ACTIONS !== 'true' || !GITHUB_ENV) {
    throw refused(
      'this is no step of GitHub Actions, which would mask the values: name a file with --out, or add --reveal',
    )
  }
  if (terminal.json) throw new CliError('USAGE', EXIT.usage, '--json needs --out')
}

/**
 * Has the values masked, then hands them to the further steps of the job.
 *
 * @param {Map<string, string>} values
 * @param {string} text
 * @param {import('../terminal').Terminal} terminal
 */
function publish(values, text, terminal) {
  const file = process.env.GITHUB_ENV ?? ''
  terminal.reveal(maskLines(values.values()))
  try {
    fs.appendFileSync(file, text)
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    throw new CliError('FILE_NOT_WRITTEN', EXIT.refused, `${file} could not be written (${code})`)
  }
  terminal.note(`${[...values.keys()].join(', ')}: variables of the further steps`)
}
