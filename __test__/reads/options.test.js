'use strict'

// Bad input: refused by name and code, before any I/O.

const { SecretDelivery } = require('../..')
const { options: declaredOptions } = require('../support/declared')

const base = { environment: 'development', aws: { enabled: false }, envFile: false, runtime: { variables: {} } }
const KEY = Buffer.alloc(32, 7).toString('base64')

/**
 * @param {object} policy
 * @param {string} field
 * @param {string} says
 * @returns {[string, any, string]}
 */
const policyRefused = (policy, field, says) => [
  `options.rotation.policies[0].${field}`,
  { rotation: { policies: [{ secretType: 'a', rotationInterval: 7, ...policy }] } },
  says,
]

/** @type {[string, any, string][]} Path, options, what the message says. */
const refused = [
  ['options', 'production', 'must be an object'],
  ['options', [], 'must be an object'],
  ['options', () => {}, 'must be an object'],
  ['options.environment', { environment: 'qa' }, 'must be'],
  ['options.environment', { environment: 1 }, 'got a number'],
  ['options.colour', { colour: 'red' }, 'is not an option'],
  ['options.caches', { caches: false }, "did you mean 'cache'"],
  ['options.logger', { logger: {} }, 'warn(message)'],
  ['options.tools', { tools: [] }, 'must be an object'],
  ['options.tools', { tools: { '../x': {} } }, 'bad key'],
  ['options.tools.a.secrets', { tools: { a: { secrets: { 'b c': {} } } } }, 'bad key'],
  ['options.tools.a.secret', { tools: { a: { secret: {} } } }, "did you mean 'secrets'"],
  ['options.tools.a', { tools: { a: {}, A: {} } }, 'twice'],
  ['options.tools.a.secrets.b.required', { tools: { a: { secrets: { b: { required: 'yes' } } } } }, 'true or false'],
  ['options.tools.a.secrets.b.pattern', { tools: { a: { secrets: { b: { pattern: '(' } } } } }, 'regular expression'],
  ['options.tools.a.secrets.b.minLength', { tools: { a: { secrets: { b: { minLength: -1 } } } } }, 'whole number'],
  ['options.tools.a.secrets.b.json', { tools: { a: { secrets: { b: { json: true } } } } }, 'array'],
  ['options.aws', { aws: true }, 'must be an object'],
  ['options.aws.endpoint', { aws: { endpoint: 'localhost:4566' } }, 'http'],
  ['options.aws.endpoint', { aws: { endpoint: 'ftp://host' } }, 'http'],
  ['options.aws.endpoint', { aws: { endpoint: 'http://user:hunter2@host' } }, 'credentials'],
  ['options.aws.region', { aws: { region: 'EU Central' } }, 'region'],
  ['options.aws.timeoutMs', { aws: { timeoutMs: 0 } }, 'whole number'],
  ['options.aws.timeoutMs', { aws: { timeoutMs: '4500' } }, 'got a string'],
  ['options.aws.maxAttempts', { aws: { maxAttempts: 1.5 } }, 'whole number'],
  ['options.aws.secretIdTemplate', { aws: { secretIdTemplate: 'fixed' } }, '{name}'],
  ['options.aws.credentials.secretAccessKey', { aws: { credentials: { accessKeyId: 'a' } } }, 'missing'],
  ['options.aws.failoverRegions', { aws: { failoverRegions: 'eu-west-1' } }, 'must be an array'],
  ['options.aws.failoverRegions[0]', { aws: { failoverRegions: ['EU'] } }, 'region'],
  ['options.aws.failoverRegions[1]', { aws: { failoverRegions: ['eu-west-1', {}] } }, 'has no region'],
  ['options.aws.failoverRegions[0].endpoint', { aws: { failoverRegions: [{ region: 'a', endpoint: 'x' }] } }, 'http'],
  ['options.aws.requestsPerSecond', { aws: { requestsPerSecond: 0 } }, 'whole number'],
  ['options.envFile', { envFile: '.env' }, 'must be an object'],
  ['options.envFile.path', { envFile: { path: 'a\0b' } }, 'NUL'],
  ['options.envFile.syntax', { envFile: { syntax: 'bash' } }, "'dotenv'"],
  ['options.runtime.precedence', { runtime: { precedence: 'first' } }, "'override'"],
  ['options.runtime.variables.A', { runtime: { variables: { A: 1 } } }, 'got a number'],
  ['options.runtime.secretDirectories', { runtime: { secretDirectories: '/run' } }, 'array'],
  ['options.runtime.secretDirectories[0]', { runtime: { secretDirectories: [''] } }, 'empty'],
  ['options.cache.ttlSeconds', { cache: { ttlSeconds: -1 } }, 'whole number'],
  ['options.cache.ttlSeconds', { cache: { ttlSeconds: NaN } }, 'whole number'],
  ['options.cache.maxEntries', { cache: { maxEntries: 0 } }, 'whole number'],
  ['options.cache.ttl', { cache: { ttl: 5 } }, "did you mean 'ttlSeconds'"],
  ['options.cache.refreshAhead', { cache: { refreshAhead: 1 } }, 'true or false'],
  ['options.cache.snapshotPath', { cache: { snapshotPath: '' } }, 'must not be empty'],
  ['options.cache.redis.url', { cache: { redis: { url: 'http://host' } } }, 'redis://'],
  ['options.cache.redis.url', { cache: { redis: { url: 'redis://' } } }, ''],
  ['options.cache.redis.url', { cache: { redis: { url: 'redis://u:a@hunter2#b@host:6379' } } }, 'percent-encode'],
  ['options.cache.redis.url', { cache: { redis: { url: 'rediss://u:a@hunter2/b@host' } } }, 'percent-encode'],
  ['options.cache.redis.url', { cache: { redis: { url: 'redis+cluster://u:a@hunter2/b@host' } } }, 'percent-encode'],
  ['options.aws.proxy', { aws: { proxy: 'http://u:a@hunter2#b@host:3128' } }, 'percent-encode'],
  ['options.aws.proxy', { aws: { proxy: 'socks5://u:a@hunter2?b@host:3128' } }, 'percent-encode'],
  ['options.cache.encryptionKeys[0]', { cache: { encryptionKeys: [{ id: 'a b', key: KEY }] } }, ''],
  ['options.audit', { audit: 'on' }, 'must be an object'],
  ['options.audit.path', { audit: { path: '' } }, 'must not be empty'],
  ['options.audit.onFailure', { audit: { onFailure: 'ignore' } }, "'deny'"],
  ['options.audit.sink', { audit: { sink: 'stdout' } }, 'must be a function'],
  ['options.audit.key', { audit: { key: 'hunter2' } }, '16 random bytes'],
  ['options.audit.maxMegabytes', { audit: { maxMegabytes: 0 } }, 'whole number'],
  ['options.audit.label', { audit: { label: 'a\nb' } }, 'printable'],
  ['options.rotation.policies', { rotation: { policies: {} } }, 'must be an array'],
  ['options.rotation.policies[0]', { rotation: { policies: [{ rotationInterval: 5 }] } }, 'needs secretType'],
  ['options.rotation.policies[0]', { rotation: { policies: [{ secretType: 'a' }] } }, 'needs rotationInterval'],
  ...[0, -1, 1.5, 4000].map((rotationInterval) =>
    policyRefused({ rotationInterval }, 'rotationInterval', 'whole number'),
  ),
  ...['24:00', '2:00', '02:00 PM', '02:60'].map((rotationTime) =>
    policyRefused({ rotationTime }, 'rotationTime', 'HH:MM'),
  ),
  policyRefused({ notificationDays: 8 }, 'notificationDays', 'must not be more'),
  policyRefused({ rollbackEnabled: 'yes' }, 'rollbackEnabled', 'true or false'),
  policyRefused({ passwordLength: 7 }, 'passwordLength', 'whole number'),
  policyRefused({ passwordAlphabet: 'abc' }, 'passwordAlphabet', 'at least 10'),
  policyRefused({ passwordAlphabet: 'aabcdefghijk' }, 'passwordAlphabet', 'each once'),
  policyRefused({ interval: 5 }, 'interval', 'is not an option'),
  ['options.rotation.hooks', { rotation: { hooks: 'set' } }, 'must be an object'],
  ['options.rotation.hooks.sett', { rotation: { hooks: { sett() {} } } }, 'is not a hook'],
  ['options.rotation.hooks.set', { rotation: { hooks: { set: 'hunter2' } } }, 'must be a function'],
  ['options.rotation.hookTimeoutMs', { rotation: { hookTimeoutMs: 0 } }, 'whole number'],
  ['options.rotation.generator', { rotation: { generator: 'lambda' } }, "'local'"],
  ['options.events', { events: true }, 'must be an object'],
  ['options.events.sqsQueueUrl', { events: { sqsQueueUrl: 'my-queue' } }, 'URL of an SQS queue'],
  ['options.events.sqsQueueUrl', { events: { sqsQueueUrl: 'https://a:hunter2@sqs.x.amazonaws.com/1/q' } }, 'URL'],
  ['options.events.pollSeconds', { events: { pollSeconds: 0 } }, 'whole number'],
]

