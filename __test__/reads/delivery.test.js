'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, SecretError, environmentDefaults } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { until } = require('../support/until')

/** @type {AwsEndpoint} */
let aws
/** @type {string} */
let directory
/** @type {SecretDelivery[]} */
const open = []

/** A delivery that ends with its test. */
function deliver(options) {
  const delivery = new SecretDelivery({
    environment: 'production',
    aws: aws.options,
    envFile: { directory },
    runtime: { variables: {}, secretDirectories: [] },
    ...options,
  })
  open.push(delivery)
  return delivery
}

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  directory = temporaryDirectory()
  await aws.reset()
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  fs.rmSync(directory, { recursive: true })
})
afterAll(() => aws.stop())

describe('a read', () => {
  test('gives the AWS value and then the cached one, at the cost of one AWS call', async () => {
    await aws.put({ GITHUB_API_TOKEN_production: 'ghp_1' })
    const delivery = deliver()
    for (let i = 0; i < 5; i++) expect(await delivery.getToolSecret('github', 'api_token')).toBe('ghp_1')
    expect(await delivery.getSecret('GITHUB_API_TOKEN')).toBe('ghp_1')
    expect((await aws.calls()).total).toBe(1)
    const { secretsRetrieved, cacheHits, cacheMisses } = delivery.metrics.snapshot()
    expect(secretsRetrieved).toEqual({ memory: 5, redis: 0, aws: 1, 'env-file': 0, runtime: 0 })
    expect([cacheHits, cacheMisses]).toEqual([5, 1])
  })

  test('gives null for a secret that no source has', async () => {
    expect(await deliver().getToolSecret('github', 'api_token')).toBeNull()
  })

  test('takes mixed case, dashes and other tools apart correctly', async () => {
    await aws.put({ 'MY-TOOL_API-KEY_production': 'a', MY_TOOL_API_KEY_production: 'b' })
    const delivery = deliver()
    for (let i = 0; i < 2; i++) {
      expect(await delivery.getToolSecret('My-Tool', 'api-Key')).toBe('a')
      expect(await delivery.getToolSecret('my_tool', 'api_key')).toBe('b')
    }
  })

  test.each([
    ['64 KiB', 'x'.repeat(65_536)],
    ['NUL', 'a\0b'],
    ['emoji and other scripts', '🔑 ключ 鍵 ñ'],
    ['Latin-1', 'pässwörd'],
    ['line ends', '-----BEGIN KEY-----\r\nabc\n'],
    ['blanks', '  '],
  ])('returns %s unchanged, cold and cached', async (_, value) => {
    await aws.put({ T_V_production: value })
    const delivery = deliver()
    expect(await delivery.getToolSecret('t', 'v')).toBe(value)
    expect(await delivery.getToolSecret('t', 'v')).toBe(value)
    expect(await delivery.getToolSecrets('t')).toEqual({ v: value })
  })

  test('of one cold secret by a thousand readers costs one AWS call', async () => {
    await aws.put({ A_B_production: 'v' })
    await aws.fault({ action: { delayMs: 50 } })
    const delivery = deliver()
    const values = await Promise.all(Array.from({ length: 1000 }, () => delivery.getToolSecret('a', 'b')))
    expect(new Set(values)).toEqual(new Set(['v']))
    expect((await aws.calls()).total).toBe(1)
  })

  test('of ten thousand secrets works, and the cache keeps its bound', async () => {
    const secrets = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`S_N${i}_production`, `v${i}`]))
    await aws.put(secrets)
    const delivery = deliver({ cache: { maxEntries: 1000 } })
    const values = await Promise.all(Array.from({ length: 10_000 }, (_, i) => delivery.getToolSecret('s', `n${i}`)))
    expect(values.every((value, i) => value === `v${i}`)).toBe(true)
    const { cacheEntries } = delivery.metrics.snapshot()
    expect(cacheEntries).toBeGreaterThan(500)
    expect(cacheEntries).toBeLessThanOrEqual(1000)
  }, 60_000)

  test('of one name by two readers gives each its own promise, so that each has to handle a rejection', async () => {
    await aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
    const delivery = deliver()
    const reads = [delivery.getSecret('A_B'), delivery.getSecret('A_B')]
    expect(reads[0]).not.toBe(reads[1])
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
  })

  test('of a bad name among good ones of the same turn is refused alone', async () => {
    await aws.put({ A_B_production: 'one', C_D_production: 'two' })
    const delivery = deliver()
    for (const bad of ['X\nY', '-x', 'é']) {
      const names = ['A_B', bad, 'C_D']
      const [one, refused, two] = await Promise.allSettled(names.map((name) => delivery.getSecret(name)))
      expect(refused).toMatchObject({ reason: { code: 'SECRET_NAME_INVALID' } })
      expect([one, two]).toMatchObject([{ value: 'one' }, { value: 'two' }])
      await delivery.cache.clear()
    }
  })

  test('that ended all at once is settled over several turns of the loop', async () => {
    await aws.put(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`S_N${i}_production`, `v${i}`])))
    const delivery = deliver()
    let [settled, most] = [0, 0]
    const reads = Array.from({ length: 500 }, (_, i) => delivery.getToolSecret('s', `n${i}`).then(() => settled++))
    // The reads begin in a microtask; from then on this thread is kept until they have ended.
    await Promise.resolve()
    const deadline = Date.now() + 20_000
    while (delivery.metrics.snapshot().secretsRetrieved.aws < 500 && Date.now() < deadline);
    for (let before = 0; settled < 500; before = settled) {
      await new Promise(setImmediate)
      most = Math.max(most, settled - before)
    }
    await Promise.all(reads)
    expect(most).toBeGreaterThan(50)
    expect(most).toBeLessThanOrEqual(2 * 128)
  }, 30_000)
})

