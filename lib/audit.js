'use strict'

// `verifyAuditLog`, which needs no delivery.

const { SecretError, orThrow } = require('./errors')
const native = require('./load')

/**
 * @param {string} path
 * @param {{ key?: string | Uint8Array }} [options]
 * @returns {Promise<import('../index').AuditVerification>}
 */
async function verifyAuditLog(path, options = {}) {
  if (typeof path !== 'string' || path === '') throw new SecretError('CONFIG_INVALID', 'path must be a file name')
  const { key } = options
  if (key !== undefined && typeof key !== 'string' && !(key instanceof Uint8Array)) {
    throw new SecretError('CONFIG_INVALID', 'key must be a Uint8Array or base64 text')
  }
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key
  return /** @type {import('../index').AuditVerification} */ (orThrow(await native.verifyAuditLog(path, bytes)))
}

module.exports = { verifyAuditLog }
