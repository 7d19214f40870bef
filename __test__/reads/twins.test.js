'use strict'

// A secret that is declared by name here and by ARN there: AWS's answer shows that it is one, and from then on it is one copy.

const { overRedis } = require('../support/services')
const { until } = require('../support/until')

const world = overRedis({ 'shared/db': '{"a":"1","b":"2"}' })
const arnOf = async (/** @type {string} */ id) => (await world.aws.ask('DescribeSecret', { SecretId: id })).ARN

/** @param {(arn: string) => string} [as] */
async function declared(as = (arn) => arn) {
  const arn = await arnOf('shared/db')
  return {
    one: { secrets: { a: { aws: 'shared/db#a' } } },
    two: { secrets: { b: { aws: `${as(arn)}#b` }, whole: { aws: as(arn) } } },
  }
}
const deliver = async (/** @type {any} */ tools, /** @type {any} */ cache = {}) => {
  const region = (await arnOf('shared/db')).split(':')[3]
  return world.deliver(cache, { tools, audit: false, aws: { ...world.aws.options, region, maxAttempts: 1 } })
}
const keys = async () =>
  (await world.redis.command('KEYS', 'secret:*db*')).map(String).filter((key) => !/lock/.test(key))

test.each([
  ['a complete ARN', (/** @type {string} */ arn) => arn],
  ['an ARN without its random ending', (/** @type {string} */ arn) => arn.slice(0, -7)],
])('as %s: one copy, one call by refresh, one notice of each name', async (_, as) => {
  const delivery = await deliver(await declared(as))
  /** @type {string[]} */
  const rotated = []
  delivery.onSecretRotated((tool, type) => rotated.push(`${tool}/${type}`))
  const all = () =>
    Promise.all([
      delivery.getToolSecret('one', 'a'),
      delivery.getToolSecret('two', 'b'),
      delivery.getToolSecret('two', 'whole'),
    ])
  expect(await all()).toEqual(['1', '2', '{"a":"1","b":"2"}'])
  await world.aws.resetCalls()
  expect(await all()).toEqual(['1', '2', '{"a":"1","b":"2"}'])
  expect((await world.aws.calls()).total).toBe(0)

  await world.aws.put({ 'shared/db': '{"a":"3","b":"4"}' })
  await world.aws.resetCalls()
  expect(await delivery.refresh('TWO_B')).toBe('4')
  expect(await all()).toEqual(['3', '4', '{"a":"3","b":"4"}'])
  expect((await world.aws.calls()).total).toBe(1)
  await until('the notices', () => rotated.length >= 3)
  expect(rotated.sort()).toEqual(['one/a', 'two/b', 'two/whole'])
  await until('one copy is shared', async () => (await keys()).includes('secret:shared/db'))

  await delivery.cache.invalidate('ONE_A')
  await world.aws.resetCalls()
  expect(await delivery.getToolSecret('two', 'b')).toBe('4')
  expect((await world.aws.calls()).total).toBe(1)
  expect((await delivery.explain('TWO_B')).answeredBy).toBe('memory')
})

test('where both are first read in one batch, one copy is shared', async () => {
  const delivery = await deliver(await declared())
  await Promise.all([delivery.getToolSecret('one', 'a'), delivery.getToolSecret('two', 'b')])
  await until('it is shared', async () => (await keys()).length >= 1)
  await delivery.close()
  const shared = await keys()
  expect(shared.filter((key) => key === 'secret:shared/db')).toHaveLength(1)
})

test('a secret that was deleted and made again is not the one of the old ARN', async () => {
  const tools = await declared()
  const delivery = await deliver(tools)
  expect(await delivery.getToolSecret('one', 'a')).toBe('1')
  expect(await delivery.getToolSecret('two', 'b')).toBe('2')
  await world.aws.remove('shared/db')
  await world.aws.put({ 'shared/db': '{"a":"new","b":"new"}' })
  if ((await arnOf('shared/db')) === tools.two.secrets.whole.aws) return
  expect(await delivery.refresh('ONE_A')).toBe('new')
  expect(await delivery.refresh('TWO_B').catch(({ code }) => code)).not.toBe('new')
})

test('two fields of one secret under different names are still checked for what writes would collide on', async () => {
  // What is no number, which a rotation without hooks would leave alone.
  await world.aws.put({ 'shared/db': '{"a":"Xk9-mQ2vLp7wRt4z","b":"2"}' })
  const delivery = await deliver(await declared())
  expect(await delivery.rotateSecret('ONE_A', 'production')).toBe(true)
  const a = await delivery.getToolSecret('one', 'a')
  expect(JSON.parse(`${await delivery.getToolSecret('two', 'whole')}`)).toEqual({ a, b: '2' })
})

test('a partial ARN follows a secret that was deleted and made again', async () => {
  const arn = await arnOf('shared/db')
  const tools = {
    full: { secrets: { a: { aws: `${arn}#a` } } },
    part: { secrets: { a: { aws: `${arn.slice(0, -7)}#a` } } },
  }
  const delivery = await deliver(tools, { negativeTtlSeconds: 1 })
  expect(await delivery.getToolSecret('part', 'a')).toBe('1')
  expect(await delivery.getToolSecret('full', 'a')).toBe('1')
  await world.aws.remove('shared/db')
  await world.aws.put({ 'shared/db': '{"a":"new"}' })
  expect(await arnOf('shared/db')).not.toBe(arn)
  // Both went by the complete ARN, which AWS does not know any more.
  expect(await delivery.refresh('PART_A')).toBe('new')
  expect(await delivery.refresh('FULL_A')).toBeNull()
  expect(await delivery.getToolSecret('part', 'a')).toBe('new')
  expect(await delivery.getToolSecrets('part')).toEqual({ a: 'new' })
})

test('a name that only copies of others answered is one with an ARN of the own account', async () => {
  await world.aws.put({ OTHER_X_production: 'x' })
  const tools = await declared()
  const first = await deliver(tools)
  expect(await first.getToolSecret('one', 'a')).toBe('1')
  await until('it is shared', async () => (await keys()).includes('secret:shared/db'))
  const second = await deliver(tools)
  // AWS tells the account with any name.
  expect(await second.getToolSecret('other', 'x')).toBe('x')
  expect(await second.getToolSecret('one', 'a')).toBe('1')
  await first.close()
  await world.aws.put({ 'shared/db': '{"a":"3","b":"4"}' })
  expect(await second.getToolSecret('two', 'b')).toBe('4')
  expect(await second.getToolSecret('one', 'a')).toBe('3')
  await second.cache.invalidate('ONE_A')
  await world.aws.resetCalls()
  await second.getToolSecret('two', 'b')
  expect((await world.aws.calls()).total).toBe(1)
})
