'use strict'

// Profiles that sign in with `aws login`: the AWS CLI's file of the session, its renewal by a stand-in of the sign-in service on
// loopback, and what is said when one of them does not do.

const { execFileSync } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory, written } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Listening, Proxy, authority, inFrontOf, issued } = require('../support/servers/tls')
const { until } = require('../support/until')
const { withVariables } = require('../support/with-variables')

const SESSION = 'arn:aws:iam::111122223333:user/ann'
const CACHE = '.aws/login/cache'
const FILE = `${crypto.createHash('sha256').update(SESSION).digest('hex')}.json`
const KEYS = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })
const PEM = KEYS.privateKey.export({ type: 'sec1', format: 'pem' })
const RUN = /run: aws login --profile me$/

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery[]} */
const open = []
/** @type {{ stop(): unknown }[]} */
const running = []
/** @type {string} */
let home

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  home = temporaryDirectory()
  await aws.reset()
  await aws.put({ A_B_production: 'value' })
  written(home, '.aws/config', `[profile me]\nlogin_session = ${SESSION}\nregion = eu-central-1\n`)
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  await Promise.all(running.splice(0).map((server) => server.stop()))
  fs.rmSync(home, { recursive: true })
})
afterAll(() => aws.stop())

/** @param {object} [variables] @param {object} [options] @param {string[]} [log] */
function deliver(variables = {}, options = {}, log = []) {
  const environment = {
    HOME: home,
    AWS_PROFILE: 'me',
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL_SECRETS_MANAGER: aws.url,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...variables,
  }
  const common = { environment: 'production', compliance: false, audit: false, alerts: false, cache: false }
  const logger = { warn: (/** @type {unknown[]} */ ...said) => void log.push(said.map(String).join(' ')) }
  const delivery = withVariables(environment, () => new SecretDelivery({ ...common, logger, aws: options }))
  open.push(delivery)
  return delivery
}

const read = (delivery) => delivery.getSecret('A_B').catch((error) => error)
const after = (seconds) => new Date(Date.now() + 1000 * seconds).toISOString().replace(/\.\d+/, '')

/** What the AWS CLI keeps of a session, whose credentials end after so many seconds. @param {number} seconds @param {object} [more] */
const session = (seconds, more) => ({
  accessToken: {
    accessKeyId: 'AKIDKEPT',
    secretAccessKey: 'canary',
    sessionToken: 'canary',
    accountId: '111122223333',
    expiresAt: after(seconds),
  },
  tokenType: 'aws_sigv4',
  refreshToken: 'canary-1',
  clientId: 'arn:aws:signin:::devtools/same-device',
  dpopKey: PEM,
  ...more,
})
/** @param {unknown} content @param {string} [directory] */
const keep = (content, directory = CACHE) =>
  written(home, path.join(directory, FILE), typeof content === 'string' ? content : JSON.stringify(content))
const kept = () => JSON.parse(fs.readFileSync(path.join(home, CACHE, FILE), 'utf8'))

/** The sign-in service; `answer` gives status, code and body. @param {(asked: any) => [number, string | undefined, unknown]} answer */
async function signIn(answer) {
  const asked = []
  const listener = (request, response) => {
    const parts = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString())
      asked.push({ url: `${request.method} ${request.url}`, body, proof: request.headers.dpop })
      const [status, code, content] = answer(asked.at(-1))
      const headers = { 'content-type': 'application/json', ...(code && { 'x-amzn-errortype': code }) }
      response.writeHead(status, headers).end(typeof content === 'string' ? content : JSON.stringify(content))
    })
  }
  const server = await Listening.start(http.createServer(listener))
  running.push(server)
  return { asked, url: `http://127.0.0.1:${server.port}` }
}
let number = 1
const renewed = () => {
  number += 1
  const accessToken = { accessKeyId: `AKIDNEW${number}`, secretAccessKey: 'canary', sessionToken: 'canary' }
  return { accessToken, tokenType: 'aws_sigv4', expiresIn: 900, refreshToken: `canary-${number}` }
}
const refusing = (error) => signIn(() => [403, 'AccessDeniedException', { error, message: 'canary' }])

test('the session is used as the AWS CLI keeps it, and nothing is asked for it', async () => {
  keep(session(3600))
  const service = await signIn(() => [200, undefined, renewed()])
  expect(await read(deliver({ AWS_ENDPOINT_URL_SIGNIN: service.url }))).toBe('value')
  expect(service.asked).toEqual([])
})

test('AWS_LOGIN_CACHE_DIRECTORY says where the sessions are', async () => {
  keep(session(3600), 'elsewhere')
  expect((await read(deliver())).message).toMatch(/nobody has signed in/)
  expect(await read(deliver({ AWS_LOGIN_CACHE_DIRECTORY: path.join(home, 'elsewhere') }))).toBe('value')
})

