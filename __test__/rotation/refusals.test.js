'use strict'

// What real servers say of a wrong password, through real drivers, leads `withSecret` to the right one; what they say of another
// reason is thrown at once.

const http = require('node:http')
const { once } = require('node:events')
const { MariadbServer } = require('../support/servers/mariadb')
const { PgBouncer } = require('../support/servers/pgbouncer')
const { PostgresServer } = require('../support/servers/postgres')
const { RabbitmqServer } = require('../support/servers/rabbitmq')
const { RedisServer } = require('../support/servers/redis')
const { overRedis } = require('../support/services')

const ID = 'DB_PASSWORD_production'
const world = overRedis({ [ID]: 'right' })
const LONG = 60_000

/** Calls with a cached value that is wrong. Gives what was refused, and how often the function was called. */
async function retried(/** @type {(password: string) => Promise<unknown>} */ enter) {
  const delivery = world.deliver()
  await delivery.cache.set('DB_PASSWORD', 'wrong')
  /** @type {any[]} */
  const refusals = []
  const use = (/** @type {string} */ password) =>
    enter(password).catch((error) => {
      refusals.push(error)
      throw error
    })
  const outcome = await delivery.withSecret('db', 'password', use, { timeoutMs: 5000 }).then(
    () => 'connected',
    (error) => error,
  )
  return { outcome, refusals }
}

/** @param {string} name @param {boolean} isInstalled */
function where(name, isInstalled) {
  if (!isInstalled && process.env.CI) throw new Error(`${name} is not installed, and in CI nothing is skipped`)
  return isInstalled ? test : test.skip
}

const hasPostgres = PostgresServer.programs() !== undefined

describe('PostgreSQL', () => {
  /** @type {PostgresServer} */
  let server
  beforeAll(async () => {
    if (!hasPostgres) return
    server = await PostgresServer.start()
    await server.query("CREATE ROLE app LOGIN PASSWORD 'right'")
  }, LONG)
  afterAll(() => server?.stop())
  const { Client } = require('pg')
  const connect = async (/** @type {any} */ options, statement = 'SELECT 1') => {
    const client = new Client({ connectionTimeoutMillis: 5_000, ...options })
    client.on('error', () => {})
    await client.connect()
    await client.query(statement).finally(() => client.end())
  }

  where('PostgreSQL', hasPostgres)('a wrong password is refused, a missing right is another reason', async () => {
    const { outcome, refusals } = await retried((password) => connect(server.options('app', password)))
    expect([outcome, refusals.map(({ code }) => code)]).toEqual(['connected', ['28P01']])
    const other = await retried(() => connect(server.options('app', 'right'), 'SELECT * FROM pg_authid'))
    expect([other.outcome.code, other.refusals.length]).toEqual(['42501', 1])
    const nologin = await retried(() => connect({ ...server.options('app', 'right'), database: 'none' }))
    expect([nologin.outcome.code, nologin.refusals.length]).toEqual(['3D000', 1])
  })

  where('PgBouncer', hasPostgres && PgBouncer.isInstalled())(
    'through PgBouncer, which refuses a password itself, or is refused by the server',
    async () => {
      const { port: at, host } = server.options('', '')
      const own = await PgBouncer.start('"app" "right"\n', { host, port: at })
      const shop = (/** @type {number} */ port, /** @type {string} */ user, /** @type {string} */ password) => ({
        host,
        port,
        user,
        password,
        database: 'shop',
      })
      try {
        const { outcome, refusals } = await retried((password) => connect(shop(own.port, 'app', password)))
        expect([outcome, refusals.length]).toEqual(['connected', 1])
        const nobody = await retried((password) =>
          connect(shop(own.port, password === 'right' ? 'app' : 'app_2', password)),
        )
        expect([nobody.outcome, nobody.refusals.length]).toEqual(['connected', 1])
      } finally {
        await own.stop()
      }
      // It hands on what the client gave, and the server refuses that.
      const stale = await PgBouncer.start('"app" "wrong"\n', { host, port: at })
      try {
        const enter = (/** @type {string} */ password) =>
          password === 'wrong' ? connect(shop(stale.port, 'app', 'wrong')) : connect(server.options('app', password))
        const { outcome, refusals } = await retried(enter)
        expect([outcome, refusals.length]).toEqual(['connected', 1])
        const again = await retried(enter)
        expect([again.outcome, again.refusals.length]).toEqual(['connected', 1])
      } finally {
        await stale.stop()
      }
    },
    LONG,
  )
})

