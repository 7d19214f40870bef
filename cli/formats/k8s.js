'use strict'

const { CliError, EXIT } = require('../exit')

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
const SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/**
 * A Kubernetes Secret with base64 data. Its keys are names of variables, so that a delivery finds them as mounted files and
 * through `envFrom`; or in kebab case, which is found in mounted files only.
 *
 * @param {Map<string, string>} values
 * @param {import('./index').About} about
 * @returns {string}
 */
function manifest(values, about) {
  const { namespace, keys } = about
  const name = assertNames(about)
  /** @type {Map<string, string>} */
  const data = new Map()
  for (const [secret, value] of values) {
    const key = keys === 'kebab' ? secret.toLowerCase().replaceAll('_', '-') : secret
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

/** The name of the Secret, if Kubernetes accepts it and the namespace. @param {import('./index').About} about */
function assertNames({ app, environment, namespace }) {
  const name = `${app}-${environment}-secrets`
  assertName('--name', SUBDOMAIN, 253, name)
  if (namespace !== undefined) assertName('--namespace', LABEL, 63, namespace)
  return name
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

module.exports = { assertNames, manifest }
