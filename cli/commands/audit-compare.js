'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { logOf } = require('../audit-log')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { idsOf } = require('../infra/places')
const { momentNamed } = require('../times')
const { refused } = require('../private-file')
const { plural } = require('../words')

/** How late CloudTrail usually is, several times over. */
const GRACE_MINUTES = 30
/** From this number of files on it is shown how far the reading is. */
const MANY_FILES = 20

/** @param {import('commander').Command} audit @param {import('../program').Handle} handle */
function addCompare(audit, handle) {
  define(audit, 'compare', {
    summary: "compare the log with AWS's CloudTrail",
    description:
      "Joins the reads in CloudTrail with those in the audit logs of all instances, and shows who read the declared secrets past this service: other principals, and, above all, somebody with this service's own role. Single calls are joined by AWS's request id, the secrets of a batch by name, time and session. Reads files of a trail (also .gz), the output of aws cloudtrail lookup-events, and one event a line, in any order. It needs no network.",
    examples: [
      'audit compare --cloudtrail trail/ -e production',
      'audit compare a/audit.jsonl b/audit.jsonl --cloudtrail trail/',
      'audit compare logs/ --cloudtrail trail/ --allow Terraform --json',
    ],
    exits: {
      0: 'every read has a record, and every record a read',
      1: 'there are differences',
      4: 'a file could not be read, or not to its end',
      5: '--out names a file that is compared',
    },
  })
    .argument(
      '[logs...]',
      'the logs of all instances, or their folders (default: TCS_AUDIT_LOG, else secret-audit.jsonl)',
    )
    .requiredOption('--cloudtrail <place...>', 'files and folders of CloudTrail')
    .option('--role <name...>', "the service's own role, by name or ARN (default: whose reads are in the logs)")
    .option('--allow <name...>', "others who may read: roles or users, by name in the service's own account, or by ARN")
    .option('--since <time>', 'only reads from this time on (ISO 8601, or a span such as 24h)')
    .option('--until <time>', 'only reads up to this time')
    .option('--grace <minutes>', 'how late CloudTrail may be', String(GRACE_MINUTES))
    .option('--out <file>', 'write every difference to this file, one a line as JSON')
    .action(
      handle(async (context, logs, { cloudtrail, role = [], allow = [], since, until, grace, out }) => {
        const { terminal } = context
        const { compare, filesBelow, logFiles, nameIn } = comparing()
        const { options } = await context.config()
        const environment = await environmentOf(context)
        const { ids, idOf } = idsOf(options, environment)
        const now = Date.now()
        const read = logs.length > 0 ? logs : [await logOf(undefined, context)]
        if (out !== undefined)
          assertNotRead(out, [...logFiles(read), ...filesBelow(cloudtrail).map(({ file }) => file)])
        const file = out === undefined ? undefined : fs.openSync(path.resolve(out), 'w', 0o600)
        try {
          const found = await compare({
            cloudtrail,
            logs: read,
            roles: role,
            allowed: allow,
            idOf,
            ids: new Set(ids.map(nameIn)),
            since: moment('--since', since, now) ?? -Infinity,
            until: moment('--until', until, now) ?? Infinity,
            graceMs: minutes(grace) * 60_000,
            most: 100,
            onFile: (done, total) => {
              if (total >= MANY_FILES) terminal.progress('files of CloudTrail', done, total)
            },
            ...(file !== undefined && {
              each: (/** @type {string} */ kind, /** @type {object} */ item) =>
                void fs.writeSync(file, `${JSON.stringify({ kind, ...item })}\n`),
            }),
          })
          terminal.result({ environment, ...found }, (shown) => page(shown, terminal))
          const { strangers, others, unseen, problems } = found
          if (problems.length > 0) return EXIT.source
          return strangers.count + others.count + unseen.count > 0 ? EXIT.no : EXIT.ok
        } finally {
          if (file !== undefined) fs.closeSync(file)
        }
      }),
    )
}

/** Loaded when it is needed: every start of the program would pay for it. */
function comparing() {
  const { compare } = require('../cloudtrail/compare')
  const { nameIn } = require('../cloudtrail/events')
  const { logFiles } = require('../cloudtrail/logs')
  const { filesBelow } = require('../cloudtrail/scan')
  return { compare, filesBelow, logFiles, nameIn }
}

