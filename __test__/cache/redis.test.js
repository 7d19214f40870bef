'use strict'

// The shared cache, on real Redis servers: a copy for every instance, and never a dependency.

const fs = require('node:fs')
const { temporaryDirectory } = require('../support/files')
const { RedisServer } = require('../support/servers/redis')
const { RedisCluster, RedisSentinel } = require('../support/servers/redis-groups')
const { certificate } = require('../support/servers/redis-tls')
const { accepts, freePort } = require('../support/servers/server')
const { KEY, OUTAGE, copies, followed, overRedis, shared } = require('../support/services')
const { until } = require('../support/until')

const NEXT = { id: 'k2', key: Buffer.alloc(32, 2) }

const world = overRedis({ A_B_production: 'canary-value', A_C_production: 'second' })
const { deliver } = world

test('a second instance reads the copy of the first, without an AWS call', async () => {
  expect(await deliver().getSecret('A_B')).toBe('canary-value')
  await shared('A_B_production', world.redis)
  const second = deliver()
  expect((await second.explain('A_B')).answeredBy).toBe('redis')
  expect(await second.getSecret('A_B')).toBe('canary-value')
  expect((await world.aws.calls()).total).toBe(1)
  expect(second.metrics.snapshot().secretsRetrieved.redis).toBe(1)
})

test('a fresh instance serves the shared copies while AWS is down', async () => {
  await deliver().getToolSecrets('a')
  await Promise.all([shared('A_B_production', world.redis), shared('A_C_production', world.redis)])
  await world.aws.fault(OUTAGE)
  const second = deliver({}, { tools: { a: { secrets: { b: {}, c: {} } } } })
  expect(await second.getToolSecrets('a')).toEqual({ b: 'canary-value', c: 'second' })
  expect(await second.getSecret('A_B')).toBe('canary-value')
})

test('values in Redis are encrypted, bound to their name, and expire', async () => {
  await deliver().getSecret('A_B')
  await shared('A_B_production', world.redis)
  const stored = await world.redis.command('GET', 'secret:A_B_production')
  expect(stored.subarray(0, 2).toString()).toBe('2c')
  expect(stored.includes('canary')).toBe(false)
  expect(stored.includes('k1')).toBe(true)
  const ttl = await world.redis.command('TTL', 'secret:A_B_production')
  expect(ttl).toBeGreaterThan(300)
  expect(ttl).toBeLessThanOrEqual(3900)
  // The envelope of one name under another name opens nothing.
  await world.redis.command('SET', 'secret:A_C_production', stored)
  expect(await deliver().getSecret('A_C')).toBe('second')
})

test('keys roll over: the first encrypts, any decrypts', async () => {
  await deliver().getSecret('A_B')
  await shared('A_B_production', world.redis)
  const rolled = deliver({ encryptionKeys: [NEXT, KEY] })
  expect((await rolled.explain('A_B')).answeredBy).toBe('redis')
  await rolled.refresh('A_B')
  await until('it is sealed with the new key', async () =>
    (await world.redis.command('GET', 'secret:A_B_production')).includes('k2'),
  )
  const old = deliver({ encryptionKeys: [KEY] })
  expect((await old.explain('A_B')).layers.find(({ layer }) => layer === 'redis').error.code).toBe(
    'CACHE_ENTRY_CORRUPT',
  )
  expect(await old.getSecret('A_B')).toBe('canary-value')
})

test.each([
  ['garbage', () => Buffer.from('garbage')],
  ['nothing', () => Buffer.alloc(0)],
  ['a truncated envelope', (stored) => stored.subarray(0, stored.length - 5)],
  [
    'a changed envelope',
    (stored) => Buffer.concat([stored.subarray(0, stored.length - 1), Buffer.from([stored.at(-1) ^ 1])]),
  ],
  ['an envelope of the future', (stored) => Buffer.concat([Buffer.from([9]), stored.subarray(1)])],
])('%s in Redis: the read goes on to AWS', async (_, spoil) => {
  await deliver().getSecret('A_B')
  await shared('A_B_production', world.redis)
  await world.redis.command(
    'SET',
    'secret:A_B_production',
    spoil(await world.redis.command('GET', 'secret:A_B_production')),
  )
  expect(await deliver().getSecret('A_B')).toBe('canary-value')
})

test('another type of key, or a flushed server: the read goes on to AWS', async () => {
  await world.redis.command('LPUSH', 'secret:A_B_production', 'x')
  expect(await deliver().getSecret('A_B')).toBe('canary-value')
  await world.redis.command('FLUSHALL')
  expect(await deliver().getSecret('A_B')).toBe('canary-value')
})

test('invalidate and clear remove the shared copies of this environment and prefix, and no other key', async () => {
  await world.redis.command('SET', 'unrelated', '1')
  await world.redis.command('SET', 'secret:A_B_staging', 'not ours')
  const delivery = deliver()
  await delivery.getToolSecrets('a')
  await Promise.all([shared('A_B_production', world.redis), shared('A_C_production', world.redis)])
  await delivery.cache.invalidate('A_B')
  expect(await world.redis.command('EXISTS', 'secret:A_B_production')).toBe(0)
  await delivery.cache.clear()
  expect(await world.redis.command('EXISTS', 'secret:A_C_production')).toBe(0)
  expect(await world.redis.command('EXISTS', 'unrelated', 'secret:A_B_staging')).toBe(2)
})

