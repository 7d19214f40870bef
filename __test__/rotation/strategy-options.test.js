'use strict'

// Hooks that would silently be none, or do something else than they look like, are refused when they are made.

const strategies = require('../../rotation')
const { SecretDelivery } = require('../..')

const connect = async () => {
  throw new Error('not needed')
}
const users = ['a', 'b']
const url = 'https://example.com/'
const signingKey = 'a key that both know'

/** @param {() => unknown} make @param {string} message */
function refuses(make, message) {
  expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }))
}

/** @param {unknown} rotation */
const deliver = (rotation) =>
  new SecretDelivery(/** @type {any} */ ({ environment: 'test', compliance: false, audit: false, rotation }))

test.each([
  ['postgresSingleUser', undefined, 'postgresSingleUser needs an object with options, got none'],
  ['postgresSingleUser', connect, 'postgresSingleUser needs an object with options, got a function'],
  ['postgresSingleUser', {}, 'postgresSingleUser.connect must be a function, got none'],
  [
    'postgresSingleUser',
    { connect, amdin: connect },
    "postgresSingleUser.amdin is not an option; did you mean 'admin'?",
  ],
  ['postgresSingleUser', { connect: 'x' }, 'postgresSingleUser.connect must be a function, got a text'],
  ['postgresSingleUser', { connect, admin: Promise.resolve() }, 'admin must be a function, got a Promise (await it)'],
  ['postgresSingleUser', { connect, user: '' }, 'postgresSingleUser.user must be a text that is not empty'],
  [
    'postgresSingleUser',
    { connect, user: 5 },
    'postgresSingleUser.user must be a text that is not empty, got a number',
  ],
  ['postgresSingleUser', { connect, host: 'x' }, 'postgresSingleUser.host is not an option'],
  ['mysqlSingleUser', { connect, hosts: 'x' }, "mysqlSingleUser.hosts is not an option; did you mean 'host'?"],
  ['mysqlSingleUser', { connect, host: '' }, 'mysqlSingleUser.host must be a text that is not empty'],
  ['mysqlAlternatingUsers', { connect, users }, 'mysqlAlternatingUsers.admin must be a function, got none'],
  ['mysqlAlternatingUsers', { connect, admin: connect }, 'mysqlAlternatingUsers.users must be an array with the names'],
  ['postgresAlternatingUsers', { connect, admin: connect, users: ['a', 'b', 'c'] }, 'the names of two users'],
  ['postgresAlternatingUsers', { connect, admin: connect, users: ['a', 'a'] }, 'the names of two users'],
  ['postgresAlternatingUsers', { connect, admin: connect, users: 'ab' }, 'the names of two users, got a text'],
  ['postgresAlternatingUsers', { connect, admin: connect, users, user: 'a' }, "did you mean 'users'?"],
  ['redisAcl', { connect }, 'redisAcl.admin must be a function, got none'],
  ['redisAcl', { connect, admin: connect, usr: 'x' }, "redisAcl.usr is not an option; did you mean 'user'?"],
  ['redisAcl', { connect, admin: connect, save: 'no' }, 'redisAcl.save must be true or false, got a text'],
  ['webhook', { url }, 'webhook.signingKey must be a text of 16 characters or more, got none'],
  ['webhook', { url: 'example', signingKey }, 'webhook.url must be a URL'],
  [
    'webhook',
    { url, signingKey, steps: ['Set', 'test'] },
    "webhook.steps has an entry that is none of set, test, verify, undo; did you mean 'set'?",
  ],
  ['webhook', { url, signingKey, steps: ['sett'] }, "did you mean 'set'?"],
  ['webhook', { url, signingKey, steps: [5] }, 'webhook.steps has an entry'],
  ['webhook', { url, signingKey, steps: [] }, 'webhook.steps must name one or more'],
  ['webhook', { url, signingKey, steps: 'set' }, 'webhook.steps must be an array of steps, got a text'],
  ['webhook', { url, signingKey, header: {} }, "webhook.header is not an option; did you mean 'headers'?"],
  ['webhook', { url, signingKey, headers: { a: 5 } }, 'webhook.headers must be an object of texts'],
])('%s refuses %j', (name, options, message) => {
  refuses(() => /** @type {any} */ (strategies)[name](options), message)
})

