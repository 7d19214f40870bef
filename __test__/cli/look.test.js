'use strict'

// Looking back and comparing: history, diff, refresh, cache, due --check, and what list costs.

const fs = require('node:fs')
const path = require('node:path')
const { RedisServer } = require('../support/servers/redis')
const { cliWorld, error } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, config, write } = world

test('list of 1,000 names costs 50 calls, with and without a cache', async () => {
  const secrets = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`s${i}`, {}]))
  write('many.json', { tools: { many: { secrets } } })
  for (const environment of ['staging', 'development']) {
    const names = Array.from({ length: 400 }, (_, i) => `EXTRA_${i}=${canary}\n`)
    write(environment === 'staging' ? '.env.staging' : '.env.dev', names.join(''))
    await world.aws.put({ [`MANY_S7_${environment}`]: canary, [`EXTRA_5_${environment}`]: canary })
    await world.aws.resetCalls()
    const { status, document } = await cli.json(`list -c many.json -e ${environment}`)
    expect([status, document.secrets.length]).toEqual([0, 1000])
    const source = (/** @type {string} */ name) => document.secrets.find((one) => one.name === name)?.source
    expect(['MANY_S7', 'MANY_S8', 'EXTRA_5', 'EXTRA_6'].map(source)).toEqual(['aws', null, 'aws', 'env-file'])
    // On a slow machine some are sent again, as no answer is heard for a second.
    expect((await world.aws.calls()).total).toBeLessThanOrEqual(60)
  }
})

test('history shows the versions that have labels, and who made them, without values', async () => {
  await cli.run('rotate database password --yes --generate')
  const { status, document } = await cli.json('history database password')
  expect([status, document.versions.map(({ label }) => label)]).toEqual([0, ['AWSCURRENT', 'AWSPREVIOUS']])
  const live = (await world.aws.versions('DATABASE_PASSWORD_staging')).find(({ labels }) =>
    labels.includes('AWSCURRENT'),
  )
  expect(document.versions[0]).toEqual({
    label: 'AWSCURRENT',
    versionId: live?.versionId,
    createdAt: expect.stringMatching(/^\d{4}-/),
    madeBy: 'rotate by tcs-secrets',
  })
  expect(document.versions[1].madeBy).toBeNull()
  expect((await cli.run('history DATABASE_PASSWORD')).stdout).toMatch(
    /^AWSCURRENT +\d{4}-\d\d-\d\d \d\d:\d\d UTC +[\w-]{36} +rotate by tcs-secrets$/m,
  )
  expect(await cli.json('history database none')).toMatchObject({ status: 1, document: error('SECRET_NOT_FOUND') })
})

test('diff compares environments, and the env file with AWS, without values', async () => {
  await world.aws.put({
    DATABASE_PASSWORD_production: `${canary} 'quoted' $x`,
    GITHUB_WEBHOOK_SECRET_production: canary,
  })
  const { status, document } = await cli.json('diff staging prod')
  expect([status, document]).toEqual([
    1,
    {
      sides: ['staging', 'production'],
      equal: false,
      secrets: [
        { name: 'GITHUB_API_TOKEN', result: 'different' },
        { name: 'GITHUB_WEBHOOK_SECRET', result: 'only in production' },
        { name: 'DATABASE_PASSWORD', result: 'equal' },
      ],
    },
  ])
  expect((await cli.json('diff staging production --tool database')).status).toBe(0)
  expect((await cli.run('diff staging production')).stdout).toMatch(/\n2 differences\n$/)
  write('.env.staging', `GITHUB_API_TOKEN=${canary}-token\nDATABASE_PASSWORD=${canary}\nLEGACY_KEY=${canary}\n`)
  const file = await cli.json('diff staging --file')
  const results = Object.fromEntries(file.document.secrets.map(({ name, result }) => [name, result]))
  expect([file.status, results]).toEqual([
    1,
    {
      GITHUB_API_TOKEN: 'equal',
      DATABASE_PASSWORD: 'different',
      LEGACY_KEY: 'only in the file',
      GITHUB_WEBHOOK_SECRET: 'absent',
    },
  ])
  const wrong = await Promise.all([
    cli.json('diff staging'),
    cli.json('diff staging production --file'),
    cli.json('diff qa production'),
  ])
  expect(wrong.map((one) => one.status)).toEqual([2, 2, 2])
  await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['GITHUB_API_TOKEN_production'] })
  // What is denied says nothing of the others.
  const denied = await cli.json('diff staging production')
  expect([denied.status, denied.document.equal]).toEqual([4, false])
  expect(denied.document.secrets).toEqual([
    {
      name: 'GITHUB_API_TOKEN',
      result: 'unknown',
      error: { code: 'SECRET_ACCESS_DENIED', message: expect.stringContaining('GITHUB_API_TOKEN_production') },
    },
    { name: 'GITHUB_WEBHOOK_SECRET', result: 'only in production' },
    { name: 'DATABASE_PASSWORD', result: 'equal' },
  ])
  expect((await cli.run('diff staging production')).stdout).toMatch(/\n1 difference, 1 unknown\n$/)
  expect((await cli.json('diff production --file')).status).toBe(4)
  await world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
  expect(await cli.json('diff staging production')).toMatchObject({ status: 4, document: error('SOURCE_UNAVAILABLE') })
})

