'use strict'

const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */

/**
 * @param {import('../../index').HealthReport} health
 * @param {import('../context').Config} config
 * @returns {Finding[]}
 */
function cacheFindings({ checks: { redis, memory } }, { options: { cache } }) {
  if (memory.status === 'disabled') return [finding('cache', 'note', 'off, so that each read asks the sources')]
  if (redis.status === 'disabled') return [finding('Redis', 'note', 'none configured: copies are in the process only')]
  return [redisFinding(redis), keysFinding((cache || {}).encryptionKeys ?? undefined)]
}

/** @param {import('../../index').HealthReport} health @returns {Finding[]} */
function auditFindings({ checks: { audit } }) {
  if (audit.status === 'ok') return [finding('audit log', 'ok', 'is written')]
  if (audit.status === 'disabled') return [finding('audit log', 'note', 'off')]
  const fix = 'make the path of audit.path or TCS_AUDIT_LOG writable, or choose another'
  return [finding('audit log', audit.status === 'down' ? 'error' : 'warning', audit.reason ?? audit.status, fix)]
}

/** @param {import('../../index').HealthCheck} redis @returns {Finding} */
function redisFinding({ status, reason }) {
  if (status === 'ok') return finding('Redis', 'ok', 'answers')
  const fix = 'check cache.redis.url or REDIS_URL, and that the server runs; reads go on without it'
  return finding('Redis', status === 'down' ? 'error' : 'warning', reason ?? status, fix)
}

/** Shows key ids only. @param {readonly import('../../index').EncryptionKey[] | undefined} given @returns {Finding} */
function keysFinding(given) {
  const variable = process.env.TCS_CACHE_KEYS
  const ids = given?.map(({ id }) => id) ?? variable?.split(',').map((key) => key.split(':', 1)[0]?.trim()) ?? []
  if (ids.length === 0) {
    const fix = `set TCS_CACHE_KEYS="k1:$(node -p "require('crypto').randomBytes(32).toString('base64')")"`
    return finding('cache keys', 'warning', 'none: the copies in Redis are readable', fix)
  }
  const from = given === undefined ? 'TCS_CACHE_KEYS' : 'the configuration file'
  return finding('cache keys', 'ok', `${ids.join(', ')} from ${from}; the first encrypts`)
}

module.exports = { auditFindings, cacheFindings }
