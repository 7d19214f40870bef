'use strict'

// A long life: memory stays flat, cluster workers share, and close() leaves nothing pending.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')
const { until } = require('../support/until')

const KEY = { id: 'k1', key: Buffer.alloc(32, 1).toString('base64') }
const NAMES = Array.from({ length: 1000 }, (_, index) => `MEMORY_N${index}`)

/** @type {AwsEndpoint} */
let aws
/** @type {RedisServer} */
let redis
beforeAll(async () => {
  ;[aws, redis] = await Promise.all([AwsEndpoint.start(), RedisServer.start()])
})
beforeEach(async () => {
  await aws.reset()
  await aws.put(Object.fromEntries(NAMES.map((name) => [`${name}_production`, `value of ${name}`])))
  await aws.put({ A_B_production: 'value' })
})
afterAll(() => Promise.all([aws.stop(), redis.stop()]))

/** Runs a fixture to its end: its status and the JSON it printed. */
async function fixture(name, flags, env) {
  const file = path.join(__dirname, '..', 'fixtures', name)
  const child = spawn(process.execPath, [...flags, file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [printed, errors] = ['', '']
  child.stdout.on('data', (chunk) => (printed += chunk))
  child.stderr.on('data', (chunk) => (errors += chunk))
  const [status, signal] = await once(child, 'close')
  if (status !== 0) throw new Error(`${name} ended with ${signal ?? `status ${status}`}\n${errors}`)
  return JSON.parse(printed)
}

test.each([
  ['without Redis', () => ({})],
  ['with Redis', () => ({ redis: { url: redis.url }, encryptionKeys: [KEY] })],
])(
  'a million cached reads and 50,000 others take no memory, %s',
  async (_, cache) => {
    // A small young generation is full-grown after the warm-up, so that what grows later is not V8's.
    const flags = ['--expose-gc', '--max-semi-space-size=1']
    const env = { TEST_AWS: JSON.stringify(aws.options), TEST_CACHE: JSON.stringify(cache()) }
    const { grownMiB, reads } = await fixture('memory.js', flags, env)
    expect(reads.memory).toBeGreaterThan(1_400_000)
    expect(reads.aws + reads.redis).toBeGreaterThan(70_000)
    expect(grownMiB).toBeLessThan(5)
  },
  180_000,
)

test('four cluster workers read one secret through one Redis, and end', async () => {
  const options = {
    environment: 'production',
    aws: aws.options,
    runtime: { variables: {}, secretDirectories: [] },
    cache: { redis: { url: redis.url, keyPrefix: 'cluster:' }, encryptionKeys: [KEY] },
  }
  const { answers, ends } = await fixture('cluster.js', [], { TEST_OPTIONS: JSON.stringify(options) })
  expect(ends).toEqual([0, 0, 0, 0])
  expect(answers).toEqual(Array(4).fill(['value']))
  // One call, or two when a worker looks just before another one shares and locks just after.
  expect((await aws.calls()).total).toBeLessThanOrEqual(2)
}, 60_000)

describe('close() during flights', () => {
  const open = (more = {}) =>
    new SecretDelivery({
      environment: 'production',
      aws: aws.options,
      runtime: { variables: {}, secretDirectories: [] },
      tools: { memory: { secrets: { n1: {}, n2: {} } } },
      ...more,
    })

  /** How many of what is pending ended with a value, and with which codes the others; fails when one never ends. */
  async function settled(pending, deadlineMs = 5000) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(reject, deadlineMs, new Error('something is still pending'))
    })
    const ends = /** @type {PromiseSettledResult<unknown>[]} */ (
      await Promise.race([Promise.allSettled(pending), late]).finally(() => clearTimeout(timer))
    )
    const codes = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason.code] : []))
    return { values: ends.length - codes.length, codes: [...new Set(codes)] }
  }

  test('every pending operation ends, with a value or with CLOSED', async () => {
    await aws.fault({ action: { delayMs: 60_000 } })
    const delivery = open()
    const pending = [
      ...NAMES.slice(0, 100).map((name) => delivery.getSecret(name)),
      ...NAMES.slice(0, 10).map((name) => delivery.refresh(name)),
      delivery.getToolSecrets('memory'),
      delivery.getSecretFromAWS('A_B'),
      delivery.rotateSecret('A_B', 'production'),
      delivery.validateToolSecrets('memory'),
      delivery.explain('A_B'),
      delivery.health(),
    ]
    await until('AWS is asked', async () => (await aws.calls()).total > 0)
    const [closed, ends] = await Promise.all([settled([delivery.close()]), settled(pending)])
    expect(closed).toEqual({ values: 1, codes: [] })
    expect(ends.codes).toEqual(['CLOSED'])
    await expect(delivery.getSecret('A_B')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('under load, again and again, nothing stays behind', async () => {
    const cache = { redis: { url: redis.url, keyPrefix: 'closed:' }, encryptionKeys: [KEY], ttlSeconds: 1 }
    for (let round = 0; round < 20; round++) {
      const delivery = open({ cache })
      const pending = NAMES.map((name, i) => (i % 3 === 0 ? delivery.refresh(name) : delivery.getSecret(name)))
      // Some have ended by now, some are under way, some wait for their turn.
      if (round % 2 === 1) await Promise.race(pending)
      pending.push(delivery.close(), delivery.close())
      const { values, codes } = await settled(pending)
      expect(values).toBeGreaterThanOrEqual(2)
      expect(['CLOSED', undefined]).toContain(codes[0])
      expect(codes.length).toBeLessThanOrEqual(1)
    }
  })
})
