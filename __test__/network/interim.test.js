'use strict'

// A server that sends interim answers (HTTP 1xx) without an end must hold up neither its own reads nor those of others.

const net = require('node:net')
const { spawn } = require('node:child_process')
const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Listening } = require('../support/servers/tls')
const { withVariables } = require('../support/with-variables')

/** In a process of its own: it uses up whatever it is given. */
const FLOOD = `require('node:net').createServer((socket) => {
  socket.on('error', () => {})
  const send = () => {
    if (socket.destroyed) return
    if (socket.write('HTTP/1.1 102 Processing\\r\\n\\r\\n'.repeat(1000))) setImmediate(send)
    else socket.once('drain', send)
  }
  socket.once('data', send)
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`

/** @type {AwsEndpoint} */
let aws
/** @type {(() => unknown)[]} */
const after = []

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: 'value' })
})
afterEach(() => Promise.all(after.splice(0).map((end) => end())))
afterAll(() => aws.stop())

/** @param {object} options @param {Record<string, string>} [variables] */
function deliver(options, variables = {}) {
  const quiet = { compliance: false, audit: false, alerts: false, logger: { warn() {} } }
  const delivery = withVariables(
    variables,
    () => new SecretDelivery({ environment: 'production', ...quiet, aws: { region: 'eu-central-1', ...options } }),
  )
  after.push(() => delivery.close())
  return delivery
}
async function flooding() {
  const server = spawn(process.execPath, ['-e', FLOOD], { stdio: ['ignore', 'pipe', 'inherit'] })
  after.push(() => server.kill('SIGKILL'))
  const port = await new Promise((resolve) => server.stdout.once('data', (text) => resolve(Number(`${text}`))))
  return `http://127.0.0.1:${port}`
}
/** How a read ended, and after how many milliseconds. @param {SecretDelivery} delivery @param {object} [limits] */
async function timed(delivery, limits) {
  const begin = performance.now()
  const ended = await delivery.getSecret('A_B', limits).catch((/** @type {unknown} */ error) => error)
  return { ended, ms: performance.now() - begin }
}

test('reads end by their deadline, and others go on', async () => {
  const good = deliver(aws.options)
  await good.getSecret('A_B')
  const endpoints = await Promise.all([flooding(), flooding(), flooding()])
  const bad = endpoints.map((endpoint) => timed(deliver({ ...aws.options, endpoint, timeoutMs: 2000 })))
  for (let read = 0; read < 5; read++) {
    const { ended, ms } = await timed(good, { maxAgeSeconds: 0 })
    expect(ended).toBe('value')
    expect(ms).toBeLessThan(1000)
  }
  for (const { ended, ms } of await Promise.all(bad)) {
    expect(ended).toMatchObject({ code: expect.stringMatching(/^SOURCE_(UNAVAILABLE|TIMEOUT)$/) })
    expect(/** @type {Error} */ (ended).message).toMatch(/interim answers \(HTTP 1xx\) without an end/)
    expect(ms).toBeLessThan(2150)
  }
})

test("a container's credentials service that does so is named", async () => {
  const variables = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${await flooding()}/c`, AWS_EC2_METADATA_DISABLED: 'true' }
  const { ended, ms } = await timed(deliver({ endpoint: aws.url, timeoutMs: 2000 }, variables))
  expect(ended).toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  expect(/** @type {Error} */ (ended).message).toMatch(/interim answers/)
  expect(ms).toBeLessThan(2150)
})

test('a few of them before an answer are passed over, on each request of a connection', async () => {
  const { hostname, port } = new URL(aws.url)
  const server = net.createServer((socket) => {
    const onward = net.connect(Number(port), hostname)
    socket.pipe(onward)
    onward.on('data', (data) => {
      if (data.subarray(0, 5).equals(Buffer.from('HTTP/'))) socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(20))
      socket.write(data)
    })
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ])
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
  })
  const listening = await Listening.start(server)
  after.push(() => listening.stop())
  const delivery = deliver({ ...aws.options, endpoint: `http://127.0.0.1:${listening.port}`, maxAttempts: 1 })
  for (let read = 0; read < 4; read++) {
    await expect(delivery.getSecret('A_B', { maxAgeSeconds: 0 })).resolves.toBe('value')
  }
})
