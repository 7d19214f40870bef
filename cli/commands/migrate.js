'use strict'

const path = require('node:path')
const { Option } = require('commander')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { judge } = require('../judgement')
const { stoppable } = require('../progress')
const { plural, told } = require('../words')
const { VALIDATIONS, loadChecks, shown, validate, warnOf } = require('../validations')

/** How long the process waits for its output to be read, in milliseconds. */
const GRACE_MS = 2_000
const PHASES = ['critical', 'tool', 'other']
const REMEDY = 'Correct the line, or move the value as it is read with --include.\n'

/** @typedef {import('../judgement').Judged} Judged */

/** @typedef {import('../terminal').Terminal} Terminal */

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  const migrate = program.command('migrate').summary('move secrets from the env file to AWS')
  migrate.description(
    'Moves secrets from the env file to AWS, in phases. What looks like configuration stays in the file, and so does a value that dotenv reads otherwise than it seems. Each command may be interrupted and run again; docs/migration.md has all steps.',
  )
  /** @param {string} name @param {Parameters<typeof define>[2]} texts */
  const step = (name, texts) =>
    define(migrate, name, texts)
      .option('--phase <phase>', 'only secrets of this phase: critical, tool or other')
      .option('--name <name...>', 'only these names, whatever they look like')
      .option(
        '--include <name...>',
        "these names as well, although they do not look like secrets; '*' stands for any characters",
      )
      .option('--exclude <name...>', 'not these names')
      .option('--declared', 'only declared secrets')

  step('plan', {
    summary: 'compare the env file with AWS; changes nothing',
    examples: ['migrate plan --environment staging', 'migrate plan --phase critical --json'],
    exits: { 0: 'everything is in AWS', 1: 'there are secrets to move' },
  }).action(
    handleOpen(async (open, options) => {
      const { terminal, delivery } = open
      const { scope, stays, doubtful } = chosen(open, options)
      const plan = await delivery.migration.plan(scope)
      const complete = plan.complete && doubtful.length === 0
      terminal.result({ ...plan, complete, stays, doubtful }, (plan) => planned(plan, terminal) + left(plan, terminal))
      return complete ? EXIT.ok : EXIT.no
    }),
  )

  step('apply', {
    summary: 'create in AWS the secrets that only the env file has',
    examples: ['migrate apply --phase critical --yes', 'migrate apply --name GITHUB_API_TOKEN --overwrite --yes'],
    exits: {
      0: 'no secret failed, and none has another value in AWS',
      1: 'a secret failed or has another value in AWS',
      2: 'there is no terminal to ask on, and --yes is missing',
    },
  })
    .option('--choose', 'choose from a list on the terminal')
    .option('--overwrite', 'also overwrite secrets that have another value in AWS')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async (open, options) => {
        const { terminal, delivery } = open
        const { overwrite = false } = options
        const { scope, stays, doubtful } = await decided(open, options, 'apply', 'are written to AWS')
        const stopping = stoppable(terminal, 'moved')
        const report = await delivery.migration.apply({ ...scope, overwrite, onProgress: stopping.onProgress })
        stopping.end()
        terminal.result(
          { ...report, stays, doubtful },
          (report) => outcomes(report.secrets, terminal) + left(report, terminal),
        )
        return report.complete ? EXIT.ok : EXIT.no
      }),
    )

  step('retire', {
    summary: 'remove from the env file the secrets that AWS has with the same value',
    description:
      'Removes from the env file the secrets that AWS has with the same value, compared now. Keeps a backup beside the file with mode 0600; delete it once it is not needed.',
    examples: ['migrate retire --yes', 'migrate retire --phase critical --mode remove --yes'],
    exits: {
      0: 'done',
      1: 'a secret could not be compared',
      2: 'there is no terminal to ask on, and --yes is missing',
    },
  })
    .option('--choose', 'choose from a list on the terminal')
    .option('--mode <mode>', "what replaces an assignment: a 'comment' with the name, or nothing: 'remove'", 'comment')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async (open, options) => {
        const { terminal, delivery } = open
        const { scope, stays, doubtful } = await decided(open, options, 'retire', 'are taken out of the file')
        const report = await delivery.migration.retire({ ...scope, mode: options.mode })
        terminal.result({ ...report, stays, doubtful }, (report) => {
          const backup = report.backup === null ? '' : `The file as it was: ${report.backup}\n`
          return outcomes(report.secrets, terminal) + backup + left(report, terminal)
        })
        return report.secrets.some(({ outcome }) => outcome === 'failed') ? EXIT.no : EXIT.ok
      }),
    )

  step('validate', {
    summary: 'validate a migration; changes nothing',
    description:
      "Runs the four validations of a migration: access (whether AWS lets this identity read each secret, and which permissions it has), consistency (whether the env file and AWS have the same values), functionality (whether each secret exists and is plausible, and the service's own checks), performance (the latency of each layer, measured on all declared secrets). The service's own checks are the functions that a module exports. Each is called with a SecretDelivery, and fails if it throws or does not end within 30 seconds.",
    examples: [
      'migrate validate -e staging --checks secrets.checks.mjs',
      'migrate validate --only access consistency --json',
    ],
    exits: {
      0: 'every validation passed; there may be warnings',
      1: 'a validation did not pass',
      4: 'a validation could not run, because a source failed',
    },
  })
    .addOption(
      new Option('--only <validation...>', 'only these validations').choices(VALIDATIONS).default(VALIDATIONS, 'all'),
    )
    .option('--checks <module>', "module with the service's own checks (default: 'checks' of the configuration file)")
    .action(
      handleOpen(async (open, options) => {
        const { terminal, delivery, config } = open
        const { only } = options
        const { scope, doubtful } = chosen(open, options)
        warnOf(doubtful, terminal)
        const file = options.checks === undefined ? config.checks : path.resolve(options.checks)
        const checks = file === null || !only.includes('functionality') ? {} : await loadChecks(file)
        const { environment } = delivery
        const { validations, exit } = await validate(delivery, { only, scope: scopeOf(options), inFile: scope, checks })
        terminal.result(
          { environment, valid: exit === EXIT.ok, ...validations },
          ({ environment, valid: _, ...validations }) => shown(environment, validations, terminal),
        )
        // A check that did not end, or left a connection open, must not keep this process alive.
        setTimeout(() => process.exit(), GRACE_MS).unref()
        return exit
      }),
    )

  define(migrate, 'rollback', {
    summary: 'restore the env file as it was before retire',
    examples: ['migrate rollback --yes'],
    exits: {
      0: 'the file is restored',
      2: 'there is no terminal to ask on, and --yes is missing',
      4: 'there is no backup',
    },
  })
    .option('--backup <name>', 'name of the backup (default: the newest)')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async ({ terminal, delivery }, options) => {
        await confirmed(terminal, options, 'rollback', 'The env file becomes what it was before retire.')
        const report = await delivery.migration.rollback({ backup: options.backup })
        terminal.result(report, (report) => `${report.file} is ${report.backup} again\n`)
        return EXIT.ok
      }),
    )
}

