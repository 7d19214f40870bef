'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { filesIn } = require('../../lib/config-file')
const { declarationOf, guessed } = require('../declaration')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { declarationOfAws } = require('../found-in-aws')
const { isIgnored } = require('../git')
const { judge } = require('../judgement')
const { PRIVATE } = require('../private-file')
const { readText } = require('../read-file')
const { visibleCopy } = require('../visible')

/** @typedef {{ name: string, line: number | null, why: string }} Left What is not declared. */

const CONFIG = 'tcs-secrets.config.json'
const ENV_FILE = '.env.dev'
const IGNORE = '.gitignore'

const SCHEMA = './node_modules/tcs-secret-delivery/tcs-secrets.schema.json'

const config = {
  $schema: SCHEMA,
  tools: { github: { secrets: { api_token: { required: true, minLength: 8 } } } },
}

const envFile = `# Secrets of the development environment. Not for git; other environments have AWS Secrets Manager.
GITHUB_API_TOKEN=put-a-development-token-here
`

const ignore = `
# Secrets
.env.*
!.env.example
secret-audit*.jsonl*
`

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'init', {
    summary: 'write a configuration and a sample .env.dev here',
    description: `Writes ${CONFIG}, and ${ENV_FILE} with mode 0600, into the working directory, and adds .env.* to ${IGNORE} if a git repository does not ignore it yet. Existing files are not changed. With --from the configuration declares the secrets of an env file that exists: it shows them, and what it takes for configuration, before it asks and writes. With --from-aws it declares the secrets that AWS has in this account and region, as far as this identity may see them: by the template that fits most, and by references for the rest, with the fields of JSON secrets. That needs secretsmanager:ListSecrets and GetSecretValue, and BatchGetSecretValue to cost few calls. Values are never shown.`,
    examples: ['init', 'init --from .env.staging', 'init --from-aws', 'init --from-aws --prefix shop/ --yes'],
    exits: {
      0: 'all files exist now',
      1: 'the file, or AWS, has nothing that looks like a secret',
      2: 'there is no terminal to ask on, and --yes is missing',
      4: 'the file of --from, or AWS, could not be read',
      5: 'a file could not be written',
    },
  })
    .option('--from <file>', 'declare the secrets of this env file')
    .option('--from-aws', 'declare the secrets that AWS has')
    .option('--prefix <prefix>', 'with --from-aws: only those whose names in AWS begin so')
    .option('-y, --yes', 'do not ask; needed with --from and --from-aws if standard input is not a terminal')
    .action(
      handle(async (context, { from, fromAws = false, prefix, yes = false }) => {
        if (from !== undefined && fromAws) throw usage('--from and --from-aws exclude each other')
        if (prefix !== undefined && !fromAws) throw usage('--prefix belongs to --from-aws')
        if (fromAws) return initFromAws(process.cwd(), prefix, yes, context)
        const { terminal } = context
        return from === undefined ? init(process.cwd(), terminal) : initFrom(process.cwd(), from, yes, terminal)
      }),
    )
}

/**
 * @param {string} directory
 * @param {import('../terminal').Terminal} terminal
 */
function init(directory, terminal) {
  const [existing] = filesIn(directory)
  const files = [
    existing === undefined
      ? create(directory, CONFIG, `${JSON.stringify(config, null, 2)}\n`, 0o666)
      : { file: path.basename(existing), done: 'kept' },
    create(directory, ENV_FILE, envFile, PRIVATE),
    ...ignoreEnvFiles(directory),
  ]
  const next = [
    `put a secret into ${ENV_FILE}`,
    'npx tcs-secrets get github api_token --environment development --reveal',
  ]
  terminal.result({ directory, files, next }, ({ files, next }) =>
    [
      ...files.map(({ file, done }) => `${done.padEnd(7)}  ${terminal.style('bold', file)}`),
      '',
      'Next:',
      ...next.map((step, i) => `  ${i + 1}. ${step}`),
      '',
    ].join('\n'),
  )
  return EXIT.ok
}

/**
 * Writes a configuration that declares the secrets of an env file. The file itself stays as it is.
 *
 * @param {string} directory
 * @param {string} from
 * @param {boolean} yes
 * @param {import('../terminal').Terminal} terminal
 */
