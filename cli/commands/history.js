'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { configuredLog, records } = require('../audit-log')
const { define } = require('../define')
const { EXIT } = require('../exit')
const { namedBy, notInAws } = require('../secrets')
const { moment } = require('../times')

const LABELS = /** @type {const} */ ({ pending: 'AWSPENDING', current: 'AWSCURRENT', previous: 'AWSPREVIOUS' })
/** Audit events that make versions. */
const MADE = new Set(['rotate', 'migrate', 'write'])

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'history', {
    summary: 'show the versions of a secret that have labels, and who made them',
    description:
      'Shows the live, the previous and the pending version of a secret in AWS, and who made each by the audit log, where that has a record. Prints no values.',
    examples: [
      'history github api_token --environment production',
      'history GITHUB_API_TOKEN --audit-log audit.jsonl --json',
    ],
    exits: { 0: 'the versions were printed', 1: 'AWS has no such secret', 4: 'AWS failed' },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('--audit-log <file>', 'the log (default: audit.path, else TCS_AUDIT_LOG, else secret-audit.jsonl)')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType, { auditLog }) => {
        const name = namedBy(first, secretType)
        const found = await delivery.getSecretVersions(name)
        const { environment } = delivery
        const by = await makers(logOf(config, auditLog), name, environment)
        const versions = Object.entries(LABELS).flatMap(([state, label]) => {
          const version = found[/** @type {keyof typeof LABELS} */ (state)]
          if (version === null) return []
          const { versionId, createdAt } = version
          return [{ label, versionId, createdAt, madeBy: by.get(versionId) ?? null }]
        })
        if (versions.length === 0) throw notInAws(name, delivery, config)
        terminal.result({ name, environment, versions }, ({ versions }) => shown(name, environment, versions, terminal))
        return EXIT.ok
      }),
    )
}

/** @param {import('../context').Config} config @param {string | undefined} named @returns {string | null} */
function logOf(config, named) {
  const file = named === undefined ? configuredLog(config) : path.resolve(named)
  if (file === null) return null
  return named === undefined && !fs.existsSync(file) ? null : file
}

/**
 * Who made versions of a secret, by version id.
 *
 * @param {string | null} log
 * @param {string} name
 * @param {string} environment
 * @returns {Promise<Map<string, string>>}
 */
async function makers(log, name, environment) {
  /** @type {Map<string, string>} */
  const found = new Map()
  if (log === null) return found
  for await (const record of records(log)) {
    const isOf = record.secret === name.toUpperCase() && record.environment === environment
    if (isOf && MADE.has(record.event) && record.version) {
      found.set(record.version, `${record.event}${record.caller ? ` by ${record.caller}` : ''}`)
    }
  }
  return found
}

/**
 * @param {string} name
 * @param {string} environment
 * @param {{ label: string, versionId: string, createdAt: string | null, madeBy: string | null }[]} versions
 * @param {import('../terminal').Terminal} terminal
 */
function shown(name, environment, versions, terminal) {
  const rows = versions.map(({ label, versionId, createdAt, madeBy }) => [
    label,
    createdAt === null ? '–' : moment(createdAt),
    versionId,
    madeBy ?? '–',
  ])
  const table = terminal.table(
    ['LABEL', 'CREATED', 'VERSION', 'MADE BY'],
    rows,
    terminal.words(0, { AWSCURRENT: 'green' }),
  )
  return `${terminal.style('bold', name)} in ${environment}\n\n${table}`
}