describe('getToolSecrets', () => {
  test('gives every key as a single read gives it', async () => {
    await aws.put({ GITHUB_API_TOKEN_production: 'a', GITHUB_WEBHOOK_production: 'b', GITLAB_TOKEN_production: 'c' })
    const delivery = deliver({
      runtime: { variables: { GITHUB_EXTRA: 'r', GITHUB_WEBHOOK: 'not asked' }, secretDirectories: [] },
    })
    const secrets = await delivery.getToolSecrets('github')
    expect(secrets).toEqual({ api_token: 'a', webhook: 'b', extra: 'r' })
    for (const [key, value] of Object.entries(secrets)) expect(await delivery.getToolSecret('github', key)).toBe(value)
  })

  test('leaves the keys of a longer declared tool to that tool', async () => {
    await aws.put({ GIT_TOKEN_production: 'git', GIT_HUB_TOKEN_production: 'hub' })
    const delivery = deliver({ tools: { git_hub: { secrets: { token: {} } } } })
    expect(await delivery.getToolSecrets('git')).toEqual({ token: 'git' })
    expect(await delivery.getToolSecrets('git_hub')).toEqual({ token: 'hub' })
  })

  test('of a hundred declared secrets costs at most six AWS calls, and none when cached', async () => {
    const types = Array.from({ length: 100 }, (_, i) => `key_${i}`)
    await aws.put(Object.fromEntries(types.map((type) => [`BIG_${type.toUpperCase()}_production`, `v-${type}`])))
    const delivery = deliver({ tools: { big: { secrets: Object.fromEntries(types.map((type) => [type, {}])) } } })
    const expected = Object.fromEntries(types.map((type) => [type, `v-${type}`]))
    expect(await delivery.getToolSecrets('big')).toEqual(expected)
    const { total } = await aws.calls()
    expect(total).toBeLessThanOrEqual(6)
    expect(await delivery.getToolSecrets('big')).toEqual(expected)
    expect((await aws.calls()).total).toBe(total)
  })

  test('hands each caller an object of its own', async () => {
    await aws.put({ A_B_production: 'v' })
    const delivery = deliver()
    const [first, second] = await Promise.all([delivery.getToolSecrets('a'), delivery.getToolSecrets('a')])
    first.b = 'changed'
    expect(second).toEqual({ b: 'v' })
  })
})

