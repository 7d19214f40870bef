'use strict'

// Why AWS or Redis cannot be reached: host, port and cause, in errors, health, explain and doctor.

const fs = require('node:fs')
const http = require('node:http')
const net = require('node:net')
const path = require('node:path')
const { SecretDelivery, SecretError } = require('../..')
const { Cli } = require('../support/cli')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')
const { freePort } = require('../support/servers/server')
const { Listening, authority, inFrontOf, issued } = require('../support/servers/tls')
const { withVariables } = require('../support/with-variables')

/** @type {AwsEndpoint} */
let aws
let company
/** @type {SecretDelivery[]} */
const open = []
/** @type {{ stop(): unknown }[]} */
const running = []
/** @type {string} */
let directory

beforeAll(async () => {
  directory = temporaryDirectory()
  ;[aws, company] = await Promise.all([AwsEndpoint.start(), authority()])
  await aws.put({ A_B_production: 'value' })
  fs.writeFileSync(path.join(directory, 'ca.pem'), company.cert)
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  await Promise.all(running.splice(0).map((server) => server.stop()))
})
afterAll(async () => {
  await aws.stop()
  fs.rmSync(directory, { recursive: true })
})

/** Ends with the test. @template {{ stop(): unknown }} T @param {T} server @returns {T} */
const started = (server) => (running.push(server), server)

function deliver(options, cache = false) {
  const delivery = withVariables({ HOME: directory }, () => {
    const settings = { ...aws.options, ca: company.cert, maxAttempts: 1, ...options }
    const logger = { warn() {} }
    return new SecretDelivery({
      environment: 'production',
      compliance: false,
      audit: false,
      alerts: false,
      cache,
      aws: settings,
      logger,
    })
  })
  open.push(delivery)
  return delivery
}

const closedPort = async () => `http://127.0.0.1:${await freePort()}`
/** Ends TLS with a certificate. */
const tlsWith = async (pair, options = {}) => {
  const { port } = started(await inFrontOf(aws.url, { ...pair, ...options }))
  return `https://localhost:${port}`
}

/** What keeps AWS away, Node's code for it, and what is said. */
const CAUSES = [
  [
    'a name that is not known',
    () => 'http://no-such-host.invalid:4566',
    /^(ENOTFOUND|EAI_AGAIN)$/,
    /name (is not known|cannot be resolved)/,
  ],
  ['a closed port', closedPort, /^ECONNREFUSED$/, /connection refused/],
  [
    'a certificate that nobody knows',
    async () => tlsWith(await issued(await authority('Other'))),
    /^UNABLE_TO_GET_ISSUER/,
    /is not trusted/,
  ],
  [
    'a certificate that is its own authority',
    async () => tlsWith(await authority('localhost')),
    /^(DEPTH_ZERO_SELF|UNABLE_TO_GET)/,
    /is made as an authority's \(CA:TRUE\)/,
  ],
  [
    'a certificate that has expired',
    async () => tlsWith(await issued(company, { daysAgo: 9, days: 4 })),
    /^CERT_HAS_EXPIRED$/,
    /has expired, 5 days ago/,
  ],
  [
    'a certificate that is not valid yet',
    async () => tlsWith(await issued(company, { daysAgo: -9 })),
    /^CERT_NOT_YET_VALID$/,
    /not valid yet/,
  ],
  [
    'a certificate for another name',
    async () => tlsWith(await issued(company, { host: 'other.test' })),
    /^ERR_TLS_CERT_ALTNAME/,
    /for another name \(other\.test\)/,
  ],
  ['no TLS', () => aws.url.replace('http:', 'https:'), /^EPROTO$/, /does not speak TLS/],
  [
    'TLS where none is expected',
    async () => (await tlsWith(await issued(company))).replace('https:', 'http:'),
    /^(EPROTO|ECONNRESET)$/,
    /./,
  ],
  [
    'a server that speaks first, in no HTTP',
    async () => {
      const ssh = net.createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'))
      return `http://127.0.0.1:${started(await Listening.start(ssh)).port}`
    },
    /^(EPROTO|ECONNRESET|EPIPE|ECONNABORTED)$/,
    /HTTP|connection/,
  ],
  [
    'a client certificate that is wanted',
    async () => tlsWith(await issued(company), { requestCert: true, rejectUnauthorized: true, ca: company.cert }),
    /^(ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED|ECONNRESET|EPIPE)$/,
    /client certificate|connection was (closed|reset)/,
  ],
  [
    'a connection that is closed at once',
    async () =>
      `http://127.0.0.1:${started(await Listening.start(net.createServer((socket) => socket.destroy()))).port}`,
    /^(ECONNRESET|ECONNABORTED|EPIPE)$/,
    /connection/,
  ],
]

