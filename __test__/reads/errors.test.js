'use strict'

// One test per error code: how a service meets it, and what the message says.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, SecretError } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')
const { freePort } = require('../support/servers/server')

const KEY = { id: 'k1', key: Buffer.alloc(32, 7) }
/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery[]} */
const open = []
/** @type {string} */
let directory

function deliver(options) {
  const delivery = new SecretDelivery({
    environment: 'production',
    aws: aws.options,
    envFile: { directory },
    runtime: { variables: { A_B: 'runtime' }, secretDirectories: [] },
    ...options,
  })
  open.push(delivery)
  return delivery
}

/** The rejection of `promise`, which must be a SecretError of `code`. */
async function rejection(promise, code) {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(SecretError)
  expect(error).toBeInstanceOf(Error)
  expect(error.name).toBe('SecretError')
  expect(error.code).toBe(code)
  return error
}

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  directory = temporaryDirectory()
  await aws.reset()
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  fs.rmSync(directory, { recursive: true })
})
afterAll(() => aws.stop())

test('a key that refuses shows that there is a secret: nothing else answers for it', async () => {
  await aws.put({ A_B_production: 'value' })
  await aws.fault({ action: { error: { status: 400, code: 'DecryptionFailure' } } })
  const error = await rejection(deliver().getSecret('A_B'), 'SECRET_ACCESS_DENIED')
  expect(error.message).not.toContain('not there')
})

test('a key that refuses a batch switches no batches off', async () => {
  await aws.put({ A_B_production: 'one', C_D_production: 'two', E_F_production: 'three' })
  const match = { operation: 'BatchGetSecretValue' }
  await aws.fault({ action: { error: { status: 400, code: 'DecryptionFailure' } }, match, times: 1 })
  const warnings = []
  const logger = { warn: (message) => warnings.push(message) }
  const delivery = deliver({ cache: false, compliance: false, audit: false, logger })
  const all = () => Promise.all(['A_B', 'C_D', 'E_F'].map((name) => delivery.getSecret(name)))
  expect(await all()).toEqual(['one', 'two', 'three'])
  const before = (await aws.calls()).total
  expect(await all()).toEqual(['one', 'two', 'three'])
  expect((await aws.calls()).total - before).toBe(1)
  expect(warnings.filter((warning) => warning.startsWith('BATCH_NOT_GRANTED'))).toEqual([])
})

test('explain shows no refusal of another secret', async () => {
  await aws.put({ A_B_production: 'value', C_D_production: 'value' })
  const delivery = deliver()
  expect(await delivery.getSecret('A_B')).toBe('value')
  await aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
  await rejection(delivery.getSecret('C_D'), 'SECRET_ACCESS_DENIED').catch(() => undefined)
  const { layers } = await delivery.explain('A_B')
  expect(JSON.stringify(layers)).not.toContain('C_D')
})

test('CONFIG_INVALID: an option is wrong; the message starts with its path', () => {
  expect(() => deliver({ cache: { ttlSeconds: -1 } })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(/^options\.cache\.ttlSeconds /) }),
  )
})

test('SECRET_NAME_INVALID: refused before any source is asked', async () => {
  const { message } = await rejection(deliver().getToolSecret('../etc', 'passwd'), 'SECRET_NAME_INVALID')
  expect(message).toContain('tool name')
  expect((await aws.calls()).total).toBe(0)
})

test('SECRET_ACCESS_DENIED: production rejects, drops the cached copy and counts it', async () => {
  await aws.put({ A_B_production: 'v' })
  const delivery = deliver()
  expect(await delivery.getSecret('A_B')).toBe('v')
  await aws.deny({ actions: ['GetSecretValue'] })
  await rejection(delivery.refresh('A_B'), 'SECRET_ACCESS_DENIED')
  const { message } = await rejection(delivery.getSecret('A_B'), 'SECRET_ACCESS_DENIED')
  expect(message).toContain('A_B_production')
  const { unauthorizedAccess, errors } = delivery.metrics.snapshot()
  expect([unauthorizedAccess, errors]).toEqual([2, { SECRET_ACCESS_DENIED: 2 }])
})

test('SECRET_ACCESS_DENIED: elsewhere the next source answers', async () => {
  await aws.deny({ actions: ['GetSecretValue'] })
  expect(await deliver({ environment: 'staging' }).getSecret('A_B')).toBe('runtime')
})

test.each([
  ['a server error', { error: { status: 500, code: 'InternalServiceError' } }],
  ['throttling', { error: { status: 400, code: 'ThrottlingException' } }],
  ['a closed connection', { close: true }],
  ['expired credentials', { error: { status: 400, code: 'ExpiredTokenException' } }],
])('SOURCE_UNAVAILABLE: %s in production', async (_, action) => {
  await aws.put({ A_B_production: 'v' })
  await aws.fault({ action })
  const { message } = await rejection(deliver().getSecret('A_B'), 'SOURCE_UNAVAILABLE')
  expect(message).toContain('A_B_production')
})