where('MariaDB', MariadbServer.isInstalled())(
  'MariaDB: a wrong password is refused, a missing right is another reason',
  async () => {
    const server = await MariadbServer.start()
    try {
      await server.query("CREATE USER app@'%' IDENTIFIED BY 'right'")
      const mysql = require('mysql2/promise')
      const connect = async (/** @type {string} */ password, more = {}) => {
        const connection = await mysql.createConnection({ ...server.options({ user: 'app', password }), ...more })
        await connection.end()
      }
      const { outcome, refusals } = await retried((password) => connect(password))
      expect([outcome, refusals.map(({ errno }) => errno)]).toEqual(['connected', [1045]])
      const other = await retried(() => connect('right', { database: 'mysql' }))
      expect([other.outcome.errno, other.refusals.length]).toEqual([1044, 1])
    } finally {
      await server.stop()
    }
  },
  LONG,
)

test('Redis: a wrong password is refused, a missing right is another reason', async () => {
  const server = await RedisServer.start()
  const { Redis } = require('ioredis')
  const connect = async (/** @type {string | undefined} */ password, command = ['PING']) => {
    const login = password === undefined ? {} : { username: 'app', password }
    const options = {
      host: '127.0.0.1',
      port: server.port,
      lazyConnect: true,
      retryStrategy: () => null,
      disconnectTimeout: 50,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      ...login,
    }
    const connection = new Redis(options)
    /** @type {Error | undefined} */
    let refusal
    connection.on('error', (error) => (refusal ??= error))
    try {
      await connection.connect()
      await connection.call(.../** @type {[string]} */ (command))
    } catch (error) {
      throw refusal ?? error
    } finally {
      connection.disconnect()
    }
  }
  try {
    await server.command('ACL', 'SETUSER', 'app', 'on', '>right', '+ping', '+info', '+hello', '+client')
    const { outcome, refusals } = await retried((password) => connect(password))
    expect([outcome, refusals.map(({ message }) => message.split(' ')[0])]).toEqual(['connected', ['WRONGPASS']])
    const other = await retried(() => connect('right', ['FLUSHALL']))
    expect([other.outcome.message.split(' ')[0], other.refusals.length]).toEqual(['NOPERM', 1])
  } finally {
    await server.stop()
  }
})

where('RabbitMQ', RabbitmqServer.isInstalled())(
  'RabbitMQ: a wrong password is refused, a virtual host, a right or a limit is another reason',
  async () => {
    const amqp = require('amqplib')
    const allows = (/** @type {string} */ user, /** @type {string} */ vhost) => ({
      ...{ user, vhost, configure: '^own', write: '^own', read: '^own' },
    })
    const server = await RabbitmqServer.start(
      { app: 'right' },
      {
        vhosts: [{ name: 'shop' }, { name: 'other' }, { name: 'full' }],
        permissions: [allows('app', 'shop'), allows('app', 'full')],
        parameters: [{ component: 'vhost-limits', name: 'limits', vhost: 'full', value: { 'max-connections': 0 } }],
      },
    )
    const connect = async (/** @type {string} */ password, login = {}, queue = 'own') => {
      const at = { hostname: '127.0.0.1', port: server.port, username: 'app', password, vhost: 'shop', ...login }
      const connection = await amqp.connect(at)
      connection.on('error', () => {})
      try {
        const channel = await connection.createChannel()
        channel.on('error', () => {})
        await channel.assertQueue(queue)
      } finally {
        await connection.close()
      }
    }
    try {
      for (const login of [{}, { username: 'nobody' }]) {
        const enter = (/** @type {string} */ password) => connect(password, password === 'wrong' ? login : {})
        const { outcome, refusals } = await retried(enter)
        expect([
          outcome,
          refusals.map(({ message }) => /403.*ACCESS_REFUSED - Login was refused/.test(message)),
        ]).toEqual(['connected', [true]])
      }
      /** @type {[string, { vhost?: string }, string?][]} */
      const others = [
        // There is none, it is not for this user, it is full: the driver does not repeat the server's words.
        ['Expected ConnectionOpenOk; got <ConnectionClose', { vhost: 'none' }],
        ['Expected ConnectionOpenOk; got <ConnectionClose', { vhost: 'other' }],
        ['Expected ConnectionOpenOk; got <ConnectionClose', { vhost: 'full' }],
        ["ACCESS_REFUSED - access to queue 'theirs'", {}, 'theirs'],
      ]
      for (const [why, login, queue] of others) {
        const { outcome, refusals } = await retried(() => connect('right', login, queue))
        expect([outcome.message, refusals.length]).toEqual([expect.stringContaining(why), 1])
      }
    } finally {
      await server.stop()
    }
  },
  3 * LONG,
)

