'use strict'

const { CliError, EXIT } = require('../exit')

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
const SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/**
 * A Kubernetes Secret: base64 data under kebab-case keys, which a delivery also looks for in a mounted directory.
 *
 * @param {Map<string, string>} values
 * @param {import('./index').About} about
 * @returns {string}
 */
function manifest(values, { app, environment, namespace }) {
  const name = `${app}-${environment}-secrets`
  assertName('--name', SUBDOMAIN, 253, name)
  if (namespace !== undefined) assertName('--namespace', LABEL, 63, namespace)
  /** @type {Map<string, string>} */
  const data = new Map()
  for (const [secret, value] of values) {
    const key = secret.toLowerCase().replaceAll('_', '-')
    if (data.has(key))
      throw new CliError('FORMAT_UNFIT', EXIT.no, `two secrets would both be the key ${key}; rename one of them`)
    data.set(key, Buffer.from(value, 'utf8').toString('base64'))
  }
  return [
    'apiVersion: v1',
    'kind: Secret',
    'metadata:',
    `  name: "${name}"`,
    ...(namespace === undefined ? [] : [`  namespace: "${namespace}"`]),
    'type: Opaque',
    data.size === 0 ? 'data: {}' : 'data:',
    // Quoted, because YAML parses some base64 texts as numbers.
    ...[...data].map(([key, value]) => `  "${key}": "${value}"`),
    '',
  ].join('\n')
}

/**
 * @param {string} option
 * @param {RegExp} pattern
 * @param {number} longest
 * @param {string} name
 */
function assertName(option, pattern, longest, name) {
  if (pattern.test(name) && name.length <= longest) return
  const message = `'${name}' is no name that Kubernetes accepts (lower-case letters, digits and '-', at most ${longest}); see ${option}`
  throw new CliError('USAGE', EXIT.usage, message)
}

module.exports = { manifest }
