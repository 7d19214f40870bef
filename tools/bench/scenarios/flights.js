'use strict'

// Counts the AWS calls of 1,000 concurrent reads of one cold secret, and of all 100 secrets of one tool.

const { performance } = require('node:perf_hooks')
const { VALUE, assertRead } = require('../load')

const READERS = 1_000
const SECRETS = 100

/** @param {number} index */
const type = (index) => `SECRET${String(index).padStart(3, '0')}`

const stored = () => ({
  HERD_API_TOKEN_production: VALUE,
  ...Object.fromEntries(Array.from({ length: SECRETS }, (_, index) => [`TOOL_${type(index)}_production`, VALUE])),
})

/** @param {() => Promise<unknown>} work */
async function timed(work) {
  const started = performance.now()
  await work()
  return { ms: performance.now() - started }
}

/** @param {(index: number) => Promise<unknown>} read @param {number} count */
const together = (count, read) =>
  timed(async () => {
    for (const value of await Promise.all(Array.from({ length: count }, (_, index) => read(index)))) {
      assertRead(value, VALUE)
    }
  })

/** @typedef {{ aws: any, what: 'herd' | 'tool' }} Input */

const sides = {
  /** @param {Input} input */
  async tcs({ aws, what }) {
    const { SecretDelivery } = require('../../..')
    const delivery = new SecretDelivery({ environment: 'production', compliance: false, aws, audit: false })
    if (what === 'herd') return together(READERS, () => delivery.getToolSecret('herd', 'api_token'))
    return timed(async () => {
      const values = Object.values(await delivery.getToolSecrets('tool'))
      assertRead(values.length, SECRETS)
      for (const value of values) assertRead(value, VALUE)
    })
  },

  /** @param {Input} input */
  async powertools({ aws, what }) {
    const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    const { SecretsProvider } = require('@aws-lambda-powertools/parameters/secrets')
    const provider = new SecretsProvider({ awsSdkV3Client: new SecretsManagerClient(aws) })
    if (what === 'herd') return together(READERS, () => provider.get('HERD_API_TOKEN_production'))
    return together(SECRETS, (index) => provider.get(`TOOL_${type(index)}_production`))
  },
}

module.exports = { sides, stored }
