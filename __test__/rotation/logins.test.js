'use strict'

// Users and passwords that the ready-made hooks meet on real servers, other than those of strategies.test.js.

const strategies = require('../../rotation')
const { MariadbServer } = require('../support/servers/mariadb')
const { PostgresServer } = require('../support/servers/postgres')
const { RedisServer } = require('../support/servers/redis')
const { overRedis } = require('../support/services')

const NAME = 'ORDERS_LOGIN'
const ID = `${NAME}_production`
const LONG = 60_000
const world = overRedis({ [ID]: '' })

/** @param {Record<string, any>} hooks */
const rotate = (hooks) => world.deliver({}, { rotation: { hooks }, logger: { warn() {} } }).rotation.rotate(NAME)

/** The value that is live. */
async function live() {
  return (await world.aws.versions(ID)).find(({ labels }) => labels.includes('AWSCURRENT'))?.value ?? ''
}

describe('Redis', () => {
  /** @type {RedisServer} */
  let server
  beforeAll(async () => void (server = await RedisServer.start()))
  afterAll(() => server?.stop())
  beforeEach(async () => {
    await server.command('ACL', 'SETUSER', 'orders', 'reset', 'on', '>first-password', '~*', '+@all')
    await server.command('ACL', 'SETUSER', 'default', 'on', 'nopass')
  })

  const { Redis } = require('ioredis')
  const open = async (/** @type {object} */ login) => {
    const { user: username, password } = /** @type {any} */ (login)
    const at = { host: '127.0.0.1', port: server.port, lazyConnect: true, retryStrategy: () => null }
    const connection = new Redis({ ...at, username, password, disconnectTimeout: 50, maxRetriesPerRequest: 0 })
    // What the server said of the login is told by an event, and not by the call.
    let refusal
    connection.on('error', (/** @type {Error} */ error) => (refusal ??= error))
    await connection.connect().catch((/** @type {Error} */ error) => {
      throw refusal ?? error
    })
    return connection
  }
  const isLetIn = (/** @type {object} */ login) =>
    open(login).then(
      (connection) => (connection.disconnect(), true),
      () => false,
    )
  const admin = () => open({})
  /** The passwords of a user and whether it needs one, as Redis lists them. @param {string} user */
  const rulesOf = async (user) =>
    /** @type {string} */ (
      (await server.command('ACL', 'LIST')).map(String).find((/** @type {string} */ line) => line.includes(` ${user} `))
    )

  test('the user that the secret names is the one whose password changes', async () => {
    await world.aws.put({ [ID]: JSON.stringify({ username: 'orders', password: 'first-password' }) })
    const untouched = await rulesOf('default')
    for (const options of [{}, { user: 'orders' }]) {
      const { outcome } = await rotate(strategies.redisAcl({ connect: open, admin, ...options }))
      const { username, password } = JSON.parse(await live())
      expect([outcome, username, await isLetIn({ user: 'orders', password })]).toEqual(['finished', 'orders', true])
    }
    expect(await rulesOf('default')).toBe(untouched)
    expect(await isLetIn({ user: 'orders', password: 'first-password' })).toBe(false)
  })

  test.each([
    ['another user than the option', { username: 'orders', password: 'first-password' }, { user: 'default' }],
    ['its user by another field', { user: 'orders', password: 'first-password' }, {}],
  ])('a secret that names %s is refused before anything is changed', async (_, secret, options) => {
    await world.aws.put({ [ID]: JSON.stringify(secret) })
    const before = [await rulesOf('default'), await rulesOf('orders')]
    const { outcome, error } = await rotate(strategies.redisAcl({ connect: open, admin, ...options }))
    expect([outcome, error?.message]).toEqual(['failed', expect.stringContaining('CONFIG_INVALID')])
    expect([await rulesOf('default'), await rulesOf('orders')]).toEqual(before)
    expect(JSON.parse(await live())).toEqual(secret)
  })

  test('a plain password is that of the user `default`, or of the option', async () => {
    await world.aws.put({ [ID]: 'first-password' })
    expect((await rotate(strategies.redisAcl({ connect: open, admin, user: 'orders' }))).outcome).toBe('finished')
    expect(await isLetIn({ user: 'orders', password: await live() })).toBe(true)
  })

  test(
    'a version of another user comes back with the password of that user only',
    async () => {
      await server.command('ACL', 'SETUSER', 'older', 'reset', 'on', '>older-password', '~*', '+@all')
      await world.aws.put({ [ID]: JSON.stringify({ username: 'older', password: 'older-password' }) })
      const versionId = (await world.aws.versions(ID)).find(({ labels }) => labels.includes('AWSCURRENT'))?.versionId
      await world.aws.ask('PutSecretValue', {
        SecretId: ID,
        SecretString: JSON.stringify({ username: 'orders', password: 'first-password' }),
      })
      const before = await rulesOf('orders')
      const hooks = strategies.redisAcl({ connect: open, admin })
      const delivery = world.deliver({}, { rotation: { hooks }, logger: { warn() {} } })
      expect((await delivery.rotation.restore(NAME, { versionId: String(versionId) })).outcome).toBe('finished')
      expect(JSON.parse(await live()).username).toBe('older')
      expect(await rulesOf('orders')).toBe(before)
      expect(await isLetIn({ user: 'older', password: 'first-password' })).toBe(false)
    },
    LONG,
  )
})

