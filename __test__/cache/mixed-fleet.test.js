'use strict'

// During a deployment, instances of version 0.1.0 share Redis, the snapshot file and the audit log with instances of this
// one. The old instance is a scripted one, which sends to Redis what 0.1.0 was seen to send.

const fs = require('node:fs')
const path = require('node:path')
const { Redis } = require('ioredis')
const { verifyAuditLog } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { OUTAGE, overRedis } = require('../support/services')
const { until } = require('../support/until')
const { COMMANDS, OldInstance, decodeSnapshot, encodeSnapshot, fixture, open } = require('../support/version-0.1.0')

const CHANNEL = 'secret:events:production'
const ID = 'A_B_production'
const world = overRedis({ [ID]: 'one', A_C_production: 'c' })

/** @type {OldInstance[]} */
const running = []
/** @type {string} */
let directory
beforeEach(() => (directory = temporaryDirectory()))
afterEach(() => {
  for (const instance of running.splice(0)) instance.stop()
  fs.rmSync(directory, { recursive: true })
})

async function old() {
  const instance = await OldInstance.start(world.redis.port, async (name) => {
    const versions = await world.aws.versions(`${name}_production`)
    return versions.find(({ labels }) => labels.includes('AWSCURRENT'))
  })
  running.push(instance)
  return instance
}

/** An old and a new instance that hold A_B and A_C, and hear each other. */
async function pair() {
  const [first, second] = [await old(), world.deliver()]
  await second.getSecret('A_B')
  await until('both subscribe', async () => Number((await world.redis.command('PUBSUB', 'NUMSUB', CHANNEL))[1]) === 2)
  for (const name of ['A_B', 'A_C']) expect(await first.read(name)).toBe(await second.getSecret(name))
  return [first, second]
}

const isRead = (instance, name, value) =>
  until(
    `${value} is read`,
    async () => (await (instance.read ?? instance.getSecret).call(instance, name)) === value,
    2_000,
  )

describe('the scripted instance is version 0.1.0', () => {
  test('it opens what 0.1.0 sealed', () => {
    expect(open(ID, fixture('record.bin'))).toMatchObject({ value: 'old one', freshMs: 300_000 })
    expect(() => open('A_C_production', fixture('record.bin'))).toThrow('unable to authenticate')
    const snapshot = decodeSnapshot(fixture('snapshot'))
    expect(Object.entries(snapshot).map(([id, { value }]) => [id, value])).toEqual([
      [ID, 'old one'],
      ['A_C_production', 'old two'],
    ])
  })

  test('it sends to Redis the commands that 0.1.0 sent', async () => {
    const instance = await old()
    const client = new Redis({ host: '127.0.0.1', port: world.redis.port })
    const monitor = await client.monitor()
    /** @type {string[][]} */
    let seen = []
    monitor.on('monitor', (_time, words) => seen.push(words))
    const hex = (/** @type {string} */ text) => text.replace(/1 [0-9a-f]{16}/, '1 ID').replace(/ [0-9a-f-]{36}$/, ' V')
    const shown = (/** @type {string[][]} */ all) =>
      all.map(([command, ...words]) =>
        [command.toUpperCase(), ...words.map((word) => (word.startsWith('\\x01') ? '<copy>' : hex(word)))].sort(),
      )
    const wanted = (/** @type {string} */ what) =>
      shown(COMMANDS[what].map((words) => words.map((word) => word.replace('A_C', 'A_B'))))
    const during = async (act) => {
      seen = []
      await act()
      await until(
        'the commands are seen',
        async () => seen.at(-1)?.[0].toUpperCase() === 'ECHO' || void (await client.echo('end')),
      )
      return shown(seen.filter(([command]) => command.toUpperCase() !== 'ECHO'))
    }
    try {
      expect(await during(() => instance.read('A_B'))).toEqual(wanted('read'))
      expect(await during(() => instance.refresh('A_B'))).toEqual(wanted('refresh'))
      expect(await during(() => instance.invalidate('A_B'))).toEqual(wanted('invalidate'))
      await instance.read('A_B')
      expect(await during(() => instance.clear())).toEqual(wanted('clear'))
    } finally {
      monitor.disconnect()
      client.disconnect()
    }
  })
})

