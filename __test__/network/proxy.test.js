'use strict'

// The way to AWS: HTTPS_PROXY, HTTP_PROXY, NO_PROXY and aws.proxy, with a proxy that alone knows the host.

const http = require('node:http')
const http2 = require('node:http2')
const net = require('node:net')
const { SecretDelivery } = require('../..')
const { overTls, read: outcome } = require('../support/over-tls')
const { Listening, Proxy, authority, inFrontOf, issued } = require('../support/servers/tls')

const HOST = 'secrets.corp.test'
const world = overTls(HOST)

/** @type {Proxy} */
let proxy
let aws, front, company

beforeAll(() => {
  ;({ aws, front, company } = world)
})
beforeEach(async () => {
  proxy = await Proxy.start(front.port)
})
afterEach(() => proxy.stop())

const read = (variables = {}, options = {}) => outcome(world.deliver(variables, { ca: company.cert, ...options }))

test.each([
  ['HTTPS_PROXY', () => [{ HTTPS_PROXY: proxy.url() }]],
  ['https_proxy', () => [{ https_proxy: proxy.url() }]],
  ['lower case before upper case', () => [{ HTTPS_PROXY: 'http://127.0.0.1:1', https_proxy: proxy.url() }]],
  ['without a scheme', () => [{ HTTPS_PROXY: proxy.url().slice('http://'.length) }]],
  ['aws.proxy', () => [{}, { proxy: proxy.url() }]],
  ['aws.proxy before the variable', () => [{ HTTPS_PROXY: 'http://127.0.0.1:1' }, { proxy: proxy.url() }]],
  ['NO_PROXY for others', () => [{ HTTPS_PROXY: proxy.url(), NO_PROXY: 'localhost,.other.test' }]],
  ['an empty NO_PROXY', () => [{ HTTPS_PROXY: proxy.url(), NO_PROXY: '', no_proxy: '' }]],
])('%s leads through the proxy', async (_, given) => {
  expect(await read(...given())).toBe('value')
  expect(proxy.asked).toEqual([`${HOST}:${front.port}`])
  expect(proxy.credentials).toEqual([undefined])
})

test('credentials are decoded, and sent to the proxy alone', async () => {
  expect(await read({ HTTPS_PROXY: proxy.url('us%40er:p%23w%3A@') })).toBe('value')
  expect(proxy.credentials).toEqual([`Basic ${Buffer.from('us@er:p#w:').toString('base64')}`])
})

test.each([
  ['NO_PROXY with the host', () => [{ HTTPS_PROXY: proxy.url(), NO_PROXY: HOST }]],
  ['no_proxy with its domain', () => [{ HTTPS_PROXY: proxy.url(), no_proxy: 'x.test, .corp.test' }]],
  ['NO_PROXY with its port', () => [{ HTTPS_PROXY: proxy.url(), NO_PROXY: `${HOST}:${front.port}` }]],
  ['NO_PROXY with *', () => [{ HTTPS_PROXY: proxy.url(), NO_PROXY: '*' }]],
  ['NO_PROXY beside aws.proxy', () => [{ NO_PROXY: HOST }, { proxy: proxy.url() }]],
  ['aws.proxy: false', () => [{ HTTPS_PROXY: proxy.url() }, { proxy: false }]],
  ['HTTP_PROXY alone', () => [{ HTTP_PROXY: proxy.url() }]],
])('%s leads directly to the host, which is not known here', async (_, given) => {
  expect(await read(...given())).toMatchObject({ cause: { host: HOST, port: front.port } })
  expect(proxy.asked).toEqual([])
})

test('HTTP_PROXY is for an endpoint without TLS', async () => {
  await proxy.stop()
  proxy = await Proxy.start(Number(new URL(aws.url).port))
  expect(await read({ HTTP_PROXY: proxy.url('a:b@') }, { endpoint: `http://${HOST}` })).toBe('value')
  expect(proxy.asked).toEqual([`http://${HOST}/`])
  expect(proxy.credentials).toEqual([`Basic ${Buffer.from('a:b').toString('base64')}`])
})

test('a proxy may itself be reached with TLS, and for an endpoint without TLS', async () => {
  const pair = await issued(company)
  const secure = await inFrontOf(proxy.url(), pair)
  const plain = await Proxy.start(Number(new URL(aws.url).port))
  const secured = await inFrontOf(plain.url(), pair)
  try {
    expect(await read({ HTTPS_PROXY: `https://u:p@localhost:${secure.port}` })).toBe('value')
    expect(proxy.asked).toEqual([`${HOST}:${front.port}`])
    const variables = { HTTP_PROXY: `https://u:p@localhost:${secured.port}` }
    expect(await read(variables, { endpoint: `http://${HOST}` })).toBe('value')
    expect([plain.asked, plain.credentials]).toEqual([[`http://${HOST}/`], ['Basic dTpw']])
  } finally {
    await Promise.all([secure, plain, secured].map((server) => server.stop()))
  }
})

test('an endpoint may speak HTTP/2, also behind a proxy', async () => {
  const versions = []
  const { port } = new URL(aws.url)
  const own = http2.createSecureServer(await issued(company, { host: HOST }), (request, answer) => {
    versions.push(request.httpVersion)
    const given = Object.entries(request.headers).filter(([name]) => !name.startsWith(':'))
    const headers = { ...Object.fromEntries(given), host: request.authority }
    const { method, url } = request
    const onward = http.request({ port, host: '127.0.0.1', path: url, method, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, { 'content-type': 'application/x-amz-json-1.1' })
      answered.pipe(answer)
    })
    request.pipe(onward)
  })
  const server = await Listening.start(/** @type {any} */ (own))
  const through = await Proxy.start(server.port)
  try {
    const endpoint = `https://${HOST}:${server.port}`
    expect(await read({ HTTPS_PROXY: through.url() }, { endpoint })).toBe('value')
    expect(new Set(versions)).toEqual(new Set(['2.0']))
  } finally {
    await Promise.all([through.stop(), world.close()])
    await server.stop()
  }
})

