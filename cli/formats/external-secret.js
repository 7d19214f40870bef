'use strict'

const { assertNames } = require('./k8s')

/**
 * A manifest for the External Secrets Operator, which reads the secrets from AWS itself. It has no values.
 *
 * @param {Map<string, string>} places AWS ids by names of variables; `id#field` is a field of a JSON secret.
 * @param {import('./index').About & { store: string, storeKind: string }} about
 * @returns {string}
 */
function externalSecret(places, about) {
  const { namespace, store, storeKind } = about
  const name = assertNames(about)
  const data = [...places].flatMap(([variable, place]) => {
    const [id = '', field] = place.split('#', 2)
    return [
      `    - secretKey: ${variable}`,
      '      remoteRef:',
      `        key: ${JSON.stringify(id)}`,
      ...(field === undefined ? [] : [`        property: ${JSON.stringify(field)}`]),
    ]
  })
  return [
    'apiVersion: external-secrets.io/v1',
    'kind: ExternalSecret',
    'metadata:',
    `  name: "${name}"`,
    ...(namespace === undefined ? [] : [`  namespace: "${namespace}"`]),
    'spec:',
    '  refreshInterval: 1h',
    '  secretStoreRef:',
    `    kind: ${storeKind}`,
    `    name: ${JSON.stringify(store)}`,
    '  target:',
    `    name: "${name}"`,
    '  data:',
    ...data,
    '',
  ].join('\n')
}

module.exports = { externalSecret }