describe('what an instance of 0.1.0 changes, this version follows', () => {
  test('a copy of its own is no copy for this version, which asks AWS', async () => {
    await world.redis.command('SET', `secret:${ID}`, fixture('record.bin'))
    expect(await world.deliver().getSecret('A_B')).toBe('one')
    expect((await world.aws.calls()).total).toBe(1)
  })

  test('a new version', async () => {
    const [first, second] = await pair()
    await world.aws.put({ [ID]: 'two' })
    await first.refresh('A_B')
    await isRead(second, 'A_B', 'two')
    expect(await first.read('A_B')).toBe('two')
  })

  test('an invalidation', async () => {
    const [first, second] = await pair()
    await world.aws.put({ [ID]: 'two' })
    await first.invalidate('A_B')
    await isRead(second, 'A_B', 'two')
  })

  test('a clearing', async () => {
    const [first, second] = await pair()
    await world.aws.put({ [ID]: 'two', A_C_production: 'c2' })
    await first.clear()
    await isRead(second, 'A_B', 'two')
    await isRead(second, 'A_C', 'c2')
  })

  test('its lock makes nobody wait for longer than a second', async () => {
    await world.redis.command('SET', `secret:lock:${ID}`, '1', 'PX', '1000')
    const started = performance.now()
    expect(await world.deliver().getSecret('A_B')).toBe('one')
    expect(performance.now() - started).toBeLessThan(1_500)
  })

  test('an older copy that it writes late is not read', async () => {
    const [first, second] = await pair()
    // It asked before the change, and its answer is late.
    const ask = first.ask
    /** @type {() => void} */
    let answer = () => {}
    const answered = new Promise((resolve) => (answer = resolve))
    first.ask = async (name) => {
      const before = await ask(name)
      await answered
      return before
    }
    await first.invalidate('A_B')
    const late = first.read('A_B')
    await until('it has asked', () => first.asked > 2)
    await world.aws.put({ [ID]: 'two' })
    expect(await second.refresh('A_B')).toBe('two')
    answer()
    expect(await late).toBe('one')
    expect(await second.getSecret('A_B')).toBe('two')
    expect(await world.deliver().getSecret('A_B')).toBe('two')
  })
})

describe('what this version changes, an instance of 0.1.0 follows', () => {
  test('a new version, which it hears of once', async () => {
    const [first, second] = await pair()
    await world.aws.put({ [ID]: 'two' })
    await second.refresh('A_B')
    await isRead(first, 'A_B', 'two')
    const live = (await world.aws.versions(ID)).find(({ labels }) => labels.includes('AWSCURRENT'))
    expect(first.heard.filter((message) => message === `drop A_B ${live.versionId}`)).toHaveLength(1)
  })

  test('an invalidation', async () => {
    const [first, second] = await pair()
    await world.aws.put({ [ID]: 'two' })
    await second.cache.invalidate('A_B')
    await isRead(first, 'A_B', 'two')
  })

  test('a rotation', async () => {
    const [first, second] = await pair()
    expect(await second.rotateSecret('A_B', 'production')).toBe(true)
    await isRead(first, 'A_B', await second.getSecret('A_B'))
  })

  test('a clearing', async () => {
    const [first, second] = await pair()
    // What stands in Redis is the old instance's.
    await Promise.all([first.refresh('A_B'), first.refresh('A_C')])
    await world.aws.put({ [ID]: 'two', A_C_production: 'c2' })
    await second.cache.clear()
    await isRead(first, 'A_B', 'two')
    await isRead(first, 'A_C', 'c2')
  })

  test('what it cannot read it asks AWS for', async () => {
    const second = world.deliver()
    await second.getSecret('A_B')
    await until('it is shared', async () => (await world.redis.command('EXISTS', `secret:${ID}`)) === 1)
    const first = await old()
    expect(await first.read('A_B')).toBe('one')
    expect(first.asked).toBe(1)
  })
})

