'use strict'

// A cached read, awaited, one after the other: tool and type given, the name built by each side.

const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../../../__test__/support/files')
const { VALUE, assertRead, lowerQuartile, oneByOne } = require('../load')

const WARM_UP = 300_000
/** Portions of a run. What else the machine does makes some of them slower, and none faster. */
const PORTIONS = 12
const READS = 80_000
/** Where a line is logged for each read, which takes ten times as long. */
const LOGGED_READS = 15_000
const TTL_MS = 300_000
const KEYS = ['github', 'gitlab', 'jira', 'postgres', 'redis', 'slack', 'sentry', 'vault'].flatMap((tool) => [
  [tool, 'api_token'],
  [tool, 'webhook_secret'],
])

/** @param {string} tool @param {string} type */
const awsId = (tool, type) => `${tool.toUpperCase()}_${type.toUpperCase()}_production`

/** The same values as secrets of their own, and as fields of a JSON secret for each tool. */
const stored = (/** @type {number} */ bytes) => {
  const value = VALUE.repeat(Math.ceil(bytes / 40)).slice(0, bytes)
  const fields = JSON.stringify({ api_token: value, webhook_secret: value })
  return Object.fromEntries(
    KEYS.flatMap(([tool, type]) => [
      [awsId(tool, type), value],
      [`bench/${tool}`, fields],
    ]),
  )
}

/** @typedef {(tool: string, type: string) => Promise<unknown>} Reader */

/** @param {number} bytes @param {Reader} read @param {number} [reads] */
async function measure(bytes, read, reads = READS) {
  const [nsPerRead] = await measureInTurns(bytes, [read], reads)
  return { nsPerRead }
}

/**
 * Several ways to read in one process, a portion of each in turn: processes differ by more than these ways do.
 *
 * @param {number} bytes
 * @param {Reader[]} readers
 * @param {number} [reads]
 */
async function measureInTurns(bytes, readers, reads = READS) {
  const expected = Object.values(stored(bytes))[0]
  const mask = KEYS.length - 1
  const ways = readers.map((read) => (/** @type {number} */ index) => {
    const [tool, type] = KEYS[index & mask]
    return read(tool, type)
  })
  for (const way of ways) {
    for (const index of KEYS.keys()) assertRead(await way(index), expected)
    await oneByOne((WARM_UP * reads) / READS, way)
  }
  const portions = ways.map(() => /** @type {number[]} */ ([]))
  for (let portion = 0; portion < PORTIONS; portion++) {
    for (const [at, way] of ways.entries()) portions[at].push(await oneByOne(reads, way))
  }
  return portions.map(lowerQuartile)
}

/** @typedef {{ aws: any, bytes: number }} Input */

const sides = {
  /** @param {Input} input */
  async tcs({ aws, bytes }) {
    const { SecretDelivery } = require('../../..')
    const delivery = new SecretDelivery({ environment: 'production', compliance: false, aws, audit: false })
    return measure(bytes, (tool, type) => delivery.getToolSecret(tool, type))
  },

  /** The same values as fields of JSON secrets, and whole secrets beside them. @param {Input} input */
  async fields({ aws, bytes }) {
    const { SecretDelivery } = require('../../..')
    const secrets = { api_token: {}, webhook_secret: {} }
    const tools = Object.fromEntries(KEYS.map(([tool]) => [tool, { aws: `bench/${tool}`, secrets }]))
    const options = { environment: 'production', compliance: false, aws, audit: false }
    const [fields, whole] = [new SecretDelivery({ ...options, tools }), new SecretDelivery(options)]
    const [nsPerRead, wholeNsPerRead] = await measureInTurns(bytes, [
      (tool, type) => fields.getToolSecret(tool, type),
      (tool, type) => whole.getToolSecret(tool, type),
    ])
    return { nsPerRead, ratio: nsPerRead / wholeNsPerRead }
  },

  /** The same with a record in the audit log for each read. @param {Input} input */
  async audited({ aws, bytes }) {
    const { SecretDelivery } = require('../../..')
    const directory = temporaryDirectory()
    const delivery = new SecretDelivery({
      environment: 'production',
      compliance: false,
      aws,
      audit: { path: path.join(directory, 'audit.jsonl'), maxMegabytes: 4096 },
    })
    const measured = await measure(bytes, (tool, type) => delivery.getToolSecret(tool, type))
    await delivery.close()
    fs.rmSync(directory, { recursive: true })
    return measured
  },

  /** Powertools with a line of a usual logger for each read. @param {Input} input */
  async logged({ aws, bytes }) {
    const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    const { SecretsProvider } = require('@aws-lambda-powertools/parameters/secrets')
    const directory = temporaryDirectory()
    const logger = require('pino')({}, require('pino').destination({ dest: path.join(directory, 'log'), sync: false }))
    const provider = new SecretsProvider({ awsSdkV3Client: new SecretsManagerClient(aws) })
    const logged = async (/** @type {string} */ tool, /** @type {string} */ type) => {
      const value = await provider.get(awsId(tool, type), { maxAge: TTL_MS / 1000 })
      logger.info({ event: 'access', tool, secret: type, outcome: 'ok', source: 'memory' }, 'secret accessed')
      return value
    }
    const measured = await measure(bytes, logged, LOGGED_READS)
    fs.rmSync(directory, { recursive: true })
    return measured
  },

  /** @param {Input} input */
  async powertools({ aws, bytes }) {
    const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    const { SecretsProvider } = require('@aws-lambda-powertools/parameters/secrets')
    const provider = new SecretsProvider({ awsSdkV3Client: new SecretsManagerClient(aws) })
    return measure(bytes, async (tool, type) => provider.get(awsId(tool, type), { maxAge: TTL_MS / 1000 }))
  },

  /** A cache that a service would write itself. @param {Input} input */
  async map({ bytes }) {
    const expires = Date.now() + TTL_MS
    /** @type {Map<string, { value: string, expires: number }>} */
    const cache = new Map(Object.entries(stored(bytes)).map(([id, value]) => [id, { value, expires }]))
    return measure(bytes, async (tool, type) => {
      const entry = cache.get(awsId(tool, type))
      return entry !== undefined && Date.now() < entry.expires ? entry.value : undefined
    })
  },
}

module.exports = { sides, stored }