test('clear finds nothing in an empty Redis, and what lies behind keys of others', async () => {
  const delivery = world.deliver()
  await delivery.cache.clear()
  // More than one page of a scan, most of them without a match.
  const others = Array.from({ length: 3000 }, (_, i) => [`other:${i}`, 'x'])
  await world.redis.command('MSET', ...others.flat())
  expect(await delivery.getSecret('A_B')).toBe('canary-value')
  await until('it is shared', async () => Number(await world.redis.command('EXISTS', 'secret:A_B_production')) === 1)
  await delivery.cache.clear()
  expect(Number(await world.redis.command('EXISTS', 'secret:A_B_production'))).toBe(0)
  expect(Number(await world.redis.command('EXISTS', 'other:0', 'other:2999'))).toBe(2)
})

test('test environment: close() clears the shared copies', async () => {
  await world.aws.put({ A_B_test: 'v' })
  const delivery = deliver({}, { environment: 'test', envFile: false })
  await delivery.getSecret('A_B')
  await shared('A_B_test', world.redis)
  await delivery.close()
  expect(await world.redis.command('EXISTS', 'secret:A_B_test')).toBe(0)
})

test('a server that was killed and comes back: reads never fail', async () => {
  const port = await freePort()
  let server = await RedisServer.start({ port })
  const delivery = deliver({ redis: { url: server.url } })
  expect(await delivery.getSecret('A_B')).toBe('canary-value')
  await server.stop()
  expect(await delivery.refresh('A_B')).toBe('canary-value')
  expect(await delivery.getSecret('A_C')).toBe('second')
  expect((await delivery.health()).checks.redis.status).toBe('down')
  server = await RedisServer.start({ port })
  await until('it is used again', async () => (await delivery.health()).checks.redis.status === 'ok')
  await delivery.refresh('A_B')
  await shared('A_B_production', server)
  await server.stop()
})

test('a server that accepts and never answers costs a read no more than its deadline', async () => {
  const server = await RedisServer.start()
  const delivery = deliver({ redis: { url: server.url } })
  expect((await delivery.health()).checks.redis.status).toBe('ok')
  server.freeze()
  const started = Date.now()
  expect(await delivery.getSecret('A_B')).toBe('canary-value')
  expect(Date.now() - started).toBeLessThan(1500)
  server.thaw()
  await server.stop()
})

test('a password is used, and a wrong one is not shown', async () => {
  const server = await RedisServer.start({ password: 'hunter2' })
  const delivery = deliver({ redis: { url: server.url } })
  await delivery.getSecret('A_B')
  await shared('A_B_production', server)
  const wrong = deliver({ redis: { url: `redis://:letmein@127.0.0.1:${server.port}` } })
  expect(await wrong.getSecret('A_B')).toBe('canary-value')
  const { status, reason } = (await wrong.health()).checks.redis
  expect(status).toBe('down')
  expect(reason).not.toMatch(/hunter2|letmein/)
  await server.stop()
})

test('rediss:// verifies the server, with a CA of its own', async () => {
  const directory = temporaryDirectory()
  const { cert, port, args } = await certificate(directory, false)
  const server = await RedisServer.start({ args })
  try {
    const url = `rediss://localhost:${port}`
    const trusting = deliver({ redis: { url, tls: { ca: cert } } })
    expect((await trusting.health()).checks.redis).toEqual({ status: 'ok', reason: null })
    await trusting.getSecret('A_B')
    await shared('A_B_production', server)
    await followed(deliver({ redis: { url, tls: { ca: cert } } }), trusting)
    const unknown = deliver({ redis: { url } })
    expect((await unknown.health()).checks.redis.status).toBe('down')
    expect(await unknown.getSecret('A_B')).toBe('canary-value')
    expect((await unknown.explain('A_C')).layers.find(({ layer }) => layer === 'redis').state).toBe('error')
  } finally {
    await server.stop()
    fs.rmSync(directory, { recursive: true })
  }
})

test('a cluster is shared through its own protocol', async () => {
  const cluster = await RedisCluster.start()
  try {
    const redis = { url: cluster.url() }
    const secrets = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`C_N${i}_production`, `v${i}`]))
    await world.aws.put(secrets)
    const tools = { c: { secrets: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`n${i}`, {}])) } }
    const expected = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`n${i}`, `v${i}`]))
    const first = deliver({ redis }, { tools })
    expect((await first.health()).checks.redis).toEqual({ status: 'ok', reason: null })
    expect(await first.getToolSecrets('c')).toEqual(expected)
    await until('all copies are shared', async () => (await copies(cluster.nodes)) === 30)
    await world.aws.fault(OUTAGE)
    expect(await deliver({ redis }, { tools }).getToolSecrets('c')).toEqual(expected)
    await world.aws.clearFaults()
    await followed(deliver({ redis }), first)
    await first.cache.clear()
    expect(await copies(cluster.nodes)).toBe(0)
  } finally {
    await cluster.stop()
  }
}, 60_000)

test('Sentinel leads to the primary', async () => {
  const group = await RedisSentinel.start()
  try {
    const redis = { url: group.url() }
    const delivery = deliver({ redis })
    expect((await delivery.health()).checks.redis).toEqual({ status: 'ok', reason: null })
    await delivery.getSecret('A_B')
    await shared('A_B_production', group.primary)
    await followed(deliver({ redis }), delivery)
  } finally {
    await group.stop()
  }
})