test('with instances of both, every read has the live value, and AWS is not asked each time', async () => {
  const [first, second] = await pair()
  await world.aws.resetCalls()
  const asked = first.asked
  for (let i = 0; i < 200; i++) {
    expect([await first.read('A_B'), await second.getSecret('A_B')]).toEqual(['one', 'one'])
  }
  expect((await world.aws.calls()).total).toBeLessThan(5)
  expect(first.asked - asked).toBeLessThan(5)
})

describe('a snapshot file', () => {
  /** Starts without AWS and Redis. */
  const restarted = async (file) => {
    await world.aws.fault(OUTAGE)
    return world.deliver({ redis: { url: 'redis://127.0.0.1:1' }, snapshotPath: file })
  }

  test('of 0.1.0 answers while AWS and Redis are down', async () => {
    const file = path.join(directory, 'snapshot')
    const entries = decodeSnapshot(fixture('snapshot'))
    const now = Date.now()
    const recent = Object.entries(entries).map(([id, contents]) => [id, { ...contents, fetchedMs: now }])
    fs.writeFileSync(file, encodeSnapshot(Object.fromEntries(recent)), { mode: 0o600 })
    const delivery = await restarted(file)
    expect(await delivery.getSecret('A_B')).toBe('old one')
    expect(await delivery.getSecret('A_C')).toBe('old two')
  })

  test('of 0.1.0 that is too old does not answer', async () => {
    const file = path.join(directory, 'snapshot')
    const entries = decodeSnapshot(fixture('snapshot'))
    const longAgo = Date.now() - 3_901_000
    const outdated = Object.entries(entries).map(([id, contents]) => [id, { ...contents, fetchedMs: longAgo }])
    fs.writeFileSync(file, encodeSnapshot(Object.fromEntries(outdated)), { mode: 0o600 })
    await expect((await restarted(file)).getSecret('A_B')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  })

  test('of this version can be read by 0.1.0', async () => {
    const file = path.join(directory, 'snapshot')
    const delivery = world.deliver({ snapshotPath: file })
    await delivery.getSecret('A_B')
    await delivery.close()
    expect(decodeSnapshot(fs.readFileSync(file))[ID]).toMatchObject({ value: 'one' })
  })
})

describe('an audit log', () => {
  /** The log of 0.1.0, with its state file. */
  const copied = () => {
    for (const name of ['audit.jsonl', 'audit.jsonl.state']) fs.writeFileSync(path.join(directory, name), fixture(name))
    return path.join(directory, 'audit.jsonl')
  }

  test('of 0.1.0 verifies, and no changed record of it does', async () => {
    const log = copied()
    expect(await verifyAuditLog(log)).toMatchObject({ valid: true, untampered: true, endConfirmed: true })
    fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"outcome":"ok"', '"outcome":"no"'))
    expect(await verifyAuditLog(log)).toMatchObject({ valid: false })
  })

  test('of 0.1.0 is continued by this version', async () => {
    const log = copied()
    const before = await verifyAuditLog(log)
    const delivery = world.deliver({}, { audit: { path: log } })
    await delivery.getSecret('A_B')
    await delivery.close()
    const after = await verifyAuditLog(log)
    expect(after).toMatchObject({ valid: true, untampered: true, endConfirmed: true })
    expect(after.lastSequence).toBeGreaterThan(before.lastSequence)
    expect(fs.readFileSync(log, 'utf8').startsWith(fixture('audit.jsonl').toString())).toBe(true)
  })
})