test('a session that has ended is renewed at the sign-in service once, with a proof, and kept for the AWS CLI', async () => {
  keep(session(-60))
  const service = await signIn(() => [200, undefined, renewed()])
  const deliveries = [1, 2].map(() => deliver({ AWS_ENDPOINT_URL_SIGNIN: service.url }))
  expect(await Promise.all(deliveries.slice(0, 1).flatMap((one) => [read(one), read(one)]))).toEqual(['value', 'value'])
  // Another process finds what the first one kept.
  expect(await read(deliveries[1])).toBe('value')
  expect(service.asked).toHaveLength(1)
  const [{ url, body, proof }] = service.asked
  expect(url).toBe('POST /v1/token')
  expect(body).toEqual({ clientId: session(0).clientId, grantType: 'refresh_token', refreshToken: 'canary-1' })
  const [header, payload, signature] = proof.split('.')
  const said = [header, payload].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()))
  expect(said[0]).toMatchObject({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty: 'EC', crv: 'P-256' } })
  expect(said[1]).toMatchObject({ htm: 'POST', htu: `${service.url}/v1/token` })
  const key = crypto.createPublicKey({ key: said[0].jwk, format: 'jwk' })
  expect(key.equals(KEYS.publicKey)).toBe(true)
  const proven = { key, dsaEncoding: /** @type {const} */ ('ieee-p1363') }
  const signed = Buffer.from(`${header}.${payload}`)
  expect(crypto.verify('sha256', signed, proven, Buffer.from(signature, 'base64url'))).toBe(true)
  expect(kept()).toMatchObject({
    accessToken: { accessKeyId: `AKIDNEW${number}`, accountId: '111122223333' },
    refreshToken: `canary-${number}`,
    dpopKey: PEM,
  })
})

test('who signs in meanwhile is let in', async () => {
  const service = await refusing('TOKEN_EXPIRED')
  keep(session(-60))
  const delivery = deliver({ AWS_ENDPOINT_URL_SIGNIN: service.url })
  expect((await read(delivery)).message).toMatch(/has expired/)
  keep(session(3600))
  await until('the new session is used', async () => (await read(delivery)) === 'value', 6000)
})

test('a process that was faster is no failure: its session is used', async () => {
  const service = await signIn(() => {
    keep(session(3600))
    return [403, 'AccessDeniedException', { error: 'TOKEN_EXPIRED', message: 'canary' }]
  })
  keep(session(-60))
  expect(await read(deliver({ AWS_ENDPOINT_URL_SIGNIN: service.url }))).toBe('value')
})

test('while the sign-in service fails, credentials that are still good are used', async () => {
  keep(session(120))
  expect(await read(deliver({ AWS_ENDPOINT_URL_SIGNIN: 'http://127.0.0.1:1' }))).toBe('value')
})

test.each(['TOKEN_EXPIRED', 'INSUFFICIENT_PERMISSIONS', 'USER_CREDENTIALS_CHANGED'])(
  'credentials that are still good are used when their renewal is refused: %s',
  async (error) => {
    keep(session(120))
    const service = await refusing(error)
    const log = []
    expect(await read(deliver({ AWS_ENDPOINT_URL_SIGNIN: service.url }, {}, log))).toBe('value')
    expect(service.asked.length).toBeGreaterThan(0)
  },
)

test.each([
  ['nothing', {}],
  ['a message', { message: 'no' }],
  ['half a session', { ...renewed(), accessToken: { accessKeyId: 'AKIDHALF' } }],
])('an answer with %s leaves the session as it is', async (_, content) => {
  const before = session(60)
  keep(before)
  const service = await signIn(() => [200, undefined, content])
  expect(await read(deliver({ AWS_ENDPOINT_URL_SIGNIN: service.url }))).toBe('value')
  expect(service.asked.length).toBeGreaterThan(0)
  expect(kept()).toEqual(before)
})

test('a role is assumed with the session', async () => {
  keep(session(3600))
  const role = 'arn:aws:iam::444455556666:role/reader'
  const config = `[profile role]\nrole_arn = ${role}\nsource_profile = me\n[profile me]\nlogin_session = ${SESSION}\n`
  written(home, '.aws/config', config)
  const variables = { AWS_PROFILE: 'role', AWS_ENDPOINT_URL_STS: aws.url }
  await aws.role(role)
  const log = []
  expect(await deliver(variables, {}, log).identity()).toMatchObject({ account: '444455556666' })
  expect(log).toEqual([])
  // Whoever may not assume the role does not read as the session instead.
  const own = `[profile role]\nrole_arn = ${role}\nsource_profile = role\nlogin_session = ${SESSION}\n`
  written(home, '.aws/config', own)
  keep(session(120))
  const without = { ...variables, AWS_ENDPOINT_URL_SIGNIN: 'http://127.0.0.1:1' }
  expect(await read(deliver(without, { maxAttempts: 1 }))).toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  fs.rmSync(path.join(home, CACHE, FILE))
  written(home, '.aws/config', config)
  expect((await read(deliver(variables))).message).toMatch(/the profile 'me' signs in .* nobody has signed in/)
})

