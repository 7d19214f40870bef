'use strict'

const { idsOf } = require('../infra/places')
const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */
/** @typedef {import('../../index').ValidatedSecret} ValidatedSecret */

/** Fixes, by the code of the delivery's warning. @type {Record<string, string>} */
const FIXES = {
  AWS_KEYS_UNUSED: 'unset AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  AUDIT_LOG_MODE: 'take the rights of group and others away',
  BATCH_NOT_GRANTED: 'grant the identity secretsmanager:BatchGetSecretValue',
  CHANGES_NOT_HEARD: 'NOPERM: grant the Redis user +subscribe and its channel &secret:events:*',
  ENV_FILE_DEPRECATED: 'move the secrets of the env file to AWS',
  ENV_FILE_LINE_SKIPPED: 'correct these lines, or make comments of them',
  CERTIFICATES_UNUSABLE: 'name a file with certificates in PEM form, or unset the variable',
  PROXY_UNUSABLE: 'write it as http://user:password@host:port or socks5h://…, or unset the variable',
  REDIS_URL_UNUSED: 'correct it, or set cache.redis to false',
  SHARED_COPY_NOT_DROPPED: 'let Redis answer again; the copy ends with its TTL',
  SNAPSHOT_NOT_WRITTEN: 'let the service write into the directory of cache.snapshotPath',
}

/** Warnings that other files of this folder report themselves. */
const TOLD_ELSEWHERE = /^((ENV_FILE|SNAPSHOT)_MODE:|COMPLIANCE_NOT_MET:|REDIS_URL_UNUSED:.*TCS_CACHE_KEYS)/

/** Permissions without which reads fail. */
const READS = new Set(['secretsmanager:GetSecretValue', 'kms:Decrypt'])
/** Permissions that some services do not need. The delivery itself warns of a missing BatchGetSecretValue. @type {Record<string, string>} */
const USES = {
  'secretsmanager:ListSecrets': 'tools that declare no secrets',
  'secretsmanager:DescribeSecret': 'rotations, and migrations that overwrite',
}

/**
 * Checks whether the declared secrets can be read, by reading them.
 *
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @param {import('../../index').HealthReport} health
 * @param {string[]} warnings Of the delivery, so far and while this runs.
 * @returns {Promise<Finding[]>}
 */
async function secretFindings(delivery, { declared, options }, { checks }, warnings) {
  if (declared.length === 0) {
    return [
      finding('secrets', 'note', 'none are declared, so permissions were not tried', 'declare tools: tcs-secrets init'),
      ...warned(warnings),
    ]
  }
  // While AWS is down, every secret would report the same.
  const asksAws = checks.aws.status === 'ok' || checks.aws.status === 'degraded'
  const access = asksAws
    ? [...permissionFindings(await delivery.validateSecretAccess()), ...(await widerFindings(delivery, options))]
    : []
  const { secrets } = await delivery.validateApplicationFunctionality()
  return [
    ...access,
    ...(asksAws || checks.aws.status === 'disabled' ? [readFinding(secrets)] : []),
    ...warned(warnings),
  ]
}

/** @param {string[]} warnings */
function warned(warnings) {
  const told = warnings.filter((warning) => !TOLD_ELSEWHERE.test(warning))
  return told.map((warning) => finding('reads', 'warning', warning, fixFor(warning)))
}

/** @param {import('../../index').AccessValidationResult} access @returns {Finding[]} */
function permissionFindings({ secrets, permissions }) {
  const denied = permissions.filter(({ state }) => state === 'denied')
  const refused = denied
    .filter(({ action }) => READS.has(action))
    .map(({ action, refusedFor }) =>
      finding('permissions', 'error', `AWS refuses ${refusedFor.join(', ')}`, `grant the identity ${action} on them`),
    )
  const unnamed = secrets.filter(({ issues }) =>
    issues.some(({ message, action }) => action === undefined && message.startsWith('SECRET_ACCESS_DENIED')),
  )
  if (unnamed.length > 0) {
    const fix = 'grant the identity secretsmanager:GetSecretValue on them, and kms:Decrypt on their key'
    refused.push(finding('permissions', 'error', `AWS refuses ${names(unnamed)}`, fix))
  }
  if (refused.length === 0) refused.push(finding('permissions', 'ok', 'AWS refuses none of the declared secrets'))
  const others = denied.flatMap(({ action }) => {
    const use = USES[action]
    return use === undefined ? [] : [finding('permissions', 'note', `${action} is not granted; it is for ${use}`)]
  })
  return [...refused, ...others]
}

/** A name that nobody declares; `health()` asks for it too, so that alarms leave it out. */
const UNDECLARED = 'TCS_SECRET_DELIVERY_HEALTH_PROBE'

/**
 * Whether more is granted than what is declared, as far as AWS tells: of a name that is granted it says "not there", of others
 * "denied". What may be written cannot be tried without writing.
 *
 * @param {Pick<import('../context').SecretDelivery, 'environment' | 'getSecretFromAWS'>} delivery
 * @param {import('../context').Config['options']} options
 * @returns {Promise<Finding[]>}
 */
async function widerFindings(delivery, options) {
  const asks = probesOf(delivery.environment, options).map(async ([what, name, environment]) => {
    const isGranted = await delivery.getSecretFromAWS(name, environment).then(
      () => true,
      () => false,
    )
    return isGranted ? [what] : []
  })
  const wider = (await Promise.all(asks)).flat()
  if (wider.length === 0) return []
  const fix = "'tcs-secrets policy reader' writes a policy of the declared secrets"
  return [finding('permissions', 'note', `more may be read than is declared: ${wider.join('; ')}`, fix)]
}

/**
 * Names that nobody has, and what it says if one of them may be read.
 *
 * @param {string} own
 * @param {import('../context').Config['options']} options
 * @returns {[string, string | { id: string }, string?][]}
 */
function probesOf(own, options) {
  const byEnvironment = (options.aws?.secretIdTemplate ?? '{environment}').includes('{environment}')
  const others = byEnvironment ? ['staging', 'production', ...Object.keys(options.environments ?? {})] : []
  const id = idsOf(options, own).ids.find((one) => /^[\w/]+$/.test(one))
  return [
    ['other names of this environment', UNDECLARED],
    ...others
      .filter((name) => name !== own)
      .map((name) => /** @type {[string, string, string]} */ ([`secrets of ${name}`, UNDECLARED, name])),
    // What `NAME-*` grants, and `NAME-??????` does not.
    ...(id === undefined
      ? []
      : [/** @type {[string, { id: string }]} */ ([`names that begin like ${id}`, { id: `${id}-${UNDECLARED}` }])]),
  ]
}

/** @param {ValidatedSecret[]} secrets @returns {Finding} */
function readFinding(secrets) {
  const wrong = secrets.flatMap(({ name, issues }) => {
    const codes = issues.filter(({ severity }) => severity === 'error').map(({ code }) => code)
    return codes.length === 0 ? [] : [`${name} (${codes.join(', ')})`]
  })
  const absent = secrets.filter(({ present }) => !present)
  if (wrong.length > 0) {
    return finding('secrets', 'error', `wrong or missing: ${wrong.join(', ')}`, "see 'tcs-secrets validate'")
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
