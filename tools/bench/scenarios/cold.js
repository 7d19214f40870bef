'use strict'

// Cold reads: each reads another secret, so each one asks AWS.

const { VALUE, assertRead, atOnce } = require('../load')

const READS = 8_000
const WARM_UP = 2_000

/** @param {number} index */
const name = (index) => `COLD_SECRET${index}`

const stored = () =>
  Object.fromEntries(Array.from({ length: READS + WARM_UP }, (_, index) => [`${name(index)}_production`, VALUE]))

/** @typedef {{ aws: any, concurrency: number }} Input */

/** @param {any} aws @param {number} concurrency */
async function read(aws, concurrency) {
  const { SecretDelivery } = require('../../..')
  const delivery = new SecretDelivery({
    environment: 'production',
    compliance: false,
    aws,
    audit: false,
    cache: { maxEntries: READS + WARM_UP },
  })
  return atOnce({ reads: READS, warmUp: WARM_UP, concurrency }, async (index) =>
    assertRead(await delivery.getToolSecret('cold', `secret${index}`), VALUE),
  )
}

const sides = {
  // The peers have no limit either.
  /** @param {Input} input */
  tcs: ({ aws, concurrency }) => read({ ...aws, requestsPerSecond: 1_000_000 }, concurrency),

  /** @param {Input} input */
  defaults: ({ aws, concurrency }) => read(aws, concurrency),

  /** @param {Input} input */
  async sdk({ aws, concurrency }) {
    const { GetSecretValueCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    const client = new SecretsManagerClient(aws)
    return atOnce({ reads: READS, warmUp: WARM_UP, concurrency }, async (index) => {
      const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: `${name(index)}_production` }))
      assertRead(SecretString, VALUE)
    })
  },

  /** @param {Input} input */
  async powertools({ aws, concurrency }) {
    const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    const { SecretsProvider } = require('@aws-lambda-powertools/parameters/secrets')
    const provider = new SecretsProvider({ awsSdkV3Client: new SecretsManagerClient(aws) })
    return atOnce({ reads: READS, warmUp: WARM_UP, concurrency }, async (index) =>
      assertRead(await provider.get(`${name(index)}_production`), VALUE),
    )
  },
}

module.exports = { sides, stored }