test('SOURCE_UNAVAILABLE: nobody listens', async () => {
  const endpoint = `http://127.0.0.1:${await freePort()}`
  await rejection(deliver({ aws: { ...aws.options, endpoint } }).getSecret('A_B'), 'SOURCE_UNAVAILABLE')
})

test('SOURCE_TIMEOUT: AWS does not answer inside the deadline', async () => {
  await aws.fault({ action: { hang: true } })
  const started = Date.now()
  await rejection(deliver({ aws: { ...aws.options, timeoutMs: 300 } }).getSecret('A_B'), 'SOURCE_TIMEOUT')
  expect(Date.now() - started).toBeLessThan(2000)
})

test.each([
  ['malformed JSON', { body: { status: 200, text: '{"SecretString":"canary' } }],
  ['no value', { body: { status: 200, text: '{"Name":"canary"}' } }],
])('SOURCE_RESPONSE_INVALID: %s', async (_, action) => {
  await aws.fault({ action })
  const { message } = await rejection(deliver().getSecret('A_B'), 'SOURCE_RESPONSE_INVALID')
  expect(message).not.toContain('canary')
})

describe('ENV_FILE_INVALID', () => {
  const reading = () => deliver({ environment: 'dev', aws: { enabled: false } }).getSecret('X_Y')

  test('a directory', async () => {
    fs.mkdirSync(path.join(directory, '.env.dev'))
    const { message } = await rejection(reading(), 'ENV_FILE_INVALID')
    expect(message).toContain('.env.dev')
  })

  test('not UTF-8', async () => {
    fs.writeFileSync(path.join(directory, '.env.dev'), Buffer.from('X_Y=canary\xff', 'latin1'))
    const { message } = await rejection(reading(), 'ENV_FILE_INVALID')
    expect(message).not.toContain('canary')
  })

  test('a file that does not exist is simply empty', async () => {
    expect(await reading()).toBeNull()
  })
})

describe('shared cache', () => {
  /** @type {RedisServer} */
  let redis
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.stop())

  test('CACHE_UNAVAILABLE: an administrative call says that Redis was not told; reads go on', async () => {
    await aws.put({ A_B_production: 'v' })
    const url = `redis://:hunter2@127.0.0.1:${await freePort()}`
    const delivery = deliver({ cache: { redis: { url }, encryptionKeys: [KEY] } })
    expect(await delivery.getSecret('A_B')).toBe('v')
    for (const call of [delivery.cache.invalidate('A_B'), delivery.cache.clear(), delivery.cache.set('A_B', 'x')]) {
      const { message } = await rejection(call, 'CACHE_UNAVAILABLE')
      expect(message).not.toContain('hunter2')
    }
    const { status, reason } = (await delivery.health()).checks.redis
    expect(status).toBe('down')
    expect(reason).not.toContain('hunter2')
  })

  test('CACHE_ENTRY_CORRUPT: explain tells, and reads go on to AWS', async () => {
    await aws.put({ A_B_production: 'v' })
    await redis.command('SET', 'secret:A_B_production', 'garbage')
    const delivery = deliver({ cache: { redis: { url: redis.url }, encryptionKeys: [KEY] } })
    const { layers, answeredBy } = await delivery.explain('A_B')
    expect(layers.find(({ layer }) => layer === 'redis')).toMatchObject({
      state: 'error',
      error: { code: 'CACHE_ENTRY_CORRUPT' },
    })
    expect(answeredBy).toBe('aws')
    expect(await delivery.getSecret('A_B')).toBe('v')
  })

  test('ENCRYPTION_KEY_INVALID: required in staging and production, and checked', () => {
    const cache = (encryptionKeys) => () => deliver({ cache: { redis: { url: redis.url }, encryptionKeys } })
    const refused = expect.objectContaining({ code: 'ENCRYPTION_KEY_INVALID' })
    for (const keys of [undefined, [], [{ id: 'a', key: 'c2hvcnQ=' }], [KEY, KEY]]) expect(cache(keys)).toThrow(refused)
    expect(cache([KEY])).not.toThrow()
  })
})

test('CLOSED: after close, and for reads under way', async () => {
  await aws.put({ A_B_production: 'v' })
  const delivery = deliver()
  expect(await delivery.getSecret('A_B')).toBe('v')
  await aws.fault({ action: { hang: true } })
  const pending = rejection(delivery.getSecret('C_D'), 'CLOSED')
  await delivery.close()
  await pending
  await delivery.close()
  for (const call of [
    () => delivery.getSecret('A_B'),
    () => delivery.getToolSecret('a', 'b'),
    () => delivery.getToolSecrets('a'),
    () => delivery.refresh('A_B'),
    () => delivery.explain('A_B'),
    () => delivery.cache.get('A_B'),
    () => delivery.rotateSecret('A_B', 'production'),
  ]) {
    await rejection(call(), 'CLOSED')
  }
})