describe('process variables', () => {
  afterEach(() => {
    delete process.env.TCS_PROBE_TOKEN
  })

  test('are read at the time of the call', async () => {
    const delivery = deliver({ environment: 'development', aws: { enabled: false }, runtime: {} })
    process.env.TCS_PROBE_TOKEN = 'one'
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('one')
    process.env.TCS_PROBE_TOKEN = 'two'
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('two')
    delete process.env.TCS_PROBE_TOKEN
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBeNull()
  })

  test.each([
    ['', () => {}],
    [', with the fake timers of Jest as well', () => jest.useFakeTimers()],
  ])('are found in a turn with many reads, and each turn sees what is set%s', async (_, fake) => {
    fake()
    const delivery = deliver({ environment: 'development', aws: { enabled: false }, runtime: {} })
    const all = () => {
      const names = [...Array(20)].map((_, index) => `TCS_UNSET_${index}`)
      names.push('TCS_PROBE_TOKEN', 'TCS-PROBE_TOKEN', 'TCS_PROBE_FILED')
      return Promise.all(names.map((name) => delivery.getSecret(name))).then((values) => values.slice(-3))
    }
    const file = path.join(directory, 'filed')
    fs.writeFileSync(file, 'from-file')
    try {
      expect(await all()).toEqual([null, null, null])
      process.env.TCS_PROBE_FILED_FILE = file
      process.env.TCS_PROBE_TOKEN = 'one'
      expect(await all()).toEqual(['one', 'one', 'from-file'])
      process.env.TCS_PROBE_TOKEN = 'two'
      expect(await all()).toEqual(['two', 'two', 'from-file'])
      delete process.env.TCS_PROBE_TOKEN
      delete process.env.TCS_PROBE_FILED_FILE
      expect(await all()).toEqual([null, null, null])
      process.env.TCS_PROBE_TOKEN = 'three'
      expect(await all()).toEqual(['three', 'three', null])
    } finally {
      jest.useRealTimers()
      delete process.env.TCS_PROBE_FILED_FILE
    }
  })

  test('are not looked at for what AWS or the env file has, and found after both', async () => {
    /** @type {string[]} */
    const asked = []
    const set = { TCS_PROBE_TOKEN: 'variable', A_B: 'not asked', C_D: 'not asked' }
    const variables = new Proxy(set, { get: (all, name) => (asked.push(String(name)), Reflect.get(all, name)) })
    await aws.put({ A_B_development: 'aws' })
    fs.writeFileSync(path.join(directory, '.env.dev'), 'C_D=file\n')
    const delivery = deliver({ environment: 'development', runtime: { variables, secretDirectories: [] } })
    asked.length = 0
    const names = ['A_B', 'C_D', 'TCS_PROBE_TOKEN', 'TCS-PROBE_TOKEN', 'E_F']
    expect(await Promise.all(names.map((name) => delivery.getSecret(name)))).toEqual([
      'aws',
      'file',
      'variable',
      'variable',
      null,
    ])
    expect(new Set(asked.map((name) => name.replace('_FILE', '').replace('-', '_')))).toEqual(
      new Set(['TCS_PROBE_TOKEN', 'E_F']),
    )
    // And of one alone.
    set.TCS_PROBE_TOKEN = 'another'
    expect(await delivery.getSecret('TCS_PROBE_TOKEN')).toBe('another')
  })

  test('that cannot be read are told to the read that needs them, and to no other', async () => {
    const variables = {
      get TCS_PROBE_TOKEN() {
        if (isReady) throw new Error('canary')
        return 'x'
      },
    }
    let isReady = false
    await aws.put({ A_B_production: 'aws' })
    const delivery = deliver({ runtime: { variables, secretDirectories: [] } })
    isReady = true
    const reads = ['TCS_PROBE_TOKEN', 'A_B', 'C_D'].map((name) => delivery.getSecret(name))
    const [failed, ...others] = await Promise.allSettled(reads)
    expect(others.map(({ value }) => value)).toEqual(['aws', null])
    const told = { code: 'SOURCE_UNAVAILABLE', message: expect.stringContaining('options.runtime.variables') }
    expect(failed.reason).toMatchObject(told)
    expect(failed.reason.message).not.toContain('canary')
    await expect(delivery.getSecret('TCS_PROBE_TOKEN')).rejects.toMatchObject(told)
  })

  test('override AWS when asked to, cached or not, and only while they are set', async () => {
    await aws.put({ TCS_PROBE_TOKEN_production: 'aws' })
    const delivery = deliver({ runtime: { precedence: 'override' } })
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('aws')
    process.env.TCS_PROBE_TOKEN = 'local'
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('local')
    delete process.env.TCS_PROBE_TOKEN
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('aws')
  })

  test('NAME_FILE names a file, whose last line end does not count', async () => {
    fs.writeFileSync(path.join(directory, 'token'), 'from-file\n')
    const variables = { A_B_FILE: path.join(directory, 'token') }
    const delivery = deliver({ runtime: { variables, secretDirectories: [] } })
    expect(await delivery.getToolSecret('a', 'b')).toBe('from-file')
    expect(await delivery.getToolSecrets('a')).toEqual({ b: 'from-file' })
  })
})

