'use strict'

// Shared-cache reads: each reads another secret, which another instance has already put into Redis. This package decrypts and
// checks an envelope in each read; the peer reads plain text. Both have their default options: memory holds 10,000 secrets, so
// that most reads also evict one. AWS has the secrets as well: each instance asks it whether it may read what others share.

const { VALUE, assertRead, atOnce } = require('../load')

// Enough reads that the JIT compilers have finished before the measurement, and that a run is not too short.
const READS = 60_000
const WARM_UP = 30_000

/** @param {number} index */
const name = (index) => `SHARED_SECRET${index}`

const stored = () =>
  Object.fromEntries(Array.from({ length: READS + WARM_UP }, (_, index) => [`${name(index)}_production`, VALUE]))

/** @typedef {{ aws: any, redis: string, keys: { id: string, key: string }[], concurrency: number }} Input */

/** @param {Input} input */
function open({ aws, redis, keys }) {
  const { SecretDelivery } = require('../../..')
  const cache = { redis: { url: redis }, encryptionKeys: keys }
  return new SecretDelivery({ environment: 'production', compliance: false, aws, audit: false, cache })
}

/** @param {(from: number, to: number) => Promise<unknown>} put */
async function inPortions(put) {
  for (let from = 0; from < READS + WARM_UP; from += 500) await put(from, from + 500)
}

/** @param {string} url @param {boolean} [enableAutoPipelining] */
function ioredis(url, enableAutoPipelining = false) {
  const { Redis } = require('ioredis')
  return new Redis(url, { enableAutoPipelining })
}

const indexes = (/** @type {number} */ from, /** @type {number} */ to) =>
  Array.from({ length: to - from }, (_, index) => from + index)

/** @param {Input} input @param {boolean} autoPipelining */
async function readWithIoredis({ redis, concurrency }, autoPipelining) {
  const client = ioredis(redis, autoPipelining)
  return atOnce({ reads: READS, warmUp: WARM_UP, concurrency }, async (index) =>
    assertRead(await client.get(`plain:${name(index)}`), VALUE),
  )
}

const sides = {
  /** Fills both sides' keys. @param {Input} input */
  async fill(input) {
    const delivery = open(input)
    await inPortions((from, to) =>
      Promise.all(indexes(from, to).map((index) => delivery.cache.set(name(index), VALUE))),
    )
    const client = ioredis(input.redis)
    await inPortions((from, to) =>
      Promise.all(indexes(from, to).map((index) => client.set(`plain:${name(index)}`, VALUE))),
    )
    return {}
  },

  /** @param {Input} input */
  async tcs(input) {
    const delivery = open(input)
    const measured = await atOnce({ reads: READS, warmUp: WARM_UP, concurrency: input.concurrency }, async (index) =>
      assertRead(await delivery.getSecret(name(index)), VALUE),
    )
    assertRead(delivery.metrics.snapshot().secretsRetrieved.redis, READS + WARM_UP)
    return measured
  },

  /** @param {Input} input */
  ioredis: (input) => readWithIoredis(input, false),

  /** @param {Input} input */
  pipelined: (input) => readWithIoredis(input, true),
}

module.exports = { sides, stored }
