'use strict'

// Secrets as bytes: those that AWS holds as `SecretBinary`, and texts as UTF-8.

const path = require('node:path')
const { TestDelivery } = require('../../testing')
const { temporaryDirectory } = require('../support/files')
const { OUTAGE, overRedis } = require('../support/services')
const { until } = require('../support/until')

const BYTES = Uint8Array.from([0, 1, 254, 255, 0x80, 10, 0])
const BASE64 = Buffer.from(BYTES).toString('base64')
const world = overRedis({ T_TEXT_production: 'pä\u0000ss😀', T_LIKE_production: BASE64 })

beforeEach(() => world.aws.ask('CreateSecret', { Name: 'T_KEY_production', SecretBinary: BASE64 }))

const all = [
  ['key', BYTES, BASE64],
  ['text', new TextEncoder().encode('pä\u0000ss😀'), 'pä\u0000ss😀'],
  // A text that is base64 stays a text.
  ['like', new TextEncoder().encode(BASE64), BASE64],
]

async function expectAll(delivery, options) {
  for (const [type, bytes, text] of all) {
    expect(await delivery.getToolSecretBytes('t', type, options)).toEqual(bytes)
    expect(await delivery.getToolSecret('t', type, options)).toBe(text)
  }
}

test('arrive exactly: cold, cached, from Redis and from the snapshot', async () => {
  const snapshotPath = path.join(temporaryDirectory(), 'snapshot')
  const first = world.deliver({ snapshotPath })
  await expectAll(first)
  expect(await first.getToolSecretBytes('t', 'none')).toBeNull()
  await world.aws.resetCalls()
  await expectAll(first)
  await expectAll(first, { maxAgeSeconds: 60 })
  await until('the copies are shared', async () => (await world.redis.command('DBSIZE')) >= 3)
  await first.close()
  await world.aws.fault(OUTAGE)

  const second = world.deliver()
  await expectAll(second)
  expect((await world.aws.calls()).total).toBe(0)

  await world.redis.command('FLUSHALL')
  await expectAll(world.deliver({ snapshotPath }))
})

test('follow a secret that becomes a text, and bytes again', async () => {
  const delivery = world.deliver()
  const read = () => delivery.getToolSecretBytes('t', 'key', { maxAgeSeconds: 0 })
  expect(await read()).toEqual(BYTES)
  await world.aws.ask('PutSecretValue', { SecretId: 'T_KEY_production', SecretString: BASE64 })
  expect(await read()).toEqual(new TextEncoder().encode(BASE64))
  await world.aws.ask('PutSecretValue', { SecretId: 'T_KEY_production', SecretBinary: '/w==' })
  expect(await read()).toEqual(Uint8Array.of(255))
  expect(await delivery.getToolSecretBytes('t', 'key')).toEqual(Uint8Array.of(255))
})

test('are the caller’s own', async () => {
  const delivery = world.deliver()
  const [one, other] = await Promise.all([1, 2].map(() => delivery.getToolSecretBytes('t', 'key')))
  expect(one.buffer.byteLength).toBe(BYTES.length)
  one.fill(0)
  expect(other).toEqual(BYTES)
  expect(await delivery.getToolSecretBytes('t', 'key')).toEqual(BYTES)
})

test('of 64 KiB, of a required secret, and of other sources', async () => {
  const large = Buffer.alloc(65_535, 'é\u0001')
  await world.aws.ask('CreateSecret', { Name: 'T_LARGE_production', SecretBinary: large.toString('base64') })
  const tools = { t: { secrets: { gone: { required: true }, large: {}, other: {} } } }
  const delivery = world.deliver({}, { tools, runtime: { variables: { T_OTHER: 'ü' }, secretDirectories: [] } })
  expect(Buffer.compare(await delivery.getToolSecretBytes('t', 'large'), large)).toBe(0)
  expect(await delivery.getToolSecretBytes('t', 'other')).toEqual(Uint8Array.of(0xc3, 0xbc))
  await expect(delivery.getToolSecretBytes('t', 'gone')).rejects.toMatchObject({ code: 'SECRET_MISSING' })
  for (const given of [
    ['', 'a'],
    ['t', 7],
    ['t', 'a', { timeoutMs: 0 }],
  ]) {
    await expect(delivery.getToolSecretBytes(...given)).rejects.toMatchObject({
      code: expect.stringMatching(/SECRET_NAME_INVALID|CONFIG_INVALID/),
    })
  }
})

test('of a test’s delivery', async () => {
  const delivery = new TestDelivery({ secrets: { t: { a: 'ü' } } })
  expect(await delivery.getToolSecretBytes('t', 'a')).toEqual(Uint8Array.of(0xc3, 0xbc))
  expect(await delivery.getToolSecretBytes('t', 'b')).toBeNull()
  await delivery.close()
})
