'use strict'

const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('./servers/aws-endpoint')
const { RedisServer } = require('./servers/redis')
const { until } = require('./until')

const KEY = { id: 'k1', key: Buffer.alloc(32, 1).toString('base64') }
const OUTAGE = { action: { error: { status: 500, code: 'InternalServiceError' } } }

/**
 * AWS, Redis, and production services over both, for the tests of one file. Before each test both are emptied, and
 * AWS gets `secrets`. The services of a test are closed after it.
 *
 * @param {Record<string, string>} secrets Values by AWS id.
 */
function overRedis(secrets) {
  /** @type {SecretDelivery[]} */
  const open = []
  const world = {
    /** @type {AwsEndpoint} */
    aws: /** @type {any} */ (undefined),
    /** @type {RedisServer} */
    redis: /** @type {any} */ (undefined),
    /** @param {object} [cache] @param {object} [options] */
    deliver(cache = {}, options = {}) {
      const delivery = new SecretDelivery({
        environment: 'production',
        // Its warning is the subject of __test__/observability/compliance.test.js only.
        compliance: false,
        aws: { ...world.aws.options, maxAttempts: 1 },
        runtime: { variables: {}, secretDirectories: [] },
        cache: { redis: { url: world.redis.url }, encryptionKeys: [KEY], ...cache },
        ...options,
      })
      open.push(delivery)
      return delivery
    },
  }
  beforeAll(async () => {
    ;[world.aws, world.redis] = await Promise.all([AwsEndpoint.start(), RedisServer.start()])
  })
  beforeEach(async () => {
    await world.aws.reset()
    await world.redis.command('FLUSHALL')
    await world.aws.put(secrets)
  })
  afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
  afterAll(() => Promise.all([world.aws.stop(), world.redis.stop()]))
  return world
}

/** Keys that hold a copy of a secret; drops are remembered beside them. @param {RedisServer[]} servers */
async function copies(servers) {
  const keys = (await Promise.all(servers.map((server) => server.command('KEYS', 'secret:*')))).flat().map(String)
  return keys.filter((key) => !/^secret:(drop|cleared):/.test(key)).length
}

/** Resolves when a copy of `id` stands in Redis: sharing does not delay the read that causes it. @param {string} id @param {RedisServer} server */
const shared = (id, server) =>
  until(`${id} is shared`, async () => (await server.command('EXISTS', `secret:${id}`)) === 1)

/** Waits until what one instance sets another one reads, whatever it had in memory. @param {SecretDelivery} reader @param {SecretDelivery} writer */
async function followed(reader, writer) {
  await writer.getSecret('A_B')
  let last = 0
  await until('a change is followed', async () => {
    await writer.cache.set('A_B', `set ${++last}`)
    return (await reader.getSecret('A_B')) === `set ${last}` && last > 3
  })
}

module.exports = { KEY, OUTAGE, copies, followed, overRedis, shared }