test('what is right is taken, also where options are unset', () => {
  const unset = { user: undefined, admin: null }
  expect(Object.keys(strategies.postgresSingleUser(/** @type {any} */ ({ connect, ...unset })))).toContain('set')
  expect(Object.keys(strategies.webhook({ url, signingKey, steps: ['set'], headers: { a: 'b' } }))).toEqual(['set'])
})

test.each([
  [{ hooks: strategies.postgresSingleUser }, 'options.rotation.hooks must be an object, got a function: call it'],
  [{ hooks: () => ({ set() {} }) }, 'options.rotation.hooks must be an object, got a function: call it'],
  [{ hooks: [{ set() {} }] }, 'options.rotation.hooks must be an object, got an array'],
  [{ hooks: [] }, 'options.rotation.hooks must be an object, got an array'],
  [{ hooks: Promise.resolve({ set() {} }) }, 'options.rotation.hooks must be an object, got a Promise'],
  [{ hooks: 'set' }, 'options.rotation.hooks must be an object, got a string'],
  [
    { hooks: { sett() {} } },
    "options.rotation.hooks.sett is not a hook (create, set, test, verify, undo); did you mean 'set'?",
  ],
  [{ hooksOf: { A_LOGIN: () => ({}) } }, 'options.rotation.hooksOf.A_LOGIN must be an object, got a function: call it'],
  [{ hooksOf: { A_LOGIN: [] } }, 'options.rotation.hooksOf.A_LOGIN must be an object, got an array'],
])('hooks that are none are refused: %p', (rotation, message) => {
  refuses(() => deliver(rotation), message)
})

describe('verifyWebhook', () => {
  /** A request as the webhook sends it. */
  async function posted() {
    /** @type {any} */
    let sent
    const fetch = async (/** @type {string} */ _, /** @type {any} */ init) => (
      (sent = init),
      { ok: true, status: 200, body: null }
    )
    const values = { currentValue: () => 'old', newValue: () => 'new', signal: new AbortController().signal }
    await strategies.webhook({ url, signingKey, fetch }).test?.(/** @type {any} */ ({ name: 'A_B', ...values }))
    return { body: sent.body, headers: sent.headers, signingKey }
  }
  const LATER = 30 * 86_400_000

  test('takes text, a Buffer and bytes, and no old request', async () => {
    const request = await posted()
    for (const body of [request.body, Buffer.from(request.body), new Uint8Array(Buffer.from(request.body))]) {
      expect(strategies.verifyWebhook({ ...request, body })).toBe(true)
    }
    const now = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + LATER)
    try {
      const within = (/** @type {any} */ toleranceSeconds) => strategies.verifyWebhook({ ...request, toleranceSeconds })
      expect([within(undefined), within(null), within(0), within(LATER)]).toEqual([false, false, false, true])
    } finally {
      now.mockRestore()
    }
    expect(strategies.verifyWebhook(/** @type {any} */ ({ headers: {}, signingKey }))).toBe(false)
  })

  test.each([
    [{ toleranceSeconds: NaN }, 'verifyWebhook.toleranceSeconds must be a number of 0 or more, got NaN'],
    [{ toleranceSeconds: '300' }, 'verifyWebhook.toleranceSeconds must be a number of 0 or more, got a text'],
    [{ toleranceSeconds: -1 }, 'verifyWebhook.toleranceSeconds must be a number of 0 or more'],
    [{ tolerance: 5 }, "verifyWebhook.tolerance is not an option; did you mean 'toleranceSeconds'?"],
    [{ signingKey: '' }, 'verifyWebhook.signingKey must be a text of 16 characters or more, got an empty text'],
    [{ body: { step: 'set' } }, 'verifyWebhook.body must be a text or bytes, got an object'],
  ])('refuses %p', async (wrong, message) => {
    const request = await posted()
    refuses(() => strategies.verifyWebhook(/** @type {any} */ ({ ...request, ...wrong })), message)
  })
})

test('hooks of which none is set are none', async () => {
  for (const hooks of [undefined, null, {}, { set: undefined, test: null }]) await deliver({ hooks }).close()
})