describe('cache', () => {
  test('set, get, invalidate and clear are the documented ones', async () => {
    const delivery = deliver()
    expect(await delivery.cache.get('A_B')).toBeNull()
    await delivery.cache.set('A_B', 'by hand', 60)
    expect(await delivery.cache.get('A_B')).toBe('by hand')
    expect(await delivery.getToolSecret('a', 'b')).toBe('by hand')
    await delivery.cache.invalidate('A_B')
    expect(await delivery.cache.get('A_B')).toBeNull()
    await delivery.cache.set('A_B', 'x')
    await delivery.cache.set('C_D', 'y')
    await delivery.cache.clear()
    expect([await delivery.cache.get('A_B'), await delivery.cache.get('C_D')]).toEqual([null, null])
  })

  test('a reader after an invalidation never joins a read begun before it', async () => {
    await aws.put({ A_B_production: 'old' })
    await aws.fault({ action: { delayMs: 300 }, times: 1 })
    const delivery = deliver()
    const early = delivery.getToolSecret('a', 'b')
    await until('the first read is on its way', async () => (await aws.calls()).total === 1)
    await aws.put({ A_B_production: 'new' })
    await delivery.cache.invalidate('A_B')
    expect(await delivery.getToolSecret('a', 'b')).toBe('new')
    await early
    expect(await delivery.getToolSecret('a', 'b')).toBe('new')
  })

  test('refresh replaces the cached value and onSecretRotated hears of it once', async () => {
    await aws.put({ A_B_production: 'one' })
    const delivery = deliver({ tools: { a: { secrets: { b: {} } } } })
    const heard = []
    const unsubscribe = delivery.onSecretRotated((tool, type) => heard.push(`${tool}/${type}`))
    expect(await delivery.getToolSecret('a', 'b')).toBe('one')
    await aws.put({ A_B_production: 'two' })
    expect(await delivery.getToolSecret('a', 'b')).toBe('one')
    expect(await delivery.refresh('A_B')).toBe('two')
    expect(await delivery.getToolSecret('a', 'b')).toBe('two')
    await until('the callback was called', () => heard.length > 0)
    expect(heard).toEqual(['a/b'])
    unsubscribe()
  })

  test('development caches nothing unless asked', async () => {
    await aws.put({ A_B_development: 'one' })
    const delivery = deliver({ environment: 'development' })
    expect(await delivery.getToolSecret('a', 'b')).toBe('one')
    await aws.put({ A_B_development: 'two' })
    expect(await delivery.getToolSecret('a', 'b')).toBe('two')
  })
})