test('an environment of the configuration is one like the others', async () => {
  write('own.json', { ...config, environments: { qa: { like: 'staging' }, live: { like: 'production' } } })
  await world.aws.put({ GITHUB_API_TOKEN_qa: `${canary}-qa` })
  write('.env.qa', `LEGACY_TOKEN=${canary}\n`)
  const { status, document } = await cli.json('list -c own.json -e qa')
  const sources = Object.fromEntries(document.secrets.map(({ name, source }) => [name, source]))
  expect([status, document.environment, sources]).toEqual([
    0,
    'qa',
    { DATABASE_PASSWORD: null, GITHUB_API_TOKEN: 'aws', GITHUB_WEBHOOK_SECRET: null, LEGACY_TOKEN: 'env-file' },
  ])
  const compared = await cli.json('diff staging qa -c own.json --tool github')
  expect([compared.status, compared.document.sides]).toEqual([1, ['staging', 'qa']])
  expect((await cli.json('get github api_token -c own.json', { env: { TCS_ENVIRONMENT: 'qa' } })).status).toBe(0)
  expect((await cli.json('list -c own.json -e live')).document.environment).toBe('live')
  const wrong = await cli.run('list -c own.json -e stagin')
  expect([wrong.status, wrong.stderr]).toEqual([
    2,
    expect.stringMatching(/^error: 'stagin' is no environment: .*qa, live.*; did you mean staging\?\n$/),
  ])
  expect((await cli.json('validate -c own.json --other-environments qb')).status).toBe(2)
})

test('due --check is silent while nothing is due, and ends with 1 when something is', async () => {
  write('later.json', {
    ...config,
    rotation: { policies: [{ secretType: 'database-credentials', rotationInterval: 30 }] },
  })
  await world.aws.put({ GITHUB_WEBHOOK_SECRET_staging: canary })
  expect(await cli.run('due --check -c later.json')).toMatchObject({ status: 0, stdout: '' })
  await world.aws.remove('GITHUB_WEBHOOK_SECRET_staging')
  const { status, stdout } = await cli.run('due --check -c later.json')
  expect([status, stdout]).toEqual([1, expect.stringMatching(/^GITHUB_WEBHOOK_SECRET +unknown/m)])
  expect(stdout).not.toContain('DATABASE_PASSWORD')
  expect((await cli.json('due -c later.json')).status).toBe(0)
})

describe('with a shared cache', () => {
  /** @type {RedisServer} */
  let redis
  beforeAll(async () => {
    redis = await RedisServer.start()
    cli.env.REDIS_URL = redis.url
    cli.env.TCS_CACHE_KEYS = `k1:${Buffer.alloc(32, 7).toString('base64')}`
  })
  afterAll(async () => {
    delete cli.env.REDIS_URL
    delete cli.env.TCS_CACHE_KEYS
    await redis.stop()
  })

  test('refresh replaces the shared copy, cache show has its age, cache clear drops it', async () => {
    expect((await cli.json('refresh github api_token')).status).toBe(0)
    const copy = async () => {
      const { document } = await cli.json('cache show github')
      return document.copies.find(({ name, layer }) => name === 'GITHUB_API_TOKEN' && layer === 'redis')
    }
    const [live] = await world.aws.versions('GITHUB_API_TOKEN_staging')
    expect(await copy()).toMatchObject({ state: 'hit', versionId: live?.versionId, ageSeconds: expect.any(Number) })
    await world.aws.put({ GITHUB_API_TOKEN_staging: `${canary}-newer` })
    const refreshed = await cli.json('refresh github api_token')
    expect((await copy()).versionId).toBe(refreshed.document.versionId)
    expect((await copy()).versionId).not.toBe(live?.versionId)
    expect((await cli.run('cache show')).stdout).toMatch(/^GITHUB_API_TOKEN +redis +hit +[\w-]{36} /m)
    expect(await cli.json('cache clear')).toMatchObject({ status: 2, document: error('CONFIRMATION_NEEDED', '--yes') })
    expect((await copy()).state).toBe('hit')
    expect((await cli.json('cache clear --yes')).status).toBe(0)
    expect((await copy()).state).toBe('miss')
    expect(await cli.json('refresh github nothing')).toMatchObject({ status: 1, document: error('SECRET_NOT_FOUND') })
  })
})

test('without a shared cache, cache says so', async () => {
  expect(await cli.json('cache show')).toMatchObject({ status: 3, document: error('CONFIG_INVALID', 'REDIS_URL') })
  expect(fs.existsSync(path.join(world.logs, 'secret-audit.jsonl'))).toBe(true)
})
