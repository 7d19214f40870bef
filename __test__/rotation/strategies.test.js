'use strict'

// The ready-made hooks of tcs-secret-delivery/rotation, each over its real server: clients connect through `withSecret` while the
// secret is rotated twenty times, with a fault in each rotation.

const http = require('node:http')
const { once } = require('node:events')
const strategies = require('../../rotation')
const { MariadbServer } = require('../support/servers/mariadb')
const { PostgresServer } = require('../support/servers/postgres')
const { RedisServer } = require('../support/servers/redis')
const { until } = require('../support/until')
const { overRedis } = require('../support/services')

const NAME = 'ORDERS_LOGIN'
const ID = `${NAME}_production`
const ROTATIONS = 20
const secretOf = (/** @type {string} */ username, /** @type {string} */ password) =>
  `{ "username" : "${username}",\n  "password":"${password}", "note":"é\\u00e9", "big":12345678901234567890.10 }`

const world = overRedis({ [ID]: secretOf('orders', 'first') })

/**
 * What a system has: a user whose password is `first`, and one that is not in use.
 *
 * @typedef {object} Target
 * @property {(login: { user: string, password: string }) => Promise<any>} connect
 * @property {Record<string, any>} hooks
 * @property {boolean} refuses Whether somebody may be refused for a moment.
 */

/** The faults of twenty rotations: in a hook before and after its work, in AWS, in the answers of AWS. */
const FAULTS = [
  'none', 'set throws', 'test throws', 'set throws after its work', 'verify throws',
  'set is late', 'aws refuses the label', 'aws loses the label answer', 'aws loses the put answer', 'undo throws',
] // prettier-ignore

/** @param {Record<string, any>} usual */
function faulty(usual) {
  const plan = { fault: 'none' }
  const failing =
    (/** @type {string} */ hook, /** @type {string} */ fault, after = false) =>
    async (/** @type {any} */ context) => {
      const isNow = plan.fault === fault
      if (isNow) plan.fault = 'none'
      if (isNow && !after) throw new Error(fault)
      const made = await usual[hook](context)
      if (isNow) throw new Error(fault)
      return made
    }
  const hooks = {
    ...usual,
    async set(/** @type {any} */ context) {
      if (plan.fault === 'set is late') {
        plan.fault = 'none'
        // The deadline passes, the signal is ignored, and the work is done all the same.
        await new Promise((resolve) => setTimeout(resolve, 1_800))
        const unheeding = Object.create(context, { signal: { value: new AbortController().signal } })
        for (const method of ['currentValue', 'newValue']) {
          Object.defineProperty(unheeding, method, { value: () => context[method]() })
        }
        return usual.set(unheeding)
      }
      await failing('set', 'set throws')(context)
      if (plan.fault === 'set throws after its work') {
        plan.fault = 'none'
        throw new Error('the answer was lost')
      }
    },
    async test(/** @type {any} */ context) {
      await usual.test(context)
      if (plan.fault === 'test throws' || plan.fault === 'undo throws') {
        if (plan.fault === 'test throws') plan.fault = 'none'
        throw new Error('no')
      }
    },
    verify: failing('verify', 'verify throws', true),
    undo: failing('undo', 'undo throws'),
  }
  return { plan, hooks }
}

/** @param {() => Target | Promise<Target>} make */
function survivesFaultedRotations(make) {
  return async () => {
    const target = await make()
    const { plan, hooks } = faulty(target.hooks)
    const logger = { warn() {} }
    const rotating = world.deliver({}, { logger, rotation: { hooks, hookTimeoutMs: 1_000 } })
    const service = world.deliver({ ttlSeconds: 1 })
    const seen = { connections: 0, refused: 0, failed: /** @type {unknown[]} */ ([]), values: new Set() }
    const enter = async () => {
      await service.withSecret('orders', 'login', async (secret) => {
        seen.values.add(secret)
        const { username: user, password } = JSON.parse(secret)
        try {
          await target.connect({ user, password })
        } catch (error) {
          seen.refused++
          throw error
        }
      })
      seen.connections++
    }
    let isOver = false
    const client = async () => {
      while (!isOver) {
        await enter().catch((error) => seen.failed.push(error))
        await new Promise((resolve) => setTimeout(resolve, 15))
      }
    }
    const clients = Array.from({ length: 4 }, client)
    const outcomes = []
    for (let i = 0; i < ROTATIONS; i++) {
      plan.fault = FAULTS[i % FAULTS.length]
      const operation = plan.fault === 'aws loses the put answer' ? 'PutSecretValue' : 'UpdateSecretVersionStage'
      if (plan.fault === 'aws refuses the label') {
        await world.aws.fault({
          action: { error: { status: 500, code: 'InternalServiceError' } },
          match: { operation },
          times: 1,
        })
      } else if (plan.fault.startsWith('aws loses')) {
        await world.aws.fault({ action: { lose: true }, match: { operation }, times: 1 })
      }
      const before = seen.connections
      outcomes.push((await rotating.rotation.rotate(NAME)).outcome)
      await until('it is used', () => seen.connections > before + 8 || seen.failed.length > 0)
    }
    // The last fault may have left a rotation half-way, which the next one ends.
    plan.fault = 'none'
    expect((await rotating.rotation.rotate(NAME)).outcome).toBe('finished')
    isOver = true
    await Promise.all(clients)
    expect(seen.failed.slice(0, 3)).toEqual([])
    if (!target.refuses) expect(seen.refused).toBe(0)
    const versions = await world.aws.versions(ID)
    const known = new Set(versions.map(({ value }) => value))
    expect([...seen.values].filter((value) => !known.has(value))).toEqual([])
    expect(outcomes.filter((outcome) => outcome === 'finished').length).toBeGreaterThanOrEqual(ROTATIONS / 4)
    // What is live opens the door, and only the login changed.
    const live = versions.find(({ labels }) => labels.includes('AWSCURRENT'))?.value ?? ''
    const { username: user, password } = JSON.parse(live)
    await target.connect({ user, password })
    expect(live).toBe(secretOf(user, password))
  }
}