describe('explain and health', () => {
  test('explain says which layer answers and never the value', async () => {
    await aws.put({ A_B_production: 'canary-value' })
    const delivery = deliver()
    const cold = await delivery.explain('A_B')
    expect(cold).toMatchObject({ name: 'A_B', awsId: 'A_B_production', answeredBy: 'aws', stale: false, error: null })
    await delivery.getSecret('A_B')
    const warm = await delivery.explain('A_B')
    expect(warm).toMatchObject({ answeredBy: 'memory', versionId: cold.versionId })
    expect(warm.layers.map(({ layer, state }) => `${layer} ${state}`)).toEqual([
      'memory hit',
      'redis disabled',
      'aws skipped',
      'env-file disabled',
      'runtime skipped',
    ])
    const { freshUntil, refreshAt, staleUntil } = warm.layers[0]
    expect(Date.parse(freshUntil) - Date.now()).toBeGreaterThan(290_000)
    expect(Date.parse(refreshAt)).toBeGreaterThan(Date.parse(freshUntil) - 65_000)
    expect(Date.parse(refreshAt)).toBeLessThan(Date.parse(freshUntil))
    expect(Date.parse(staleUntil) - Date.parse(freshUntil)).toBe(3_600_000)
    expect(warm.breakers).toEqual({ aws: 'closed' })
    // 30 days at 300 s, refreshed at 85 % of that; $0.40 and 5 cents for 10,000 calls.
    expect(warm.estimate).toEqual({ awsCallsPerMonth: 10_165, costPerMonthUsd: 0.45 })
    expect(JSON.stringify([cold, warm])).not.toContain('canary')
  })

  test('health tells each part, and production is down without AWS', async () => {
    const delivery = deliver()
    expect(await delivery.health()).toMatchObject({ status: 'ok', checks: { aws: { status: 'ok', reason: null } } })
    await aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
    const report = await delivery.health()
    expect(report).toMatchObject({ status: 'down', environment: 'production', checks: { aws: { status: 'down' } } })
    expect(report.checks.aws.reason).toMatch(/^[^\n]+$/)
  })
})

describe('validation', () => {
  const tools = {
    jira: { secrets: { api_token: { required: true, pattern: '^jt_', minLength: 8 }, config: { json: ['host'] } } },
  }

  test('finds what is missing and what looks wrong, by code', async () => {
    const delivery = deliver({ tools })
    const missing = await delivery.validateToolSecrets('jira')
    expect(missing.valid).toBe(false)
    expect(missing.secrets.find(({ name }) => name === 'JIRA_API_TOKEN').issues.map(({ code }) => code)).toEqual([
      'MISSING',
    ])
    await aws.put({ JIRA_API_TOKEN_production: 'canary', JIRA_CONFIG_production: '{"port":1}' })
    await delivery.cache.clear()
    const wrong = await delivery.validateToolSecrets('jira')
    expect(wrong.secrets.flatMap(({ issues }) => issues.map(({ code }) => code)).sort()).toEqual([
      'JSON_FIELD_MISSING',
      'PATTERN_MISMATCH',
      'TOO_SHORT',
    ])
    expect(JSON.stringify(wrong)).not.toContain('canary')
    await aws.put({ JIRA_API_TOKEN_production: 'jt_12345678', JIRA_CONFIG_production: '{"host":"h"}' })
    await delivery.cache.clear()
    expect(await delivery.validateToolSecrets('jira')).toMatchObject({
      valid: true,
      tool: 'jira',
      environment: 'production',
    })
    expect(await delivery.validateSecretAccess()).toMatchObject({ valid: true, tool: null })
    expect(await delivery.validateApplicationFunctionality()).toMatchObject({ valid: true })
  })

  test('consistency compares AWS with the env file', async () => {
    await aws.put({ JIRA_API_TOKEN_staging: 'jt_12345678' })
    fs.writeFileSync(path.join(directory, '.env.staging'), 'JIRA_API_TOKEN=jt_other\nJIRA_CONFIG={}\n')
    const delivery = deliver({ environment: 'staging', tools, logger: { warn() {} } })
    const { valid, secrets } = await delivery.validateSecretConsistency()
    expect(valid).toBe(false)
    const codes = Object.fromEntries(secrets.map(({ name, issues }) => [name, issues.map(({ code }) => code)]))
    expect(codes).toEqual({ JIRA_API_TOKEN: ['DIFFERENT'], JIRA_CONFIG: ['ONLY_IN_ENV_FILE'] })
  })

  test('the performance assessment measures the layers that were asked', async () => {
    await aws.put({ JIRA_API_TOKEN_production: 'jt_12345678', JIRA_CONFIG_production: '{"host":"h"}' })
    const { layers, thresholdMs, withinThreshold } = await deliver({ tools }).assessPerformanceImpact()
    expect([thresholdMs, withinThreshold]).toEqual([5000, true])
    expect(layers.find(({ layer }) => layer === 'aws').reads).toBeGreaterThan(0)
    for (const { p50Ms, p99Ms } of layers) expect(p99Ms).toBeGreaterThanOrEqual(p50Ms)
  })
})

