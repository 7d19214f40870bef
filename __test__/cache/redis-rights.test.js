'use strict'

// What a user of Redis needs to be allowed, on real servers: as little as docs/permissions.md says, and no read fails without it.

const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { RedisServer } = require('../support/servers/redis')
const { RedisCluster, RedisSentinel } = require('../support/servers/redis-groups')
const { certificate } = require('../support/servers/redis-tls')
const { copies, followed, overRedis, shared } = require('../support/services')
const { until } = require('../support/until')

const { deliver } = overRedis({ A_B_production: 'canary-value', A_C_production: 'second' })

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

  test('a user that may not subscribe looks into Redis for what others change', async () => {
    await server.command('ACL', 'SETUSER', 'secrets', '-subscribe')
    const [deaf, other] = [service(), service()]
    for (const delivery of [deaf, other]) expect(await delivery.getSecret('A_B')).toBe('canary-value')
    await other.cache.set('A_B', 'by hand')
    await until('it is found', async () => (await deaf.getSecret('A_B')) === 'by hand', 3000)
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
    expect(said.join()).not.toMatch(/canary-password|letmein|no permissions|username-password/i)
    expect(await delivery.getSecret('A_B')).toBe('canary-value')
  })
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