describe('AWS', () => {
  test.each(CAUSES)('%s', async (_, place, code, words) => {
    const endpoint = await place()
    const { hostname, port, host } = new URL(endpoint)
    const delivery = deliver({ endpoint })
    const error = await delivery.getSecret('A_B').catch((reason) => reason)
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { host: hostname, port: Number(port) } })
    expect(error.cause.code).toMatch(code)
    for (const text of [
      error.message,
      (await delivery.health()).checks.aws.reason,
      JSON.stringify(await delivery.explain('A_B')),
    ]) {
      expect(text).toContain(`${host} cannot be reached: `)
      expect(text).toMatch(words)
    }
  })

  test('no answer in time', async () => {
    const { port } = started(await Listening.start(net.createServer(() => undefined)))
    const error = await deliver({ endpoint: `http://127.0.0.1:${port}`, timeoutMs: 600 })
      .getSecret('A_B')
      .catch((reason) => reason)
    expect(error).toMatchObject({ code: 'SOURCE_TIMEOUT', cause: { code: 'ETIMEDOUT', host: '127.0.0.1', port } })
    expect(error.message).toContain(`127.0.0.1:${port} cannot be reached: it does not answer in time`)
  })

  test('the deadline tells of the attempts before', async () => {
    await aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } }, times: 1 })
    await aws.fault({ action: { delayMs: 60_000 } })
    const error = await deliver({ timeoutMs: 900, maxAttempts: 3 })
      .getSecret('A_B')
      .catch((reason) => reason)
    await aws.clearFaults()
    expect(error.code).toBe('SOURCE_TIMEOUT')
    expect(error.message).toMatch(/InternalServiceError|cannot be reached/)
  })

  test('doctor and the command line say the same', async () => {
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'eu-central-1' }
    const cli = new Cli(directory, { ...env, AWS_ENDPOINT_URL: await tlsWith(await issued(await authority())) })
    const { stdout } = await cli.run('doctor -e production')
    expect(stdout).toMatch(/^error +AWS +.*localhost:\d+ cannot be reached: its TLS certificate is not trusted/m)
    expect(stdout).toMatch(/→ name the root certificate in AWS_CA_BUNDLE/)
    const { stderr } = await cli.run('get A_B -e production')
    expect(stderr).toMatch(/localhost:\d+ cannot be reached/)
  })
})

describe('an error', () => {
  const failed = async () => {
    await aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'] })
    const error = await deliver({})
      .getSecret('A_B')
      .catch((reason) => reason)
    await aws.allow()
    return error
  }

  test("has AWS's code as its cause, the id of the request and the frames of its caller", async () => {
    async function callerOfTheRead() {
      return failed()
    }
    const error = await callerOfTheRead()
    expect(error).toBeInstanceOf(SecretError)
    expect(error).toMatchObject({ code: 'SECRET_ACCESS_DENIED', cause: { code: 'AccessDeniedException' } })
    expect(error.requestId).toMatch(/^[0-9a-f-]{36}$/)
    expect(error.stack).toMatch(/^SecretError \[SECRET_ACCESS_DENIED\]: A_B_production: AWS /)
    expect(error.stack).toContain(__filename)
  })

  test('survives structuredClone and JSON.stringify with code and message', async () => {
    const error = await failed()
    const { code, message, requestId, cause } = error
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'SecretError',
      code,
      message,
      requestId,
      cause: { code: cause.code, message: cause.message },
    })
    const clone = structuredClone(error)
    expect(clone.message).toBe(message)
    expect(clone.stack).toContain(`[${code}]`)
  })

  test.each([
    ['health', (delivery) => delivery.cache.set('A_B', 'x')],
    ['getToolSecrets', (delivery) => delivery.getToolSecrets('a')],
    ['refresh', (delivery) => delivery.refresh('A_B')],
  ])('of another operation has the frames of its caller as well: %s', async (_, call) => {
    const delivery = deliver({ endpoint: await closedPort() })
    await delivery.close()
    const error = await call(delivery).catch((reason) => reason)
    expect(error.code).toBe('CLOSED')
    expect(error.stack).toContain(__filename)
  })

  test('of each of many reads that are asked together names its own secret, and has the frames of who awaits it', async () => {
    const delivery = deliver({ endpoint: await closedPort() })
    async function awaits(name) {
      return await delivery.getSecret(name)
    }
    const names = Array.from({ length: 30 }, (_, at) => `A_N${at}`)
    const ended = await Promise.allSettled(names.map(awaits))
    for (const [at, { reason }] of ended.entries()) {
      expect(reason).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: 'ECONNREFUSED' } })
      expect(reason.message).toMatch(new RegExp(`^${names[at]}_production: `))
      expect(reason.stack).toContain(__filename)
    }
  })

  test('each of two readers of one failing secret has its own frames', async () => {
    const delivery = deliver({ endpoint: await closedPort() })
    const first = async () => delivery.getSecret('A_B').catch((reason) => reason)
    const second = async () => delivery.getSecret('A_B').catch((reason) => reason)
    const [one, other] = await Promise.all([first(), second()])
    expect(one.stack).toMatch(/at .*\bfirst\b/)
    expect(other.stack).toMatch(/at .*\bsecond\b/)
  })
})

