'use strict'

// How a service tests code that reads secrets. Run by this package's tests; or by hand: `npx jest --rootDir examples/jest`.

const { TestDelivery } = require('tcs-secret-delivery/testing')
const { alertsTo } = require('./alerts')

/** @type {TestDelivery} */
let delivery
beforeEach(() => {
  delivery = new TestDelivery({ secrets: { slack: { bot_token: 'first' } } })
})
afterEach(() => delivery.close())

test('sends with the token', async () => {
  const post = jest.fn().mockResolvedValue(undefined)
  await alertsTo(delivery, post).send('disk full')
  expect(post.mock.calls).toEqual([['first', 'disk full']])
})

test('goes on when the token is rotated meanwhile', async () => {
  const post = jest.fn(async (token) => {
    if (token === 'second') return
    delivery.setToolSecret('slack', 'bot_token', 'second')
    throw Object.assign(new Error('refused'), { status: 401 })
  })
  await alertsTo(delivery, post).send('disk full')
  expect(post.mock.calls.map(([token]) => token)).toEqual(['first', 'second'])
})

test('knows when it is not configured', async () => {
  delivery.setToolSecret('slack', 'bot_token', null)
  expect(await alertsTo(delivery, jest.fn()).isConfigured()).toBe(false)
})

test('rejects while secrets cannot be read', async () => {
  delivery.failWith('SOURCE_UNAVAILABLE')
  await expect(alertsTo(delivery, jest.fn()).send('disk full')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
})