async function initFrom(directory, from, yes, terminal) {
  const file = path.resolve(directory, from)
  // Says what is wrong with a file that cannot be read.
  readText(file)
  const looking = { file: null, directory, options: { envFile: { path: file } }, declared: [], checks: null }
  const judged = judge(looking, 'development', {})
  const { names = [], stays = [], doubtful = [] } = judged ?? {}
  // The package looks for names in upper case.
  const secrets = guessed(names.filter((name) => name === name.toUpperCase()))
  const others = names.filter((name) => name !== name.toUpperCase())
  const left = [...doubtful, ...others.map((name) => ({ name, line: null, why: 'not in upper case: rename it' }))]
  const declaration = { $schema: SCHEMA, ...declarationOf(secrets) }
  const found = { directory, from, secrets, doubtful: left, stays, config: declaration }
  if (secrets.length === 0) {
    terminal.result(
      { ...found, files: [] },
      (shown) => `${lookedAt(shown, terminal)}\nNothing looks like a secret; nothing was written.\n`,
    )
    return EXIT.no
  }
  return writeShown(directory, found, yes, terminal, lookedAt)
}

/**
 * Writes a configuration that declares the secrets of AWS.
 *
 * @param {string} directory
 * @param {string | undefined} prefix
 * @param {boolean} yes
 * @param {import('../context').Context} context
 */
async function initFromAws(directory, prefix, yes, context) {
  const { terminal } = context
  const [all, own] = await context.withDelivery(async (delivery, { options }) => {
    return [await delivery.findInAws({ prefix }), Object.keys(options.environments ?? {})]
  })
  const { config, ...declared } = declarationOfAws(all, own)
  const refused = refusedIn(declared.secrets, own)
  const found = { directory, prefix: prefix ?? null, ...declared, refused, config: { $schema: SCHEMA, ...config } }
  if (declared.secrets.length === 0) {
    terminal.result(
      { ...found, files: [] },
      (shown) => `${foundInAws(shown, terminal)}\nAWS shows nothing to declare; nothing was written.\n`,
    )
    return EXIT.no
  }
  return writeShown(directory, found, yes, terminal, foundInAws)
}

/**
 * Shows what was found, asks, and writes the configuration.
 *
 * @template {{ config: object }} Found
 * @param {string} directory
 * @param {Found} found
 * @param {boolean} yes
 * @param {import('../terminal').Terminal} terminal
 * @param {(found: Found, terminal: import('../terminal').Terminal) => string} tables
 */
async function writeShown(directory, found, yes, terminal, tables) {
  const [existing] = filesIn(directory)
  if (!yes && existing === undefined) {
    terminal.note(tables(visibleCopy(found), terminal))
    await terminal.confirm('init', `${CONFIG} declares these secrets.`)
  }
  const files = [
    existing === undefined
      ? create(directory, CONFIG, `${JSON.stringify(found.config, null, 2)}\n`, 0o666)
      : { file: path.basename(existing), done: 'kept' },
    ...ignoreEnvFiles(directory),
  ]
  terminal.result({ ...found, files }, (shown) =>
    [
      ...(yes || existing !== undefined ? [tables(shown, terminal)] : []),
      ...shown.files.map(({ file, done }) => `${done.padEnd(7)}  ${terminal.style('bold', file)}`),
      ...(existing === undefined
        ? ['', 'Next: npx tcs-secrets doctor']
        : ['', 'It is there already. What it needs to declare:', '', JSON.stringify(shown.config, null, 2)]),
      '',
    ].join('\n'),
  )
  return EXIT.ok
}

/** @typedef {Omit<ReturnType<typeof declarationOfAws>, 'config'>} FoundInAws */
/** @typedef {{ environment: string, awsIds: string[] }[]} Refused */

/**
 * The environments in which this declaration is refused (`CONFIG_INVALID`), and the secrets that are declared for others only. An
 * environment never reads the secret of another one by accident, so somebody has to say which is meant.
 *
 * @param {FoundInAws['secrets']} secrets
 * @param {string[]} own The environments besides the four.
 * @returns {Refused}
 */