describe('Redis', () => {
  const state = async (url, redis = {}) => {
    const encryptionKeys = [{ id: 'k1', key: Buffer.alloc(32, 1).toString('base64') }]
    const delivery = deliver({}, { redis: { url, ...redis }, encryptionKeys })
    const { reason } = (await delivery.health()).checks.redis
    expect(await delivery.getSecret('A_B')).toBe('value')
    const error = await delivery.cache.set('A_B', 'x').catch((failure) => failure)
    return { reason, error }
  }

  /** A Redis with TLS. */
  async function withTls(pair, args = []) {
    const port = await freePort()
    const [cert, key] = ['cert', 'key'].map((name) => {
      const file = path.join(directory, `${port}.${name}`)
      fs.writeFileSync(file, pair[name])
      return file
    })
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', path.join(directory, 'ca.pem')]
    started(await RedisServer.start({ args: ['--tls-port', String(port), ...files, ...args] }))
    return port
  }
  const open = ['--tls-auth-clients', 'no']

  test.each([
    [
      'a name that is not known',
      async () => ['redis://no-such-host.invalid:6379'],
      /no-such-host\.invalid:6379: its name (is not known|cannot be)/,
    ],
    ['a closed port', async () => [`redis://127.0.0.1:${await freePort()}`], /127\.0\.0\.1:\d+: connection refused/],
    [
      'a closed port of a cluster',
      async () => [`redis+cluster://127.0.0.1:${await freePort()}`],
      /127\.0\.0\.1:\d+: connection refused/,
    ],
    [
      'a closed port of a Sentinel',
      async () => [`redis+sentinel://127.0.0.1:${await freePort()}/main`],
      /127\.0\.0\.1:\d+: connection refused/,
    ],
    ['no socket', async () => ['unix:///nowhere/redis.sock'], /\/nowhere\/redis\.sock: there is no such socket/],
    [
      'no answer',
      async () => [`redis://127.0.0.1:${started(await Listening.start(net.createServer(() => undefined))).port}`],
      /127\.0\.0\.1:\d+: (no (connection|answer) within \d+ ms|it does not answer in time)/,
    ],
    [
      'an HTTP server',
      async () => [`redis://127.0.0.1:${started(await Listening.start(http.createServer())).port}`],
      /127\.0\.0\.1:\d+: it does not answer in Redis's protocol/,
    ],
    [
      'no TLS',
      async () => [`rediss://127.0.0.1:${started(await RedisServer.start()).port}`, { tls: { ca: company.cert } }],
      /127\.0\.0\.1:\d+: .*\(does it speak TLS there\?\)/,
    ],
    [
      'a certificate that nobody knows',
      async () => [
        `rediss://localhost:${await withTls(await issued(await authority()), open)}`,
        { tls: { ca: company.cert } },
      ],
      /localhost:\d+: its TLS certificate is not trusted/,
    ],
    [
      'a certificate that has expired',
      async () => [
        `rediss://localhost:${await withTls(await issued(company, { daysAgo: 9, days: 4 }), open)}`,
        { tls: { ca: company.cert } },
      ],
      /localhost:\d+: its TLS certificate has expired, 5 days ago/,
    ],
    [
      'a certificate for another name',
      async () => [
        `rediss://localhost:${await withTls(await issued(company, { host: 'other.test' }), open)}`,
        { tls: { ca: company.cert } },
      ],
      /localhost:\d+: its TLS certificate is for another name \(other\.test\)/,
    ],
    [
      'a client certificate that is wanted',
      async () => [
        `rediss://localhost:${await withTls(await issued(company), ['--tls-auth-clients', 'yes'])}`,
        { tls: { ca: company.cert } },
      ],
      /localhost:\d+: (it wants a client certificate|the connection was)/,
    ],
    [
      'no password',
      async () => [`redis://127.0.0.1:${started(await RedisServer.start({ args: ['--requirepass', 'canary'] })).port}`],
      /127\.0\.0\.1:\d+: it answered NOAUTH: it wants a password/,
    ],
    [
      'a wrong password',
      async () => [
        `redis://:wrong@127.0.0.1:${started(await RedisServer.start({ args: ['--requirepass', 'canary'] })).port}`,
      ],
      /127\.0\.0\.1:\d+: (authentication failed|it answered WRONGPASS)/,
    ],
  ])('%s', async (_, place, words) => {
    const { reason, error } = await state(...(await place()))
    expect(reason).toMatch(words)
    expect(error.code).toBe('CACHE_UNAVAILABLE')
    expect(reason + JSON.stringify(error)).not.toContain('canary')
  })
})
