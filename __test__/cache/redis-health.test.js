'use strict'

// What `health` says of a Redis that answers and is of no use, and the cause that errors name, on real servers.

const net = require('node:net')
const tls = require('node:tls')
const { RedisServer } = require('../support/servers/redis')
const { RedisSentinel } = require('../support/servers/redis-groups')
const { Listening, authority, issued } = require('../support/servers/tls')
const { overRedis } = require('../support/services')
const { until } = require('../support/until')

const world = overRedis({ A_B_production: 'canary-value' })

/** @type {{ stop(): unknown }[]} */
const running = []
/** @type {string[]} */
let warnings
beforeEach(() => (warnings = []))
afterEach(() => Promise.all(running.splice(0).map((server) => server.stop())))

/** Ends with the test. @template {{ stop(): unknown }} T @param {T} server @returns {T} */
const started = (server) => (running.push(server), server)
const server = async (/** @type {string[]} */ ...args) => started(await RedisServer.start({ args }))
const service = (/** @type {string} */ url) =>
  world.deliver({ redis: { url } }, { logger: { warn: (/** @type {string} */ message) => warnings.push(message) } })

/** What `health` says, once it does not say `ok`: what was read is shared a moment later. @param {any} delivery */
const notOk = async (delivery) => {
  expect(await delivery.getSecret('A_B')).toBe('canary-value')
  return until('health is not ok', async () => {
    await delivery.refresh('A_B')
    const { redis } = (await delivery.health()).checks
    return redis.status !== 'ok' && redis
  })
}

describe('health is not ok while no copy is shared', () => {
  test('a read-only replica', async () => {
    const replica = await server('--replicaof', `127.0.0.1 ${world.redis.port}`)
    await until('it follows', async () => `${await replica.command('INFO', 'replication')}`.includes('link_status:up'))
    const { status, reason } = await notOk(service(replica.url))
    expect([status, reason]).toEqual([
      'degraded',
      expect.stringMatching(/^it keeps no copies: .*READONLY: it is a replica/),
    ])
  })

  test('a Sentinel behind redis://', async () => {
    const group = started(await RedisSentinel.start())
    const { status, reason } = await notOk(service(`redis://127.0.0.1:${group.sentinel.port}`))
    expect([status, reason]).toEqual(['down', expect.stringMatching(/it is a Sentinel \(redis\+sentinel:\/\/\)/)])
  })

  test.each([
    ['TIME was renamed', ['--rename-command', 'TIME', ''], /the command was renamed \(docs\/permissions\.md/],
    ['EVAL was renamed', ['--rename-command', 'EVAL', ''], /the command was renamed \(docs\/permissions\.md/],
  ])('%s', async (_, args, words) => {
    const { status, reason } = await notOk(service((await server(...args)).url))
    expect([status, reason]).toEqual(['degraded', expect.stringMatching(/^it keeps no copies: /)])
    expect(reason).toMatch(words)
  })

  test.each([
    ['time', ['-time'], 'degraded'],
    ['mget', ['-mget'], 'down'],
    ['set', ['-set'], 'degraded'],
    ['subscribe', ['-subscribe'], 'degraded'],
  ])('a user that may not %s', async (_, less, expected) => {
    const { redis } = world
    await redis.command('ACL', 'SETUSER', 'less', 'reset', 'on', '>pw', '~*', '&*', '+@all', ...less)
    const { status, reason } = await notOk(service(redis.url.replace('//', '//less:pw@')))
    expect(status).toBe(expected)
    expect(reason).toMatch(/this user may not do that \(docs\/permissions\.md has the rights\)/)
  })

  test('a user that may do all of it again is ok', async () => {
    const { redis } = world
    await redis.command('ACL', 'SETUSER', 'less', 'reset', 'on', '>pw', '~*', '&*', '+@all', '-time', '-subscribe')
    const delivery = service(redis.url.replace('//', '//less:pw@'))
    await notOk(delivery)
    await redis.command('ACL', 'SETUSER', 'less', '+time', '+subscribe')
    await until('it is ok', async () => {
      await delivery.refresh('A_B')
      return (await delivery.health()).checks.redis.status === 'ok'
    })
  })

  test('a server without a place for another connection', async () => {
    const full = await server('--maxclients', '1')
    const [first, second] = [service(full.url), service(full.url)]
    expect((await notOk(first)).reason).toMatch(/as many connections as it allows \(maxclients\)/)
    expect((await notOk(second)).reason).toMatch(/as many connections as it allows \(maxclients\)/)
  })
})

describe('the scheme of the URL', () => {
  test('redis+sentinel:// and redis+cluster:// at a plain Redis name redis://', async () => {
    const at = `127.0.0.1:${world.redis.port}`
    const asSentinel = await notOk(service(`redis+sentinel://${at}/main`))
    expect(asSentinel.reason).toMatch(/no Sentinel answers there: begin cache\.redis\.url with redis:\/\//)
    const asCluster = await notOk(service(`redis+cluster://${at}`))
    expect(asCluster.reason).toMatch(/it is no Redis Cluster: begin cache\.redis\.url with redis:\/\//)
    await until('it warns', async () => warnings.length > 0)
    for (const warning of warnings) expect(warning).toMatch(/^CHANGES_NOT_HEARD: .*it is no Redis Cluster/)
  })

  test('redis:// at a server that speaks TLS names rediss', async () => {
    const pair = await issued(await authority())
    const secure = tls.createServer(pair)
    secure.on('tlsClientError', () => undefined)
    const { port } = started(await Listening.start(secure))
    expect((await notOk(service(`redis://127.0.0.1:${port}`))).reason).toMatch(/rediss/)
  })

  test('#insecure is told as what it is', async () => {
    const { reason } = await notOk(service(`rediss://127.0.0.1:${world.redis.port}#insecure`))
    expect(reason).toMatch(/leave #insecure out/)
  })
})

describe('an error has a cause with host and port', () => {
  const causeAt = async (/** @type {string} */ url) =>
    (
      await service(url)
        .cache.invalidate('A_B')
        .catch((/** @type {any} */ error) => error)
    ).cause

  test('a wrong password: WRONGPASS', async () => {
    const { port } = await server('--requirepass', 'right')
    const cause = await causeAt(`redis://:canary@127.0.0.1:${port}`)
    expect(cause).toMatchObject({ code: 'WRONGPASS', host: '127.0.0.1', port })
    expect(JSON.stringify([cause.message, cause.stack])).not.toContain('canary')
  })

  test('no Redis: EPROTO', async () => {
    const http = net.createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
    const { port } = started(await Listening.start(http))
    expect(await causeAt(`redis://127.0.0.1:${port}`)).toMatchObject({ code: 'EPROTO', host: '127.0.0.1', port })
  })
})