function refusedIn(secrets, own) {
  return ['development', 'test', 'staging', 'production', ...own].flatMap((environment) => {
    const lacking = secrets.filter(
      ({ aws }) => aws !== null && typeof aws === 'object' && !Object.hasOwn(aws, environment),
    )
    return lacking.length === 0 ? [] : [{ environment, awsIds: lacking.flatMap(({ awsIds }) => awsIds) }]
  })
}

/**
 * What AWS has, as tables.
 *
 * @param {FoundInAws & { refused: Refused }} found
 * @param {import('../terminal').Terminal} terminal
 */
function foundInAws({ template, secrets, left, refused }, terminal) {
  const rows = secrets.map(({ awsIds, tool, types, aws }) => [
    awsIds.join(', '),
    tool ?? '',
    types.join(', '),
    aws === null ? 'template' : 'reference',
  ])
  const alike = secrets.filter(({ aws }) => typeof aws === 'string' && !aws.includes('{environment}')).length
  const note = `\n${alike} of them name no environment: they are the same secrets in every one.\n`

  const by = `Names in AWS: ${template === null ? 'no template fits, so each secret has a reference' : template}\n`
  return [
    ...(rows.length === 0 ? [] : [by, terminal.table(['SECRET IN AWS', 'TOOL', 'TYPES', 'BY'], rows)]),
    ...(alike > 0 ? [note] : []),
    ...(refused.length === 0
      ? []
      : [
          '',
          terminal.table(
            ['REFUSED IN', 'UNTIL "aws" SAYS WHICH SECRET IS MEANT THERE'],
            refused.map(({ environment, awsIds }) => [environment, awsIds.join(', ')]),
          ),
        ]),
    ...(left.length === 0
      ? []
      : [
          terminal.table(
            ['NOT DECLARED', 'WHY'],
            left.map(({ awsId, why }) => [awsId, why]),
          ),
        ]),
  ].join('\n')
}

/** @param {string} message */
const usage = (message) => new CliError('USAGE', EXIT.usage, message)

/**
 * What the file has, as tables.
 *
 * @param {{ from: string, secrets: import('../declaration').Guess[], doubtful: Left[], stays: Left[] }} found
 * @param {import('../terminal').Terminal} terminal
 */
function lookedAt({ from, secrets, doubtful, stays }, terminal) {
  const rows = (/** @type {Left[]} */ left) =>
    left.map(({ name, line, why }) => [name, line === null ? '' : String(line), why])
  const declared = secrets.map(({ name, tool, type }) => [name, tool ?? '', type ?? ''])
  return [
    ...(secrets.length === 0 ? [] : [terminal.table([`SECRET OF ${from}`, 'TOOL', 'TYPE'], declared)]),
    ...(doubtful.length === 0 ? [] : [terminal.table(['NOT DECLARED', 'LINE', 'WHY'], rows(doubtful))]),
    ...(stays.length === 0 ? [] : [terminal.table(['CONFIGURATION', 'LINE', 'WHY'], rows(stays))]),
  ].join('\n')
}

/**
 * @param {string} directory
 * @param {string} file
 * @param {string} text
 * @param {number} mode
 */
function create(directory, file, text, mode) {
  try {
    // Fails if the file exists, atomically.
    fs.writeFileSync(path.join(directory, file), text, { flag: 'wx', mode })
    return { file, done: 'written' }
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code === 'EEXIST') return { file, done: 'kept' }
    throw notWritten(file, directory, error)
  }
}

/** @param {string} file @param {string} directory @param {unknown} error */
function notWritten(file, directory, error) {
  const { code } = /** @type {NodeJS.ErrnoException} */ (error)
  return new CliError('FILE_NOT_WRITTEN', EXIT.refused, `${file} could not be written (${code}); check ${directory}`)
}

/** @param {string} directory */
function ignoreEnvFiles(directory) {
  if (isIgnored(path.join(directory, ENV_FILE)) !== false) return []
  const file = path.join(directory, IGNORE)
  const done = fs.existsSync(file) ? 'changed' : 'written'
  try {
    fs.appendFileSync(file, done === 'changed' ? ignore : ignore.trimStart())
  } catch (error) {
    throw notWritten(IGNORE, directory, error)
  }
  return [{ file: IGNORE, done }]
}
