'use strict'

// What must not be in staging and production: values in clear on the wire, keys that anybody guesses, a log that anybody can
// write anew. Looks at the configuration alone.

const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */

const HOSTS_HERE = /^(localhost|127(\.\d+){3}|\[::1\]|::1)$/i
const NEW_KEY = `node -p "require('crypto').randomBytes(32).toString('base64')"`

/**
 * @param {string} base The environment whose preset applies.
 * @param {import('../context').Config} config
 * @returns {Finding[]}
 */
function exposureFindings(base, { options }) {
  if (base !== 'staging' && base !== 'production') return []
  return [...redisInClear(options), ...awsInClear(options), ...weakKeys(options), ...keylessLog(options)]
}

/** @param {unknown} url @param {string} scheme @returns {string | undefined} The host that is spoken to in clear. */
function hostInClear(url, scheme) {
  if (typeof url !== 'string' || !url.toLowerCase().startsWith(`${scheme}://`)) return undefined
  const host = /^[^/?#]*:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(url)?.[1] ?? ''
  const hosts = host.split(',').map((one) => one.replace(/:\d+$/, ''))
  return hosts.find((one) => one !== '' && !HOSTS_HERE.test(one))
}

/** @param {import('../context').Config['options']} options */
function redisInClear({ cache }) {
  const redis = typeof cache === 'object' ? cache?.redis : undefined
  if (cache === false || redis === false) return []
  const url = redis?.url ?? process.env.REDIS_URL
  const schemes = ['redis', 'redis+cluster', 'redis+sentinel']
  const host = redis?.tls ? undefined : schemes.map((scheme) => hostInClear(url, scheme)).find(Boolean)
  if (host === undefined) return []
  const what = `password and names go to ${host} in clear, without TLS`
  return [finding('Redis', 'warning', what, 'use rediss:// (REDIS_URL, cache.redis.url)')]
}

/** @param {import('../context').Config['options']} options */
function awsInClear({ aws }) {
  const { AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL } = process.env
  const host = hostInClear(aws?.endpoint ?? (AWS_ENDPOINT_URL_SECRETS_MANAGER || AWS_ENDPOINT_URL), 'http')
  if (host === undefined) return []
  return [
    finding('AWS endpoint', 'error', `secrets come from ${host} in clear, without TLS`, 'use an https:// endpoint'),
  ]
}

/** @param {import('../context').Config['options']} options */
function weakKeys({ cache }) {
  const given = (typeof cache === 'object' ? cache?.encryptionKeys : undefined) ?? []
  const named = (process.env.TCS_CACHE_KEYS ?? '').split(',').map((key) => key.split(/:(.*)/s))
  const keys = given.length > 0 ? given.map(({ id, key }) => [id, key]) : named
  const weak = keys.filter(([, key]) => isGuessed(key)).map(([id]) => id)
  if (weak.length === 0) return []
  const what = `${weak.join(', ')}: not random, so that anybody can guess it`
  return [finding('cache keys', 'error', what, `make another: ${NEW_KEY}`)]
}

/** Whether a key has few different bytes, or bytes in a row. @param {unknown} key Base64 text, or bytes. */
function isGuessed(key) {
  if (typeof key !== 'string' && !(key instanceof Uint8Array)) return false
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : Buffer.from(key)
  if (bytes.length === 0) return false
  const steps = new Set([...bytes.subarray(1)].map((byte, at) => (byte - bytes[at] + 256) % 256))
  // 32 random bytes have 30 different ones; that half of them are equal does not happen.
  return steps.size === 1 || new Set(bytes).size < bytes.length / 2
}

/** @param {import('../context').Config['options']} options */
function keylessLog({ audit }) {
  const key = typeof audit === 'object' ? audit?.key : undefined
  if (audit === false || key !== undefined || process.env.TCS_AUDIT_KEY) return []
  const what = 'its chain has no key: who can write the file can write all of it anew'
  return [finding('audit log', 'note', what, `set TCS_AUDIT_KEY or audit.key: ${NEW_KEY}`)]
}

module.exports = { exposureFindings, isGuessed }