/** Refuses to write over what is compared, such as the log itself. @param {string} out @param {string[]} files */
function assertNotRead(out, files) {
  const stat = fs.statSync(out, { throwIfNoEntry: false })
  const isOut = (/** @type {string} */ file) => {
    const other = fs.statSync(file, { throwIfNoEntry: false })
    return other !== undefined && other.dev === stat?.dev && other.ino === stat.ino
  }
  if (stat !== undefined && files.some(isOut))
    throw refused(`${out} is one of the files that are compared; name another one with --out`)
}

/** The environment, as the delivery would take it. @param {import('../context').Context} context */
async function environmentOf(context) {
  return context.withDelivery(
    async ({ environment }) => environment,
    (options) => ({ ...options, cache: false, audit: false }),
  )
}

/** @param {string} option @param {string | undefined} text @param {number} now */
function moment(option, text, now) {
  if (text === undefined) return undefined
  const at = momentNamed(text, now)
  if (at !== undefined) return at
  throw new CliError('USAGE', EXIT.usage, `${option} must be a time as in ISO 8601, or a span such as 24h or 7d`)
}

/** @param {string} text */
function minutes(text) {
  const number = Number(text)
  if (text.trim() !== '' && Number.isFinite(number) && number >= 0) return number
  throw new CliError('USAGE', EXIT.usage, '--grace must be a number of minutes')
}

/**
 * @param {Awaited<ReturnType<ReturnType<typeof comparing>['compare']>> & { environment: string }} found
 * @param {import('../terminal').Terminal} terminal
 */
function page(found, terminal) {
  const { strangers, others, unseen, refusals } = found
  const rows = (/** @type {any[]} */ items) =>
    items.map((one) => [one.time, one.principal, one.secret || 'a batch', one.address])
  /** @param {string} title @param {{ count: number, items: any[] }} kind @param {'red' | 'yellow'} colour */
  const part = (title, { count, items }, colour) => {
    if (count === 0) return ''
    const more = count > items.length ? `and ${count - items.length} more: see --out\n` : ''
    const table = terminal.table(['TIME', 'WHO', 'SECRET', 'FROM'], rows(items))
    return `\n${terminal.style(colour, `${count} ${title}`)}\n${table}${more}`
  }
  const missing =
    unseen.count === 0
      ? ''
      : `\n${terminal.style('yellow', `${unseen.count} in the log, and not in CloudTrail`)}\n${terminal.table(
          ['TIME', 'REQUEST', 'SECRETS'],
          unseen.items.map((one) => [one.time, one.request, one.secrets.join(' ')]),
        )}`
  const sum = [
    `${found.matched} of ${plural(found.events - found.repeated, 'read')} in CloudTrail have a record in the log`,
    `${plural(found.files, 'file')} of CloudTrail, ${found.trailFrom ?? 'no read'} to ${found.trailTo ?? 'no read'}`,
    `${plural(found.logs, 'file')} of the log from ${found.logBegins ?? 'no record'} on, with ${plural(found.records, 'record')} of calls`,
    `own role: ${found.roles.join(', ') || 'unknown, since no read of the log is in CloudTrail (--role)'}`,
    ...(found.repeated > 0 ? [`${found.repeated} events came more than once`] : []),
    ...(found.beforeLog > 0 ? [`${found.beforeLog} reads are older than the log`] : []),
    ...(found.failed > 0 ? [`${found.failed} reads failed, and delivered nothing`] : []),
    ...(found.otherSecrets > 0 ? [`${found.otherSecrets} reads of secrets that are not declared here, by others`] : []),
  ]
  const problems = found.problems.map(({ file, problem }) =>
    terminal.style('red', `not read to its end: ${file}: ${problem}`),
  )
  const body = [
    part("by this service's own role, and not in the log: somebody uses its credentials", strangers, 'red'),
    part('by others', others, 'yellow'),
    part('refused', refusals, 'yellow'),
    missing,
  ].join('')
  return `${sum.map((line) => terminal.hanging('', line)).join('\n')}\n${body}${problems.length > 0 ? `\n${problems.join('\n')}\n` : ''}`
}

module.exports = { addCompare }
