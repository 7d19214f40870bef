'use strict'

// What stands in the headers of an answer: a wait before the next attempt, and as many headers as plain Node.js takes.

const http = require('node:http')
const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Listening } = require('../support/servers/tls')

/** @type {AwsEndpoint} */
let aws
/** @type {Listening} */
let gateway
/** What the gateway does with the next requests, one each; the rest go on to AWS. @type {http.RequestListener[]} */
let first
/** Headers that it adds. @type {string[]} */
let added
/** When it was asked. @type {number[]} */
let asked
/** @type {SecretDelivery[]} */
const open = []

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: 'value', A_C_production: 'other' })
  const { port } = new URL(aws.url)
  const server = http.createServer((request, answer) => {
    asked.push(performance.now())
    const own = first.shift()
    if (own !== undefined) return void request.resume().on('end', () => own(request, answer))
    const { method, headers, url: path } = request
    const onward = http.request({ port, host: '127.0.0.1', path, method, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, [...answered.rawHeaders, ...added])
      answered.pipe(answer)
    })
    request.pipe(onward)
  })
  gateway = await Listening.start(server)
})
beforeEach(() => ([first, added, asked] = [[], [], []]))
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(() => Promise.all([aws.stop(), gateway.stop()]))

function deliver(options = {}) {
  const others = { audit: false, alerts: false, compliance: false, logger: { warn() {} } }
  const endpoint = `http://127.0.0.1:${gateway.port}`
  const delivery = new SecretDelivery({
    environment: 'production',
    ...others,
    aws: { ...aws.options, endpoint, ...options },
  })
  open.push(delivery)
  return delivery
}

const refusing =
  (status, headers, body = '') =>
  (_, answer) =>
    answer.writeHead(status, headers).end(body)
const throttled = JSON.stringify({ __type: 'ThrottlingException' })

describe('a wait that an answer asks for', () => {
  test.each([
    ['Retry-After of a gateway that is overloaded', [503, { 'Retry-After': '1' }], 1000],
    ['Retry-After as a fraction', [502, { 'retry-after': '0.8' }], 800],
    ['Retry-After of a gateway that throttles', [429, { 'Retry-After': '1' }], 1000],
    ['x-amz-retry-after in milliseconds', [500, { 'x-amz-retry-after': '900' }], 900],
    ['x-amz-retry-after before Retry-After', [500, { 'x-amz-retry-after': '900', 'Retry-After': '3' }], 900],
    ['x-amz-retry-after of AWS that throttles', [400, { 'x-amz-retry-after': '900' }, throttled], 900],
  ])('%s', async (_, answer, wait) => {
    first = [refusing(...answer)]
    expect(await deliver({ timeoutMs: 20_000 }).getSecret('A_B')).toBe('value')
    expect(asked).toHaveLength(2)
    // The clocks of two processes may differ by a step.
    expect(asked[1] - asked[0]).toBeGreaterThanOrEqual(wait - 20)
    expect(asked[1] - asked[0]).toBeLessThan(wait + 1500)
  })

  test('as a date', async () => {
    first = [refusing(503, { 'Retry-After': new Date(Date.now() + 2500).toUTCString() })]
    expect(await deliver({ timeoutMs: 20_000 }).getSecret('A_B')).toBe('value')
    // A date has whole seconds.
    expect(asked[1] - asked[0]).toBeGreaterThan(1000)
  })

  test('leaves half of the deadline for the attempt', async () => {
    first = [refusing(503, { 'Retry-After': '3600' })]
    expect(await deliver({ timeoutMs: 2000 }).getSecret('A_B')).toBe('value')
    expect(asked[1] - asked[0]).toBeGreaterThan(900)
    expect(asked[1] - asked[0]).toBeLessThan(1900)
  })

  test.each(['soon', '-5', 'Infinity', '1e9999', ''])('%j is none', async (text) => {
    first = [refusing(503, { 'Retry-After': text, 'x-amz-retry-after': text })]
    expect(await deliver().getSecret('A_B')).toBe('value')
    expect(asked[1] - asked[0]).toBeLessThan(900)
  })

  test('does not hold a read back that another region can answer', async () => {
    first = [1, 2].map(() => refusing(503, { 'Retry-After': '3' }))
    const failoverRegions = [{ region: 'eu-west-1', endpoint: aws.url }]
    const began = performance.now()
    expect(await deliver({ failoverRegions, timeoutMs: 20_000 }).getSecret('A_B')).toBe('value')
    expect(performance.now() - began).toBeLessThan(2500)
  })
})

describe('headers', () => {
  test.each([
    [150, 'x'],
    [1500, 'x'],
    [3000, ''],
  ])('%s of them are none too many', async (count, value) => {
    added = Array.from({ length: count }, (_, index) => [index.toString(36), value]).flat()
    expect(await deliver({ maxAttempts: 1 }).getSecret('A_B')).toBe('value')
  })

  test('one of 15 KiB is not too long', async () => {
    added = ['x-long', 'x'.repeat(15 * 1024)]
    expect(await deliver({ maxAttempts: 1 }).getSecret('A_B')).toBe('value')
  })

  test('without an end are an error, and the next read is answered', async () => {
    first = [
      ({ socket }) => {
        socket.on('error', () => undefined)
        const more = () => {
          while (socket.writable && socket.write('x-more: and more\r\n'.repeat(100)));
          if (socket.writable) socket.once('drain', more)
        }
        socket.write('HTTP/1.1 200 OK\r\n')
        more()
      },
    ]
    const delivery = deliver({ maxAttempts: 1, timeoutMs: 5000 })
    expect(await delivery.getSecret('A_B').catch(({ code }) => code)).toBe('SOURCE_UNAVAILABLE')
    expect(await delivery.getSecret('A_C')).toBe('other')
  })
})