describe('rotateSecret', () => {
  test('makes a new value live only by moving AWSCURRENT', async () => {
    await aws.put({ A_B_production: 'before' })
    const delivery = deliver()
    expect(await delivery.getSecret('A_B')).toBe('before')
    expect(await delivery.rotateSecret('A_B', 'production')).toBe(true)
    const after = await delivery.getSecret('A_B')
    expect(after).not.toBe('before')
    expect(after.length).toBeGreaterThanOrEqual(32)
    const { byOperation } = await aws.calls()
    expect(byOperation).toMatchObject({ UpdateSecretVersionStage: 1 })
    expect(byOperation).not.toHaveProperty('UpdateSecret')
  })

  test('answers false, warns and leaves the old value live when AWS refuses', async () => {
    await aws.put({ A_B_production: 'before' })
    await aws.deny({ actions: ['UpdateSecretVersionStage'] })
    const warnings = []
    const delivery = deliver({ logger: { warn: (message) => warnings.push(message) } })
    expect(await delivery.rotateSecret('A_B', 'production')).toBe(false)
    expect(await delivery.getSecret('A_B')).toBe('before')
    await until('the warning arrived', () => warnings.length > 0)
    expect(warnings).toEqual([expect.stringMatching(/^ROTATION_FAILED: .*A_B/)])
  })
})

