'use strict'

const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */
/** @typedef {import('../../index').ValidatedSecret} ValidatedSecret */

/** By the code of the delivery's warning. @type {Record<string, string>} */
const FIXES = {
  AUDIT_LOG_MODE: 'take the rights of group and others away',
  BATCH_NOT_GRANTED: 'grant the identity secretsmanager:BatchGetSecretValue',
  ENV_FILE_DEPRECATED: 'move the secrets of the env file to AWS',
  ENV_FILE_LINE_SKIPPED: 'correct these lines, or make comments of them',
  ENV_FILE_MODE: 'take the rights of group and others away',
  SHARED_COPY_NOT_DROPPED: 'let Redis answer again; the copy ends with its TTL',
  SNAPSHOT_MODE: 'take the rights of group and others away',
  SNAPSHOT_NOT_WRITTEN: 'let the service write into the directory of cache.snapshotPath',
}

/**
 * Whether the declared secrets can be read: what the identity may do is found out by doing it.
 *
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @param {import('../../index').HealthReport} health
 * @param {string[]} warnings Of the delivery, so far and while this runs.
 * @returns {Promise<Finding[]>}
 */
async function secretFindings(delivery, { declared }, { checks }, warnings) {
  if (declared.length === 0) {
    return [
      finding('secrets', 'note', 'none are declared, so permissions were not tried', 'declare tools: tcs-secrets init'),
    ]
  }
  // While AWS is down every secret would only repeat it.
  const asksAws = checks.aws.status === 'ok' || checks.aws.status === 'degraded'
  const access = asksAws ? (await delivery.validateSecretAccess()).secrets : []
  const { secrets } = await delivery.validateApplicationFunctionality()
  return [
    ...permissionFindings(access),
    ...(asksAws || checks.aws.status === 'disabled' ? [readFinding(secrets)] : []),
    ...warnings.map((warning) => finding('reads', 'warning', warning, fixFor(warning))),
  ]
}

/** @param {ValidatedSecret[]} access @returns {Finding[]} */
function permissionFindings(access) {
  if (access.length === 0) return []
  const refused = access.filter(({ issues }) =>
    issues.some(({ message }) => message.startsWith('SECRET_ACCESS_DENIED')),
  )
  if (refused.length === 0) return [finding('permissions', 'ok', 'AWS refuses none of the declared secrets')]
  const fix = 'grant the identity secretsmanager:GetSecretValue on them, and kms:Decrypt on their key'
  return [finding('permissions', 'error', `AWS refuses ${names(refused)}`, fix)]
}

/** @param {ValidatedSecret[]} secrets @returns {Finding} */
function readFinding(secrets) {
  const wrong = secrets.filter(({ issues }) => issues.some(({ severity }) => severity === 'error'))
  const absent = secrets.filter(({ present }) => !present)
  if (wrong.length > 0) {
    return finding('secrets', 'error', `wrong or missing: ${names(wrong)}`, "see 'tcs-secrets validate'")
  }
  const count = `${secrets.length - absent.length} of ${secrets.length} declared secrets are there`
  if (absent.length > 0) return finding('secrets', 'note', `${count}; not ${names(absent)}`)
  return finding('secrets', 'ok', count)
}

/** @param {string} warning `CODE: message`. */
function fixFor(warning) {
  return FIXES[warning.split(':', 1)[0] ?? ''] ?? null
}

/** @param {ValidatedSecret[]} secrets */
function names(secrets) {
  return secrets.map(({ name }) => name).join(', ')
}

module.exports = { secretFindings }
