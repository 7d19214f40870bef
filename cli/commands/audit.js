'use strict'

const { logOf, readKey, records } = require('../audit-log')
const { fitting, follow, query, unused } = require('../audit-questions')
const { library } = require('../context')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { moment } = require('../times')
const { addCompare } = require('./audit-compare')

const LOG = 'the log (default: audit.path, else TCS_AUDIT_LOG, else secret-audit.jsonl)'

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  const audit = program.command('audit').summary('check and read an audit log')
  audit.description('Checks and reads an audit log, which the service writes.')

  define(audit, 'verify', {
    summary: 'check that no record was changed',
    description:
      'Checks that no record of an audit log was changed, removed, inserted or moved. Includes the rotated files, and names the first record that differs.',
    examples: ['audit verify', 'audit verify /var/log/secret-audit.jsonl --key-file audit.key'],
    exits: { 0: 'no record was changed', 1: 'a record was changed', 4: 'the log cannot be read' },
  })
    .argument('[file]', LOG)
    .option('--key-file <file>', 'file with the key of a keyed chain, as base64 text (default: TCS_AUDIT_KEY)')
    .option('--expect-first <number>', 'number of the record with which the log must begin, at the latest')
    .option('--expect-last <number[:link]>', 'number, and link, of a record that must be there')
    .option('--expect-keyed <number>', 'number of a record that must have the key, as all after it')
    .action(
      handle(async (context, file, { keyFile, expectFirst, expectLast, expectKeyed }) => {
        const { verifyAuditLog } = library()
        const log = await logOf(file, context)
        const key = keyFile === undefined ? process.env.TCS_AUDIT_KEY || undefined : readKey(keyFile)
        const [lastSequence, lastLink] = expectLast?.split(':') ?? []
        const found = await verifyAuditLog(log, {
          key,
          firstSequence: numberOf('--expect-first', expectFirst),
          lastSequence: numberOf('--expect-last', lastSequence),
          lastLink,
          keyedSequence: numberOf('--expect-keyed', expectKeyed),
        })
        const isKeyed = key !== undefined
        context.terminal.result({ file: log, isKeyed, ...found }, ({ file, ...found }) =>
          verdict(file, found, context.terminal),
        )
        return found.untampered ? EXIT.ok : EXIT.no
      }),
    )

  define(audit, 'query', {
    summary: 'find records, also in older files',
    description:
      'Finds records of the log and its older files, and says how many deliveries they stand for. A time is ISO 8601, or a span before now such as 24h or 7d. An actor is a label (caller), user, host, program, process id or instance, or one of them by name, such as user=root.',
    examples: [
      'audit query --secret GITHUB_API_TOKEN --since 7d',
      'audit query --tool database --outcome denied --since 2026-01-01',
      'audit query --actor user=root --since 24h',
    ],
    exits: { 0: 'the records were printed', 4: 'the log cannot be read' },
  })
    .argument('[file]', LOG)
    .option('--secret <name>', 'only records of this secret')
    .option('--tool <name>', 'only records of this tool')
    .option('--since <time>', 'only records from this time on')
    .option('--until <time>', 'only records up to this time')
    .option('--actor <who>', 'only records by this caller, user, host, program, process or instance')
    .option('--outcome <outcome>', 'only records with this outcome: ok, absent, denied or failed')
    .option('--event <event>', 'only records of this event, such as access, rotate or inspect')
    .option('-n, --lines <count>', 'the most records to print; all are counted', '1000')
    .action(
      handle(async (context, file, { lines, ...question }) => {
        const { terminal } = context
        const found = await query(
          await logOf(file, context),
          fitting(question, Date.now()),
          wholeNumber('--lines', lines),
        )
        terminal.result(found, (found) => table(found.records, terminal) + summary(found))
        return EXIT.ok
      }),
    )

  define(audit, 'unused', {
    summary: 'list secrets that were not delivered for a time',
    description:
      'Lists the declared secrets, and those in the log, that were not delivered within the last days. Says so if the log is younger than that.',
    examples: ['audit unused --days 90', 'audit unused /var/log/secret-audit.jsonl --days 30 --json'],
    exits: { 0: 'the list was printed', 4: 'the log cannot be read' },
  })
    .argument('[file]', LOG)
    .option('--days <count>', 'number of days', '90')
    .action(
      handle(async (context, file, { days }) => {
        const names = (await context.config()).declared.map(({ name }) => name)
        const found = await unused(await logOf(file, context), names, wholeNumber('--days', days), Date.now())
        context.terminal.result(found, (found) => idle(found, context.terminal))
        return EXIT.ok
      }),
    )

  addCompare(audit, handle)

  define(audit, 'tail', {
    summary: 'show the last records',
    examples: [
      'audit tail',
      'audit tail -f --outcome denied',
      'audit tail --lines 100 --secret GITHUB_API_TOKEN',
      'audit tail --outcome denied --json',
    ],
    exits: { 0: 'the records were printed', 4: 'the log cannot be read' },
  })
    .argument('[file]', LOG)
    .option('-n, --lines <count>', 'number of records', '20')
    .option('-f, --follow', 'go on with new records as they are written, until Ctrl-C')
    .option('--secret <name>', 'only records of this secret')
    .option('--outcome <outcome>', 'only records with this outcome: ok, absent, denied or failed')
    .action(
      handle(async (context, file, { lines, follow: follows, secret, outcome }) => {
        const log = await logOf(file, context)
        const fits = fitting({ secret, outcome }, Date.now())
        const { terminal } = context
        const wanted = (/** @type {any} */ record) => fits(record, {})
        const found = await last(log, wholeNumber('--lines', lines), wanted)
        if (!follows) {
          terminal.result({ records: found }, ({ records }) => table(records, terminal))
          return EXIT.ok
        }
        const print = (/** @type {any} */ record) => terminal.entry(record, row)
        found.forEach(print)
        const stop = new AbortController()
        const onSignal = () => stop.abort()
        process.once('SIGINT', onSignal)
        process.once('SIGTERM', onSignal)
        await follow(log, (record) => wanted(record) && print(record), stop.signal)
        return EXIT.ok
      }),
    )
}

