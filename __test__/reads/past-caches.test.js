'use strict'

// What AWS says to a question past the caches counts for the copies as well: a later read is no older, what is denied or gone is
// not served any more, and a new version reaches the other instances.

const { overRedis, shared } = require('../support/services')
const { until } = require('../support/until')

const world = overRedis({ A_B_production: 'one', A_C_production: 'other' })
const tools = { a: { secrets: { b: {}, c: {} } } }
const deliver = (/** @type {object} */ cache = {}) =>
  world.deliver({ ttlSeconds: 300, ...cache }, { tools, audit: false })
const code = (/** @type {{ code: string }} */ error) => error.code

/** Each asks AWS for A_B past the caches. @type {[string, (delivery: import('../..').SecretDelivery) => Promise<unknown>][]} */
const questions = [
  ['getSecretFromAWS', (delivery) => delivery.getSecretFromAWS('A_B')],
  ['getSecretFromAWS of a reference', (delivery) => delivery.getSecretFromAWS({ id: 'A_B_production' })],
  ['getSecretVersions', (delivery) => delivery.getSecretVersions('A_B')],
  ['validateToolSecrets', (delivery) => delivery.validateToolSecrets('a')],
  ['rotation.due', (delivery) => delivery.rotation.due()],
]

async function pair(/** @type {object} */ cache = {}) {
  const deliveries = [deliver(cache), deliver(cache)]
  for (const delivery of deliveries) expect(await delivery.getToolSecret('a', 'b')).toBe('one')
  await until('both follow', async () => {
    const [, followers] = await world.redis.command('PUBSUB', 'NUMSUB', 'secret:events:production')
    return Number(followers) === 2
  })
  // What was read before the subscription is looked up once more.
  for (const delivery of deliveries) expect(await delivery.getToolSecret('a', 'b')).toBe('one')
  return deliveries
}

test.each(questions)('%s: a version that it finds is read afterwards, here and by other instances', async (_, ask) => {
  const [first, second] = await pair()
  /** @type {string[]} */
  const rotated = []
  second.onSecretRotated((tool, type) => rotated.push(`${tool}/${type}`))
  await world.aws.put({ A_B_production: 'two' })
  await ask(first)
  expect(await first.getToolSecret('a', 'b')).toBe('two')
  expect(await first.getToolSecrets('a')).toMatchObject({ b: 'two' })
  await until('the other one reads it', async () => (await second.getToolSecret('a', 'b')) === 'two', 1000)
  await until('the other one is told', () => rotated.includes('a/b'), 1000)
})

test.each(questions)('%s: what AWS denies is not read afterwards, and others keep it', async (_, ask) => {
  const [first, second] = await pair()
  await world.aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'] })
  await ask(first).catch(code)
  expect(await first.getToolSecret('a', 'b').catch(code)).toBe('SECRET_ACCESS_DENIED')
  expect(await second.getToolSecret('a', 'b')).toBe('one')
})

test.each([
  ...questions,
  ['validateSecretAccess', (delivery) => delivery.validateSecretAccess()],
  ['validateSecretConsistency', (delivery) => delivery.validateSecretConsistency()],
  ['rotation.rotate', (delivery) => delivery.rotation.rotate('A_B')],
])('%s: what AWS denies a process that has no copy yet is not taken from the copies of others', async (_, ask) => {
  const first = deliver()
  expect(await first.getToolSecret('a', 'b')).toBe('one')
  await shared('A_B_production', world.redis)
  await world.aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'] })
  const second = deliver()
  await ask(second).catch(code)
  expect(await second.getToolSecret('a', 'b').catch(code)).toBe('SECRET_ACCESS_DENIED')
  expect(await first.getToolSecret('a', 'b')).toBe('one')
})

test.each(questions)(
  '%s: what is gone from AWS is not read afterwards, here and by other instances',
  async (_, ask) => {
    const [first, second] = await pair()
    await world.aws.remove('A_B_production')
    await ask(first).catch(code)
    expect(await first.getToolSecret('a', 'b')).toBeNull()
    await until('the other one follows', async () => (await second.getToolSecret('a', 'b')) === null, 1000)
  },
)

test('a version gone back to counts when it is seen twice, and its value is not handed out before', async () => {
  const [first] = await pair()
  const [{ versionId: before }] = await world.aws.versions('A_B_production')
  await world.aws.put({ A_B_production: 'two' })
  expect(await first.refresh('A_B')).toBe('two')
  const live = (await world.aws.versions('A_B_production')).find(({ labels }) => labels.includes('AWSCURRENT'))
  await world.aws.ask('UpdateSecretVersionStage', {
    SecretId: 'A_B_production',
    VersionStage: 'AWSCURRENT',
    MoveToVersionId: before,
    RemoveFromVersionId: live?.versionId,
  })
  expect(await first.getSecretFromAWS('A_B')).toBe('one')
  expect(await first.getToolSecret('a', 'b')).toBe('one')
})

test('a failing AWS and a value that was put by hand leave the copies where they are', async () => {
  const [first] = await pair()
  await first.cache.set('A_B', 'by hand')
  expect(await first.getSecretFromAWS('A_B')).toBe('one')
  expect(await first.getToolSecret('a', 'b')).toBe('by hand')
  expect(await first.getToolSecret('a', 'c')).toBe('other')
  await world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
  expect(await first.getSecretFromAWS('A_C').catch(code)).toBe('SOURCE_UNAVAILABLE')
  expect(await first.getToolSecret('a', 'c')).toBe('other')
})

test('without a cache nothing is remembered', async () => {
  const delivery = world.deliver({}, { tools, audit: false, cache: false })
  expect(await delivery.getSecretFromAWS('A_B')).toBe('one')
  await world.aws.put({ A_B_production: 'two' })
  expect(await delivery.getToolSecret('a', 'b')).toBe('two')
})