/**
 * What a step is about: the names that are given, or those of the env file that look like secrets, and the declared ones.
 *
 * @param {import('../program').Open} open
 * @param {{ phase?: string, name?: string[] } & import('../judgement').Wishes} options
 * @returns {{ scope: ReturnType<typeof scopeOf>, stays: Judged[], doubtful: Judged[] }}
 */
function chosen({ delivery, config }, options) {
  const scope = scopeOf(options)
  const judged = options.name === undefined ? judge(config, delivery.environment, options) : null
  if (judged === null) return { scope, stays: [], doubtful: [] }
  const { names, stays, doubtful } = judged
  return { scope: { ...scope, names }, stays, doubtful }
}

/** @param {{ phase?: string, name?: string[] }} options */
function scopeOf({ phase, name }) {
  if (phase !== undefined && !PHASES.includes(phase)) {
    throw new CliError('USAGE', EXIT.usage, `--phase must be one of ${PHASES.join(', ')}`)
  }
  return { phase: /** @type {import('../../index').MigrationPhase | undefined} */ (phase), names: name }
}

/**
 * What a step that changes something is about, once somebody has agreed.
 *
 * @param {import('../program').Open} open
 * @param {Parameters<typeof chosen>[1] & { yes?: boolean, choose?: boolean }} options
 * @param {string} step
 * @param {string} consequence
 */