test("the container's credentials are asked for directly", async () => {
  const given = {
    AccessKeyId: 'AKIDEXAMPLE',
    SecretAccessKey: 'x',
    Token: 't',
    Expiration: new Date(Date.now() + 3.6e6),
  }
  const container = await Listening.start(http.createServer((_, answer) => answer.end(JSON.stringify(given))))
  try {
    const variables = {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${container.port}/c`,
      HTTP_PROXY: proxy.url(),
      HTTPS_PROXY: proxy.url(),
    }
    expect(await read(variables)).toBe('value')
    expect(proxy.asked).toEqual([`${HOST}:${front.port}`])
  } finally {
    await container.stop()
  }
})

test.each([
  ['wants other credentials', 407, /the proxy wants other credentials \(HTTP 407\)/],
  ['refuses', 403, /the proxy refuses to connect to it \(HTTP 403\)/],
])('a proxy that %s is named', async (_, status, words) => {
  await proxy.stop()
  proxy = await Proxy.start(front.port, { status })
  const error = await read({ HTTPS_PROXY: proxy.url('user:canary@') })
  expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: 'ERR_PROXY_TUNNEL' } })
  expect(error.message).toMatch(words)
  expect(error.message).toContain(
    `${HOST}:${front.port} through the proxy 127.0.0.1:${proxy.listening.port} (HTTPS_PROXY)`,
  )
  // A directory may lock the account after a few failures.
  if (status === 407) expect(proxy.asked).toHaveLength(1)
  expect(JSON.stringify(error) + error.stack).not.toContain('canary')
})

test('a proxy that makes the request itself and wants other credentials is named', async () => {
  await proxy.stop()
  proxy = await Proxy.start(1, { status: 407 })
  const error = await read({ HTTP_PROXY: proxy.url('user:canary@') }, { endpoint: `http://${HOST}` })
  expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: 'ERR_PROXY_TUNNEL', host: HOST, port: 80 } })
  expect(error.message).toContain(
    `${HOST}:80 through the proxy 127.0.0.1:${proxy.listening.port} (HTTP_PROXY) cannot be reached: the proxy wants other credentials (HTTP 407)`,
  )
  expect(proxy.asked).toHaveLength(1)
  expect(JSON.stringify(error) + error.stack).not.toContain('canary')
})

// RFC 9110, 9.3.6: any 2xx is a way.
test.each(['201 Created', '202 Accepted\r\nContent-Length: 7', '204 No Content\r\nX-Via: a'])(
  'a proxy that answers %j opens a way',
  async (opens) => {
    await proxy.stop()
    proxy = await Proxy.start(front.port, { opens })
    expect(await read({ HTTPS_PROXY: proxy.url() })).toBe('value')
  },
)

test('a proxy that is not there is named', async () => {
  const error = await read({}, { proxy: 'http://127.0.0.1:1' })
  const itself = 'cannot be reached: the proxy itself cannot be reached: connection refused'
  expect(error.message).toContain(`${HOST}:${front.port} through the proxy 127.0.0.1:1 (aws.proxy) ${itself}`)
  expect(error.cause).toMatchObject({ code: 'ECONNREFUSED', host: '127.0.0.1', port: 1 })
})

test("a proxy's own certificate is told from that of the host behind it", async () => {
  const secure = await inFrontOf(proxy.url(), await issued(await authority(), { host: 'localhost' }))
  try {
    const error = await read({ HTTPS_PROXY: `https://localhost:${secure.port}` })
    expect(error.message).toContain('the proxy itself cannot be reached: its TLS certificate is not trusted')
    expect(error.cause).toMatchObject({ host: 'localhost', port: secure.port })
  } finally {
    await secure.stop()
  }
})

test('a server that is no proxy is named as such', async () => {
  const other = await Listening.start(
    net.createServer((socket) => void socket.once('data', () => socket.end('220 hello\r\n'))),
  )
  try {
    const error = await read({ HTTPS_PROXY: `http://127.0.0.1:${other.port}` })
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: 'ERR_PROXY_TUNNEL' } })
    expect(error.message).toContain('it does not answer as an HTTP proxy')
  } finally {
    await other.stop()
  }
})

test.each([
  ['socks6://canary:1080', 'must begin with http://, https://, socks5://, socks5h:// or socks4://'],
  [`socks5h://us:${'canary'.repeat(50)}@127.0.0.1`, 'too long for SOCKS 5 (255 bytes)'],
  ['ftp://canary', 'must begin with http://, https://'],
  ['http://us:can#ary@h:1x', 'percent-encode'],
  ['http://us:a@canary#b@127.0.0.1:1', 'percent-encode'],
  ['/canary', 'is a path'],
])('a variable that is no proxy costs one warning: %s', async (HTTPS_PROXY, why) => {
  expect(await read({ HTTPS_PROXY })).toMatchObject({ cause: { host: HOST } })
  expect(world.warnings).toEqual([
    expect.stringMatching(/^PROXY_UNUSABLE: HTTPS_PROXY is not used, AWS is asked directly: it /),
  ])
  expect(world.warnings[0]).toContain(why)
  expect(world.warnings[0]).not.toContain('canary')
})

test('an option that is no proxy is refused', () => {
  expect(() => new SecretDelivery({ aws: { proxy: 'socks6://user:canary@h' } })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('canary') }),
  )
})
