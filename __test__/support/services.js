'use strict'

const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('./servers/aws-endpoint')
const { RedisServer } = require('./servers/redis')

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

module.exports = { KEY, OUTAGE, overRedis }
