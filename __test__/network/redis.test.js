'use strict'

// Redis as it stands in the world: Sentinels with users of their own, a cluster behind a plain URL, and a variable that is there
// for another library.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')
const { RedisCluster, RedisSentinel } = require('../support/servers/redis-groups')
const { until } = require('../support/until')
const { withVariables } = require('../support/with-variables')

const KEYS = `k1:${Buffer.alloc(32, 1).toString('base64')}`
const TYPES = Array.from({ length: 20 }, (_, number) => `t${number}`)

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery[]} */
const open = []
/** @type {string[]} */
let warnings

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put(Object.fromEntries(TYPES.map((type) => [`BULK_${type.toUpperCase()}_production`, `v${type}`])))
})
beforeEach(() => (warnings = []))
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(() => aws.stop())

function deliver(variables, cache = {}) {
  const delivery = withVariables(variables, () => {
    const secrets = Object.fromEntries(TYPES.map((type) => [type, {}]))
    const logger = { warn: (message) => warnings.push(message) }
    const options = {
      environment: 'production',
      compliance: false,
      audit: false,
      alerts: false,
      aws: aws.options,
      logger,
      cache,
    }
    return new SecretDelivery({ ...options, tools: { bulk: { secrets } } })
  })
  open.push(delivery)
  return delivery
}
const over = (redis) => deliver({ TCS_CACHE_KEYS: KEYS }, { redis })
const state = async (delivery) => (await delivery.health()).checks.redis
/** A busy machine may not keep Redis's deadline at the first try. */
const works = (redis) => until('Redis answers', async () => (await state(over(redis))).status === 'ok')

/** Whether a second instance finds all secrets of a tool in the shared cache. */
async function isShared(redis) {
  await over(redis).getToolSecrets('bulk')
  const { total } = await aws.calls()
  const found = await over(redis).getToolSecrets('bulk')
  return {
    right: found.t7 === 'vt7' && Object.keys(found).length === TYPES.length,
    calls: (await aws.calls()).total - total,
  }
}

describe('Sentinels with a user of their own', () => {
  /** @type {RedisSentinel} */
  let group
  beforeAll(async () => {
    group = await RedisSentinel.start()
    await group.primary.command('CONFIG', 'SET', 'requirepass', 'primary')
    await group.sentinel.command('SENTINEL', 'SET', 'main', 'auth-pass', 'primary')
  })
  afterAll(() => group.stop())

  test('none at all: {}', async () => {
    await works({ url: group.url(':primary@'), sentinel: {} })
    const { status, reason } = await state(over({ url: group.url(':primary@') }))
    expect([status, reason]).toEqual(['down', expect.stringContaining('authentication failed')])
  })

  test('another one', async () => {
    await group.sentinel.command('ACL', 'SETUSER', 'watcher', 'on', '>watching', 'allchannels', '+@all')
    await works({ url: group.url(':primary@'), sentinel: { username: 'watcher', password: 'watching' } })
    const wrong = over({ url: group.url(':primary@'), sentinel: { username: 'watcher', password: 'canary' } })
    expect(await state(wrong)).toEqual({ status: 'down', reason: expect.not.stringContaining('canary') })
    expect((await wrong.getToolSecrets('bulk')).t7).toBe('vt7')
  })
})

