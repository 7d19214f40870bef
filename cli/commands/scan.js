'use strict'

const { declaredNames } = require('../declared-names')
const { define } = require('../define')
const { knownEnvironment } = require('../environments')
const { CliError, EXIT } = require('../exit')
const { sarif } = require('../sarif')
const { scan } = require('../scanning')
const { plural } = require('../words')

/** @typedef {import('../scanning').Scanned} Scanned */
/** @typedef {{ staged?: boolean, history?: boolean, env?: string[], sarif?: boolean }} Options */

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'scan', {
    summary: "look for values of secrets in files, in git's index and in its history",
    description:
      "Reads the declared secrets and those of the env file, and looks for their values as they are, as JSON, URLs, HTML and shells write them, in base64 and in hexadecimal. In a git checkout the files are searched that git does not ignore, submodules included, and what it ignores where that is named; elsewhere all files. Links are not followed: their targets are searched as texts. Prints the secret's name, the place and the form; never a value. Values with fewer than 8 characters and common words are left out, and counted.",
    examples: [
      'scan',
      'scan --staged',
      'scan --history --env staging --env production',
      'scan dist .next --sarif > secrets.sarif',
    ],
    exits: {
      0: 'no value was found',
      1: 'values were found',
      4: 'a secret could not be read, or a file, or the repository',
    },
  })
    .argument('[path...]', 'files and folders (default: the working directory)')
    .option('--staged', "what the next commit has, as git's index has it")
    .option('--history', 'every version of every file, and the messages, of all branches and tags')
    .option('--env <name...>', 'environments whose values are looked for (default: the one of the other commands)')
    .option('--sarif', 'print SARIF 2.1.0, for code hosts')
    .action(handle(run))
}

/**
 * @param {import('../context').Context} context
 * @param {string[]} paths
 * @param {Options} options
 */
async function run(context, paths, { env, ...options }) {
  if (paths.length > 0 && (options.staged || options.history)) {
    throw new CliError('USAGE', EXIT.usage, '--staged and --history search the whole checkout: leave the paths out')
  }
  /** @type {Scanned} */
  const all = { values: 0, files: 0, findings: [], unwatched: [], unread: [] }
  for (const name of env ?? [undefined]) {
    // A value in a text is what this command looks for: its result, and no fault of who runs it.
    const changed = (/** @type {import('../context').Config['options']} */ given) => ({
      ...given,
      ...(name !== undefined && { environment: knownEnvironment(name, given) }),
      alerts: /** @type {const} */ (false),
    })
    const one = await context.withDelivery(
      (delivery, config) => scan(delivery, declaredNames(delivery, config), { paths, ...options }),
      changed,
    )
    all.values += one.values
    all.files = Math.max(all.files, one.files)
    all.findings.push(...one.findings)
    all.unwatched.push(...one.unwatched)
    all.unread = one.unread
  }
  const { terminal } = context
  if (options.sarif) terminal.document(sarif(all.findings))
  else terminal.result(all, (shown) => text(shown))
  for (const { path, reason } of all.unread) terminal.warn(`${path} was not searched: ${reason}`)
  const failed = all.unwatched.filter(({ reason }) => reason.includes(':'))
  for (const { secret, environment, reason } of failed) {
    terminal.warn(`${secret} (${environment}) was not looked for: ${reason}`)
  }
  if (all.findings.length > 0) return EXIT.no
  return all.unread.length + failed.length > 0 ? EXIT.source : EXIT.ok
}

/** @param {Scanned} scanned */
function text({ values, files, findings, unwatched }) {
  const lines = findings.map(({ path, line, column, secret, environment, form, commit }) => {
    const where = commit === null ? `${path}:${line}:${column}` : `${commit} ${path}:${line}:${column}`
    return `${where}: ${secret} (${environment}), ${form}\n`
  })
  const left = unwatched.filter(({ reason }) => !reason.includes(':'))
  const names = [...new Set(left.map(({ secret }) => secret))].join(', ')
  const without =
    left.length === 0 ? '' : `; ${plural(left.length, 'value')} left out as too short or well-known: ${names}`
  const found = findings.length === 0 ? 'none was found' : `${plural(findings.length, 'place')} found`
  return `${lines.join('')}${plural(values, 'value')} looked for in ${plural(files, 'file')}: ${found}${without}\n`
}