const LONG = 120_000

describe.each([['PostgreSQL', PostgresServer.programs() !== undefined]])('%s', (name, isInstalled) => {
  if (!isInstalled && process.env.CI) throw new Error(`${name} is not installed, and in CI nothing is skipped`)
  const check = isInstalled ? test : test.skip
  /** @type {PostgresServer} */
  let server
  beforeAll(async () => {
    if (isInstalled) server = await PostgresServer.start()
  }, LONG)
  afterAll(() => server?.stop())
  const { Client } = require('pg')
  const client = async (/** @type {any} */ options) => {
    const connection = new Client({ connectionTimeoutMillis: 5_000, ...options })
    await connection.connect()
    return connection
  }
  const open = ({ user, password }) => client(server.options(user, password))
  const connect = async (/** @type {any} */ login) => (await open(login)).end()
  beforeEach(async () => {
    if (!isInstalled) return
    for (const role of ['orders', 'orders_b']) {
      await server.query(`DROP ROLE IF EXISTS ${role}`)
      await server.query(`CREATE ROLE ${role} LOGIN PASSWORD 'first'`)
    }
  })
  const admin = () => client(server.admin)

  check(
    'one user, who changes its own password',
    survivesFaultedRotations(() => ({
      connect,
      refuses: true,
      hooks: strategies.postgresSingleUser({ connect: open }),
    })),
    LONG,
  )

  check(
    'one user, whose password an administrator changes',
    survivesFaultedRotations(() => ({
      connect,
      refuses: true,
      hooks: strategies.postgresSingleUser({ connect: open, admin }),
    })),
    LONG,
  )

  check(
    'two users that take turns',
    survivesFaultedRotations(() => ({
      connect,
      refuses: false,
      hooks: strategies.postgresAlternatingUsers({ connect: open, admin, users: ['orders', 'orders_b'] }),
    })),
    LONG,
  )
})

describe.each([['MariaDB', MariadbServer.isInstalled()]])('%s', (name, isInstalled) => {
  if (!isInstalled && process.env.CI) throw new Error(`${name} is not installed, and in CI nothing is skipped`)
  const check = isInstalled ? test : test.skip
  /** @type {MariadbServer} */
  let server
  beforeAll(async () => {
    if (isInstalled) server = await MariadbServer.start()
  }, LONG)
  afterAll(() => server?.stop())
  const mysql = require('mysql2/promise')
  const open = (/** @type {any} */ login) => mysql.createConnection(server.options(login))
  const connect = async (/** @type {any} */ login) => (await open(login)).end()
  beforeEach(async () => {
    if (!isInstalled) return
    for (const user of ['orders', 'orders_b'])
      await server.query("CREATE OR REPLACE USER ?@'%' IDENTIFIED BY 'first'", [user])
  })
  const admin = () => server.admin()

  check(
    'one user, who changes its own password',
    survivesFaultedRotations(() => ({ connect, refuses: true, hooks: strategies.mysqlSingleUser({ connect: open }) })),
    LONG,
  )

  check(
    'two users that take turns',
    survivesFaultedRotations(() => ({
      connect,
      refuses: false,
      hooks: strategies.mysqlAlternatingUsers({ connect: open, admin, users: ['orders', 'orders_b'] }),
    })),
    LONG,
  )
})