test.each(refused)('%s: %j', (path, options, says) => {
  const given =
    options !== null && typeof options === 'object' && !Array.isArray(options) ? { ...base, ...options } : options
  let error
  try {
    new SecretDelivery(given)
  } catch (caught) {
    error = caught
  }
  expect(error).toMatchObject({ name: 'SecretError', code: expect.stringMatching(/^(CONFIG|ENCRYPTION_KEY)_INVALID$/) })
  expect(error.message.startsWith(path)).toBe(true)
  expect(error.message).toContain(says)
  expect(error.message).not.toContain('hunter2')
})

describe('every option that index.d.ts declares', () => {
  const options = declaredOptions()

  /** What has to stand beside an option for its own value to be looked at. @type {Record<string, unknown>} */
  const beside = {
    'aws.credentials.accessKeyId': 'a',
    'aws.credentials.secretAccessKey': 'b',
    'aws.assumeRole.roleArn': 'arn:aws:iam::123456789012:role/a',
    'aws.failoverRegions[].region': 'eu-west-1',
    'migration.replicaRegions[].region': 'eu-west-1',
    'cache.redis.url': 'rediss://localhost',
    'cache.encryptionKeys[].id': 'k1',
    'cache.encryptionKeys[].key': KEY,
    'compliance.profile': 'soc2',
    'rotation.policies[].secretType': 'a',
    'rotation.policies[].rotationInterval': 3650,
  }

  /** Options in which only `path` has this value. @param {string} path @param {unknown} value @returns {any} */
  function only(path, value) {
    const [, parent, name] = /^(?:(.*)\.)?([^.]*)$/.exec(path) ?? []
    if (name === '*') return only(parent, { a: value })
    const given = { [name.replace('[]', '')]: name.endsWith('[]') ? [value] : value }
    if (parent === undefined) return { ...base, ...given }
    for (const [other, example] of Object.entries(beside)) {
      const own = other.slice(other.lastIndexOf('.') + 1)
      if (other.startsWith(`${parent}.`) && !other.slice(parent.length + 1).includes('.') && !(own in given)) {
        given[own] = example
      }
    }
    return only(parent, given)
  }

  /** What a delivery says to it. @param {string} path @param {unknown} value */
  function refusal(path, value) {
    try {
      void new SecretDelivery(only(path, value)).close()
      return 'accepted'
    } catch (error) {
      const { code, message } = /** @type {any} */ (error)
      return `${code} ${message}`
    }
  }

  const shown = (/** @type {string} */ path) => `options.${path.replaceAll('*', 'a').replaceAll('[]', '[0]')}`

  test('is known, and refuses a value of another type', () => {
    const accepted = options.flatMap(({ path, type }) => {
      const takesText = /^(string|'|Environment|AwsPlace)/.test(type) && !type.startsWith('string[]')
      const message = refusal(path, takesText ? 1 : 'wrong')
      const refused = /^(CONFIG|ENCRYPTION_KEY)_INVALID (\S+?):? (?!is not an option)/.exec(message)
      return refused?.[2] === shown(path) ? [] : [[path, message]]
    })
    expect(accepted).toEqual([])
    expect(options.length).toBeGreaterThan(60)
  })

  test('accepts both ends of its documented range, and nothing beyond them', () => {
    const ranges = options.flatMap(({ path, range }) => (range === undefined ? [] : [{ path, range }]))
    const answers = ranges.map(({ path, range }) => {
      const [least, most] = range.split(' to ').map(Number)
      const below = least < 1 ? least - 1 : least - Math.min(1, least / 2)
      return [path, ...[below, least, most, most + 1].map((value) => refusal(path, value).split(' ', 2).join(' '))]
    })
    const wrong = (/** @type {string} */ path) =>
      expect.stringMatching(`^CONFIG_INVALID ${shown(path).replace(/[[\].]/g, '\\$&')}:?$`)
    expect(answers).toEqual(ranges.map(({ path }) => [path, wrong(path), 'accepted', 'accepted', wrong(path)]))
    expect(ranges.length).toBeGreaterThan(20)
  })
})

test.each([
  ['undefined', undefined],
  ['null', null],
  ['nothing but nulls', { environment: null, aws: null, cache: null, tools: undefined }],
  ['audit: false', { audit: false }],
  ['everything off', { aws: { enabled: false }, envFile: false, cache: false, audit: false }],
])('%s is accepted', async (_, options) => {
  await new SecretDelivery(options).close()
})

describe('names', () => {
  const delivery = new SecretDelivery(base)
  afterAll(() => delivery.close())
  test.each([
    ['empty', ''],
    ['over-long', 'a'.repeat(258)],
    ['a path', '../secret'],
    ['a slash', 'a/b'],
    ['NUL', 'a\0b'],
    ['a blank', 'a b'],
    ['a line end', 'a\n'],
    ['a lone surrogate', 'a\ud800'],
    ['an emoji', '🔑'],
    ['a leading dash', '-a'],
    ['a very long text', 'a'.repeat(1_000_000)],
    ['a number', 5],
    ['null', null],
    ['undefined', undefined],
    ['an object', { toString: () => 'a' }],
    ['a symbol', Symbol('a')],
  ])('%s is SECRET_NAME_INVALID as tool and as type', async (_, name) => {
    for (const call of [
      () => delivery.getToolSecret(name, 'token'),
      () => delivery.getToolSecret('github', name),
      () => delivery.getToolSecrets(name),
      () => delivery.validateToolSecrets(name),
      () => delivery.getSecret(name),
      // These are references: names that AWS allows.
      ...(['../secret', 'a/b'].includes(name) ? [] : [() => delivery.getSecretFromAWS(name)]),
      () => delivery.getSecretFromEnvFile(name),
      () => delivery.getSecretFromRuntime(name),
      () => delivery.refresh(name),
      () => delivery.explain(name),
      () => delivery.rotateSecret(name, 'test'),
      () => delivery.cache.get(name),
      () => delivery.cache.set(name, 'v'),
      () => delivery.cache.invalidate(name),
    ]) {
      const error = await call().catch((reason) => reason)
      expect(error).toMatchObject({ code: 'SECRET_NAME_INVALID' })
      expect(error.message.length).toBeLessThan(300)
    }
  })

  test('the longest tool and type are accepted, and one character more is not', async () => {
    await expect(delivery.getToolSecret('a'.repeat(129), 'b')).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' })
    await expect(delivery.getToolSecret('a', 'b'.repeat(129))).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' })
    expect(await delivery.getToolSecret('a'.repeat(128), 'b'.repeat(128))).toBeNull()
  })

  test.each(['qa', '', 5, null, {}])('environment %p is CONFIG_INVALID', async (environment) => {
    // In the place of the environment an object is the options.
    const given = typeof environment === 'object' && environment !== null ? [environment, {}] : [environment]
    await expect(delivery.getSecretFromAWS('A_B', ...given)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(delivery.rotateSecret('A_B', environment)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test.each([0, -1, 1.5, NaN, Infinity, '60', null, 1e10])('cache.set refuses a TTL of %p', async (ttl) => {
    await expect(delivery.cache.set('A_B', 'v', ttl)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test.each([5, null, undefined, {}])('cache.set refuses the value %p', async (value) => {
    await expect(delivery.cache.set('A_B', value, 60)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

test('environment comes from the option, then TCS_ENVIRONMENT, then NODE_ENV', () => {
  const before = { TCS_ENVIRONMENT: process.env.TCS_ENVIRONMENT, NODE_ENV: process.env.NODE_ENV }
  const chosen = (options) => new SecretDelivery({ ...base, environment: undefined, ...options }).environment
  try {
    process.env.NODE_ENV = 'production'
    expect(chosen()).toBe('production')
    process.env.TCS_ENVIRONMENT = 'stage'
    expect(chosen()).toBe('staging')
    expect(chosen({ environment: 'dev' })).toBe('development')
    process.env.TCS_ENVIRONMENT = 'nowhere'
    expect(() => chosen()).toThrow(/TCS_ENVIRONMENT/)
    delete process.env.TCS_ENVIRONMENT
    delete process.env.NODE_ENV
    expect(chosen()).toBe('development')
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
})
