'use strict'

// `getToolSecrets` of a tool with ten cached secrets, beside ten reads of a `Map`.

const { assertRead, median, oneByOne } = require('../load')

const TYPES = ['api_token', 'user', 'password', 'host', 'webhook_secret', 'key', 'salt', 'pepper', 'cert', 'dsn']
const READS = 200_000
const ROUNDS = 5
const TTL_MS = 300_000
const VALUE = 'x'.repeat(40)

const awsId = (/** @type {string} */ type) => `GITHUB_${type.toUpperCase()}_production`
const stored = () => Object.fromEntries(TYPES.map((type) => [awsId(type), VALUE]))

/** @param {() => Promise<Record<string, unknown>>} read */
async function measure(read) {
  for (const type of TYPES) assertRead((await read())[type], VALUE)
  await oneByOne(READS, read)
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) rounds.push(await oneByOne(READS, read))
  return { nsPerRead: median(rounds) }
}

const sides = {
  /** @param {{ aws: any }} input */
  async tcs({ aws }) {
    const { SecretDelivery } = require('../../..')
    const tools = { github: { secrets: Object.fromEntries(TYPES.map((type) => [type, {}])) } }
    const delivery = new SecretDelivery({ environment: 'production', compliance: false, aws, audit: false, tools })
    return measure(() => delivery.getToolSecrets('github'))
  },

  /** Each read awaited, as one would write it. */
  async map() {
    const expires = Date.now() + TTL_MS
    const cache = new Map(Object.entries(stored()).map(([id, value]) => [id, { value, expires }]))
    const read = async (/** @type {string} */ type) => {
      const entry = cache.get(awsId(type))
      return entry !== undefined && Date.now() < entry.expires ? entry.value : undefined
    }
    return measure(async () => {
      /** @type {Record<string, unknown>} */
      const all = {}
      for (const type of TYPES) all[type] = await read(type)
      return all
    })
  },
}

module.exports = { sides, stored }
