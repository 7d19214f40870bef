'use strict'

// Secrets as they stand in AWS: any name or ARN, fields of JSON secrets, one secret for a tool.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { until } = require('../support/until')

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery<any>[]} */
const open = []

function deliver(options) {
  const delivery = new SecretDelivery({
    environment: 'production',
    audit: false,
    ...options,
    aws: { ...aws.options, ...options.aws },
    cache: options.cache === false ? false : { encryptionKeys: [], ...options.cache },
  })
  open.push(delivery)
  return delivery
}

async function arnOf(name) {
  return (await aws.ask('DescribeSecret', { SecretId: name })).ARN
}

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(() => aws.reset())
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(() => aws.stop())

const database = JSON.stringify({ username: 'app', password: 'pä"ss', port: 5432, id: 0 }).replace(
  '"id":0',
  '"id":123456789012345678901',
)

describe('a name that is declared with a place in AWS', () => {
  test('stands in the audit log with that place', async () => {
    await aws.put({ 'rds-db-1': database, A_PLAIN_production: 'p' })
    const directory = temporaryDirectory()
    const audit = { path: path.join(directory, 'audit.jsonl') }
    const password = { production: 'rds-db-1#password', staging: 'rds-db-2#password' }
    const old = { id: 'rds-db-1', versionStage: 'AWSPREVIOUS' }
    const tools = { db: { secrets: { password: { aws: password }, old: { aws: old } } }, a: { secrets: { plain: {} } } }
    const delivery = deliver({ audit, compliance: false, tools })
    await delivery.getToolSecret('db', 'password')
    await delivery.close()
    const records = fs.readFileSync(audit.path, 'utf8').trimEnd().split('\n')
    const said = records.map((line) => JSON.parse(line)).filter(({ event }) => event === 'config')
    expect(said.map(({ source, secret }) => [source, secret])).toEqual([
      ['reference', 'DB_OLD: rds-db-1 (AWSPREVIOUS)'],
      ['reference', 'DB_PASSWORD: rds-db-1#password'],
    ])
    fs.rmSync(directory, { recursive: true })
  })

  test('may have any name, be an ARN or a part of a JSON secret', async () => {
    await aws.put({
      'prod/github/token': 'g',
      'rds-db-1': database,
      'shared/db': '{"connection.url":"u","connection":{"url":"x","host":"h"}}',
    })
    const arn = await arnOf('shared/db')
    const delivery = deliver({
      tools: {
        github: { secrets: { token: { aws: 'prod/github/token' } } },
        db: {
          secrets: {
            password: { aws: { production: 'rds-db-1#password', staging: 'rds-db-2#password' } },
            port: { aws: { id: 'rds-db-1', field: 'port' } },
            id: { aws: 'rds-db-1#id' },
            none: { aws: 'rds-db-1#nothing' },
            url: { aws: `${arn}#connection.url` },
            host: { aws: `${arn.slice(0, -7)}#connection.host` },
          },
        },
      },
    })
    expect(await delivery.getToolSecret('github', 'token')).toBe('g')
    expect(await delivery.getToolSecrets('db')).toEqual({
      password: 'pä"ss',
      port: '5432',
      id: '123456789012345678901',
      url: 'u',
      host: 'h',
    })
    for (const [type, value] of Object.entries({ password: 'pä"ss', port: '5432', none: null, url: 'u', host: 'h' })) {
      expect(await delivery.getToolSecret('db', type)).toBe(value)
    }
    expect(await delivery.getSecretFromAWS('DB_PASSWORD')).toBe('pä"ss')
    expect(await delivery.refresh('DB_PASSWORD')).toBe('pä"ss')
    expect(await delivery.explain('DB_PASSWORD')).toMatchObject({
      awsId: 'rds-db-1',
      field: 'password',
      answeredBy: 'memory',
    })
  })

  test('twenty fields of one secret cost one call, cold and by refresh', async () => {
    const fields = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, `v${i}`]))
    await aws.put({ all: JSON.stringify(fields) })
    const delivery = deliver({
      tools: {
        t: { secrets: Object.fromEntries(Object.keys(fields).map((field) => [field, { aws: `all#${field}` }])) },
      },
    })
    await aws.resetCalls()
    const values = await Promise.all(Object.keys(fields).map((field) => delivery.getToolSecret('t', field)))
    expect(values).toEqual(Object.values(fields))
    expect((await aws.calls()).total).toBe(1)
    expect(await delivery.getToolSecrets('t')).toEqual(fields)
    expect((await aws.calls()).total).toBe(1)
    await aws.put({ all: JSON.stringify({ ...fields, f0: 'new' }) })
    expect(await delivery.refresh('T_F1')).toBe('v1')
    expect(await delivery.getToolSecret('t', 'f0')).toBe('new')
    expect((await aws.calls()).total).toBe(2)
  })
})

