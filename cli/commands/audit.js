'use strict'

const fs = require('node:fs')
const readline = require('node:readline')
const { library } = require('../context')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')

const DEFAULT_FILE = 'secret-audit.jsonl'

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  const audit = program.command('audit').summary('check and read an audit log')
  audit.description('Checks and reads an audit log, which the service writes.')

  define(audit, 'verify', {
    summary: 'check that no record was changed',
    description:
      'Checks that no record of an audit log was changed, removed, inserted or moved, in the files that were rotated away as well. Names the first one that was.',
    examples: ['audit verify', 'audit verify /var/log/secret-audit.jsonl --key-file audit.key'],
    exits: { 0: 'it is as it was written', 1: 'it is not', 4: 'it cannot be read' },
  })
    .argument('[file]', `the log (default: TCS_AUDIT_LOG, else ${DEFAULT_FILE})`)
    .option('--key-file <file>', 'file with the key of a keyed chain, as base64 text')
    .action(
      handle(async (context, file, { keyFile }) => {
        const { verifyAuditLog } = library()
        const log = logOf(file)
        const key = keyFile === undefined ? undefined : read(keyFile).trim()
        const found = await verifyAuditLog(log, { key })
        context.terminal.result({ file: log, ...found }, () => verdict(log, found, context.terminal))
        return found.untampered ? EXIT.ok : EXIT.no
      }),
    )

  define(audit, 'tail', {
    summary: 'show the last records',
    examples: ['audit tail', 'audit tail --lines 100 --secret GITHUB_API_TOKEN', 'audit tail --outcome denied --json'],
    exits: { 0: 'shown', 4: 'the log cannot be read' },
  })
    .argument('[file]', `the log (default: TCS_AUDIT_LOG, else ${DEFAULT_FILE})`)
    .option('-n, --lines <count>', 'how many records', '20')
    .option('--secret <name>', 'of one secret')
    .option('--outcome <outcome>', 'with one outcome: ok, absent, denied or failed')
    .action(
      handle(async (context, file, { lines, secret, outcome }) => {
        const most = Number(lines)
        if (!(Number.isInteger(most) && most > 0)) {
          throw new CliError('USAGE', EXIT.usage, '--lines must be a whole number above 0')
        }
        const wanted = (/** @type {any} */ record) =>
          (secret === undefined || record.secret === secret) && (outcome === undefined || record.outcome === outcome)
        const records = await last(logOf(file), most, wanted)
        context.terminal.result({ records }, () => table(records, context.terminal))
        return EXIT.ok
      }),
    )
}

/** @param {string | undefined} file */
function logOf(file) {
  const log = file ?? process.env.TCS_AUDIT_LOG ?? DEFAULT_FILE
  if (log === 'stdout') throw new CliError('USAGE', EXIT.usage, 'TCS_AUDIT_LOG is stdout; name the file with the lines')
  return log
}

/** @param {string} file */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    throw new CliError('FILE_NOT_READ', EXIT.source, `${file} could not be read (${code})`)
  }
}

/**
 * Reads line by line: a log may have gigabytes.
 *
 * @param {string} file
 * @param {number} most
 * @param {(record: any) => boolean} wanted
 */
async function last(file, most, wanted) {
  /** @type {any[]} */
  const records = []
  try {
    const lines = readline.createInterface({ input: fs.createReadStream(file), crlfDelay: Infinity })
    for await (const line of lines) {
      const record = parsed(line)
      if (record === undefined || !wanted(record)) continue
      records.push(record)
      if (records.length > most) records.shift()
    }
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    throw new CliError('FILE_NOT_READ', EXIT.source, `${file} could not be read (${code})`)
  }
  return records
}

/** A torn last line is no record. @param {string} line */
function parsed(line) {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
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
 * @param {any[]} records
 * @param {import('../terminal').Terminal} terminal
 */
function table(records, terminal) {
  if (records.length === 0) return 'No record fits.\n'
  const rows = records.map(
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
