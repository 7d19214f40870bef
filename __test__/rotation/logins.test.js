'use strict'

// Users and passwords that the ready-made hooks meet on real servers, other than those of strategies.test.js.

const strategies = require('../../rotation')
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
