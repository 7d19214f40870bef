'use strict'

// The webhook of examples/rotation-webhook, both sides.

const { once } = require('node:events')
const http = require('node:http')
const { receiver } = require('../../examples/rotation-webhook/receiver')
const { announceRotations, sign } = require('../../examples/rotation-webhook/sender')
const { until } = require('../support/until')
const { overRedis } = require('../support/services')

const KEY = 'first key'
const world = overRedis({ WEBHOOK_SIGNING_KEY_production: KEY, A_B_production: 'one' })

/** @type {(() => unknown)[]} */
const ends = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** A receiver on a free port, and what it was told. */
async function listening(delivery = world.deliver()) {
  const messages = []
  const url = await serve(receiver(delivery, (message) => messages.push(message)))
  return { url, messages }
}

/** @param {http.Server} server */
async function serve(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()))
  return `http://127.0.0.1:${server.address().port}`
}

/** An instance that announces, and the errors of that. */
function announcing(url, more = {}) {
  const errors = []
  const delivery = world.deliver()
  ends.push(announceRotations(delivery, { url, onError: (error) => errors.push(error), ...more }))
  return { delivery, errors }
}

/** @returns {Promise<number>} The status of the answer. */
async function send(url, { key = KEY, body = '{"id":"1"}', at = Date.now() / 1000, headers = {} } = {}) {
  const timestamp = String(Math.floor(at))
  const signed = { 'x-timestamp': timestamp, 'x-signature': `sha256=${sign(key, timestamp, body)}`, ...headers }
  const answer = await fetch(url, { method: 'POST', headers: signed, body })
  await answer.text()
  return answer.status
}

test('a rotation is announced to the other side, without a value', async () => {
  const { url, messages } = await listening()
  const { delivery, errors } = announcing(url)
  await delivery.getSecret('A_B')
  const report = await delivery.rotation.rotate('A_B')
  await until('both messages', () => messages.length === 2)
  expect(messages.map(({ kind }) => kind).sort()).toEqual(['ended', 'rotated'])
  const common = { id: expect.any(String), environment: 'production' }
  expect(messages).toContainEqual({ ...common, kind: 'rotated', tool: 'a', secretType: 'b' })
  expect(messages).toContainEqual({ ...common, kind: 'ended', report })
  expect(JSON.stringify(messages)).not.toContain(await delivery.getSecret('A_B'))
  expect(errors).toEqual([])
})

test('while the key itself is rotated both sides go on, whoever hears of it first', async () => {
  const other = world.deliver({ redis: false })
  const { url, messages } = await listening(other)
  // The receiver hears of nothing, and remembers the versions from before.
  expect(await send(url)).toBe(204)
  const { delivery, errors } = announcing(url)
  await delivery.getSecret('WEBHOOK_SIGNING_KEY')
  await delivery.rotation.rotate('WEBHOOK_SIGNING_KEY')
  await until('both messages', () => messages.length === 3)
  expect(errors).toEqual([])
  // The new key and the one before are taken by who knows both; an older one is not.
  const { url: fresh } = await listening()
  const current = await delivery.getSecret('WEBHOOK_SIGNING_KEY')
  expect(await send(fresh, { key: current, body: '{"id":"2"}' })).toBe(204)
  expect(await send(fresh, { body: '{"id":"3"}' })).toBe(204)
  await delivery.rotation.rotate('WEBHOOK_SIGNING_KEY')
  await delivery.rotation.rotate('WEBHOOK_SIGNING_KEY')
  await until('the older key is refused', async () => (await send(fresh, { body: '{"id":"4"}' })) === 401)
})

test('what was changed, is old, is not signed or is no message is refused; what is repeated is taken once', async () => {
  const { url, messages } = await listening()
  const now = Date.now() / 1000
  expect(await send(url)).toBe(204)
  expect(await send(url)).toBe(204)
  expect(messages).toEqual([{ id: '1' }])
  const timestamp = String(Math.floor(now))
  const signature = `sha256=${sign(KEY, timestamp, '{"id":"2"}')}`
  const refused = [
    { key: 'another key' },
    { body: '{"id":"3"}', headers: { 'x-signature': signature } },
    { body: '{"id":"2"}', headers: { 'x-timestamp': String(timestamp - 1), 'x-signature': signature } },
    { headers: { 'x-signature': 'sha256=' } },
    { headers: { 'x-signature': 'nonsense' } },
    { at: now - 301 },
    { at: now + 302 },
  ]
  for (const message of refused) expect([message, await send(url, message)]).toEqual([message, 401])
  expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(401)
  expect((await fetch(url)).status).toBe(405)
  expect(await send(url, { body: 'x'.repeat(70_000) })).toBe(413)
  expect(await send(url, { body: 'not JSON' })).toBe(400)
  expect(messages).toHaveLength(1)
})

test('an answer that is late or bad is asked for again, and given up in the end', async () => {
  const statuses = [503, 429, 204]
  const asked = []
  const url = await serve(
    http.createServer((request, response) => {
      asked.push(request.headers['x-signature'])
      response.writeHead(statuses.shift() ?? 500).end()
    }),
  )
  const { delivery, errors } = announcing(url, { pausesMs: [1, 1] })
  await delivery.getSecret('A_B')
  const rotated = async () => {
    await world.aws.put({ A_B_production: `changed ${asked.length}` })
    await delivery.refresh('A_B')
  }
  await rotated()
  await until('it was taken', () => asked.length === 3)
  await rotated()
  await until('it was given up', () => errors.length === 1)
  expect([asked.length, errors[0].message]).toEqual([6, 'the webhook answered 500'])
})
