'use strict'

// The shared cache, on real Redis servers: a copy for every instance, and never a dependency.

const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { RedisServer } = require('../support/servers/redis')
const { RedisCluster, RedisSentinel } = require('../support/servers/redis-groups')
const { certificate } = require('../support/servers/redis-tls')
const { accepts, freePort } = require('../support/servers/server')
const { KEY, OUTAGE, overRedis } = require('../support/services')
const { until } = require('../support/until')

/** Keys that hold a copy of a secret; drops are remembered beside them. @param {any[]} servers */
const copies = async (servers) => {
  const keys = (await Promise.all(servers.map((server) => server.command('KEYS', 'secret:*')))).flat().map(String)
  return keys.filter((key) => !/^secret:(drop|cleared):/.test(key)).length
}
const NEXT = { id: 'k2', key: Buffer.alloc(32, 2) }

const world = overRedis({ A_B_production: 'canary-value', A_C_production: 'second' })
const { deliver } = world

/** Resolves when a copy of `id` stands in Redis: sharing does not delay the read that causes it. */
const shared = (id, server = world.redis) =>
  until(`${id} is shared`, async () => (await server.command('EXISTS', `secret:${id}`)) === 1)

/** Waits until what one instance sets another one reads, whatever it had in memory. */
async function followed(reader, writer) {
  await writer.getSecret('A_B')
  let last = 0
  await until('a change is followed', async () => {
    await writer.cache.set('A_B', `set ${++last}`)
    return (await reader.getSecret('A_B')) === `set ${last}` && last > 3
  })
}

test('a second instance reads the copy of the first, without an AWS call', async () => {
  expect(await deliver().getSecret('A_B')).toBe('canary-value')
  await shared('A_B_production')
  const second = deliver()
  expect((await second.explain('A_B')).answeredBy).toBe('redis')
  expect(await second.getSecret('A_B')).toBe('canary-value')
  expect((await world.aws.calls()).total).toBe(1)
  expect(second.metrics.snapshot().secretsRetrieved.redis).toBe(1)
})

test('a fresh instance serves the shared copies while AWS is down', async () => {
  await deliver().getToolSecrets('a')
  await Promise.all([shared('A_B_production'), shared('A_C_production')])
  await world.aws.fault(OUTAGE)
  const second = deliver({}, { tools: { a: { secrets: { b: {}, c: {} } } } })
  expect(await second.getToolSecrets('a')).toEqual({ b: 'canary-value', c: 'second' })
  expect(await second.getSecret('A_B')).toBe('canary-value')
})

