'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { filesIn } = require('../../lib/config-file')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { isIgnored } = require('../git')
const { PRIVATE } = require('../private-file')

const CONFIG = 'tcs-secrets.config.json'
const ENV_FILE = '.env.dev'
const IGNORE = '.gitignore'

const config = {
  $schema: './node_modules/tcs-secret-delivery/tcs-secrets.schema.json',
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
    description: `Writes ${CONFIG}, and ${ENV_FILE} with mode 0600, into the working directory, and adds .env.* to ${IGNORE} if a git repository does not ignore it yet. Existing files are not changed.`,
    examples: ['init'],
    exits: { 0: 'all files exist now', 5: 'a file could not be written' },
  }).action(handle(async (context) => init(process.cwd(), context.terminal)))
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
