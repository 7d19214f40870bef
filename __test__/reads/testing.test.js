'use strict'

// `tcs-secret-delivery/testing`: a real delivery whose secrets stand in the test.

const { SecretDelivery, SecretError, defineTools } = require('../..')
const { TestDelivery } = require('../../testing')

const tools = defineTools({ github: { secrets: { api_token: { required: true, minLength: 8 }, webhook_secret: {} } } })
/** @type {TestDelivery<any>[]} */
const open = []
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))

/** @template {import('../..').Tools} T @param {import('../../testing').TestDeliveryOptions<T>} [options] */
function deliver(options) {
  const delivery = new TestDelivery(options)
  open.push(delivery)
  return delivery
}

test('it is a real delivery that has what the test gives it, and nothing else', async () => {
  process.env.GITHUB_WEBHOOK_SECRET = 'of this process'
  try {
    const delivery = deliver({ tools, secrets: { github: { api_token: 'first-token' } } })
    expect(delivery).toBeInstanceOf(SecretDelivery)
    expect(delivery.environment).toBe('test')
    expect(await delivery.getToolSecret('github', 'api_token')).toBe('first-token')
    expect(await delivery.getSecret('GITHUB_API_TOKEN')).toBe('first-token')
    expect(await delivery.getToolSecret('github', 'webhook_secret')).toBeNull()
    expect(await delivery.getToolSecrets('github')).toEqual({ api_token: 'first-token' })
    expect(delivery.metrics.snapshot().awsCalls).toEqual({})
    await expect(delivery.getSecret('no name')).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' })
  } finally {
    delete process.env.GITHUB_WEBHOOK_SECRET
  }
})

test('validates as a real one', async () => {
  const delivery = deliver({ environment: 'production', tools, secrets: { github: { api_token: 'short' } } })
  const codes = ({ secrets }) => secrets.flatMap(({ issues }) => issues.map(({ code }) => code))
  const invalid = await delivery.validateApplicationFunctionality()
  expect([invalid.valid, codes(invalid)]).toEqual([false, ['TOO_SHORT', 'NOT_IN_AWS', 'MISSING']])
  delivery.setToolSecret('github', 'api_token', 'long-enough')
  expect((await delivery.validateApplicationFunctionality()).valid).toBe(true)
  delivery.setToolSecret('github', 'api_token', null)
  expect((await delivery.validateToolSecrets('github')).valid).toBe(false)
})

test('a new value is a rotation, which listeners and withSecret follow', async () => {
  const delivery = deliver({ tools, secrets: { github: { api_token: 'old-token' } } })
  const heard = jest.fn()
  const unsubscribe = delivery.onSecretRotated(heard)
  delivery.setToolSecret('github', 'webhook_secret', 'made')
  delivery.setToolSecret('github', 'api_token', 'old-token')
  expect(heard).not.toHaveBeenCalled()
  // The target takes the new value only once it was refused with the old one.
  const tried = []
  const used = await delivery.withSecret('github', 'api_token', async (token) => {
    tried.push(token)
    delivery.setToolSecret('github', 'api_token', 'new-token')
    if (token !== 'new-token') throw Object.assign(new Error('no'), { status: 401 })
    return 'done'
  })
  expect([used, tried]).toEqual(['done', ['old-token', 'new-token']])
  expect(heard.mock.calls).toEqual([['github', 'api_token']])
  unsubscribe()
  delivery.setToolSecret('github', 'api_token', 'another')
  expect(heard).toHaveBeenCalledTimes(1)
})

test('reads can be made to fail', async () => {
  const delivery = deliver({ tools, secrets: { github: { api_token: 'a-token' } } })
  delivery.failWith('SOURCE_UNAVAILABLE')
  const reads = [
    () => delivery.getToolSecret('github', 'api_token'),
    () => delivery.getToolSecrets('github'),
    () => delivery.getSecret('GITHUB_API_TOKEN'),
    () => delivery.refresh('GITHUB_API_TOKEN'),
    () => delivery.withSecret('github', 'api_token', async () => 'used'),
  ]
  for (const read of reads) {
    const error = await read().catch((reason) => reason)
    expect(error).toBeInstanceOf(SecretError)
    expect(error.code).toBe('SOURCE_UNAVAILABLE')
  }
  delivery.failWith(null)
  expect(await delivery.getToolSecret('github', 'api_token')).toBe('a-token')
})

test('wrong uses are refused', async () => {
  const wrong = /** @type {any} */ ([{ secret: {} }, { secrets: { github: { api_token: 1 } } }, { environment: 'qa' }])
  for (const options of wrong) {
    expect(() => deliver(options)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  }
  expect(() => deliver({ secrets: { 'no name': { a: 'b' } } })).toThrow(
    expect.objectContaining({ code: 'SECRET_NAME_INVALID' }),
  )
  const delivery = deliver()
  await delivery.close()
  await expect(delivery.getSecret('A_B')).rejects.toMatchObject({ code: 'CLOSED' })
})

test('fake timers do not stop it', async () => {
  jest.useFakeTimers()
  try {
    const delivery = deliver({ secrets: { github: { api_token: 'a-token' } } })
    expect(await delivery.getToolSecret('github', 'api_token')).toBe('a-token')
  } finally {
    jest.useRealTimers()
  }
})