describe('a cluster behind redis://', () => {
  test('of several nodes is said, with the way out', async () => {
    const cluster = await RedisCluster.start()
    try {
      const url = `redis://127.0.0.1:${cluster.nodes[0].port}`
      const delivery = over({ url })
      expect((await delivery.getToolSecrets('bulk')).t7).toBe('vt7')
      const { status, reason } = await until('it is said', async () => {
        const found = await state(delivery)
        return /several nodes/.test(found.reason ?? '') && found
      })
      expect(status).toBe('down')
      expect(reason).toMatch(
        /^Redis is not available: 127\.0\.0\.1:\d+: it is one of several nodes of a Redis Cluster.*redis\+cluster:\/\//,
      )
      await works({ url: url.replace('redis:', 'redis+cluster:') })
    } finally {
      await cluster.stop()
    }
  })

  test('of one node is used', async () => {
    const directory = temporaryDirectory()
    const node = await RedisServer.start({ args: ['--cluster-enabled', 'yes', '--dir', directory] })
    try {
      await node.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      await until('it is complete', async () => (await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok'))
      const url = `redis://127.0.0.1:${node.port}`
      await works({ url })
      await until('a second instance asks nobody', async () => {
        const { right, calls } = await isShared({ url })
        expect(right).toBe(true)
        return calls === 0
      })
    } finally {
      await node.stop()
      fs.rmSync(path.join(directory), { recursive: true })
    }
  })
})

describe('a plain Redis', () => {
  /** @type {RedisServer} */
  let server
  beforeAll(async () => (server = await RedisServer.start()))
  afterAll(() => server.stop())
  const url = (rest = '', user = '') => `redis://${user}127.0.0.1:${server.port}${rest}`

  test('has the database that the path or ?db= names', async () => {
    for (const rest of ['/3', '?db=5']) await works({ url: url(rest) })
    await until('copies are in both', async () => {
      for (const rest of ['/3', '?db=5']) await over({ url: url(rest) }).getSecret('BULK_T7')
      const space = String(await server.command('INFO', 'keyspace'))
      return space.includes('db3:') && space.includes('db5:') && !space.includes('db0:')
    })
    expect(await state(over({ url: url('/99') }))).toEqual({
      status: 'down',
      reason: expect.stringContaining('it has no database of that number'),
    })
  })

  test('whose user may not read is down, and whose user may not write is degraded', async () => {
    await server.command('ACL', 'SETUSER', 'other', 'on', '>x', '~other:*', '&*', '+@all')
    const other = await state(over({ url: url('', 'other:x@') }))
    expect(other).toEqual({ status: 'down', reason: expect.stringContaining('NOPERM') })
    await server.command(
      'ACL',
      'SETUSER',
      'reader',
      'on',
      '>x',
      '~*',
      '&*',
      '+@read',
      '+@connection',
      '+@pubsub',
      '+time',
    )
    const reader = over({ url: url('', 'reader:x@') })
    expect(await reader.getSecret('BULK_T7')).toBe('vt7')
    await until('a copy was refused', async () => (await state(reader)).status === 'degraded')
    expect((await state(reader)).reason).toMatch(/^it keeps no copies: .*NOPERM/)
  })
})

describe('REDIS_URL', () => {
  const warned = async (delivery) =>
    until('it warns', async () => warnings.length > 0 && (await delivery.getToolSecrets('bulk')).t7)

  test.each([
    ['a Sentinel of another library', 'redis-sentinel://h:26379#m'],
    ['no scheme of ours', 'tcp://h:6379'],
    ['a host alone', 'h:6379'],
    ['a special character that is not encoded', 'redis://:can#ary@h:6379'],
  ])('%s is told with the ways out, and the service starts', async (_, url) => {
    const delivery = deliver({ REDIS_URL: url, TCS_CACHE_KEYS: KEYS })
    expect(await warned(delivery)).toBe('vt7')
    expect(warnings).toEqual([
      expect.stringMatching(/^REDIS_URL_UNUSED: REDIS_URL is not used.*%23 for #.*cache\.redis to false$/),
    ])
    expect(warnings[0]).not.toContain('can#ary')
    expect(await state(delivery)).toEqual({ status: 'disabled', reason: null })
  })

  test('without keys for what would be in it', async () => {
    const delivery = deliver({ REDIS_URL: 'redis://localhost:6379' })
    expect(await warned(delivery)).toBe('vt7')
    expect(warnings).toEqual([expect.stringMatching(/^REDIS_URL_UNUSED: .*TCS_CACHE_KEYS.*cache\.redis to false$/)])
  })

  test('an option is refused all the same', () => {
    expect(() => deliver({}, { redis: { url: 'tcp://h:6379' } })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
    expect(() => deliver({ REDIS_URL: 'redis://localhost' }, { redis: {} })).toThrow(
      expect.objectContaining({ code: 'ENCRYPTION_KEY_INVALID' }),
    )
  })

  test('is not looked at where cache.redis is false', async () => {
    await deliver({ REDIS_URL: 'tcp://h' }, { redis: false }).getToolSecrets('bulk')
    expect(warnings).toEqual([])
  })
})
