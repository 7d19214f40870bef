'use strict'

// A real PostgreSQL role whose password is rotated while its users read and connect.

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { oneRole, twoRoles } = require('../../examples/rotate-postgres/hooks')
const { connected, setPassword } = require('../../examples/rotate-postgres/role')
const { root } = require('../support/files')
const { PostgresServer } = require('../support/servers/postgres')
const { until } = require('../support/until')
const { overRedis } = require('../support/services')

const NAME = 'ORDERS_DATABASE'
const ROLE = 'orders'
const FIRST = JSON.stringify({ username: ROLE, password: 'first', port: 5432 })
/** What quoting gets wrong, and what SASLprep changes. */
const NASTY = `'"\\$;-%{}` + '`\u00e9\u00a0\u00ad'

const installed = PostgresServer.programs() !== undefined
if (!installed && process.env.CI) throw new Error('PostgreSQL is not installed, and in CI nothing is skipped')
if (!installed) console.warn('PostgreSQL is not installed (npm test says how): these tests are skipped')

;(installed ? describe : describe.skip)('a role of PostgreSQL', () => {
  const world = overRedis({ [`${NAME}_production`]: FIRST })
  /** @type {PostgresServer} */
  let postgres
  beforeAll(async () => {
    postgres = await PostgresServer.start()
    for (const role of [ROLE, 'orders_b']) await postgres.query(`CREATE ROLE ${role} LOGIN`)
  })
  beforeEach(() => setPassword(postgres.admin, ROLE, 'first'))
  /** @type {NodeJS.Timeout[]} */
  const timers = []
  afterEach(() => timers.splice(0).forEach(clearInterval))
  afterAll(() => postgres?.stop())

  /** One more way in, with this secret. @param {string} secret */
  const enter = (secret) => {
    const { username, password } = JSON.parse(secret)
    return connected(postgres.options(username, password), (client) => client.query('SELECT 1'))
  }
  const accepts = (/** @type {string} */ secret) =>
    enter(secret).then(
      () => true,
      (error) => {
        if (error.code !== '28P01') throw error
        return false
      },
    )
  /** Attempts that were refused on the way in. */
  let refused = 0
  const enterAsService = (delivery) =>
    delivery.withSecret('orders', 'database', (secret) =>
      enter(secret).catch((error) => {
        refused++
        throw error
      }),
    )
  const database = () => ({ admin: postgres.admin, place: postgres.options('', '') })
  const policy = { secretType: 'role', rotationInterval: 30, passwordAlphabet: `abcdef${NASTY}` }
  const tools = { orders: { secrets: { database: { rotationType: 'role' } } } }

  /** An instance that rotates, with hooks in place of some of the usual ones. */
  const rotator = (hooks = {}, more = {}) =>
    world.deliver(
      {},
      {
        tools,
        logger: { warn() {} },
        rotation: { policies: [policy], hooks: { ...oneRole(database()), ...hooks }, ...more },
      },
    )

  /** Reads and connects on a schedule, whether earlier attempts have ended or not, until it is told to stop. */
  function load(delivery, { readsPerSecond, connectionsPerSecond }) {
    const seen = { reads: 0, connections: 0, failed: [], values: new Set() }
    const [started, pending] = [performance.now(), new Set()]
    const begin = (what) => {
      const ended = what.catch((error) => seen.failed.push(error)).finally(() => pending.delete(ended))
      pending.add(ended)
    }
    const timer = setInterval(() => {
      const seconds = (performance.now() - started) / 1e3
      for (; seen.reads < seconds * readsPerSecond; seen.reads++) {
        begin(delivery.getSecret(NAME).then((value) => seen.values.add(value)))
      }
      for (; seen.connections < seconds * connectionsPerSecond; seen.connections++) begin(enterAsService(delivery))
    }, 2)
    timers.push(timer)
    const stop = async () => {
      clearInterval(timer)
      await Promise.all(pending)
    }
    return { seen, stop }
  }

  test('rotations under load: nothing fails, and nobody reads what was never live', async () => {
    const usual = oneRole(database())
    const rotating = rotator({
      async set(context) {
        const before = refused
        await usual.set(context)
        // PostgreSQL has the new password and AWS the old one until somebody came in between.
        await until('somebody is refused', () => refused > before)
      },
    })
    const service = world.deliver({ ttlSeconds: 1 })
    await service.getSecret(NAME)
    const { seen, stop } = load(service, { readsPerSecond: 50, connectionsPerSecond: 25 })
    let last = FIRST
    for (let i = 0; i < 8; i++) {
      expect(await rotating.rotation.rotate(NAME)).toMatchObject({ outcome: 'finished', error: null })
      last = await rotating.getSecretFromAWS(NAME)
      await until('the service reads it', async () => (await service.getSecret(NAME)) === last)
      const { reads } = seen
      await until('it is used for a while', () => seen.reads > reads + 20)
    }
    await stop()
    expect(seen.failed).toEqual([])
    const live = (await world.aws.versions(`${NAME}_production`)).filter(({ wasLive }) => wasLive)
    expect(live).toHaveLength(9)
    expect([...seen.values].filter((read) => !live.some(({ value }) => value === read))).toHaveLength(0)
    expect(seen.values.has(last)).toBe(true)
    expect(JSON.parse(last)).toMatchObject({ username: ROLE, port: 5432 })
    expect([await accepts(last), await accepts(FIRST)]).toEqual([true, false])
  })

  test('no password is one that the statement breaks on', async () => {
    const passwords = [`x${NASTY}`, `x\n'\n`, `x'; DROP ROLE ${ROLE}; --`, '$$', '%s%%', 'ﬁ\u2003Å', '🔑'.repeat(100)]
    let next = 0
    const create = () => JSON.stringify({ username: ROLE, password: passwords[next++] })
    const rotating = rotator({ create })
    for (const password of passwords) {
      expect((await rotating.rotation.rotate(NAME)).outcome).toBe('finished')
      expect(JSON.parse(await rotating.getSecret(NAME)).password).toBe(password)
      await enterAsService(rotating)
    }
  })

  test('a set that fails after it was applied: withSecret finds the value, and the next rotation goes on with it', async () => {
    const { set } = oneRole(database())
    let failures = 1
    const rotating = rotator({
      undo: undefined,
      async set(context) {
        await set(context)
        if (failures-- > 0) throw new Error('the answer was lost')
      },
    })
    const service = world.deliver()
    expect(await service.getSecret(NAME)).toBe(FIRST)
    const failed = await rotating.rotation.rotate(NAME)
    expect(failed).toMatchObject({ outcome: 'failed', resumed: false, error: { code: 'ROTATION_FAILED' } })
    expect(await service.getSecret(NAME)).toBe(FIRST)
    expect(await accepts(FIRST)).toBe(false)
    await enterAsService(service)
    const { pending } = await service.getSecretVersions(NAME)
    expect(await accepts(pending.value)).toBe(true)

    const finished = await rotating.rotation.rotate(NAME)
    expect(finished).toMatchObject({ outcome: 'finished', resumed: true, versionId: pending.versionId })
    await until('the service reads it', async () => (await service.getSecret(NAME)) === pending.value)
    await enterAsService(service)
  })

  test('a value that does not hold up is taken back, in AWS and in PostgreSQL', async () => {
    let taken
    const rotating = rotator({
      verify(context) {
        taken ??= context.newValue()
        if (context.newValue() === taken) throw new Error('no')
      },
    })
    const service = world.deliver()
    expect(await service.getSecret(NAME)).toBe(FIRST)
    const report = await rotating.rotation.rotate(NAME)
    expect(report).toMatchObject({ outcome: 'rolled-back', error: { code: 'ROTATION_ROLLED_BACK' } })
    expect(report.steps.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['create', 'set', 'test', 'finish', 'verify', 'undo', 'rollback']),
    )
    expect(await service.getSecretFromAWS(NAME)).toBe(FIRST)
    await until('the service reads it', async () => (await service.getSecret(NAME)) === FIRST)
    expect([await accepts(FIRST), await accepts(taken)]).toEqual([true, false])
    await enterAsService(service)
    // It is not tried a second time.
    expect(await rotating.rotation.rotate(NAME)).toMatchObject({ outcome: 'finished', resumed: false })
  })

  test('two roles that take turns: nothing is ever refused', async () => {
    const roles = twoRoles(database(), [ROLE, 'orders_b'])
    const rotating = rotator({ ...roles })
    const service = world.deliver()
    const before = refused
    const { seen, stop } = load(service, { readsPerSecond: 50, connectionsPerSecond: 25 })
    for (let i = 0; i < 3; i++) {
      const { connections } = seen
      await until('it is used', () => seen.connections > connections + 2)
      expect((await rotating.rotation.rotate(NAME)).outcome).toBe('finished')
    }
    await stop()
    expect(seen.failed).toEqual([])
    expect(refused).toBe(before)
    expect(JSON.parse(await rotating.getSecret(NAME)).username).toBe('orders_b')
  })

  test('the example runs, and nothing fails in it', () => {
    const main = path.join(root, 'examples', 'rotate-postgres', 'main.js')
    const { status, stdout, stderr } = spawnSync(process.execPath, [main], { encoding: 'utf8', timeout: 25_000 })
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/; 0 failed$/m)
    expect(stdout.match(/ finished /g)).toHaveLength(7)
  })
})
