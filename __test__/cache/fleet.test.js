'use strict'

// Several instances over one Redis: one asks AWS for all of them, and each follows what another one changes.

const { FaultProxy } = require('../../tools/lab/proxy')
const { until } = require('../support/until')
const { OUTAGE, overRedis } = require('../support/services')

const CHANNEL = 'secret:events:production'

const world = overRedis({ A_B_production: 'one' })
const { deliver } = world

const followers = async () => Number((await world.redis.command('PUBSUB', 'NUMSUB', CHANNEL))[1])
const memoryReads = (delivery) => delivery.metrics.snapshot().secretsRetrieved.memory
const stored = (id) => until(`${id} is shared`, async () => (await world.redis.command('EXISTS', `secret:${id}`)) === 1)

/** Two instances that hold a copy of A_B in memory and follow each other. */
async function pair() {
  const both = [deliver(), deliver()]
  for (const delivery of both) expect(await delivery.getSecret('A_B')).toBe('one')
  await stored('A_B_production')
  await until('both follow', async () => (await followers()) === 2)
  // What came into memory before the subscription stood is looked up once more.
  for (const delivery of both) {
    await until('it is in memory', async () => {
      const before = memoryReads(delivery)
      await delivery.getSecret('A_B')
      return memoryReads(delivery) > before
    })
  }
  return both
}

describe('a change in one instance reaches the others', () => {
  test('set', async () => {
    const [first, second] = await pair()
    await first.cache.set('A_B', 'by hand')
    await until('the other one reads it', async () => (await second.getSecret('A_B')) === 'by hand')
    expect(await first.getSecret('A_B')).toBe('by hand')
  })

  test('invalidate', async () => {
    const [first, second] = await pair()
    await world.aws.put({ A_B_production: 'two' })
    expect(await second.getSecret('A_B')).toBe('one')
    await first.cache.invalidate('A_B')
    await until('the other one reads it', async () => (await second.getSecret('A_B')) === 'two')
  })

  test('clear', async () => {
    const [first, second] = await pair()
    await world.aws.put({ A_B_production: 'two' })
    await first.cache.clear()
    await until('the other one reads it', async () => (await second.getSecret('A_B')) === 'two')
  })

  test('a rotation, which each of them tells its service once', async () => {
    const [first, second] = await pair()
    const heard = [[], []]
    for (const [i, delivery] of [first, second].entries()) {
      delivery.onSecretRotated((tool, type) => heard[i].push(`${tool}/${type}`))
    }
    expect(await first.rotateSecret('A_B', 'production')).toBe(true)
    await until('the other one reads it', async () => (await second.getSecret('A_B')) !== 'one')
    expect(await first.getSecret('A_B')).toBe(await second.getSecret('A_B'))
    await until('both have heard', () => heard.every((list) => list.length > 0))
    await Promise.all([first.refresh('A_B'), second.refresh('A_B')])
    expect(heard).toEqual([['a/b'], ['a/b']])
  })

  test('a new version that one of them happens to read', async () => {
    const [first, second] = await pair()
    await world.aws.put({ A_B_production: 'two' })
    expect(await first.refresh('A_B')).toBe('two')
    await until('the other one reads it', async () => (await second.getSecret('A_B')) === 'two')
  })
})