test('a tool with one JSON secret is read in one call, with what is not declared', async () => {
  await aws.put({ 'production/jira': JSON.stringify({ user: 'u', api_token: 't', Url: 'x', url: 'y', empty: '' }) })
  const delivery = deliver({
    tools: { jira: { aws: '{environment}/jira', secrets: { user: {}, api_token: {} } } },
  })
  await aws.resetCalls()
  expect(await delivery.getToolSecrets('jira')).toEqual({ user: 'u', api_token: 't', url: 'y', Url: 'x' })
  expect((await aws.calls()).total).toBe(1)
})

test('a tool with one JSON secret is one call where nothing is cached, and where no copy may answer', async () => {
  await aws.put({ 'production/jira': '{"user":"u","other":"o"}' })
  const tools = { jira: { aws: '{environment}/jira', secrets: { user: {} } } }
  const uncached = deliver({ tools, cache: false })
  const cached = deliver({ tools })
  await aws.resetCalls()
  expect(await uncached.getToolSecrets('jira')).toEqual({ user: 'u', other: 'o' })
  expect((await aws.calls()).total).toBe(1)
  expect(await cached.getToolSecrets('jira', { maxAgeSeconds: 0 })).toEqual({ user: 'u', other: 'o' })
  expect((await aws.calls()).total).toBe(2)
})

test('one template for all: a JSON secret for each tool', async () => {
  await aws.put({ 'production/jira': '{"user":"u","other":"o"}' })
  const delivery = deliver({
    aws: { secretIdTemplate: '{environment}/{tool}#{type}' },
    tools: { jira: { secrets: { user: {} } } },
  })
  expect(await delivery.getToolSecret('jira', 'user')).toBe('u')
  expect(await delivery.getToolSecrets('jira')).toEqual({ user: 'u', other: 'o' })
  await expect(delivery.getToolSecret('github', 'token')).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' })
})

test('a secret without a tool', async () => {
  await aws.put({ 'prod/sendgrid': 's', OTHER_production: 'o' })
  const delivery = deliver({ secrets: { SENDGRID: { aws: 'prod/sendgrid' }, OTHER: {} } })
  expect(await delivery.getSecret('SENDGRID')).toBe('s')
  expect(await delivery.getSecret('OTHER')).toBe('o')
})

test('a secret that is no JSON object has no fields', async () => {
  await aws.put({ plain: 'canary-4711' })
  const delivery = deliver({ tools: { t: { secrets: { a: { aws: 'plain#a' } } } } })
  const error = await delivery.getToolSecret('t', 'a').catch((error) => error)
  expect(error).toMatchObject({ code: 'SOURCE_RESPONSE_INVALID' })
  expect(error.message).toMatch(/T_A.*plain/)
  expect(error.message).not.toContain('canary')
})

test.each([
  [{ tools: { t: { secrets: { a: { aws: 'id##x' } } } } }, 'options.tools.t.secrets.a.aws'],
  [{ tools: { t: { secrets: { a: { aws: { staging: 'x' } } } } } }, 'options.tools.t.secrets.a.aws'],
  [{ tools: { t: { secrets: { a: { aws: 'x'.repeat(513) } } } } }, 'options.tools.t.secrets.a.aws'],
  [{ tools: { t: { aws: 'arn:aws:ssm:eu-west-1:123456789012:parameter/x' } } }, 'options.tools.t.aws'],
  [{ tools: { t: { secrets: { a: { aws: 'x#f' }, b: { aws: 'x#f' } } } } }, 'options.tools.t.secrets.b.aws'],
  [{ secrets: { 'a/b': {} } }, 'options.secrets'],
  [{ tools: { a: { secrets: { b: {} } } }, secrets: { A_B: {} } }, 'options.secrets.A_B'],
])('refused before any I/O: %j', (options, path) => {
  expect(() => deliver(options)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(path) }),
  )
})