test('the session is renewed in the region in which it was begun', async () => {
  keep(session(-60, { signInRegion: 'us-west-2' }))
  const service = await signIn(() => [200, undefined, renewed()])
  const ca = await authority()
  const front = await inFrontOf(service.url, await issued(ca, { host: 'us-west-2.signin.aws.amazon.com' }))
  const proxy = await Proxy.start(front.port)
  running.push(front, proxy)
  const variables = { HTTPS_PROXY: proxy.url(), NO_PROXY: '127.0.0.1' }
  // The package's own trust and way are those of this call, too.
  expect((await read(deliver(variables, { maxAttempts: 1 }))).message).toMatch(
    /could not be renewed: us-west-2\.signin\.aws\.amazon\.com:443 through the proxy .*certificate/,
  )
  const roots = written(home, 'ca.pem', ca.cert)
  expect(await read(deliver(variables, { ca: roots }))).toBe('value')
  // What the SDK does not know stays in the file.
  expect(kept()).toMatchObject({ signInRegion: 'us-west-2', refreshToken: `canary-${number}` })
  expect(new Set(proxy.asked)).toEqual(new Set(['us-west-2.signin.aws.amazon.com:443']))
})

describe('words', () => {
  const at = async (service) => ({ AWS_ENDPOINT_URL_SIGNIN: (await service).url })
  const without = (field) => {
    const content = session(-60)
    delete content[field]
    return content
  }

  test.each([
    [
      'nobody signed in',
      undefined,
      () => ({}),
      /nobody has signed in: .*\.json is not there; run: aws login --profile me$/,
    ],
    [
      'half a file',
      '{"accessToken":{"acc',
      () => ({}),
      /cannot be read \(.*\.json\): it is not JSON, or only a part of it/,
    ],
    ['an empty file', '', () => ({}), /it is not JSON, or only a part of it/],
    ['a file without its key', without('dpopKey'), () => ({}), /it has no dpopKey/],
    [
      'a file without credentials',
      without('accessToken'),
      () => ({}),
      /it has no accessToken\.accessKeyId, accessToken\.sec/,
    ],
    ['a key that is none', session(-60, { dpopKey: 'canary' }), () => ({}), /its dpopKey is no key/],
    [
      'an end that is none',
      session(0, { accessToken: { ...session(0).accessToken, expiresAt: 'canary' } }),
      () => ({}),
      /not in the AWS CLI's form/,
    ],
    [
      'a session that has expired',
      session(-60),
      () => at(refusing('TOKEN_EXPIRED')),
      /'me' has expired; run: aws login/,
    ],
    ['a changed password', session(-60), () => at(refusing('USER_CREDENTIALS_CHANGED')), /password was changed; run/],
    [
      'a right that is missing',
      session(-60),
      () => at(refusing('INSUFFICIENT_PERMISSIONS')),
      /signin:CreateOAuth2Token/,
    ],
    ['another refusal', session(-60), () => at(refusing('canary')), /refused it \(AccessDeniedException\); or run/],
    [
      'a service that is not there',
      session(-60),
      () => ({ AWS_ENDPOINT_URL_SIGNIN: 'http://127.0.0.1:1' }),
      /could not be renewed: 127\.0\.0\.1:1 cannot be reached: connection refused.*; or run/,
    ],
    ['an answer that is none', session(-60), () => at(signIn(() => [200, undefined, {}])), /answered is no session/],
    ['an answer without a body', session(-60), () => at(signIn(() => [200, undefined, ''])), /answered is no session/],
    ['an answer that is no JSON', session(-60), () => at(signIn(() => [200, undefined, 'canary'])), /is no session/],
    [
      'an end before its beginning',
      session(-60),
      () => at(signIn(() => [200, undefined, { ...renewed(), expiresIn: -2147483648 }])),
      /answered is no session/,
    ],
  ])('%s', async (_, content, variables, words) => {
    if (content !== undefined) keep(content)
    const delivery = deliver(await variables(), { maxAttempts: 1 })
    const error = await read(delivery)
    expect(error.code).toBe('SOURCE_UNAVAILABLE')
    expect(error.message).toMatch(words)
    expect(error.message).toMatch(RUN)
    expect(`${error.stack} ${error.cause}`).not.toContain('canary')
    expect((await delivery.health()).checks.aws.reason).toMatch(words)
  })

  test('a FIFO in place of the file holds up nothing', async () => {
    fs.mkdirSync(path.join(home, CACHE), { recursive: true })
    execFileSync('mkfifo', [path.join(home, CACHE, FILE)])
    const began = Date.now()
    expect((await read(deliver())).message).toMatch(/cannot be read .*: not a regular file/)
    expect(Date.now() - began).toBeLessThan(4000)
  })

  test('a file that cannot be written is told: the next renewal may be refused', async () => {
    const place = keep(session(-60))
    const service = await signIn(() => {
      fs.rmSync(place)
      fs.mkdirSync(place)
      return [200, undefined, renewed()]
    })
    const log = []
    expect(await read(deliver({ AWS_ENDPOINT_URL_SIGNIN: service.url }, {}, log))).toBe('value')
    expect(log.join('\n')).toMatch(/was renewed, and its file could not be written/)
  })
})