/** @param {string} option @param {string} text */
function wholeNumber(option, text) {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  throw new CliError('USAGE', EXIT.usage, `${option} must be a whole number above 0`)
}

/** @param {string} option @param {string | undefined} text */
function numberOf(option, text) {
  return text === undefined ? undefined : wholeNumber(option, text)
}

/** @param {{ matched: number, deliveries: number, records: any[] }} found */
function summary({ matched, deliveries, records }) {
  const cut = records.length < matched ? `, of which the last ${records.length} are shown` : ''
  return `${matched} ${matched === 1 ? 'record' : 'records'}${cut}; ${deliveries} ${deliveries === 1 ? 'value was' : 'values were'} delivered\n`
}

/**
 * @param {Awaited<ReturnType<typeof unused>>} found
 * @param {import('../terminal').Terminal} terminal
 */
function idle({ days, known, logBegins, isComplete, secrets }, terminal) {
  if (known === 0) return 'No secret is declared, and the log names none.\n'
  const rows = secrets.map(({ name, lastDelivered }) => [
    name,
    lastDelivered === null ? 'never in this log' : moment(lastDelivered),
  ])
  const list =
    rows.length === 0
      ? `Every secret was delivered within ${days} days.\n`
      : terminal.table(['SECRET', 'LAST DELIVERED'], rows)
  if (isComplete) return list
  const begins = logBegins === null ? 'the log is empty' : `the log begins at ${moment(logBegins)}`
  return `${list}${begins}, so it does not say what happened within ${days} days\n`
}

/**
 * @param {string} file
 * @param {number} most
 * @param {(record: any) => boolean} wanted
 */
async function last(file, most, wanted) {
  /** @type {any[]} */
  const found = []
  for await (const record of records(file)) {
    if (!wanted(record)) continue
    found.push(record)
    if (found.length > most) found.shift()
  }
  return found
}

/**
 * @param {string} log
 * @param {import('../../index').AuditVerification & { isKeyed: boolean }} found
 * @param {import('../terminal').Terminal} terminal
 */
