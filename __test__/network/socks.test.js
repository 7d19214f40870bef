'use strict'

// AWS through a SOCKS proxy, as curl reaches it: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and aws.proxy.

const { overTls, read: outcome } = require('../support/over-tls')
const { Socks } = require('../support/servers/socks')
const { Proxy, inFrontOf, issued } = require('../support/servers/tls')

const HOST = 'secrets.corp.test'
const world = overTls(HOST)

/** @type {Socks} */
let socks
let front, local

beforeAll(async () => {
  ;({ front } = world)
  local = await inFrontOf(world.aws.url, await issued(world.company))
})
beforeEach(async () => {
  socks = await Socks.start(front.port)
})
afterEach(() => socks.stop())
afterAll(() => local.stop())

const read = (variables = {}, options = {}) => outcome(world.deliver(variables, { ca: world.company.cert, ...options }))

test.each([
  ['socks5h', '5'],
  ['socks', '5'],
  ['socks4a', '4'],
])('%s:// has the proxy resolve the name', async (scheme, version) => {
  expect(await read({ HTTPS_PROXY: socks.url(scheme) })).toBe('value')
  expect(socks.asked).toEqual([`${version} name ${HOST}:${front.port}`])
  expect(world.warnings).toEqual([])
})

test.each([
  ['socks5', '5'],
  ['socks4', '4'],
])('%s:// resolves the name here', async (scheme, version) => {
  await socks.stop()
  socks = await Socks.start(local.port)
  const endpoint = `https://localhost:${local.port}`
  expect(await read({}, { proxy: socks.url(scheme), endpoint })).toBe('value')
  expect(socks.asked).toEqual([`${version} address 127.0.0.1:${local.port}`])
  // A name that only the proxy would know.
  expect(await read({}, { proxy: socks.url(scheme) })).toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
})

test('a user and a password are decoded and given to the proxy alone', async () => {
  await socks.stop()
  socks = await Socks.start(front.port, { user: 'us@er:p#w' })
  expect(await read({ ALL_PROXY: socks.url('socks5h', 'us%40er:p%23w@') })).toBe('value')
  expect(socks.users).toEqual(['us@er:p#w'])
})

test('an endpoint without TLS is reached as well', async () => {
  await socks.stop()
  socks = await Socks.start(Number(new URL(world.aws.url).port))
  expect(await read({ HTTP_PROXY: socks.url('socks5h') }, { endpoint: `http://${HOST}` })).toBe('value')
  expect(socks.asked).toEqual([`5 name ${HOST}:80`])
})

test.each([
  ['ALL_PROXY for https', () => [{ ALL_PROXY: socks.url('socks5h') }], 1],
  ['all_proxy before ALL_PROXY', () => [{ all_proxy: socks.url('socks5h'), ALL_PROXY: 'http://127.0.0.1:1' }], 1],
  ['HTTPS_PROXY before ALL_PROXY', () => [{ HTTPS_PROXY: socks.url('socks5h'), all_proxy: 'http://127.0.0.1:1' }], 1],
  ['NO_PROXY', () => [{ ALL_PROXY: socks.url('socks5h'), NO_PROXY: '.corp.test' }], 0],
  ['aws.proxy: false', () => [{ ALL_PROXY: socks.url('socks5h') }, { proxy: false }], 0],
  ['an empty ALL_PROXY', () => [{ ALL_PROXY: '' }], 0],
])('%s', async (_, given, count) => {
  const answer = await read(...given())
  expect(socks.asked).toHaveLength(count)
  expect(answer).toEqual(count === 1 ? 'value' : expect.objectContaining({ code: 'SOURCE_UNAVAILABLE' }))
  expect(world.warnings).toEqual([])
})

test('ALL_PROXY may be an HTTP proxy', async () => {
  const proxy = await Proxy.start(front.port)
  try {
    expect(await read({ ALL_PROXY: proxy.url() })).toBe('value')
    expect(proxy.asked).toEqual([`${HOST}:${front.port}`])
  } finally {
    await proxy.stop()
  }
})

test.each([
  [{ user: 'a:b' }, 'socks5h', '', 'the proxy wants a user and a password (SOCKS 5)'],
  [{ user: 'a:b' }, 'socks5h', 'a:canary@', 'the proxy does not accept the user and password (SOCKS 5)'],
  [{ refuses: 2 }, 'socks5h', '', "the proxy's rules do not allow it (SOCKS 5)"],
  [{ refuses: 4 }, 'socks5h', '', 'the proxy cannot reach or resolve the host (SOCKS 5)'],
  [{ refuses: 5 }, 'socks4a', 'canary@', 'the proxy refuses or fails to connect to it (SOCKS 4)'],
])('a proxy with %j says why there is no way through it (%s, %j)', async (options, scheme, user, words) => {
  await socks.stop()
  socks = await Socks.start(front.port, options)
  const error = await read({ HTTPS_PROXY: socks.url(scheme, user) })
  expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: 'ERR_PROXY_TUNNEL' } })
  expect(error.message).toContain(`through the proxy 127.0.0.1:${socks.listening.port} (HTTPS_PROXY)`)
  expect(error.message).toContain(words)
  expect(JSON.stringify(error) + error.stack).not.toContain('canary')
})

test('a proxy that is not there, or speaks something else, is named', async () => {
  const gone = await read({}, { proxy: 'socks5h://127.0.0.1:1' })
  expect(gone.message).toContain('the proxy itself cannot be reached: connection refused')
  const proxy = await Proxy.start(front.port)
  try {
    const other = await read({}, { proxy: `socks5h://127.0.0.1:${proxy.listening.port}` })
    expect(other.message).toContain('it does not answer as a SOCKS 5 proxy')
  } finally {
    await proxy.stop()
  }
})