test('values in Redis are encrypted, bound to their name, and expire', async () => {
  await deliver().getSecret('A_B')
  await shared('A_B_production')
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
  await shared('A_B_production')
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
  await shared('A_B_production')
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
  await Promise.all([shared('A_B_production'), shared('A_C_production')])
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
  await shared('A_B_test')
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

const PASSWORD = 'canary-password'
const PAGE = fs.readFileSync(path.join(__dirname, '..', '..', 'docs', 'permissions.md'), 'utf8')
/** What a user may do on Redis, and on a Sentinel. */
const [RIGHTS, SENTINEL_RIGHTS] = [...PAGE.matchAll(/user secrets (on .+)$/gm)].map(([, rights]) =>
  rights.replace('PASSWORD', PASSWORD).split(' '),
)
/** The line of what it also needs. @param {string} where */
const also = (where) => new RegExp(`^${where}: +(.+)$`, 'm').exec(PAGE)[1].split(' ')

describe('a user with the rights that docs/permissions.md names, over TLS with a client certificate', () => {
  const directory = temporaryDirectory()
  /** @type {RedisServer} */
  let server
  /** @type {Awaited<ReturnType<typeof certificate>>} */
  let tls
  beforeAll(async () => {
    tls = await certificate(directory, true)
    server = await RedisServer.start({ args: tls.args })
  })
  beforeEach(async () => {
    for (const words of [['FLUSHALL'], ['ACL', 'LOG', 'RESET'], ['CONFIG', 'RESETSTAT']]) await server.command(...words)
    await server.command('ACL', 'SETUSER', 'secrets', 'reset', ...RIGHTS)
  })
  afterAll(async () => {
    await server.stop()
    fs.rmSync(directory, { recursive: true })
  })

  const service = (password = PASSWORD, /** @type {object} */ more = {}) => {
    const { cert, key, port } = tls
    const redis = { url: `rediss://secrets:${password}@localhost:${port}`, tls: { ca: cert, cert, key } }
    return deliver({ redis }, more)
  }

  test('everything works, and Redis refuses nothing', async () => {
    const [first, second] = [service(), service()]
    expect((await first.health()).checks.redis).toEqual({ status: 'ok', reason: null })
    expect(await first.getToolSecrets('a')).toEqual({ b: 'canary-value', c: 'second' })
    await Promise.all([shared('A_B_production', server), shared('A_C_production', server)])
    expect((await second.explain('A_B')).answeredBy).toBe('redis')
    await followed(second, first)
    await first.cache.invalidate('A_B')
    expect(await first.rotateSecret('A_B', 'production')).toBe(true)
    await first.getSecret('A_C')
    await first.cache.clear()
    expect(await server.command('KEYS', 'secret:A_*')).toEqual([])
    const asked = async () => {
      const lines = (await server.command('INFO', 'commandstats')).toString()
      return ['get', 'set', 'unlink', 'eval', 'scan', 'publish', 'subscribe'].every((name) =>
        new RegExp(`^cmdstat_${name}:calls=[1-9]`, 'm').test(lines),
      )
    }
    await until('every command was needed', asked)
    expect(await server.command('ACL', 'LOG')).toEqual([])
    // Without a certificate of its own.
    const url = `rediss://secrets:${PASSWORD}@localhost:${tls.port}`
    const stranger = deliver({ redis: { url, tls: { ca: tls.cert } } })
    expect((await stranger.health()).checks.redis.status).toBe('down')
  })

  test('a user that may not subscribe is told once that it does not hear the others', async () => {
    await server.command('ACL', 'SETUSER', 'secrets', '-subscribe')
    /** @type {string[]} */
    const warnings = []
    const delivery = service(PASSWORD, { logger: { warn: (/** @type {string} */ message) => warnings.push(message) } })
    expect(await delivery.getSecret('A_B')).toBe('canary-value')
    await until('it tried again and again', async () => {
      const refused = /** @type {any[][]} */ (await server.command('ACL', 'LOG'))
      return refused.some(([, count, , , , , , what]) => `${what}` === 'subscribe' && Number(count) >= 3)
    })
    expect(warnings).toEqual([expect.stringMatching(/^CHANGES_NOT_HEARD: .*NOPERM/)])
  })

  test.each([
    ['a wrong password', 'letmein', []],
    ['no right to read', PASSWORD, ['-get', '-mget', '-set', '-unlink', '-scan']],
    ['no right to the keys', PASSWORD, ['resetkeys', '~other:*']],
  ])('%s: reads go on, and no message has the password or what Redis said', async (_, password, less) => {
    await server.command('ACL', 'SETUSER', 'secrets', ...less)
    const delivery = service(password)
    expect(await delivery.getSecret('A_B')).toBe('canary-value')
    expect(await delivery.refresh('A_B')).toBe('canary-value')
    const refusals = [
      await delivery.cache.set('A_B', 'x').catch((error) => error),
      await delivery.cache.invalidate('A_B').catch((error) => error),
    ]
    expect(refusals.map(({ code }) => code)).toEqual(Array(2).fill('CACHE_UNAVAILABLE'))
    const said = [...refusals.map(String), JSON.stringify([await delivery.health(), await delivery.explain('A_B')])]
    expect(said.join()).not.toMatch(/canary-password|letmein|permission|username-password/i)
    expect(await delivery.getSecret('A_B')).toBe('canary-value')
  })
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

describe('a user with the rights that docs/permissions.md names, where there are several servers', () => {
  const user = `secrets:${PASSWORD}@`

  /** Gives the user these rights and no others. @param {RedisServer[]} servers @param {string[]} rights */
  const grant = async (servers, rights) => {
    await Promise.all(servers.map((server) => server.command('ACL', 'SETUSER', 'secrets', 'reset', ...rights)))
    await Promise.all(servers.map((server) => server.command('ACL', 'LOG', 'RESET')))
  }
  /** What was refused to it. @param {RedisServer[]} servers */
  const refused = async (servers) =>
    (await Promise.all(servers.map((server) => server.command('ACL', 'LOG'))))
      .flat()
      .map(([, , , , , , , what]) => `${what}`)

  /** Reads, writes, invalidates, follows and rotates. @param {string} url */
  async function everything(url) {
    const [first, second] = [deliver({ redis: { url } }), deliver({ redis: { url } })]
    expect((await first.health()).checks.redis).toEqual({ status: 'ok', reason: null })
    expect(await first.getToolSecrets('a')).toEqual({ b: 'canary-value', c: 'second' })
    await until('it is shared', async () => (await second.explain('A_B')).answeredBy === 'redis')
    await followed(second, first)
    await first.cache.invalidate('A_B')
    expect(await first.rotateSecret('A_B', 'production')).toBe(true)
    await first.cache.clear()
  }

  /** Reads go on without Redis, and the code that it refused with is told. @param {string} url @param {string} [code] */
  async function withoutRedis(url, code = 'NOPERM') {
    const delivery = deliver({ redis: { url } })
    const reason = expect.stringMatching(RegExp(`^Redis is not available: 127.0.0.1:\\d+.*: it answered ${code}\\b`))
    expect((await delivery.health()).checks.redis).toEqual({ status: 'down', reason })
    expect(await delivery.getSecret('A_B')).toBe('canary-value')
    await expect(delivery.cache.set('A_B', 'x')).rejects.toMatchObject({ code: 'CACHE_UNAVAILABLE' })
  }

  describe('in a cluster', () => {
    const all = [...RIGHTS, ...also('in a cluster, also')]
    /** @type {RedisCluster} */
    let cluster
    beforeAll(async () => {
      cluster = await RedisCluster.start()
    })
    beforeEach(() => cluster.all('FLUSHALL'))
    afterAll(() => cluster?.stop())

    test('everything works, and Redis refuses nothing', async () => {
      await grant(cluster.nodes, all)
      await everything(cluster.url(user))
      expect(await copies(cluster.nodes)).toBe(0)
      expect(await refused(cluster.nodes)).toEqual([])
    })

    test('without cluster|slots: reads go on, and the refusal is told', async () => {
      await grant(cluster.nodes, [...all, '-cluster|slots'])
      await withoutRedis(cluster.url(user))
      expect(new Set(await refused(cluster.nodes))).toEqual(new Set(['cluster|slots']))
    })

    test('asking is needed while a slot is being moved', async () => {
      await cluster.beginToMove('secret:A_B_production')
      await grant(cluster.nodes, [...all, '-asking'])
      const delivery = deliver({ redis: { url: cluster.url(user) } })
      expect(await delivery.getSecret('A_B')).toBe('canary-value')
      await expect(delivery.cache.set('A_B', 'x')).rejects.toMatchObject({ code: 'CACHE_UNAVAILABLE' })
      expect(new Set(await refused(cluster.nodes))).toEqual(new Set(['asking']))
      await grant(cluster.nodes, all)
      await deliver({ redis: { url: cluster.url(user) } }).cache.set('A_B', 'moved')
      expect(await deliver({ redis: { url: cluster.url(user) } }).getSecret('A_B')).toBe('moved')
      expect(await refused(cluster.nodes)).toEqual([])
    })
  })

  describe('behind Sentinel', () => {
    const [onPrimary, onSentinel] = [[...RIGHTS, ...also('behind Sentinel, also')], SENTINEL_RIGHTS]
    /** @type {RedisSentinel} */
    let group
    beforeAll(async () => {
      group = await RedisSentinel.start()
    })
    beforeEach(() => group.primary.command('FLUSHALL'))
    afterAll(() => group?.stop())

    test('everything works, and neither refuses anything', async () => {
      await grant([group.primary], onPrimary)
      await grant([group.sentinel], onSentinel)
      await everything(group.url(user))
      expect(await copies([group.primary])).toBe(0)
      expect(await refused([group.primary, group.sentinel])).toEqual([])
    })

    test.each([
      ['role', ['-role'], [], ['info', 'role']],
      ['role of the Sentinel', [], ['-role'], ['role']],
      ['sentinel|masters', [], ['-sentinel|masters'], ['sentinel|masters']],
    ])('without %s: reads go on, and the refusal is told', async (_, fromPrimary, fromSentinel, told) => {
      await grant([group.primary], [...onPrimary, ...fromPrimary])
      await grant([group.sentinel], [...onSentinel, ...fromSentinel])
      await withoutRedis(group.url(user))
      expect(new Set(await refused([group.primary, group.sentinel]))).toEqual(new Set(told))
    })

    test('another database needs select', async () => {
      await grant([group.sentinel], onSentinel)
      await grant([group.primary], onPrimary)
      const url = `${group.url(user)}/1`
      await withoutRedis(url, 'ERR')
      expect(new Set(await refused([group.primary]))).toEqual(new Set(['select']))
      await grant([group.primary], [...onPrimary, ...also('not in database 0, also')])
      await everything(url)
      expect(await refused([group.primary])).toEqual([])
    })
  })
})
