'use strict'

const http = require('node:http')
const https = require('node:https')
const { describe } = require('../exit')
const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */
/** @typedef {import('../../index').AwsOptions} AwsOptions */

const CLOCK_DEADLINE_MS = 2_000
/** The largest clock difference that AWS accepts in signatures, in milliseconds. */
const REFUSED_SECONDS = 300
const SUSPICIOUS_SECONDS = 60

/**
 * @param {import('../../index').HealthReport} health
 * @param {import('../context').Config} config
 * @param {Pick<import('../context').SecretDelivery, 'identity'>} delivery
 * @returns {Promise<Finding[]>}
 */
async function awsFindings({ checks: { aws } }, { options }, delivery) {
  const settings = options.aws ?? {}
  if (settings.enabled === false) return [finding('AWS', 'note', 'switched off by aws.enabled')]
  const region = regionOf(settings)
  const endpoint = endpointOf(settings, region)
  const found = [
    finding(
      'AWS region',
      region === null ? 'note' : 'ok',
      region ?? 'named by no option or variable; perhaps by the profile',
    ),
    finding('AWS credentials', 'note', `asked for in: ${credentialsOf(settings)}`),
    ...(aws.status === 'disabled' ? [] : await identityFindings(delivery)),
    stateOf(aws, endpoint),
  ]
  return aws.status === 'disabled' || endpoint === null ? found : [...found, ...(await clockFindings(endpoint))]
}

/**
 * @param {import('../../index').HealthCheck} aws
 * @param {string | null} endpoint
 * @returns {Finding}
 */
function stateOf({ status, reason }, endpoint) {
  if (status === 'ok') {
    const where = endpoint === null ? '' : ` at ${new URL(endpoint).host}`
    return finding('AWS', 'ok', `Secrets Manager answers this identity${where}`)
  }
  const text = reason ?? status
  if (status === 'disabled') {
    return finding(
      'AWS',
      'note',
      `not asked: ${text}`,
      'fine for development without AWS; else sign in, such as: aws sso login',
    )
  }
  return finding('AWS', status === 'down' ? 'error' : 'warning', text, fixFor(text))
}

/**
 * Who AWS takes this process for. A note where STS does not say: a network may lead to Secrets Manager only.
 *
 * @param {Pick<import('../context').SecretDelivery, 'identity'>} delivery
 */
async function identityFindings(delivery) {
  try {
    const identity = await delivery.identity()
    return identity === null ? [] : [finding('AWS identity', 'ok', `${identity.arn}, account ${identity.account}`)]
  } catch (error) {
    return [finding('AWS identity', 'note', `unknown: ${describe(error).message}`)]
  }
}

/** @param {string} reason */
function fixFor(reason) {
  if (/certificate/i.test(reason)) {
    return 'name the root certificate in AWS_CA_BUNDLE, NODE_EXTRA_CA_CERTS or aws.ca (docs/network.md)'
  }
  if (/through the proxy/.test(reason)) return 'check HTTPS_PROXY and NO_PROXY, or set aws.proxy (docs/network.md)'
  if (/aws (sso )?login|profile '/.test(reason)) return 'do what the message says, then try again'
  if (/region/i.test(reason)) return 'set AWS_REGION, or aws.region'
  if (/credential/i.test(reason)) return 'sign in (aws sso login), or set AWS_PROFILE or the AWS_* variables'
  if (/denied|authorized/i.test(reason)) return 'grant the identity secretsmanager:GetSecretValue on its secrets'
  return 'check the network, the region, and aws.endpoint where one is set'
}

/** @param {AwsOptions} aws */
function regionOf({ region }) {
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env
  return region ?? (AWS_REGION || AWS_DEFAULT_REGION || null)
}

/** The first configured place of credentials, in the order of AWS's chain. @param {AwsOptions} aws */
function credentialsOf({ credentials, profile }) {
  const env = process.env
  if (credentials !== undefined) return 'aws.credentials of the configuration file'
  if (profile !== undefined) return `the profile ${profile} (aws.profile)`
  if (env.AWS_PROFILE) return `the profile ${env.AWS_PROFILE} (AWS_PROFILE)`
  if (env.AWS_ACCESS_KEY_ID) return 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
  if (env.AWS_WEB_IDENTITY_TOKEN_FILE) return 'the web identity of AWS_WEB_IDENTITY_TOKEN_FILE'
  if (env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI || env.AWS_CONTAINER_CREDENTIALS_FULL_URI) return 'the container'
  return 'the default profile, then what the machine provides'
}

/** @param {AwsOptions} aws @param {string | null} region */
function endpointOf({ endpoint, useFipsEndpoint }, region) {
  const { AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL, AWS_USE_FIPS_ENDPOINT } = process.env
  const given = endpoint ?? (AWS_ENDPOINT_URL_SECRETS_MANAGER || AWS_ENDPOINT_URL || undefined)
  const isFips = useFipsEndpoint ?? /^true$/i.test(AWS_USE_FIPS_ENDPOINT ?? '')
  return given ?? (region === null ? null : `https://${hostOf(region, isFips)}`)
}

/** The domains of AWS's partitions, by the beginning of their regions. @type {[string, string][]} */
const DOMAINS = [
  ['cn-', 'amazonaws.com.cn'],
  ['us-isob-', 'sc2s.sgov.gov'],
  ['us-isof-', 'csp.hci.ic.gov'],
  ['us-iso-', 'c2s.ic.gov'],
  ['eu-isoe-', 'cloud.adc-e.uk'],
  ['eusc-', 'amazonaws.eu'],
]

/** AWS's host of Secrets Manager in a region. @param {string} region @param {boolean} isFips */
function hostOf(region, isFips) {
  const domain = DOMAINS.find(([beginning]) => region.startsWith(beginning))?.[1] ?? 'amazonaws.com'
  return `secretsmanager${isFips ? '-fips' : ''}.${region}.${domain}`
}

/**
 * Compares the clock of this machine with the `Date` of an AWS answer. No finding if AWS does not answer, which another
 * finding reports.
 *
 * @param {string} endpoint
 * @returns {Promise<Finding[]>}
 */
async function clockFindings(endpoint) {
  const date = await dateOf(endpoint)
  if (date === undefined || Number.isNaN(Date.parse(date))) return []
  const seconds = Math.round((Date.now() - Date.parse(date)) / 1000)
  const off = Math.abs(seconds)
  // The header has whole seconds, and the answer took some time.
  if (off <= 2) return [finding('clock', 'ok', "agrees with AWS's")]
  const message = `${off} seconds ${seconds > 0 ? 'ahead of' : 'behind'} AWS's`
  if (off < SUSPICIOUS_SECONDS) return [finding('clock', 'ok', message)]
  const status = off < REFUSED_SECONDS ? 'warning' : 'error'
  const fix = `let the machine follow a time server; AWS refuses requests that are ${REFUSED_SECONDS} seconds off`
  return [finding('clock', status, message, fix)]
}

/** @param {string} endpoint @returns {Promise<string | undefined>} */
function dateOf(endpoint) {
  return new Promise((resolve) => {
    const { request } = endpoint.startsWith('https:') ? https : http
    const signal = AbortSignal.timeout(CLOCK_DEADLINE_MS)
    const call = request(endpoint, { method: 'HEAD', agent: false, signal }, (answer) => {
      answer.resume()
      resolve(answer.headers.date)
    })
    call.once('error', () => resolve(undefined))
    call.end()
  })
}

module.exports = { awsFindings, clockFindings, endpointOf }
