'use strict'

// Many names, few secrets: what is fetched, shared and kept once, and a secret that changes its form.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { overRedis } = require('../support/services')
const { until } = require('../support/until')
const { decodeSnapshot } = require('../support/version-0.1.0')

const FIELDS = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`field_${i}`, `value ${i}`]))
const world = overRedis({ 'shop/db': JSON.stringify(FIELDS) })
const tools = {
  db: { aws: 'shop/db', secrets: Object.fromEntries(Object.keys(FIELDS).map((field) => [field, {}])) },
}
const before = process.cwd()
afterEach(() => process.chdir(before))

test('fifty fields are one call, one copy in Redis and one in the snapshot', async () => {
  const snapshotPath = path.join(temporaryDirectory(), 'snapshot')
  const delivery = world.deliver({ snapshotPath }, { tools })
  await world.aws.resetCalls()
  expect(await delivery.getToolSecrets('db')).toEqual(FIELDS)
  expect((await world.aws.calls()).total).toBe(1)
  for (const field of Object.keys(FIELDS)) expect(await delivery.getToolSecret('db', field)).toBe(FIELDS[field])
  expect((await world.aws.calls()).total).toBe(1)
  await until('the copy is shared', async () => (await world.redis.command('KEYS', 'secret:shop/db')).length === 1)
  const keys = await world.redis.command('KEYS', '*')
  expect(keys.map(String).filter((key) => !/lock|lease|drop|cleared|clear/.test(key))).toEqual(['secret:shop/db'])
  await delivery.close()
  const bytes = fs.readFileSync(snapshotPath)
  expect(bytes.toString('latin1').split('shop/db')).toHaveLength(2)
  expect(bytes.includes('value 0')).toBe(false)

  // Another instance takes them from the one copy.
  const other = world.deliver({}, { tools })
  expect(await other.getToolSecrets('db')).toEqual(FIELDS)
  expect((await world.aws.calls()).total).toBe(1)
})

test('a secret that becomes a text and JSON again: each read follows, and no value is quoted', async () => {
  const delivery = world.deliver({}, { tools })
  expect(await delivery.getToolSecret('db', 'field_0')).toBe('value 0')
  await world.aws.put({ 'shop/db': 'canary-4711' })
  const failed = await delivery.refresh('DB_FIELD_0').catch((error) => error)
  expect(failed).toMatchObject({ code: 'SOURCE_RESPONSE_INVALID' })
  for (const read of [
    () => delivery.getToolSecret('db', 'field_1'),
    () => delivery.getToolSecrets('db'),
    () => delivery.getToolSecretBytes('db', 'field_1'),
  ]) {
    const error = await read().catch((error) => error)
    expect(error).toMatchObject({ code: 'SOURCE_RESPONSE_INVALID' })
    expect(error.message).toContain('shop/db')
    expect(error.message).not.toContain('canary')
  }
  await world.aws.put({ 'shop/db': '{"field_0":"again"}' })
  expect(await delivery.refresh('DB_FIELD_0')).toBe('again')
  expect(await delivery.getToolSecret('db', 'field_1')).toBeNull()
  expect(await delivery.getToolSecrets('db')).toEqual({ field_0: 'again' })
})

test('open() with a hundred declared secrets is five calls, and no slower than a listing of them', async () => {
  const types = Array.from({ length: 100 }, (_, i) => `s${i}`)
  await world.aws.put(Object.fromEntries(types.map((type) => [`MANY_${type.toUpperCase()}_production`, type])))
  const many = { many: { secrets: Object.fromEntries(types.map((type) => [type, { required: true }])) } }
  process.chdir(temporaryDirectory())
  const options = {
    environment: 'production',
    audit: false,
    aws: world.aws.options,
    cache: { redis: false, encryptionKeys: [] },
    tools: many,
  }
  const [opening, listing] = [[], []]
  for (let round = 0; round < 7; round++) {
    await world.aws.resetCalls()
    let begun = performance.now()
    const opened = await SecretDelivery.open(options)
    opening.push(performance.now() - begun)
    expect((await world.aws.calls()).byOperation).toEqual({ BatchGetSecretValue: 5 })
    expect(await opened.getToolSecret('many', 's99')).toBe('s99')
    await opened.close()

    const made = new SecretDelivery(options)
    begun = performance.now()
    expect(Object.keys(await made.getToolSecrets('many'))).toHaveLength(100)
    listing.push(performance.now() - begun)
    await made.close()
  }
  const quickest = (/** @type {number[]} */ all) => Math.min(...all)
  expect(quickest(opening)).toBeLessThan(2 * quickest(listing) + 20)
}, 60_000)
