'use strict'

// What was dropped while an instance heard nothing of it, or did not run, does not answer for a failing AWS as long as Redis can tell.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { OUTAGE, overRedis, shared } = require('../support/services')
const { until } = require('../support/until')
const { FaultProxy } = require('../../tools/lab/proxy')

const world = overRedis({ A_B_production: 'one', A_C_production: 'other' })
const tools = { a: { secrets: { b: {}, c: {} } } }
const code = (/** @type {{ code: string }} */ error) => error.code
/** @type {string} */
let directory
beforeEach(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tcs-snapshot-'))))
afterEach(() => fs.rmSync(directory, { recursive: true }))

const file = (/** @type {string} */ name) => path.join(directory, name)
const deliver = (/** @type {object} */ cache = {}) =>
  world.deliver({ ttlSeconds: 300, maxStaleSeconds: 3600, ...cache }, { tools, audit: false })

/** A process that starts with AWS down, and with what another one has in its file by now. */
function started(/** @type {string} */ from, /** @type {object} */ cache = { redis: false }) {
  fs.copyFileSync(file(from), file('copied'))
  return world.deliver(
    { snapshotPath: file('copied'), maxStaleSeconds: 3600, ...cache },
    { tools, audit: false, aws: { ...world.aws.options, endpoint: 'http://127.0.0.1:9', maxAttempts: 1 } },
  )
}

async function reads(/** @type {string} */ from, /** @type {object} */ cache = {}) {
  if (!fs.existsSync(file(from))) return 'no file'
  const delivery = started(from, { redis: false, ...cache })
  const read = await delivery.getSecret('A_B').catch(code)
  await delivery.close()
  return read
}

test('a copy that was dropped while the connection was lost does not answer for a failing AWS', async () => {
  const wire = await FaultProxy.start(world.redis.port)
  try {
    const [first, second] = [deliver(), deliver({ redis: { url: `redis://127.0.0.1:${wire.port}` } })]
    for (const delivery of [first, second]) {
      expect(await delivery.getToolSecrets('a')).toEqual({ b: 'one', c: 'other' })
    }
    const followers = async () => (await world.redis.command('PUBSUB', 'NUMSUB', 'secret:events:production'))[1]
    await until('both follow', async () => Number(await followers()) === 2)
    await wire.refuse()
    await until('it is cut off', async () => Number(await followers()) === 1)
    await first.cache.invalidate('A_B')
    await world.aws.fault({ ...OUTAGE, match: { secret: 'A_B_production' } })
    await wire.pass()
    await until('it follows again', async () => Number(await followers()) === 2)
    await until('it looked', async () => (await second.getSecret('A_B').catch(code)) === 'SOURCE_UNAVAILABLE')
    expect(await second.getToolSecrets('a').catch(code)).toBe('SOURCE_UNAVAILABLE')
    expect(await second.getSecret('A_C')).toBe('other')
  } finally {
    await wire.close()
  }
})

test.each(['invalidate', 'clear'])(
  'a copy in the file that was dropped by %s meanwhile does not answer',
  async (how) => {
    const first = deliver({ snapshotPath: file('first') })
    expect(await first.getSecret('A_B')).toBe('one')
    await first.close()
    expect(await reads('first')).toBe('one')
    const second = deliver()
    expect(await second.getSecret('A_B')).toBe('one')
    await (how === 'clear' ? second.cache.clear() : second.cache.invalidate('A_B'))
    expect(await reads('first', { redis: { url: world.redis.url } })).toBe('SOURCE_UNAVAILABLE')
  },
)

test.each(['invalidate', 'clear'])('a copy in the file from after the last %s answers', async (how) => {
  const second = deliver()
  expect(await second.getSecret('A_B')).toBe('one')
  await (how === 'clear' ? second.cache.clear() : second.cache.invalidate('A_B'))
  await second.close()
  // The clock of Redis is known only so well.
  const dropped = Date.now()
  await until('a second has passed', () => Date.now() > dropped + 1000)
  const first = deliver({ snapshotPath: file('first') })
  expect(await first.getSecret('A_B')).toBe('one')
  await first.close()
  await world.redis.command('DEL', 'secret:A_B_production')
  expect(await reads('first', { redis: { url: world.redis.url } })).toBe('one')
})

test('the file has copies that came from Redis, also when the process is killed', async () => {
  expect(await deliver().getSecret('A_B')).toBe('one')
  await until('it is shared', async () => (await world.redis.command('EXISTS', 'secret:A_B_production')) === 1)
  await world.aws.fault(OUTAGE)
  expect(await deliver({ snapshotPath: file('second') }).getSecret('A_B')).toBe('one')
  // It is not closed.
  await until('the file has it', async () => (await reads('second')) === 'one', 5000)
})

test.each([
  ['cache.invalidate', (/** @type {any} */ first) => first.cache.invalidate('A_B')],
  ['cache.clear', (/** @type {any} */ first) => first.cache.clear()],
  [
    'cache.invalidate of another instance',
    (/** @type {any} */ _, /** @type {any} */ second) => second.cache.invalidate('A_B'),
  ],
  ['cache.clear of another instance', (/** @type {any} */ _, /** @type {any} */ second) => second.cache.clear()],
])('what was dropped by %s leaves the file, also when the process is killed', async (_, drop) => {
  const [first, second] = [deliver({ snapshotPath: file('first') }), deliver()]
  for (const delivery of [first, second]) expect(await delivery.getSecret('A_B')).toBe('one')
  await until('the file has it', async () => (await reads('first')) === 'one')
  await until('both follow', async () => {
    const [, followers] = await world.redis.command('PUBSUB', 'NUMSUB', 'secret:events:production')
    return Number(followers) === 2
  })
  await drop(first, second)
  // Nothing is read any more, and nothing is closed.
  await until('it left the file', async () => (await reads('first')) === 'SOURCE_UNAVAILABLE', 5000)
})

describe('a message tells of a change that Redis knows nothing of: lost by Redis, or forged', () => {
  const CHANNEL = 'secret:events:production'
  const told = async () => {
    const [seconds, micros] = await world.redis.command('TIME')
    const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
    return world.redis.command('PUBLISH', CHANNEL, `2 0000000000000007 drop A_B ${String(now).padStart(15, '0')}`)
  }
  const following = async () => {
    const delivery = deliver()
    expect(await delivery.getSecret('A_B')).toBe('one')
    await shared('A_B_production', world.redis)
    await until('it follows', async () => Number((await world.redis.command('PUBSUB', 'NUMSUB', CHANNEL))[1]) === 1)
    return delivery
  }

  test('AWS is asked, once a second at most', async () => {
    const delivery = await following()
    await world.aws.put({ A_B_production: 'two' })
    await told()
    await until('AWS was asked', async () => (await delivery.getSecret('A_B')) === 'two', 1000)
    await world.aws.resetCalls()
    const begun = Date.now()
    for (let message = 0; message < 100; message++) {
      await told()
      expect(await delivery.getSecret('A_B')).toBe('two')
    }
    const seconds = Math.ceil((Date.now() - begun) / 1000)
    expect((await world.aws.calls()).total).toBeLessThanOrEqual(1 + seconds)
  })

  test('in an outage of AWS the copy goes on answering', async () => {
    const delivery = await following()
    await world.aws.fault(OUTAGE)
    await told()
    await world.aws.resetCalls()
    await until('AWS was asked', async () => {
      expect(await delivery.getSecret('A_B')).toBe('one')
      return (await world.aws.calls()).total > 0
    })
  })
})

test('looking for a secret that AWS does not have costs the other instances no calls', async () => {
  const [first, second] = [deliver({ negativeTtlSeconds: 60 }), deliver({ negativeTtlSeconds: 60 })]
  for (const delivery of [first, second]) {
    expect(await delivery.getSecret('A_B')).toBe('one')
    expect(await delivery.getSecret('A_NONE')).toBeNull()
  }
  await until('both follow', async () => {
    const [, followers] = await world.redis.command('PUBSUB', 'NUMSUB', 'secret:events:production')
    return Number(followers) === 2
  })
  await world.aws.resetCalls()
  for (let look = 0; look < 20; look++) {
    expect(await first.refresh('A_NONE')).toBeNull()
    expect(await second.getSecret('A_NONE')).toBeNull()
  }
  expect((await world.aws.calls()).total).toBe(20)
  // Made and announced, it is read at once.
  await world.aws.put({ A_NONE_production: 'there' })
  expect(await first.refresh('A_NONE')).toBe('there')
  await until('the other one has it', async () => (await second.getSecret('A_NONE')) === 'there', 1000)
})