test('after a lost subscription nothing in memory is trusted before it was looked up again', async () => {
  const [, second] = await pair()
  // Changed without a word.
  await world.aws.put({ A_B_production: 'two' })
  await world.redis.command('DEL', 'secret:A_B_production')
  expect(await second.getSecret('A_B')).toBe('one')
  expect(await world.redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(2)
  await until('it looked again', async () => (await second.getSecret('A_B')) === 'two')
})

test.each(['refresh', 'rotateSecret'])(
  'a new version that Redis did not take is shared once Redis is back, though its finder reads nothing: %s',
  async (how) => {
    const wire = await FaultProxy.start(world.redis.port)
    try {
      const [first, second] = [deliver({ redis: { url: `redis://127.0.0.1:${wire.port}` } }), deliver()]
      for (const delivery of [first, second]) expect(await delivery.getSecret('A_B')).toBe('one')
      await stored('A_B_production')
      await until('both follow', async () => (await followers()) === 2)
      for (const delivery of [first, second]) await delivery.getSecret('A_B')
      await wire.refuse()
      if (how === 'refresh') await world.aws.put({ A_B_production: 'two' })
      await (how === 'refresh' ? first.refresh('A_B') : first.rotateSecret('A_B', 'production'))
      await wire.pass()
      await until('the other one reads it', async () => (await second.getSecret('A_B')) !== 'one')
    } finally {
      await wire.close()
    }
  },
)

test('a copy from before a lost subscription still answers while AWS fails', async () => {
  const [, second] = await pair()
  await world.redis.command('DEL', 'secret:A_B_production')
  await world.aws.fault(OUTAGE)
  await world.redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until('it looked again', async () => {
    expect(await second.getSecret('A_B')).toBe('one')
    return (await world.aws.calls()).total > 1
  })
  expect(await second.getSecret('A_B')).toBe('one')
})

test('garbage on the channel changes nothing', async () => {
  const [first] = await pair()
  for (const message of [
    '',
    'garbage',
    '1 0 drop',
    '1 0 drop ../A_B',
    '1 zz clear',
    '2 0 clear',
    Buffer.alloc(1_000_000),
  ]) {
    expect(await world.redis.command('PUBLISH', CHANNEL, message)).toBe(2)
  }
  await world.redis.command('PUBLISH', CHANNEL, '1 0000000000000000 drop C_D')
  const before = memoryReads(first)
  expect(await first.getSecret('A_B')).toBe('one')
  expect(memoryReads(first)).toBe(before + 1)
})

test('values that are set at the same time are all kept, in memory and in Redis', async () => {
  const [first, second] = [deliver(), deliver()]
  const names = Array.from({ length: 500 }, (_, i) => `SET_N${i}`)
  await Promise.all(names.map((name) => first.cache.set(name, `value of ${name}`)))
  expect(await world.redis.command('DBSIZE')).toBe(500)
  for (const delivery of [first, second]) {
    const values = await Promise.all(names.map((name) => delivery.getSecret(name)))
    expect(values).toEqual(names.map((name) => `value of ${name}`))
  }
  expect((await world.aws.calls()).total).toBe(0)
})

describe('one instance asks AWS for all', () => {
  const names = Array.from({ length: 100 }, (_, i) => `F_N${i}`)
  const secrets = Object.fromEntries(names.map((name, i) => [`${name}_production`, `v${i}`]))
  const expected = names.map((_, i) => `v${i}`)
  const readAll = (delivery) => Promise.all(names.map((name) => delivery.getSecret(name)))

  test.each([0, 50])(
    'a thousand reads of a hundred secrets cost one instance five calls, %i reads before',
    async (before) => {
      await world.aws.put(secrets)
      const delivery = deliver({ redis: false })
      // Half of what was read at once is the first portion of what comes next.
      await Promise.all(Array.from({ length: before }, (_, i) => delivery.getSecret(`F_ABSENT${i}`)))
      await world.aws.resetCalls()
      const read = Array.from({ length: 1000 }, (_, i) => delivery.getSecret(names[i % 100]))
      expect(await Promise.all(read)).toEqual(Array.from({ length: 1000 }, (_, i) => `v${i % 100}`))
      expect((await world.aws.calls()).byOperation).toEqual({ BatchGetSecretValue: 5 })
    },
  )

  test('five instances that start together cost no more than one', async () => {
    await world.aws.put(secrets)
    await world.aws.fault({ action: { delayMs: 50 } })
    const fleet = Array.from({ length: 5 }, () => deliver())
    for (const values of await Promise.all(fleet.map(readAll))) expect(values).toEqual(expected)
    const { total, byOperation } = await world.aws.calls()
    expect([total, Object.keys(byOperation)]).toEqual([5, ['BatchGetSecretValue']])
  })

  test('a lock whose holder is gone delays the others by a second at most, and Redis goes on being read', async () => {
    await world.redis.command('SET', 'secret:lock:A_B_production', '1', 'PX', '1000')
    const started = Date.now()
    const delivery = deliver()
    expect(await delivery.getSecret('A_B')).toBe('one')
    expect((await delivery.explain('A_C')).layers.find(({ layer }) => layer === 'redis').state).toBe('miss')
    const took = Date.now() - started
    expect(took).toBeGreaterThan(500)
    expect(took).toBeLessThan(1500)
  })

  test('a lock that nobody gives back does not stop reads', async () => {
    await world.redis.command('SET', 'secret:lock:A_B_production', '1')
    const started = Date.now()
    expect(await deliver().getSecret('A_B')).toBe('one')
    expect(Date.now() - started).toBeLessThan(1500)
  })

  test('locks are given back, also for secrets that AWS does not have', async () => {
    const delivery = deliver()
    expect(await Promise.all(['A_B', 'A_GONE'].map((name) => delivery.getSecret(name)))).toEqual(['one', null])
    await until('no lock is left', async () => (await world.redis.command('KEYS', 'secret:lock:*')).length === 0)
  })
})

describe('a Redis that cannot be written to is still read', () => {
  test.each([
    ['full', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
    ['read-only', ['REPLICAOF', '127.0.0.1', '9'], ['REPLICAOF', 'NO', 'ONE']],
  ])('%s', async (_, spoil, restore) => {
    await deliver().getSecret('A_B')
    await stored('A_B_production')
    await world.redis.command(...spoil)
    try {
      await world.aws.put({ A_C_production: 'c' })
      const delivery = deliver()
      for (let i = 0; i < 5; i++) {
        expect(await delivery.getSecret('A_C')).toBe('c')
        expect((await delivery.explain('A_B')).answeredBy).toBe('redis')
        await expect(delivery.cache.set('A_D', 'd')).rejects.toMatchObject({ code: 'CACHE_UNAVAILABLE' })
      }
      expect(await delivery.getSecret('A_D')).toBe('d')
    } finally {
      await world.redis.command(...restore)
    }
  })
})
