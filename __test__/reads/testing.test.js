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

test('a new value of a name without a tool is heard of by that name', () => {
  const delivery = deliver({ secrets: {} })
  const heard = jest.fn()
  delivery.onSecretRotated(heard)
  delivery.setSecret('SENDGRID', 'one')
  delivery.setSecret('SENDGRID', 'two')
  expect(heard.mock.calls).toEqual([['', 'SENDGRID']])
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

describe('names of one word, and others that have no tool', () => {
  test('are given by their full name, and set like the others', async () => {
    const delivery = deliver({ names: { SENDGRID: 'first', A_B: 'x' }, secrets: { a: { c: 'y' } } })
    expect(await Promise.all(['SENDGRID', 'A_B', 'A_C'].map((name) => delivery.getSecret(name)))).toEqual([
      'first',
      'x',
      'y',
    ])
    delivery.setSecret('SENDGRID', 'second')
    expect(await delivery.getSecret('SENDGRID')).toBe('second')
    delivery.setSecret('SENDGRID', null)
    expect(await delivery.getSecret('SENDGRID')).toBeNull()
    expect(await delivery.getToolSecrets('a')).toEqual({ b: 'x', c: 'y' })
  })

  test.each([
    [{ names: { SENDGRID: 1 } }, 'value must be a string or null'],
    [{ ttlSeconds: -1 }, 'ttlSeconds must be a number of seconds'],
    [{ maxStaleSeconds: '1' }, 'maxStaleSeconds must be a number of seconds'],
  ])('%j is refused', (options, message) => {
    expect(() => deliver(/** @type {any} */ (options))).toThrow(message)
  })
})

describe('with a TTL', () => {
  const name = 'SLACK_BOT_TOKEN'
  const cached = (options = {}) => deliver({ secrets: { slack: { bot_token: 'one' } }, ttlSeconds: 60, ...options })
  const read = (delivery) => delivery.getToolSecret('slack', 'bot_token')

  test('a copy answers until its TTL ends', async () => {
    const delivery = cached()
    expect(await read(delivery)).toBe('one')
    delivery.setToolSecret('slack', 'bot_token', 'two')
    delivery.advance(59)
    expect([await read(delivery), await delivery.getSecret(name)]).toEqual(['one', 'one'])
    expect(await delivery.getToolSecrets('slack')).toEqual({ bot_token: 'one' })
    expect(await delivery.cache.get(name)).toBe('one')
    delivery.advance(1)
    expect(await delivery.cache.get(name)).toBeNull()
    expect(await read(delivery)).toBe('two')
    expect(await delivery.getToolSecrets('slack')).toEqual({ bot_token: 'two' })
  })

  test.each([
    ['refresh', (delivery) => delivery.refresh(name)],
    ['cache.invalidate', (delivery) => delivery.cache.invalidate(name)],
    ['cache.clear', (delivery) => delivery.cache.clear()],
  ])('%s makes the next read see the change', async (_, act) => {
    const delivery = cached()
    await read(delivery)
    delivery.setToolSecret('slack', 'bot_token', 'two')
    await act(delivery)
    expect(await read(delivery)).toBe('two')
  })

  test('listeners hear of a new value when a read learns of it, once', async () => {
    const delivery = cached()
    const heard = jest.fn()
    delivery.onSecretRotated(heard)
    await read(delivery)
    delivery.setToolSecret('slack', 'bot_token', 'two')
    await read(delivery)
    expect(heard).not.toHaveBeenCalled()
    delivery.advance(60)
    await read(delivery)
    await delivery.refresh(name)
    expect(heard.mock.calls).toEqual([['slack', 'bot_token']])
  })

  test.each(['SOURCE_UNAVAILABLE', 'SOURCE_TIMEOUT'])(
    'while reads fail with %s, a stale copy answers until it is too old',
    async (code) => {
      const delivery = cached({ maxStaleSeconds: 300 })
      await read(delivery)
      delivery.failWith(code)
      expect(await read(delivery)).toBe('one')
      delivery.advance(60 + 299)
      expect([await read(delivery), await delivery.getToolSecrets('slack')]).toEqual(['one', { bot_token: 'one' }])
      // What was never read has no copy.
      await expect(delivery.getSecret('SLACK_OTHER')).rejects.toMatchObject({ code })
      await expect(delivery.refresh(name)).rejects.toMatchObject({ code })
      delivery.advance(1)
      await expect(read(delivery)).rejects.toMatchObject({ code })
      delivery.failWith(null)
      expect(await read(delivery)).toBe('one')
    },
  )

  test('a denial drops the copy, and no stale one answers', async () => {
    const delivery = cached({ maxStaleSeconds: 300 })
    await read(delivery)
    delivery.failWith('SECRET_ACCESS_DENIED')
    // A fresh copy answers without asking, as that of a real delivery does.
    expect(await read(delivery)).toBe('one')
    delivery.advance(60)
    await expect(read(delivery)).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
    delivery.failWith('SOURCE_UNAVAILABLE')
    await expect(read(delivery)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  })

  test('withSecret gets past a copy that the target refuses', async () => {
    const delivery = cached()
    await read(delivery)
    delivery.setToolSecret('slack', 'bot_token', 'two')
    const used = await delivery.withSecret('slack', 'bot_token', async (token) => {
      if (token !== 'two') throw Object.assign(new Error('no'), { status: 401 })
      return token
    })
    expect(used).toBe('two')
  })

  test('closing forgets the copies', async () => {
    const delivery = cached()
    await read(delivery)
    await delivery.close()
    await expect(read(delivery)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('versions', () => {
  const name = 'DB_PASSWORD'
  const shown = async (delivery) => {
    const { current, previous, pending } = await delivery.getSecretVersions(name)
    return [current, previous, pending].map((version) => version && [version.value, version.versionId])
  }

  test('follow what the test sets: live, previous, pending', async () => {
    const delivery = deliver()
    expect(await shown(delivery)).toEqual([null, null, null])
    delivery.setToolSecret('db', 'password', 'one')
    expect(await shown(delivery)).toEqual([['one', 'version-1'], null, null])
    delivery.setToolSecret('db', 'password', 'one')
    delivery.setPending(name, 'two')
    expect(await shown(delivery)).toEqual([['one', 'version-1'], null, ['two', 'version-2']])
    // The pending version becomes the live one: it is the same version.
    delivery.setToolSecret('db', 'password', 'two')
    expect(await shown(delivery)).toEqual([['two', 'version-2'], ['one', 'version-1'], null])
    delivery.setPending(name, 'three')
    delivery.setPending(name, null)
    expect(await shown(delivery)).toEqual([['two', 'version-2'], ['one', 'version-1'], null])
    delivery.setToolSecret('db', 'password', null)
    expect(await shown(delivery)).toEqual([null, null, null])
  })

  test.each([
    ['the pending version, which the target already has', 'pending'],
    ['the previous version, which the target still has', 'previous'],
  ])('withSecret tries %s', async (_, accepted) => {
    const delivery = deliver({ names: { [name]: 'previous' } })
    delivery.setSecret(name, 'live')
    delivery.setPending(name, 'pending')
    const tried = []
    const used = await delivery.withSecret('db', 'password', async (secret) => {
      tried.push(secret)
      if (secret !== accepted) throw Object.assign(new Error('no'), { code: '28P01' })
      return secret
    })
    expect([used, tried[0]]).toEqual([accepted, 'live'])
  })

  test('cannot be read while reads fail', async () => {
    const delivery = deliver({ names: { [name]: 'x' } })
    delivery.failWith('SOURCE_TIMEOUT')
    await expect(delivery.getSecretVersions(name)).rejects.toMatchObject({ code: 'SOURCE_TIMEOUT' })
    delivery.failWith(null)
    await expect(delivery.getSecretVersions('no name')).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' })
  })
})
