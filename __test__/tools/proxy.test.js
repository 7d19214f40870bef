'use strict'

// The lab's fault proxy: a fault that does nothing would prove nothing.

const net = require('node:net')
const { once } = require('node:events')
const { performance } = require('node:perf_hooks')
const { FaultProxy } = require('../../tools/lab/proxy')
const { until } = require('../support/until')

/** @type {net.Server} */
let server
/** @type {FaultProxy} */
let proxy
/** @type {net.Socket[]} */
const sockets = []

/** A client: what it received, and how it ended. */
async function connect() {
  const socket = net.connect(proxy.port, '127.0.0.1')
  sockets.push(socket)
  const client = { socket, received: '', ended: false, error: /** @type {string | undefined} */ (undefined) }
  socket.on('data', (chunk) => (client.received += chunk.toString('latin1')))
  socket.on('end', () => (client.ended = true))
  socket.on('error', (/** @type {NodeJS.ErrnoException} */ error) => (client.error = error.code))
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
  return client
}

/** @param {Awaited<ReturnType<typeof connect>>} client @param {string} text @returns {Promise<number>} ms */
async function echo(client, text) {
  const [started, before] = [performance.now(), client.received.length]
  client.socket.write(text)
  await until('the echo', () => client.received.length >= before + text.length)
  expect(client.received.slice(before)).toBe(text)
  return performance.now() - started
}

/** Whether `client` stays without an answer while another connection, straight to the server, has many. */
async function staysSilent(client) {
  const before = client.received
  client.socket.write('anyone?')
  const direct = net.connect(/** @type {net.AddressInfo} */ (server.address()).port, '127.0.0.1')
  sockets.push(direct)
  for (let i = 0; i < 50; i++) {
    direct.write('x')
    await once(direct, 'data')
  }
  return client.received === before && !client.ended && client.error === undefined
}

beforeAll(async () => {
  server = net.createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
beforeEach(async () => {
  const counts = (/** @type {Buffer} */ chunk) => chunk.toString().startsWith('GET')
  proxy = await FaultProxy.start(/** @type {net.AddressInfo} */ (server.address()).port, { counts })
})
afterEach(async () => {
  await proxy.close()
  for (const socket of sockets.splice(0)) socket.destroy()
})
afterAll(() => new Promise((resolve) => server.close(resolve)))

test('what is sent arrives, in order, and the end as well', async () => {
  const client = await connect()
  const text = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`).join('')
  await echo(client, text)
  client.socket.end()
  await until('the end', () => client.ended)
})

test('requests and connections are counted', async () => {
  const client = await connect()
  await echo(client, 'GET one')
  await echo(client, 'other')
  expect([proxy.accepted, proxy.requests]).toEqual([1, 1])
})

test('latency is added each way, and order stays', async () => {
  const client = await connect()
  await proxy.pass({ latencyMs: 40 })
  expect(await echo(client, 'late')).toBeGreaterThanOrEqual(79)
  for (const word of ['a', 'b', 'c']) client.socket.write(word)
  await proxy.pass()
  client.socket.write('d')
  await until('all of it', () => client.received.length === 'lateabcd'.length)
  expect(client.received).toBe('lateabcd')
})

test('reset: open connections and new ones end with RST', async () => {
  const open = await connect()
  await echo(open, 'x')
  await proxy.reset()
  const fresh = await connect()
  await until('both are reset', () => open.error === 'ECONNRESET' && fresh.error === 'ECONNRESET')
  await proxy.pass()
  await echo(await connect(), 'again')
})

test('resetOpen: new connections work', async () => {
  const open = await connect()
  await echo(open, 'x')
  proxy.resetOpen()
  await until('it is reset', () => open.error === 'ECONNRESET')
  await echo(await connect(), 'y')
})

test('black hole: connections are accepted and stay silent, and the lost ones stay lost', async () => {
  const open = await connect()
  await echo(open, 'x')
  await proxy.blackHole()
  const fresh = await connect()
  expect(await staysSilent(open)).toBe(true)
  expect(await staysSilent(fresh)).toBe(true)
  await proxy.pass()
  expect(await staysSilent(open)).toBe(true)
  await echo(await connect(), 'y')
})

test('half-open: open connections are dead without a word, new ones work', async () => {
  const open = await connect()
  await echo(open, 'x')
  await proxy.halfOpen()
  expect(await staysSilent(open)).toBe(true)
  await echo(await connect(), 'y')
})

test('cut: the connection ends after so many bytes of answers', async () => {
  const client = await connect()
  await echo(client, 'before')
  await proxy.cutAfter(10)
  client.socket.write('0123456789abcdef')
  await until('the end', () => client.ended)
  expect(client.received).toBe('before0123456789')
})

test('refuse: nobody listens until the next mode', async () => {
  const open = await connect()
  await echo(open, 'x')
  await proxy.refuse()
  await until('it is reset', () => open.error === 'ECONNRESET')
  expect((await connect()).error).toBe('ECONNREFUSED')
  await proxy.pass()
  await echo(await connect(), 'y')
})

test('slow start: only the first answer of a new connection is late', async () => {
  const open = await connect()
  await echo(open, 'x')
  await proxy.slowStart(80)
  expect(await echo(open, 'y')).toBeLessThan(79)
  const fresh = await connect()
  expect(await echo(fresh, 'first')).toBeGreaterThanOrEqual(79)
  expect(await echo(fresh, 'second')).toBeLessThan(79)
})

test('corrupt: as many bytes, some of them others', async () => {
  const client = await connect()
  await proxy.corrupt(4)
  client.socket.write('aaaaaaaaaa')
  await until('all of it', () => client.received.length === 10)
  expect(client.received).toBe('aaaqaaaqaa')
})

test('a server that is not there: the client is reset', async () => {
  const nowhere = await FaultProxy.start(1)
  const socket = net.connect(nowhere.port, '127.0.0.1')
  const [error] = await once(socket, 'error')
  expect(error.code).toBe('ECONNRESET')
  await nowhere.close()
})