test('HTTP: a wrong key is refused, a limit is another reason', async () => {
  const server = http.createServer((request, response) => {
    const isRight = request.headers.authorization === 'Bearer right'
    if (request.url === '/limited') response.writeHead(403, { 'retry-after': '60' }).end()
    else response.writeHead(isRight ? 200 : 401).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const get = async (/** @type {string} */ url, /** @type {string} */ key) => {
    const headers = { authorization: `Bearer ${key}` }
    const response = await fetch(`http://127.0.0.1:${port}${url}`, { headers })
    await response.arrayBuffer()
    if (!response.ok) throw Object.assign(new Error('refused'), { response })
  }
  try {
    const { outcome, refusals } = await retried((key) => get('/', key))
    expect([outcome, refusals.length]).toEqual(['connected', 1])
    const limited = await retried((key) => get('/limited', key))
    expect([limited.outcome.message, limited.refusals.length]).toEqual(['refused', 1])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('gRPC: wrong credentials are refused, a missing right or a quota is another reason', async () => {
  const grpc = require('@grpc/grpc-js')
  const text = {
    serialize: (/** @type {string} */ said) => Buffer.from(said),
    deserialize: (/** @type {Buffer} */ said) => String(said),
  }
  const ask = {
    path: '/shop.Orders/Ask',
    requestStream: false,
    responseStream: false,
    requestSerialize: text.serialize,
    requestDeserialize: text.deserialize,
    responseSerialize: text.serialize,
    responseDeserialize: text.deserialize,
  }
  const server = new grpc.Server()
  server.addService(
    { ask },
    {
      ask(/** @type {any} */ call, /** @type {any} */ answer) {
        const [authorization] = call.metadata.get('authorization')
        const refuse = (/** @type {number} */ code, /** @type {string} */ details) => answer({ code, details })
        if (authorization !== 'Bearer right') return refuse(grpc.status.UNAUTHENTICATED, 'invalid credentials')
        if (call.request === 'forbidden') return refuse(grpc.status.PERMISSION_DENIED, 'not yours')
        if (call.request === 'much') return refuse(grpc.status.RESOURCE_EXHAUSTED, 'quota')
        answer(null, 'fine')
      },
    },
  )
  const port = await new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  const { Ask: Client } = { Ask: grpc.makeGenericClientConstructor({ ask }, 'Orders') }
  const client = /** @type {any} */ (new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure()))
  const call = (/** @type {string} */ key, request = 'orders') =>
    new Promise((resolve, reject) => {
      const metadata = new grpc.Metadata()
      metadata.set('authorization', `Bearer ${key}`)
      client.ask(request, metadata, (/** @type {unknown} */ error, /** @type {unknown} */ said) =>
        error ? reject(error) : resolve(said),
      )
    })
  try {
    const { outcome, refusals } = await retried((key) => call(key))
    expect([outcome, refusals.map(({ code }) => code)]).toEqual(['connected', [grpc.status.UNAUTHENTICATED]])
    for (const [request, code] of /** @type {[string, number][]} */ ([
      ['forbidden', grpc.status.PERMISSION_DENIED],
      ['much', grpc.status.RESOURCE_EXHAUSTED],
    ])) {
      const other = await retried(() => call('right', request))
      expect([other.outcome.code, other.refusals.length]).toEqual([code, 1])
    }
  } finally {
    client.close()
    server.forceShutdown()
  }
})
