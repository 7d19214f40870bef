'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { version } = require('../../package.json')
const { configuredLog, readKey } = require('../audit-log')
const { library } = require('../context')
const { define } = require('../define')
const { CliError, EXIT, describe } = require('../exit')
const { writeAtomically } = require('../private-file')
const { trafficOf } = require('../report/traffic')

/** The mode of the page, which holds no values and may be read by others. */
const READABLE = 0o644

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'report', {
    summary: 'write an HTML page for auditors',
    description:
      'Writes one HTML page without external resources: as whom and in which region it asked AWS, where every declared secret comes from, the result of its validation, when it is due for rotation, the latency of each layer, the state of the sources, whether the audit log is unchanged, the hit rate and latency of the reads in it, and who read and who was refused each secret. It contains no values, and ends with a hash of itself. --json prints the same as data.',
    examples: [
      'report --out report.html --environment production',
      'report --out report.html --audit-log /var/log/secret-audit.jsonl',
      'report --json',
      'report --compliance --environment production',
    ],
    exits: {
      0: 'the page was written, even if it shows problems; with --compliance: every control is met or waived',
      1: 'with --compliance: a control is not met',
      5: 'the file could not be written',
    },
  })
    .option('-o, --out <file>', 'path of the page; an existing file is replaced')
    .option(
      '--audit-log <file>',
      "the service's log (default: audit.path, else TCS_AUDIT_LOG, else secret-audit.jsonl)",
    )
    .option(
      '--audit-key-file <file>',
      'file with the key of a keyed log, as base64 text (default: audit.key, else TCS_AUDIT_KEY)',
    )
    .option('--compliance', 'only the controls of the compliance profile, on the terminal')
    .action(
      handle(async (context, { out, auditLog, auditKeyFile, compliance: onlyControls }) => {
        if (onlyControls && out === undefined) return showControls(context, { auditLog, auditKeyFile })
        if (out === undefined && !context.terminal.json) {
          throw new CliError('USAGE', EXIT.usage, 'name a file with --out, such as --out report.html, or add --json')
        }
        const data = await context.withDelivery((delivery, config) =>
          gather(delivery, config, { auditLog, auditKeyFile }),
        )
        if (out !== undefined) {
          // Not needed with --json.
          const { page } = require('../report/page')
          writeAtomically(path.resolve(out), page(data), READABLE)
        }
        context.terminal.result(data, () => `${path.resolve(out)}\n`)
        return EXIT.ok
      }),
    )
}

/**
 * @typedef {object} Report
 * @property {string} generatedAt ISO 8601, UTC.
 * @property {string} version Of this package.
 * @property {import('../../index').Environment} environment
 * @property {{ account: string | null, arn: string | null, region: string | null }} aws Who asked; `null`: AWS did not say.
 * @property {import('../../index').HealthReport} health
 * @property {(import('../../index').ValidatedSecret & { required: boolean })[]} secrets
 * @property {import('../../index').RotationDue[]} rotation
 * @property {import('../../index').PerformanceMetrics | null} performance
 * @property {{ code: string, message: string } | null} performanceError Why there are no latencies.
 * @property {import('../../index').ComplianceReport} compliance
 * @property {Audit} audit
 */
/**
 * @typedef {object} Audit
 * @property {string | null} log The file; `null`: there is none.
 * @property {import('../../index').AuditVerification | null} verification
 * @property {import('../report/traffic').Traffic | null} traffic What its records say of the service's reads.
 * @property {{ code: string, message: string } | null} error Why there is no verification.
 */

/**
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @param {{ auditLog?: string, auditKeyFile?: string }} named
 * @returns {Promise<Report>}
 */
async function gather(delivery, config, named) {
  const { declared } = config
  const required = new Set(declared.filter((secret) => secret.required).map(({ name }) => name))
  const health = await delivery.health()
  const { secrets } = await delivery.validateApplicationFunctionality()
  const rotation = await delivery.rotation.due()
  const [performance, performanceError] = await delivery.assessPerformanceImpact().then(
    (metrics) => /** @type {const} */ ([metrics, null]),
    ({ code, message }) => /** @type {const} */ ([null, { code, message }]),
  )
  const audit = await audited(config, delivery.environment, named)
  return {
    generatedAt: new Date().toISOString(),
    version,
    environment: delivery.environment,
    aws: await identityOf(delivery, config),
    health,
    secrets: secrets.map((secret) => ({ ...secret, required: required.has(secret.name) })),
    rotation,
    performance,
    performanceError,
    compliance: withAudit(await delivery.compliance(), audit),
    audit,
  }
}

