'use strict'

// Many instances that start at once, within AWS's quotas. Eight processes stand for a thousand: the endpoint answers 8/1000 of what AWS
// answers in a second.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')

const PROCESSES = 8
const SHARE = PROCESSES / 1000
/** AWS's quotas, in calls a second. */
const QUOTAS = { BatchGetSecretValue: 100 * SHARE, GetSecretValue: 10_000 * SHARE }

/** @type {AwsEndpoint} */
let aws
/** @type {RedisServer} */
let redis
beforeAll(async () => {
  aws = await AwsEndpoint.start()
  redis = await RedisServer.start()
})
afterAll(() => Promise.all([aws.stop(), redis.stop()]))

const types = Array.from({ length: 10 }, (_, type) => `s${type}`)
const tools = Object.fromEntries(
  Array.from({ length: 10 }, (_, tool) => [
    `t${tool}`,
    { secrets: Object.fromEntries(types.map((type) => [type, { required: true }])) },
  ]),
)

/** The next message of a process, which does not end before. @param {import('node:child_process').ChildProcess} child */
function told(child) {
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`an instance ended with ${code}`)))
  return Promise.race([once(child, 'message'), ended])
}

test.each([
  ['with Redis, tool by tool', true, 'tools'],
  ['without Redis, tool by tool', false, 'tools'],
  ['with Redis, by open()', true, 'open'],
  ['without Redis, by open()', false, 'open'],
])(
  'all of 1,000 instances with 100 secrets have started within 15 seconds, %s',
  async (_, hasRedis, how) => {
    await Promise.all([aws.reset(), redis.command('FLUSHALL')])
    const names = Object.keys(tools).flatMap((tool) => types.map((type) => `${tool}_${type}`.toUpperCase()))
    await aws.put(Object.fromEntries(names.map((name) => [`${name}_production`, `value of ${name}`])))
    await aws.quotas(QUOTAS)
    const options = {
      environment: 'production',
      audit: false,
      alerts: false,
      tools,
      // Other suites run beside this one, and eight processes connect at the same moment.
      aws: { ...aws.options, connectTimeoutMs: 4000 },
      cache: {
        encryptionKeys: [{ id: 'k', key: Buffer.alloc(32, 7).toString('base64') }],
        ...(hasRedis && { redis: { url: redis.url } }),
      },
    }
    const file = path.join(__dirname, '../fixtures/start-at-once.js')
    const children = Array.from({ length: PROCESSES }, () => fork(file, [JSON.stringify(options), how]))
    try {
      await Promise.all(children.map(told))
      const started = children.map(told)
      for (const child of children) child.send('start')
      const reports = (await Promise.all(started)).map(([report]) => report)
      expect(reports.map(({ values }) => values)).toEqual(reports.map(() => 100))
      const slowest = Math.max(...reports.map(({ ms }) => ms))
      expect(slowest).toBeLessThan(15_000)
    } finally {
      for (const child of children) child.kill()
    }
  },
  60_000,
)