async function decided(open, options, step, consequence) {
  const { terminal, delivery } = open
  const found = chosen(open, options)
  const { scope, stays, doubtful } = found
  if (options.choose && scope.names !== undefined) {
    const names = await picked(terminal, scope.names, [...doubtful, ...stays])
    const isLeft = (/** @type {Judged} */ { name }) => !names.includes(name)
    Object.assign(found, { scope: { ...scope, names }, stays: stays.filter(isLeft), doubtful: doubtful.filter(isLeft) })
  }
  const count = found.scope.names === undefined ? 'Secrets' : plural(found.scope.names.length, 'name')
  const question = `${count} of ${delivery.environment}: those that fit ${consequence}.`
  await confirmed(terminal, options, step, question)
  return found
}

/** @param {Terminal} terminal @param {{ yes?: boolean }} options @param {string} step @param {string} question */
async function confirmed(terminal, { yes }, step, question) {
  if (yes) return
  if (process.stdin.isTTY) return terminal.confirm(`migrate ${step}`, question)
  const message = `migrate ${step} changes something; see 'tcs-secrets migrate plan', then add --yes`
  throw new CliError('CONFIRMATION_NEEDED', EXIT.usage, message)
}

/**
 * Lets somebody choose from a list.
 *
 * @param {Terminal} terminal
 * @param {string[]} names Chosen so far.
 * @param {Judged[]} others
 * @returns {Promise<string[]>}
 */
async function picked(terminal, names, others) {
  if (!process.stdin.isTTY)
    throw new CliError('USAGE', EXIT.usage, '--choose needs a terminal; use --include and --exclude')
  const list = [...names.map((name) => ({ name, why: '' })), ...others]
  const isOn = list.map((_, i) => i < names.length)
  for (;;) {
    const rows = list.map(({ name, why }, i) => [String(i + 1), isOn[i] ? 'yes' : 'no', name, why])
    terminal.note(terminal.table(['NUMBER', 'MOVES', 'NAME', 'WHY NOT'], rows).trimEnd())
    const answer = await terminal.ask('Numbers to change, such as 2 or 4-6 (Enter: go on): ')
    if (answer.trim() === '') return list.filter((_, i) => isOn[i]).map(({ name }) => name)
    for (const [, from = '', to = from] of answer.matchAll(/(\d+)(?:-(\d+))?/g)) {
      for (let i = Number(from); i <= Math.min(Number(to), list.length); i++) isOn[i - 1] = !isOn[i - 1]
    }
  }
}

/** @param {import('../../index').MigrationPlan} plan @param {Terminal} terminal */
function planned(plan, terminal) {
  const rows = PHASES.flatMap((phase) =>
    plan.phases[/** @type {'critical'} */ (phase)].map(({ name, action, error }) => [phase, name, action, told(error)]),
  )
  if (rows.length === 0) return `Nothing to migrate: ${plan.file ?? 'no env file'} holds no secret.\n`
  const left = rows.filter(([, , action]) => action !== 'keep' && action !== 'only-in-aws').length
  return terminal.table(['PHASE', 'NAME', 'ACTION', 'WHY'], rows) + `\n${left} of ${rows.length} left to do\n`
}

/**
 * @param {{ name: string, outcome: string, error: { code: string, message: string } | null }[]} secrets
 * @param {Terminal} terminal
 */
function outcomes(secrets, terminal) {
  if (secrets.length === 0) return 'Nothing to do.\n'
  const rows = secrets.map(({ name, outcome, error }) => [name, outcome, told(error)])
  return terminal.table(['NAME', 'OUTCOME', 'WHY'], rows)
}

/** What stays in the file, and why. @param {{ stays: Judged[], doubtful: Judged[] }} judged @param {Terminal} terminal */
function left({ stays, doubtful }, terminal) {
  const rows = (/** @type {Judged[]} */ judged) => judged.map(({ name, line, why }) => [name, String(line), why])
  return [
    ...(doubtful.length === 0
      ? []
      : [`\n${terminal.table(['NOT MOVED UNASKED', 'LINE', 'WHY'], rows(doubtful))}`, REMEDY]),
    ...(stays.length === 0 ? [] : [`\n${terminal.table(['STAYS IN THE FILE', 'LINE', 'WHY'], rows(stays))}`]),
  ].join('')
}
