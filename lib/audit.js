'use strict'

// `verifyAuditLog`, which needs no delivery.

const { SecretError, orThrow } = require('./errors')
const native = require('./load')
const { forConfiguration } = require('./variables')

const LEAST_KEY = 16
const BASE64 = /^\s*(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\s*$/

/**
 * @param {string} path
 * @param {{ key?: string | Uint8Array, firstSequence?: number, lastSequence?: number, lastLink?: string, keyedSequence?: number }} [options]
 * @returns {Promise<import('../index').AuditVerification>}
 */
async function verifyAuditLog(path, options = {}) {
  if (typeof path !== 'string' || path === '') throw new SecretError('CONFIG_INVALID', 'path must be a file name')
  const { key, firstSequence, lastSequence, lastLink, keyedSequence } = options
  if (key !== undefined && typeof key !== 'string' && !(key instanceof Uint8Array)) {
    throw new SecretError('CONFIG_INVALID', 'key must be a Uint8Array or base64 text')
  }
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key
  if (bytes !== undefined && (bytes.length < LEAST_KEY || (typeof key === 'string' && !BASE64.test(key)))) {
    throw new SecretError('CONFIG_INVALID', `key must be at least ${LEAST_KEY} random bytes, or their base64 text`)
  }
  for (const [name, number] of Object.entries({ firstSequence, lastSequence, keyedSequence })) {
    if (number !== undefined && !(Number.isSafeInteger(number) && number >= 0)) {
      throw new SecretError('CONFIG_INVALID', `${name} must be a whole number`)
    }
  }
  if (lastLink !== undefined && !(typeof lastLink === 'string' && /^[0-9a-f]{64}$/.test(lastLink))) {
    throw new SecretError('CONFIG_INVALID', 'lastLink must have 64 hexadecimal digits')
  }
  if (lastLink !== undefined && lastSequence === undefined) {
    throw new SecretError('CONFIG_INVALID', 'lastLink needs lastSequence')
  }
  if (keyedSequence !== undefined && key === undefined) {
    throw new SecretError('CONFIG_INVALID', 'keyedSequence needs key')
  }
  const expected = { firstSequence, lastSequence, lastLink, keyedSequence }
  return /** @type {import('../index').AuditVerification} */ (
    orThrow(await native.verifyAuditLog(path, bytes, expected))
  )
}

/**
 * Where the log of a delivery is if neither an option nor a variable says so.
 *
 * @param {string} environment One of the four.
 * @param {string} directory The working directory of the delivery.
 * @returns {string}
 */
function defaultAuditFile(environment, directory) {
  return /** @type {string} */ (orThrow(native.defaultAuditFile(environment, directory, forConfiguration())))
}

/**
 * Stops this process while no thread of it holds the lock of an audit log: one that is stopped with the lock keeps it, and others
 * that share the log could not write. Returns when somebody continued the process.
 */
function stopBetweenWrites() {
  native.pauseAudit()
  process.kill(process.pid, 'SIGSTOP')
  native.resumeAudit()
}

module.exports = { defaultAuditFile, stopBetweenWrites, verifyAuditLog }
