'use strict'

// What a read returns and what it costs, over the in-repo AWS endpoint.

const { overAws } = require('../support/over-aws')

const world = overAws()
const { deliver } = world

describe('a read', () => {
  test('gives the AWS value and then the cached one, at the cost of one AWS call', async () => {
    await world.aws.put({ GITHUB_API_TOKEN_production: 'ghp_1' })
    const delivery = deliver()
    for (let i = 0; i < 5; i++) expect(await delivery.getToolSecret('github', 'api_token')).toBe('ghp_1')
    expect(await delivery.getSecret('GITHUB_API_TOKEN')).toBe('ghp_1')
    expect((await world.aws.calls()).total).toBe(1)
    const { secretsRetrieved, cacheHits, cacheMisses } = delivery.metrics.snapshot()
    expect(secretsRetrieved).toEqual({ memory: 5, redis: 0, snapshot: 0, aws: 1, 'env-file': 0, runtime: 0 })
    expect([cacheHits, cacheMisses]).toEqual([5, 1])
  })

  test('gives null for a secret that no source has', async () => {
    expect(await deliver().getToolSecret('github', 'api_token')).toBeNull()
  })

  test('takes mixed case, dashes and other tools apart correctly', async () => {
    await world.aws.put({ 'MY-TOOL_API-KEY_production': 'a', MY_TOOL_API_KEY_production: 'b' })
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
    await world.aws.put({ T_V_production: value })
    const delivery = deliver()
    expect(await delivery.getToolSecret('t', 'v')).toBe(value)
    expect(await delivery.getToolSecret('t', 'v')).toBe(value)
    expect(await delivery.getToolSecrets('t')).toEqual({ v: value })
  })

  test('of one cold secret by a thousand readers costs one AWS call', async () => {
    await world.aws.put({ A_B_production: 'v' })
    await world.aws.fault({ action: { delayMs: 50 } })
    const delivery = deliver()
    const values = await Promise.all(Array.from({ length: 1000 }, () => delivery.getToolSecret('a', 'b')))
    expect(new Set(values)).toEqual(new Set(['v']))
    expect((await world.aws.calls()).total).toBe(1)
  })

  test('of ten thousand secrets works, and the cache keeps its bound', async () => {
    const secrets = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`S_N${i}_production`, `v${i}`]))
    await world.aws.put(secrets)
    const delivery = deliver({ cache: { maxEntries: 1000 } })
    const values = await Promise.all(Array.from({ length: 10_000 }, (_, i) => delivery.getToolSecret('s', `n${i}`)))
    expect(values.every((value, i) => value === `v${i}`)).toBe(true)
    const { cacheEntries } = delivery.metrics.snapshot()
    expect(cacheEntries).toBeGreaterThan(500)
    expect(cacheEntries).toBeLessThanOrEqual(1000)
  }, 60_000)

  test('of one name by two readers gives each its own promise, so that each has to handle a rejection', async () => {
    await world.aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
    const delivery = deliver()
    const reads = [delivery.getSecret('A_B'), delivery.getSecret('A_B')]
    expect(reads[0]).not.toBe(reads[1])
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
  })

  test('of a bad name among good ones of the same turn is refused alone', async () => {
    await world.aws.put({ A_B_production: 'one', C_D_production: 'two' })
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
    await world.aws.put(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`S_N${i}_production`, `v${i}`])))
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
    await world.aws.put({
      GITHUB_API_TOKEN_production: 'a',
      GITHUB_WEBHOOK_production: 'b',
      GITLAB_TOKEN_production: 'c',
    })
    const delivery = deliver({
      runtime: { variables: { GITHUB_EXTRA: 'r', GITHUB_WEBHOOK: 'not asked' }, secretDirectories: [] },
    })
    const secrets = await delivery.getToolSecrets('github')
    expect(secrets).toEqual({ api_token: 'a', webhook: 'b', extra: 'r' })
    for (const [key, value] of Object.entries(secrets)) expect(await delivery.getToolSecret('github', key)).toBe(value)
  })

  test('leaves the keys of a longer declared tool to that tool', async () => {
    await world.aws.put({ GIT_TOKEN_production: 'git', GIT_HUB_TOKEN_production: 'hub' })
    const delivery = deliver({ tools: { git_hub: { secrets: { token: {} } } } })
    expect(await delivery.getToolSecrets('git')).toEqual({ token: 'git' })
    expect(await delivery.getToolSecrets('git_hub')).toEqual({ token: 'hub' })
  })

  test('of a hundred declared secrets costs at most six AWS calls, and none when cached', async () => {
    const types = Array.from({ length: 100 }, (_, i) => `key_${i}`)
    await world.aws.put(Object.fromEntries(types.map((type) => [`BIG_${type.toUpperCase()}_production`, `v-${type}`])))
    const delivery = deliver({ tools: { big: { secrets: Object.fromEntries(types.map((type) => [type, {}])) } } })
    const expected = Object.fromEntries(types.map((type) => [type, `v-${type}`]))
    expect(await delivery.getToolSecrets('big')).toEqual(expected)
    const { total } = await world.aws.calls()
    expect(total).toBeLessThanOrEqual(6)
    expect(await delivery.getToolSecrets('big')).toEqual(expected)
    expect((await world.aws.calls()).total).toBe(total)
  })

  test('hands each caller an object of its own', async () => {
    await world.aws.put({ A_B_production: 'v' })
    const delivery = deliver()
    const [first, second] = await Promise.all([delivery.getToolSecrets('a'), delivery.getToolSecrets('a')])
    first.b = 'changed'
    expect(second).toEqual({ b: 'v' })
  })
})

describe('explain and health', () => {
  test('explain says which layer answers and never the value', async () => {
    await world.aws.put({ A_B_production: 'canary-value' })
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
    await world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
    const report = await delivery.health()
    expect(report).toMatchObject({ status: 'down', environment: 'production', checks: { aws: { status: 'down' } } })
    expect(report.checks.aws.reason).toMatch(/^[^\n]+$/)
  })
})