/** @param {string} name @param {boolean} isInstalled */
function where(name, isInstalled) {
  if (!isInstalled && process.env.CI) throw new Error(`${name} is not installed, and in CI nothing is skipped`)
  return isInstalled ? test : test.skip
}

/** A hook's context, for a hook that is called directly. @param {string} current @param {string} next */
const contextOf = (current, next) =>
  /** @type {any} */ ({ currentValue: () => current, newValue: () => next, signal: new AbortController().signal })

describe('MariaDB', () => {
  const check = where('MariaDB', MariadbServer.isInstalled())
  /** @type {MariadbServer} */
  let server
  beforeAll(async () => {
    if (MariadbServer.isInstalled()) server = await MariadbServer.start()
  }, LONG)
  afterAll(() => server?.stop())
  const mysql = require('mysql2/promise')
  const open = (/** @type {any} */ login) => mysql.createConnection(server.options(login))
  const admin = () => server.admin()
  const isLetIn = (/** @type {any} */ login) =>
    open(login).then(
      (/** @type {any} */ connection) => connection.end().then(() => true),
      () => false,
    )
  const accountOf = async (/** @type {string} */ user) =>
    /** @type {string} */ (Object.values((await server.query(`SHOW CREATE USER ${user}@'%'`))[0])[0])

  describe('whose sql_mode is NO_BACKSLASH_ESCAPES', () => {
    beforeAll(() => server?.query("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'"))
    afterAll(() => server?.query('SET GLOBAL sql_mode = DEFAULT'))

    check.each([
      ['old\\pw', 'an administrator'],
      ["old'pw", 'an administrator'],
      ['old"pw', 'its user'],
      ['old\\pw', 'its user'],
    ])(
      'gets the password %s back, by %s',
      async (old, by) => {
        await server.query(`CREATE OR REPLACE USER orders@'%' IDENTIFIED BY '${old.replaceAll("'", "''")}'`)
        await world.aws.put({ [ID]: JSON.stringify({ username: 'orders', password: old }) })
        const usual = strategies.mysqlSingleUser({ connect: open, ...(by === 'an administrator' && { admin }) })
        const fail = async () => {
          throw new Error('the pool is full')
        }
        const { outcome, steps } = await rotate({ ...usual, test: fail })
        expect([outcome, steps.at(-1)?.error]).toEqual(['failed', null])
        expect(await isLetIn({ user: 'orders', password: old })).toBe(true)
      },
      LONG,
    )
  })

  check('an undo that the server accepts and that lets nobody in does not forget the new value', async () => {
    await server.query("CREATE OR REPLACE USER orders@'%' IDENTIFIED BY 'first'")
    await world.aws.put({ [ID]: JSON.stringify({ username: 'orders', password: 'first' }) })
    // Takes every statement, and changes nothing.
    const deaf = async () => ({ query: async () => [[{ version: 'MariaDB' }]], end: async () => {} })
    let isOver = false
    const usual = strategies.mysqlSingleUser({ connect: open, admin: () => (isOver ? deaf() : admin()) })
    const test = async () => {
      isOver = true
      throw new Error('the pool is full')
    }
    const { outcome, error } = await rotate({ ...usual, test })
    expect([outcome, error?.message]).toEqual(['failed', expect.stringContaining('keeps the label AWSPENDING')])
    const pending = (await world.aws.versions(ID)).find(({ labels }) => labels.includes('AWSPENDING'))?.value ?? '{}'
    expect(await isLetIn({ user: 'orders', password: JSON.parse(pending).password })).toBe(true)
  })

  check.each([
    ["mysql_native_password USING PASSWORD('first') OR unix_socket", 'an administrator'],
    ["mysql_native_password USING PASSWORD('first') OR unix_socket", 'its user'],
    ["unix_socket OR mysql_native_password USING PASSWORD('first')", 'an administrator'],
    ["unix_socket OR mysql_native_password USING PASSWORD('first')", 'its user'],
  ])('an account that is entered by %s still is, after a rotation by %s', async (ways, by) => {
    await server.query(`CREATE OR REPLACE USER orders@'%' IDENTIFIED VIA ${ways} WITH MAX_QUERIES_PER_HOUR 1000`)
    await world.aws.put({ [ID]: JSON.stringify({ username: 'orders', password: 'first' }) })
    const before = await accountOf('orders')
    const hooks = strategies.mysqlSingleUser({ connect: open, ...(by === 'an administrator' && { admin }) })
    expect((await rotate(hooks)).outcome).toBe('finished')
    const withoutHash = (/** @type {string} */ account) => account.replace(/'\*[0-9A-F]+'/, '…')
    expect(withoutHash(await accountOf('orders'))).toBe(withoutHash(before))
    expect(await isLetIn({ user: 'orders', password: JSON.parse(await live()).password })).toBe(true)
    expect(await isLetIn({ user: 'orders', password: 'first' })).toBe(false)
  })

  check('an account keeps its plugin, and an administrator without a right to the accounts can rotate', async () => {
    await server.query("INSTALL SONAME 'auth_ed25519'")
    await server.query("CREATE OR REPLACE USER orders@'%' IDENTIFIED VIA ed25519 USING PASSWORD('first')")
    const before = await accountOf('orders')
    const { set } = strategies.mysqlSingleUser({ connect: open, admin, user: 'orders' })
    await set?.(contextOf('first', 'second'))
    expect([await accountOf('orders'), before]).toEqual([
      expect.stringContaining('ed25519'),
      expect.not.stringMatching(/^$/),
    ])
    expect(await accountOf('orders')).not.toBe(before)

    await server.query("CREATE OR REPLACE USER orders@'%' IDENTIFIED BY 'first'")
    await server.query("CREATE OR REPLACE USER keeper@'%' IDENTIFIED BY 'keeper'")
    await server.query("GRANT CREATE USER ON *.* TO keeper@'%'")
    const keeper = () => open({ user: 'keeper', password: 'keeper' })
    await strategies
      .mysqlSingleUser({ connect: open, admin: keeper, user: 'orders' })
      .set?.(contextOf('first', 'second'))
    expect(await isLetIn({ user: 'orders', password: 'second' })).toBe(true)
  })
})

