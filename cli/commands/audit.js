'use strict'

const { DEFAULT_FILE, logOf, readKey, records } = require('../audit-log')
const { library } = require('../context')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')

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
    .argument('[file]', `the log (default: TCS_AUDIT_LOG, else ${DEFAULT_FILE})`)
    .option('--key-file <file>', 'file with the key of a keyed chain, as base64 text')
    .action(
      handle(async (context, file, { keyFile }) => {
        const { verifyAuditLog } = library()
        const log = logOf(file)
        const key = keyFile === undefined ? undefined : readKey(keyFile)
        const found = await verifyAuditLog(log, { key })
        context.terminal.result({ file: log, ...found }, ({ file, ...found }) => verdict(file, found, context.terminal))
        return found.untampered ? EXIT.ok : EXIT.no
      }),
    )

  define(audit, 'tail', {
    summary: 'show the last records',
    examples: ['audit tail', 'audit tail --lines 100 --secret GITHUB_API_TOKEN', 'audit tail --outcome denied --json'],
    exits: { 0: 'the records were printed', 4: 'the log cannot be read' },
  })
    .argument('[file]', `the log (default: TCS_AUDIT_LOG, else ${DEFAULT_FILE})`)
    .option('-n, --lines <count>', 'number of records', '20')
    .option('--secret <name>', 'only records of this secret')
    .option('--outcome <outcome>', 'only records with this outcome: ok, absent, denied or failed')
    .action(
      handle(async (context, file, { lines, secret, outcome }) => {
        const most = Number(lines)
        if (!(Number.isInteger(most) && most > 0)) {
          throw new CliError('USAGE', EXIT.usage, '--lines must be a whole number above 0')
        }
        const wanted = (/** @type {any} */ record) =>
          (secret === undefined || record.secret === secret) && (outcome === undefined || record.outcome === outcome)
        const found = await last(logOf(file), most, wanted)
        context.terminal.result({ records: found }, ({ records }) => table(records, context.terminal))
        return EXIT.ok
      }),
    )
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
 * @param {import('../../index').AuditVerification} found
 * @param {import('../terminal').Terminal} terminal
 */
function verdict(log, { valid, untampered, fault, files, lastSequence, endConfirmed, unrecoveredJournals }, terminal) {
  const lines = [
    valid
      ? `${terminal.style('green', 'intact')}   ${log}`
      : `${terminal.style('red', untampered ? 'torn' : 'tampered with')}   ${log}`,
  ]
  if (fault !== null) lines.push(`  ${fault.kind} at line ${fault.line} of ${fault.file}: ${fault.message}`)
  lines.push(`  records up to number ${lastSequence}, in ${files} ${files === 1 ? 'file' : 'files'}`)
  if (!endConfirmed) lines.push('  the state file beside the log is missing, so its end is not confirmed')
  if (unrecoveredJournals > 0) {
    lines.push(`  ${unrecoveredJournals} ended processes left records, which the next one that writes takes over`)
  }
  return lines.join('\n') + '\n'
}

/**
 * @param {any[]} found
 * @param {import('../terminal').Terminal} terminal
 */
function table(found, terminal) {
  if (found.length === 0) return 'No record fits.\n'
  const rows = found.map(
    ({ time, event, secret = '', source = '', cache = '', outcome = '', code = '', caller = '' }) => [
      time,
      event,
      secret,
      [source, cache].filter(Boolean).join(' '),
      [outcome, code].filter(Boolean).join(' '),
      caller,
    ],
  )
  return terminal.table(['TIME', 'EVENT', 'SECRET', 'SOURCE', 'OUTCOME', 'CALLER'], rows)
}
