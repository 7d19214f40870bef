'use strict'

/** What this package reads besides `AWS_*` and `TCS_*`. */
const READ = [
  'HOME',
  'USERPROFILE',
  'REDIS_URL',
  'NODE_ENV',
  'TMPDIR',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_EXTRA_CA_CERTS',
  ...['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
]
const isRead = (/** @type {string} */ name) => READ.includes(name) || /^(AWS|TCS)_/.test(name)

/**
 * Calls `make` in an environment that has these variables and no other that this package reads: it reads them when a delivery
 * is made.
 *
 * @template T
 * @param {Record<string, string>} variables
 * @param {() => T} make
 * @returns {T}
 */
function withVariables(variables, make) {
  const before = { ...process.env }
  const { TCS_SECRET_DELIVERY_BINARY } = before
  for (const name of Object.keys(before)) if (isRead(name)) delete process.env[name]
  if (TCS_SECRET_DELIVERY_BINARY !== undefined) process.env.TCS_SECRET_DELIVERY_BINARY = TCS_SECRET_DELIVERY_BINARY
  Object.assign(process.env, variables)
  try {
    return make()
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

module.exports = { withVariables }