describe('PostgreSQL', () => {
  const isInstalled = PostgresServer.programs() !== undefined
  const check = where('PostgreSQL', isInstalled)
  /** @type {PostgresServer} */
  let server
  beforeAll(async () => {
    if (isInstalled) server = await PostgresServer.start()
  }, LONG)
  afterAll(() => server?.stop())
  const { Client } = require('pg')
  const open = async (/** @type {any} */ { user, password }) => {
    const client = new Client({ connectionTimeoutMillis: 5_000, ...server.options(user, password) })
    await client.connect()
    return client
  }

  check('a role that only reads by default changes its own password', async () => {
    await server.query("CREATE ROLE report LOGIN PASSWORD 'first'")
    await server.query('ALTER ROLE report SET default_transaction_read_only = on')
    await world.aws.put({ [ID]: JSON.stringify({ username: 'report', password: 'first' }) })
    const { outcome, error } = await rotate(strategies.postgresSingleUser({ connect: open }))
    expect([outcome, error]).toEqual(['finished', null])
    await (await open({ user: 'report', password: JSON.parse(await live()).password })).end()
  })
})

describe('what a ready-made hook refuses is said in its words', () => {
  const connect = async () => {
    throw new Error('not needed')
  }
  const users = /** @type {const} */ (['orders_a', 'orders_b'])
  const alternating = strategies.postgresAlternatingUsers({ connect, admin: connect, users })
  const single = strategies.mysqlSingleUser({ connect })
  test.each([
    [{ username: 'canary', password: 'first' }, alternating, "the live secret's 'username' is none of the two users"],
    [{ password: 'first' }, alternating, "the secret has no 'username', and the strategy no 'user'"],
    [{ username: 'orders_a', secret: 'x' }, alternating, "the secret is JSON without a text 'password'"],
    [{ password: 'first' }, single, "the secret has no 'username', and the strategy no 'user'"],
  ])('%j', async (secret, hooks, words) => {
    await world.aws.put({ [ID]: JSON.stringify(secret) })
    const report = await rotate(hooks)
    expect(report.error?.message).toContain(`hook failed: ${words} (CONFIG_INVALID)`)
    expect(JSON.stringify(report)).not.toMatch(/canary|first/)
  })

  test('and what a hook of the service throws is not, also as a SecretError', async () => {
    await world.aws.put({ [ID]: 'first' })
    const { SecretError } = require('../..')
    const set = async () => {
      throw new SecretError('CONFIG_INVALID', 'canary')
    }
    const report = await rotate({ set })
    expect(report.error?.message).toContain('the set hook failed: SecretError CONFIG_INVALID')
    expect(JSON.stringify(report)).not.toContain('canary')
  })

  test('a user does not change the password of another one', async () => {
    const refused = Object.assign(new Error('no'), { code: '28P01' })
    const open = jest.fn(async () => {
      throw refused
    })
    const of = (/** @type {string} */ username) => JSON.stringify({ username, password: 'x' })
    const { set } = strategies.mysqlSingleUser({ connect: open })
    await expect(set?.(contextOf(of('orders'), of('older')))).rejects.toThrow('only an administrator')
    expect(open.mock.calls).toEqual([[{ user: 'older', password: 'x' }]])
  })
})
