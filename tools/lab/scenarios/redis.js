'use strict'

// Redis fails in many ways while AWS works: no read may fail or return a wrong value.

const { setTimeout: sleep } = require('node:timers/promises')
const { freePort } = require('../../../__test__/support/servers/server')
const { KNOWN } = require('../stage')
const { idOf } = require('../values')

const KEYS = KNOWN.map((name) => `secret:${idOf(name)}`)

/** @typedef {import('../fault').Fault} Fault */
/** @typedef {import('../stage').Stage} Stage */

/** Redis has recovered when a secret that is read again appears in it. @type {NonNullable<Fault['recovered']>} */
const sharedAgain = async ({ redis }, service) => {
  await redis?.command('UNLINK', KEYS[0])
  await service.call('refresh', KNOWN[0])
  for (let i = 0; i < 10; i++) {
    if ((await redis?.command('EXISTS', KEYS[0])) === 1) return true
    await sleep(20)
  }
  return false
}

/** Puts garbage where copies and messages are expected. @param {Stage} stage */
async function garbage({ redis }) {
  await Promise.all(KEYS.map((key, i) => redis?.command('SET', key, i % 2 === 0 ? 'garbage' : '')))
  for (const message of ['garbage', '', '{}', '[]', '{"name":7}', 'x'.repeat(100_000)]) {
    await redis?.command('PUBLISH', 'secret:events:production', message)
  }
}

/** Puts the exact copy of another secret into Redis. @param {Stage} stage */
async function exchanged({ redis }) {
  const copies = await redis?.command('MGET', ...KEYS)
  await redis?.command('MSET', ...KEYS.flatMap((key, i) => [key, copies[(i + 1) % KEYS.length]]))
}

/** @param {{ short: boolean }} mode @returns {Fault[]} */
function redisFaults({ short }) {
  /** @type {import('../fault').Pace} */
  const pace = { ttlSeconds: 12, timeoutMs: 3000, windowMs: short ? 13_500 : 26_000 }
  /** @param {string} name @param {string} what @param {Fault['apply']} apply @param {Fault['lift']} lift @param {Partial<Fault>} [more] @returns {Fault} */
  const fault = (name, what, apply, lift, more) => ({
    name,
    what,
    on: 'redis',
    pace,
    stage: { redis: true },
    apply,
    lift,
    coldMayFail: false,
    recovered: sharedAgain,
    ...more,
  })
  /** A fault that may end a subscription. @type {typeof fault} */
  const severed = (name, what, apply, lift, more) => fault(name, what, apply, lift, { looksAgain: true, ...more })
  const nothing = async () => {}
  /** @type {(stage: Stage) => Promise<unknown>} */
  const pass = async ({ redisProxy }) => redisProxy?.pass()
  /** @param {string} name @param {string} value @returns {(stage: Stage) => Promise<unknown>} */
  const configure = (name, value) => async (stage) => stage.redis?.command('CONFIG', 'SET', name, value)

  return [
    severed(
      'redis-restart',
      'killed; started again, empty',
      async ({ redis }) => redis?.stop(),
      (stage) => stage.startRedis(),
    ),
    fault('redis-flush', 'FLUSHALL', async ({ redis }) => redis?.command('FLUSHALL'), nothing),
    fault('redis-oom', 'out of memory', configure('maxmemory', '1'), configure('maxmemory', '0')),
    fault(
      'redis-read-only',
      'read-only: a replica without its primary',
      async ({ redis }) => redis?.command('REPLICAOF', '127.0.0.1', String(await freePort())),
      async ({ redis }) => redis?.command('REPLICAOF', 'NO', 'ONE'),
    ),
    severed(
      'redis-slow-auth',
      'connections lost, AUTH takes 3 s',
      async ({ redisProxy }) => {
        await redisProxy?.slowStart(3000)
        redisProxy?.resetOpen()
      },
      pass,
      { stage: { redis: true, password: 'lab' } },
    ),
    severed('redis-latency', '100 ms away', async ({ redisProxy }) => redisProxy?.pass({ latencyMs: 50 }), pass),
    severed(
      'redis-black-hole',
      'never answers, old connections or new',
      async ({ redisProxy }) => redisProxy?.blackHole(),
      pass,
    ),
    severed(
      'redis-half-open',
      'open connections dead, new ones work',
      async ({ redisProxy }) => redisProxy?.halfOpen(),
      nothing,
    ),
    severed('redis-reset', 'connections reset', async ({ redisProxy }) => redisProxy?.reset(), pass),
    severed('redis-corrupt', 'answers with flipped bits', async ({ redisProxy }) => redisProxy?.corrupt(), pass),
    fault('redis-garbage', 'garbage as copies and messages', garbage, nothing),
    fault('redis-exchanged', "another secret's copy under each key", exchanged, nothing),
  ]
}

module.exports = { redisFaults }