describe('environments', () => {
  test('their presets are readable', () => {
    expect(environmentDefaults('prod')).toEqual({
      environment: 'production',
      source: 'aws-secrets-manager',
      fallback: null,
      fallbackDeprecated: false,
      cache: true,
      cacheTtlSeconds: 300,
      maxStaleSeconds: 3600,
      audit: true,
      rotation: 'weekly',
      rotationIntervalDays: 7,
      encryption: true,
      compliance: 'soc2',
      monitoring: true,
      alerting: true,
      onAwsFailure: 'reject',
    })
    expect(environmentDefaults('development')).toMatchObject({
      fallback: '.env.dev',
      cache: false,
      onAwsFailure: 'next-source',
    })
    expect(() => environmentDefaults('qa')).toThrow(SecretError)
  })

  test('each reads its own env file and its own AWS ids', async () => {
    await aws.put({ A_B_test: 'test', A_B_staging: 'staging' })
    fs.writeFileSync(path.join(directory, '.env.dev'), 'A_B=dev\n')
    fs.writeFileSync(path.join(directory, '.env.test'), 'A_B=never asked\nA_C=file\n')
    expect(await deliver({ environment: 'dev' }).getSecret('A_B')).toBe('dev')
    const testing = deliver({ environment: 'test' })
    expect([await testing.getSecret('A_B'), await testing.getSecret('A_C')]).toEqual(['test', 'file'])
    expect(await testing.getSecretFromAWS('A_B', 'staging')).toBe('staging')
    expect(await deliver({ environment: 'production' }).getSecret('A_C')).toBeNull()
  })

  test('an env file that changes is read again; skipped lines are reported once, by number', async () => {
    const file = path.join(directory, '.env.dev')
    fs.writeFileSync(file, 'A_B=one\nnot a line of it canary\n')
    const warnings = []
    const delivery = deliver({ environment: 'dev', logger: { warn: (message) => warnings.push(message) } })
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('one')
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('one')
    await until('the warning arrived', () => warnings.length > 0)
    fs.writeFileSync(file, 'A_B=second value\n')
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('second value')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/\.env\.dev.*2/)
    expect(warnings[0]).not.toContain('canary')
  })

  test('staging warns that its env file is deprecated', async () => {
    fs.writeFileSync(path.join(directory, '.env.staging'), 'A_B=one\n')
    const warnings = []
    const delivery = deliver({ environment: 'staging', logger: { warn: (message) => warnings.push(message) } })
    expect(await delivery.getSecret('A_B')).toBe('one')
    await until('the warning arrived', () => warnings.length > 0)
    expect(warnings[0]).toMatch(/^ENV_FILE_DEPRECATED: /)
  })

  const onUnix = process.platform === 'win32' ? test.skip : test

  onUnix.each([
    ['staging', '.env.staging', 0o644, true],
    ['staging', '.env.staging', 0o660, true],
    ['staging', '.env.staging', 0o600, false],
    ['production', 'named.env', 0o604, true],
    ['dev', '.env.dev', 0o644, false],
    ['test', '.env.test', 0o666, false],
  ])('%s, %s with mode %i: is it told once that others may read it? %p', async (environment, name, mode, told) => {
    const file = path.join(directory, name)
    fs.writeFileSync(file, 'A_B=one\n')
    fs.chmodSync(file, mode)
    const warnings = []
    const logger = { warn: (message) => warnings.push(message) }
    const delivery = deliver({ environment, envFile: { path: file }, logger })
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('one')
    fs.writeFileSync(file, 'A_B=longer\nnot a line\n')
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('longer')
    await until('the other warning arrived', () => warnings.some((text) => text.startsWith('ENV_FILE_LINE_SKIPPED')))
    const modes = warnings.filter((text) => text.startsWith('ENV_FILE_MODE'))
    expect(modes).toHaveLength(told ? 1 : 0)
    if (told) expect(modes[0]).toContain(`mode 0${mode.toString(8)}`)
  })

  onUnix('an audit log and a snapshot that others may read are told once, and a private one is not', async () => {
    const [log, snapshot] = [path.join(directory, 'audit.jsonl'), path.join(directory, 'snapshot')]
    const codes = async () => {
      const warnings = []
      const delivery = deliver({
        environment: 'production',
        audit: { path: log },
        cache: { snapshotPath: snapshot, encryptionKeys: [{ id: 'k', key: Buffer.alloc(32, 1) }] },
        logger: { warn: (message) => warnings.push(message) },
      })
      await delivery.getSecret('A_B').catch(() => {})
      await delivery.cache.invalidate('A_B')
      await delivery.close()
      return warnings.map((text) => text.split(':')[0]).filter((code) => code.endsWith('_MODE'))
    }
    expect(await codes()).toEqual([])
    for (const file of [log, `${log}.state`, snapshot]) fs.chmodSync(file, 0o640)
    expect((await codes()).sort()).toEqual(['AUDIT_LOG_MODE', 'AUDIT_LOG_MODE', 'SNAPSHOT_MODE'])
  })
})