/**
 * For whom AWS takes this program, and where it is asked.
 *
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @returns {Promise<Report['aws']>}
 */
async function identityOf(delivery, { options: { aws } }) {
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env
  const region = aws?.region ?? (AWS_REGION || AWS_DEFAULT_REGION || null)
  const { account, arn } = (await delivery.identity().catch(() => null)) ?? { account: null, arn: null }
  return { account, arn, region }
}

/**
 * Prints the controls.
 *
 * @param {import('../context').Context} context
 * @param {{ auditLog?: string, auditKeyFile?: string }} named
 */
async function showControls(context, named) {
  const { terminal } = context
  const report = await context.withDelivery(async (delivery, config) => {
    const audit = await audited(config, delivery.environment, named)
    return withAudit(await delivery.compliance(), audit)
  })
  terminal.result(report, ({ profile, environment, controls, enforced }) => {
    if (profile === null) return `compliance is not looked at in ${environment}\n`
    const rows = controls.map(({ control, criteria, state, evidence, remedy, waiver, setting }) => [
      state,
      control,
      criteria.join(' '),
      [
        ...evidence,
        ...(remedy === null ? [] : [`→ ${setting}: ${remedy}`]),
        ...(state === 'waived' ? [`waived: ${waiver}`] : []),
      ].join('; '),
    ])
    const colours = /** @type {const} */ ({ met: 'green', 'not-met': 'red', waived: 'yellow', 'not-applicable': 'dim' })
    const table = terminal.table(['STATE', 'CONTROL', 'CRITERIA', 'EVIDENCE'], rows, terminal.words(0, colours))
    return `${profile} in ${environment}, ${enforced ? 'enforced' : 'watched'}\n${table}`
  })
  return report.met ? EXIT.ok : EXIT.no
}

/**
 * The controls of the log with what the log shows.
 *
 * @param {import('../../index').ComplianceReport} report
 * @param {Audit} audit
 * @returns {import('../../index').ComplianceReport}
 */
function withAudit(report, { log, verification, error }) {
  if (log === null) return report
  const shown =
    verification === null
      ? `${log}: ${error?.message}`
      : `${log}: records up to number ${verification.lastSequence}, ${verification.deliveries} values delivered, ${verification.untampered ? 'no record was changed' : `changed: ${verification.fault?.message}`}`
  const controls = report.controls.map((one) => {
    if (one.control !== 'audit-log') return one
    // A log that was changed is none.
    const isBroken = verification !== null && !verification.untampered && one.state === 'met'
    return {
      ...one,
      evidence: [...one.evidence, shown],
      ...(isBroken && {
        state: /** @type {const} */ ('not-met'),
        remedy: 'find out who changed it: tcs-secrets audit verify',
      }),
    }
  })
  return { ...report, controls, met: controls.every(({ state }) => state !== 'not-met') }
}

/**
 * @param {import('../context').Config} config
 * @param {string} environment
 * @param {{ auditLog?: string, auditKeyFile?: string }} named
 * @returns {Promise<Audit>}
 */
async function audited(config, environment, { auditLog, auditKeyFile }) {
  const { key: configuredKey } = config.options.audit || {}
  const log = auditLog === undefined ? configuredLog(config) : path.resolve(auditLog)
  const nothing = { log: null, verification: null, traffic: null, error: null }
  if (log === null || (auditLog === undefined && !fs.existsSync(log))) return nothing
  const key =
    auditKeyFile === undefined ? (configuredKey ?? (process.env.TCS_AUDIT_KEY || undefined)) : readKey(auditKeyFile)
  try {
    const verification = await library().verifyAuditLog(log, { key })
    return { log, verification, traffic: await trafficOf(log, environment), error: null }
  } catch (error) {
    const { code, message } = describe(error)
    return { ...nothing, log, error: { code, message } }
  }
}
