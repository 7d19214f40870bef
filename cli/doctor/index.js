'use strict'

// The checks of `doctor`, in order. Each file of this folder returns findings; none contains a value.

const { openDelivery } = require('../context')
const { baseOf } = require('../environments')
const { describe } = require('../exit')
const { awsFindings } = require('./aws')
const { auditFindings, cacheFindings } = require('./cache')
const { complianceFindings } = require('./compliance')
const { fileFindings } = require('./files')
const { exposureFindings } = require('./exposure')
const { finding } = require('./finding')
const { environmentFinding, installationFindings } = require('./installation')
const { secretFindings } = require('./secrets')

/**
 * @typedef {object} Finding
 * @property {string} check
 * @property {'ok' | 'note' | 'warning' | 'error'} status
 * @property {string} message
 * @property {string | null} fix `null` if nothing has to be done.
 */

/**
 * @param {import('../context').Context} context
 * @returns {Promise<Finding[]>}
 */
async function examine(context) {
  const installation = installationFindings()
  if (installation.some(({ status }) => status === 'error')) return installation
  /** @type {string[]} */
  const warnings = []
  let config, delivery
  try {
    config = await context.config()
    delivery = openDelivery(config, { warn: (message) => void warnings.push(message) })
  } catch (error) {
    const { code, message } = describe(error)
    return [...installation, finding('configuration', 'error', `${code}: ${message}`, fixFor(code))]
  }
  try {
    const health = await delivery.health()
    const secrets = await secretFindings(delivery, config, health, warnings)
    return [
      ...installation,
      configurationFinding(config, warnings),
      environmentFinding(delivery.environment, config, context.globals),
      ...(await awsFindings(health, config, delivery)),
      ...cacheFindings(health, config),
      ...auditFindings(health),
      ...exposureFindings(baseOf(delivery.environment, config.options), config),
      ...fileFindings(health, config),
      ...secrets,
      // Last: it reads the secrets again, and a snapshot would be written anew.
      ...complianceFindings(await delivery.compliance()),
    ]
  } finally {
    await delivery.close()
  }
}

/**
 * A service starts without the keys of its shared cache, and warns: here that is an error.
 *
 * @param {import('../context').Config} config
 * @param {string[]} warnings
 */
function configurationFinding(config, warnings) {
  const keyless = warnings.find((warning) => warning.startsWith('REDIS_URL_UNUSED:') && /TCS_CACHE_KEYS/.test(warning))
  if (keyless === undefined) {
    return finding('configuration', 'ok', config.file ?? 'no file: options and declared tools are the defaults')
  }
  const code = 'ENCRYPTION_KEY_INVALID'
  return finding('configuration', 'error', keyless.replace('REDIS_URL_UNUSED', code), fixFor(code))
}

/** @param {string} code */
function fixFor(code) {
  if (code === 'ENCRYPTION_KEY_INVALID') {
    return `make a key: export TCS_CACHE_KEYS="k1:$(node -p "require('crypto').randomBytes(32).toString('base64')")", the same in every instance`
  }
  return 'correct what the message names; tcs-secrets.schema.json has every option'
}

module.exports = { examine }