function verdict(log, found, terminal) {
  const { valid, untampered, fault, files, lastSequence, lastLink, endConfirmed, unrecoveredJournals } = found
  // A log whose beginning was changed has a state file beside it, as a rule.
  const isNone = lastSequence === 0 && !endConfirmed && fault?.kind === 'changed' && fault.line === 1
  const lines = [
    valid
      ? `${terminal.style('green', 'intact')}   ${log}`
      : `${terminal.style('red', untampered ? 'torn' : isNone ? 'no audit log' : 'tampered with')}   ${log}`,
  ]
  if (fault !== null) lines.push(`  ${fault.kind} at line ${fault.line} of ${fault.file}: ${fault.message}`)
  lines.push(
    `  records up to number ${lastSequence}, in ${files} ${files === 1 ? 'file' : 'files'}`,
    ...beginning(found),
  )
  lines.push(`  ${found.deliveries} values were delivered`)
  if (found.missedDeliveries > 0) {
    lines.push(
      `  ${found.missedDeliveries} more were delivered while their records had no place (audit.onFailure: 'warn')`,
    )
  }
  if (!endConfirmed) lines.push('  the state file beside the log is missing, so its end is not confirmed')
  if (unrecoveredJournals > 0) {
    lines.push(`  ${unrecoveredJournals} ended processes left records, which the next one that writes takes over`)
  }
  if (found.keyedSequence !== null && found.keyedSequence > found.firstSequence) lines.push(...keyless(found))
  if (!found.isKeyed) {
    lines.push(
      '  without a key this proves little: whoever can write the log and its state file can write another one that verifies',
      '  (audit.key or TCS_AUDIT_KEY makes a forger need the key; --expect-last shows that the end is an old one)',
    )
  }
  if (valid) lines.push(`  to note elsewhere: --expect-last ${lastSequence}:${lastLink}`)
  return lines.join('\n') + '\n'
}

/** What the records before the key prove. @param {import('../../index').AuditVerification} found */
function keyless({ firstSequence, keyedSequence, lastSequence }) {
  const [first, last] = [firstSequence, Number(keyedSequence) - 1]
  return [
    `  records ${first} to ${last} have no key and prove little: whoever could write the log may have changed them before record ${keyedSequence}`,
    `  records ${keyedSequence} to ${lastSequence} have the key, which also protects those before since then; to note elsewhere: --expect-keyed ${keyedSequence}`,
  ]
}

/** Where the log begins, and why. @param {import('../../index').AuditVerification} found */
function beginning({ firstSequence, firstFile, expiredFiles }) {
  if (firstFile <= 1) return []
  const missing = firstFile === 2 ? 'file 1 is' : `files 1 to ${firstFile - 1} are`
  const why =
    expiredFiles >= firstFile - 1
      ? 'records in the log say that they were deleted (audit.keepDays)'
      : 'no record says why: were they moved elsewhere?'
  return [`  the log begins with record ${firstSequence}, in file ${firstFile}; ${missing} not here, and ${why}`]
}

/** @param {any} record */
function cells({
  time,
  last,
  event,
  secret = '',
  source = '',
  cache = '',
  outcome = '',
  code = '',
  count,
  caller = '',
  actor,
  detail = '',
}) {
  const by = [caller, ...['user', 'host', 'program', 'command'].map((name) => actor?.[name])].filter(Boolean).join(' ')
  return [
    time,
    event,
    secret === '' && actor === undefined ? detail : secret,
    [source, cache].filter(Boolean).join(' '),
    [outcome, code].filter(Boolean).join(' ') +
      (count === undefined ? '' : ` ×${count}`) +
      (last === undefined ? '' : ` until ${last}`),
    by,
  ]
}

/** A record on a line of its own. @param {any} record */
function row(record) {
  return cells(record).filter(Boolean).join('  ') + '\n'
}

/**
 * @param {any[]} found
 * @param {import('../terminal').Terminal} terminal
 */
function table(found, terminal) {
  if (found.length === 0) return 'No record fits.\n'
  return terminal.table(['TIME', 'EVENT', 'SECRET', 'SOURCE', 'OUTCOME', 'BY'], found.map(cells))
}