describe('a required secret', () => {
  const tools = { t: { secrets: { a: { required: true }, b: {} } } }

  test('that no source has rejects, and says where it was looked for', async () => {
    const delivery = deliver({ tools })
    const missing = { code: 'SECRET_MISSING', message: expect.stringMatching(/T_A .*AWS \(T_A_production\)/) }
    await expect(delivery.getToolSecret('t', 'a')).rejects.toMatchObject(missing)
    await expect(delivery.getSecret('T_A')).rejects.toMatchObject(missing)
    await expect(delivery.refresh('T_A')).rejects.toMatchObject(missing)
    await expect(delivery.getToolSecrets('t')).rejects.toMatchObject(missing)
    expect((await delivery.explain('T_A')).error).toMatchObject({ code: 'SECRET_MISSING' })
    expect(await delivery.getToolSecret('t', 'b')).toBeNull()
    const { secrets } = await delivery.validateToolSecrets('t')
    expect(secrets.find(({ name }) => name === 'T_A').issues).toEqual([expect.objectContaining({ code: 'MISSING' })])
  })

  test('that is there is read', async () => {
    await aws.put({ T_A_production: 'v' })
    expect(await deliver({ tools }).getToolSecrets('t')).toEqual({ a: 'v' })
  })
})

describe('a read with limits of its own', () => {
  test('ends when its signal aborts, and the others go on', async () => {
    await aws.put({ T_A_production: 'v' })
    await aws.fault({ action: { delayMs: 500 } })
    const delivery = deliver({})
    const controller = new AbortController()
    const aborted = delivery.getToolSecret('t', 'a', { signal: controller.signal })
    const other = delivery.getToolSecret('t', 'a')
    const reason = new Error('no longer needed')
    controller.abort(reason)
    await expect(aborted).rejects.toMatchObject({ name: 'SecretError', code: 'ABORTED', cause: reason })
    expect(await other).toBe('v')
    await expect(delivery.getSecret('T_A', { signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(delivery.getToolSecrets('t', { signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('shares a signal with any number of others, without a warning of a leak', async () => {
    const delivery = deliver({})
    /** @type {Error[]} */
    const warnings = []
    const hear = (/** @type {Error} */ warning) => void warnings.push(warning)
    process.on('warning', hear)
    try {
      const { signal } = new AbortController()
      await Promise.all(Array.from({ length: 30 }, (_, i) => delivery.getSecret(`T_${i}`, { signal })))
      await aws.fault({ action: { hang: true } })
      const ending = new AbortController()
      const reads = Array.from({ length: 30 }, (_, i) => delivery.getSecret(`U_${i}`, { signal: ending.signal }))
      ending.abort()
      const codes = await Promise.all(reads.map((read) => read.catch(({ code }) => code)))
      expect(new Set(codes)).toEqual(new Set(['ABORTED']))
      // Warnings come in the next turn of the loop.
      await new Promise((resolve) => setImmediate(resolve))
      expect(warnings).toEqual([])
    } finally {
      process.off('warning', hear)
    }
  })

  test('a refresh that AWS does not answer takes no copy away from those who read meanwhile', async () => {
    await aws.put({ T_A_production: 'v' })
    const delivery = deliver({ cache: { ttlSeconds: 1 } })
    expect(await delivery.getSecret('T_A')).toBe('v')
    await aws.fault({ action: { hang: true } })
    await until('the copy is past its TTL', async () => (await delivery.explain('T_A')).layers[0]?.state === 'stale')
    const refresh = delivery.refresh('T_A').catch(({ code }) => code)
    expect(await delivery.getSecret('T_A')).toBe('v')
    expect(await refresh).toBe('SOURCE_TIMEOUT')
  })

  test('ends at its deadline', async () => {
    await aws.put({ T_A_production: 'v' })
    await aws.fault({ action: { delayMs: 1000 } })
    const delivery = deliver({})
    for (const read of [
      () => delivery.getToolSecret('t', 'a', { timeoutMs: 50 }),
      () => delivery.getToolSecrets('t', { timeoutMs: 50 }),
      () => delivery.refresh('T_A', { timeoutMs: 50 }),
      () => delivery.getSecretFromAWS('T_A', undefined, { timeoutMs: 50 }),
    ]) {
      const begun = performance.now()
      await expect(read()).rejects.toMatchObject({ code: 'SOURCE_TIMEOUT', message: expect.stringContaining('50 ms') })
      expect(performance.now() - begun).toBeLessThan(500)
    }
  })

  test('takes no copy that is older than it wants', async () => {
    await aws.put({ T_A_production: 'v' })
    const delivery = deliver({})
    await delivery.getToolSecret('t', 'a')
    await aws.put({ T_A_production: 'w' })
    expect(await delivery.getToolSecret('t', 'a', { maxAgeSeconds: 60 })).toBe('v')
    expect(await delivery.getToolSecret('t', 'a', { maxAgeSeconds: 0 })).toBe('w')
    expect(await delivery.getToolSecret('t', 'a')).toBe('w')
    await aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
    await expect(delivery.getToolSecret('t', 'a', { maxAgeSeconds: 0 })).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    })
    await expect(delivery.getToolSecrets('t', { maxAgeSeconds: 0 })).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    })
  })

  test.each([
    [{ timeoutMs: 0 }],
    [{ timeoutMs: '5' }],
    [{ signal: {} }],
    [{ maxAgeSeconds: -1 }],
    [{ maxAge: 1 }],
    [7],
  ])('refuses %j', async (options) => {
    const delivery = deliver({})
    for (const read of ['getToolSecret', 'getToolSecrets']) {
      const given = read === 'getToolSecret' ? ['t', 'a', options] : ['t', options]
      await expect(delivery[read](...given)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    }
  })
})

test('what is declared nowhere is read from AWS by its reference', async () => {
  await aws.put({ 'prod/x': '{"a":{"b":"c"}}' })
  const delivery = deliver({})
  const arn = await arnOf('prod/x')
  expect(await delivery.getSecretFromAWS('prod/x')).toBe('{"a":{"b":"c"}}')
  expect(await delivery.getSecretFromAWS('prod/x#a.b')).toBe('c')
  expect(await delivery.getSecretFromAWS({ id: arn, field: 'a' })).toBe('{"b":"c"}')
  expect(await delivery.getSecretFromAWS({ id: 'prod/x', versionStage: 'AWSPREVIOUS' })).toBeNull()
  await aws.put({ 'prod/x': '{"a":1}' })
  expect(await delivery.getSecretFromAWS({ id: 'prod/x', versionStage: 'AWSPREVIOUS' })).toBe('{"a":{"b":"c"}}')
  for (const wrong of ['a b', 'a##b', 'a#', { id: 'prod/x#a', field: 'b' }, 'arn:aws:s3:::b']) {
    await expect(delivery.getSecretFromAWS(wrong)).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' })
  }
})

// Each is what it says: one the text of an object, the other a part of it.
test('a field and a field inside it are two secrets of one version', async () => {
  await aws.put({ x: '{"a":{"b":"one"}}' })
  const delivery = deliver({ tools: { t: { secrets: { whole: { aws: 'x#a' }, part: { aws: 'x#a.b' } } } } })
  expect(await delivery.getToolSecrets('t')).toEqual({ whole: '{"b":"one"}', part: 'one' })
  await aws.put({ x: '{"a":{"b":"two"}}' })
  expect(await delivery.refresh('T_PART')).toBe('two')
  expect(await delivery.getToolSecrets('t')).toEqual({ whole: '{"b":"two"}', part: 'two' })
})

test('getSecretFromAWS takes its options in the place of the environment', async () => {
  await aws.put({ A_B_production: 'value' })
  const delivery = deliver({})
  expect(await delivery.getSecretFromAWS('A_B', { timeoutMs: 5000 })).toBe('value')
  const aborted = delivery.getSecretFromAWS('A_B', { signal: AbortSignal.abort() })
  await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
  await expect(delivery.getSecretFromAWS('A_B', { signal: 1 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const both = delivery.getSecretFromAWS('A_B', { timeoutMs: 5000 }, { timeoutMs: 5000 })
  await expect(both).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('environment') })
})

test('explain names the env file whose value counts', async () => {
  const directory = temporaryDirectory()
  fs.writeFileSync(path.join(directory, '.env.one'), 'A_B=1\nEMPTY_X=\n')
  fs.writeFileSync(path.join(directory, '.env.two'), 'A_B=2\nA_C=3\nEMPTY_X=4\n')
  const envFile = { directory, path: ['.env.one', '.env.two'] }
  const delivery = deliver({ environment: 'development', aws: { enabled: false }, envFile, logger: { warn() {} } })
  const place = async (name) => (await delivery.explain(name)).layers.find(({ layer }) => layer === 'env-file').place
  expect(await place('A_B')).toBe(path.join(directory, '.env.one'))
  expect(await place('A_C')).toBe(path.join(directory, '.env.two'))
  expect(await place('EMPTY_X')).toBe(path.join(directory, '.env.two'))
  expect(await place('A_D')).toBe(['.env.one', '.env.two'].map((name) => path.join(directory, name)).join(', '))
})

test('a key of a JSON secret may be any text, and is found in both reads', async () => {
  const text =
    '{"__proto__":"p","constructor":"c","toString":"s","":"empty","a.b":"dot","é":"e","\\u0041B":"esc","sp ace":"x"}'
  await aws.put({ 'production/odd': text })
  const delivery = deliver({
    tools: {
      odd: {
        aws: '{environment}/odd',
        secrets: { constructor: {} },
      },
    },
  })
  const found = await delivery.getToolSecrets('odd')
  expect(Object.keys(found).sort()).toEqual(
    ['constructor', '__proto__', 'tostring', '', 'a.b', 'é', 'ab', 'sp ace'].sort(),
  )
  expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
  expect(Object.getOwnPropertyDescriptor(found, '__proto__')).toEqual({
    value: 'p',
    writable: true,
    enumerable: true,
    configurable: true,
  })
  expect(await delivery.getSecretFromAWS('production/odd#__proto__')).toBe('p')
  expect(await delivery.getToolSecret('odd', 'constructor')).toBe('c')
  // From memory, and to a second caller.
  expect(Object.entries(await delivery.getToolSecrets('odd'))).toEqual(Object.entries(found))
})

test('JSON comes parsed, and what is none is not quoted', async () => {
  await aws.put({ T_A_production: '{"a":[1]}', T_B_production: 'canary-4711' })
  const delivery = deliver({})
  expect(await delivery.getToolSecretJson('t', 'a')).toEqual({ a: [1] })
  expect(await delivery.getToolSecretJson('t', 'c')).toBeNull()
  const error = await delivery.getToolSecretJson('t', 'b').catch((error) => error)
  expect(error).toMatchObject({ code: 'SOURCE_RESPONSE_INVALID', message: 'T_B is not JSON' })
})

describe('a secret that AWS denies and never gave', () => {
  const denied = async () => {
    await aws.deny({ actions: ['GetSecretValue'], secrets: ['T_A_production'] })
    const warnings = []
    const logger = { warn: (message) => warnings.push(message) }
    return { warnings, logger }
  }

  test('comes from another source, in production too, with a warning', async () => {
    const { warnings, logger } = await denied()
    const delivery = deliver({ logger, runtime: { variables: { T_A: 'v' } } })
    expect([await delivery.getToolSecret('t', 'a'), await delivery.getSecret('T_A')]).toEqual(['v', 'v'])
    expect((await delivery.explain('T_A')).answeredBy).toBe('runtime')
    expect(warnings.filter((warning) => /T_A: AWS denies it, and has it or not/.test(String(warning)))).toHaveLength(1)
  })

  test('is denied, or not there, where no source has it', async () => {
    const { logger } = await denied()
    const delivery = deliver({ logger })
    const error = { code: 'SECRET_ACCESS_DENIED', message: expect.stringContaining('denied, or not there') }
    await expect(delivery.getToolSecret('t', 'a')).rejects.toMatchObject(error)
    await expect(delivery.getToolSecret('t', 'a')).rejects.toMatchObject(error)
    expect(delivery.metrics.prometheus()).toMatch(/^secret_delivery_not_shown_total.* 2$/m)
  })

  test('is denied, whatever other sources have, once AWS gave it', async () => {
    await aws.put({ T_A_production: 'v' })
    const { logger } = { logger: { warn() {} } }
    const delivery = deliver({ logger, runtime: { variables: { T_A: 'other' } }, cache: { ttlSeconds: 1 } })
    expect(await delivery.getToolSecret('t', 'a')).toBe('v')
    await denied()
    await expect(delivery.refresh('T_A')).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
    const error = await delivery.getToolSecret('t', 'a').catch((error) => error)
    expect(error).toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
    expect(error.message).not.toContain('not there')
  })
})