describe('Redis', () => {
  /** @type {RedisServer} */
  let server
  beforeAll(async () => void (server = await RedisServer.start()))
  afterAll(() => server?.stop())
  const { Redis } = require('ioredis')
  const open = async (/** @type {object} */ login) => {
    const { user: username, password } = /** @type {any} */ (login)
    const options = {
      host: '127.0.0.1',
      port: server.port,
      username,
      password,
      lazyConnect: true,
      retryStrategy: () => null,
      disconnectTimeout: 50,
    }
    const connection = new Redis({ ...options, maxRetriesPerRequest: 0 })
    // What the server said of the login is told by an event, and not by the call.
    let refusal
    connection.on('error', (/** @type {Error} */ error) => (refusal ??= error))
    await connection.connect().catch((/** @type {Error} */ error) => {
      throw refusal ?? error
    })
    return connection
  }
  const connect = async (/** @type {any} */ login) => {
    const connection = await open(login)
    try {
      await connection.call('PING')
    } finally {
      connection.disconnect()
    }
  }
  beforeEach(() => server.command('ACL', 'SETUSER', 'orders', 'reset', 'on', '>first', '~*', '+@all'))

  test(
    'a user who has the live and the new password',
    survivesFaultedRotations(() => ({
      connect,
      refuses: false,
      hooks: strategies.redisAcl({ user: 'orders', connect: open, admin: () => open({}) }),
    })),
    LONG,
  )
})

describe('a webhook', () => {
  const signingKey = 'a key that both know'
  /** A system that has one password, behind a service that does the steps. */
  async function serve() {
    const state = { password: 'first', requests: /** @type {any[]} */ ([]), forged: 0 }
    const server = http.createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray())
      if (!strategies.verifyWebhook({ body, headers: request.headers, signingKey })) {
        state.forged++
        return response.writeHead(401).end()
      }
      const { step, currentValue, newValue, ...about } = JSON.parse(body.toString())
      state.requests.push({ step, ...about })
      const password = (/** @type {string} */ secret) => JSON.parse(secret).password
      if (step === 'set') state.password = password(newValue)
      if (step === 'undo') state.password = password(currentValue)
      const isRight = step === 'set' || step === 'undo' || state.password === password(newValue)
      response.writeHead(isRight ? 204 : 409).end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    const connect = async (/** @type {{ password: string }} */ { password }) => {
      if (password !== state.password) throw Object.assign(new Error('refused'), { status: 401 })
    }
    return { state, server, url: `http://127.0.0.1:${port}/rotate`, connect }
  }
  /** @type {Awaited<ReturnType<typeof serve>>} */
  let other
  beforeEach(async () => void (other = await serve()))
  afterEach(() => {
    other.server.closeAllConnections()
    other.server.close()
  })

  test(
    'lets another service do the steps',
    survivesFaultedRotations(() => ({
      connect: other.connect,
      refuses: true,
      hooks: strategies.webhook({ url: other.url, signingKey }),
    })),
    LONG,
  )

  test('is signed, says what is to be done, and passes a refusal on', async () => {
    const hooks = strategies.webhook({ url: other.url, signingKey, steps: ['set', 'test'] })
    expect(Object.keys(hooks)).toEqual(['set', 'test'])
    const delivery = world.deliver({}, { rotation: { hooks }, logger: { warn() {} } })
    const { versionId } = await delivery.rotation.rotate(NAME)
    expect(other.state.requests.map(({ step }) => step)).toEqual(['set', 'test'])
    expect(other.state.requests[0]).toMatchObject({ name: NAME, environment: 'production', versionId })
    const forging = { ...strategies.webhook({ url: other.url, signingKey: 'another key, that is' }) }
    const forger = world.deliver({}, { rotation: { hooks: forging }, logger: { warn() {} } })
    const report = await forger.rotation.rotate(NAME)
    expect([report.outcome, report.steps.at(-1)?.error?.message, other.state.forged]).toEqual([
      'failed',
      expect.stringContaining('HTTP_401'),
      2,
    ])
    const body = '{}'
    expect(strategies.verifyWebhook({ body, headers: {}, signingKey })).toBe(false)
    for (const wrong of [
      { url: 'http://example.com/', signingKey },
      { url: 'https://example.com/', signingKey: 'short' },
    ]) {
      expect(() => strategies.webhook(wrong)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    }
  })
})

test('a secret that is no login is refused before anything is changed', async () => {
  let connections = 0
  const connect = async () => {
    connections++
    throw new Error('not needed')
  }
  for (const hooks of [
    strategies.postgresSingleUser({ connect }),
    strategies.mysqlAlternatingUsers({ connect, admin: connect, users: ['a', 'b'] }),
  ]) {
    await world.aws.put({ [ID]: 'only a password' })
    const delivery = world.deliver({}, { rotation: { hooks }, logger: { warn() {} } })
    expect((await delivery.rotation.rotate(NAME)).error?.message).toContain('CONFIG_INVALID')
  }
  expect(connections).toBe(0)
  const same = { connect, admin: connect, users: /** @type {[string, string]} */ (['a', 'a']) }
  expect(() => strategies.postgresAlternatingUsers(same)).toThrow('two users')
})
