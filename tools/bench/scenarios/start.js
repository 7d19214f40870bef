'use strict'

// The time to the first instance: `require` and the constructor, without the start of Node.

const { performance } = require('node:perf_hooks')

const RSS_MIB = 1024 * 1024

/** @param {() => unknown} open */
async function measure(open) {
  const before = process.memoryUsage.rss()
  const started = performance.now()
  open()
  const ms = performance.now() - started
  return { ms, rssMiB: (process.memoryUsage.rss() - before) / RSS_MIB }
}

const aws = { region: 'eu-central-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }

const sides = {
  tcs: () =>
    measure(() => {
      const { SecretDelivery } = require('../../..')
      return new SecretDelivery({ environment: 'production', compliance: false, aws, audit: false })
    }),

  sdk: () =>
    measure(() => {
      const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
      return new SecretsManagerClient(aws)
    }),

  powertools: () =>
    measure(() => {
      const { SecretsProvider } = require('@aws-lambda-powertools/parameters/secrets')
      return new SecretsProvider({ clientConfig: aws })
    }),
}

module.exports = { sides }
