'use strict'

// `tcs-secrets doctor` as a process of its own, over the in-repo AWS endpoint and a real Redis.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const http = require('node:http')
const { clockFindings } = require('../../cli/doctor/aws')
const { isGuessed } = require('../../cli/doctor/exposure')
const { RedisServer } = require('../support/servers/redis')
const { until } = require('../support/until')
const { cliWorld } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, config, file, write } = world

/** @type {RedisServer} */
let redis
beforeAll(async () => {
  redis = await RedisServer.start()
})
afterAll(() => redis?.stop())

describe('doctor', () => {
  const findings = (document, check) => document.findings.filter((finding) => finding.check === check)

  test('tells what must not be in production', async () => {
    const zeros = Buffer.alloc(32).toString('base64')
    const env = {
      REDIS_URL: 'redis://cache.invalid:6379',
      TCS_CACHE_KEYS: `k1:${zeros}`,
      AWS_ENDPOINT_URL: 'http://192.0.2.2:4566',
    }
    const run = await cli.json('doctor', { env })
    const said = (check) => findings(run.document, check).filter(({ status }) => status !== 'ok')
    expect(said('Redis').map(({ message }) => message)).toContainEqual(expect.stringMatching(/cache\.invalid in clear/))
    expect(said('cache keys').map(({ message }) => message)).toContainEqual(expect.stringMatching(/^k1: not random/))
    expect(JSON.stringify(run.document)).not.toContain(zeros)
  })

  test.each([
    [Buffer.alloc(32), true],
    [Buffer.alloc(32, 7), true],
    [Buffer.from(Array.from({ length: 32 }, (_, at) => at)), true],
    [Buffer.from('abcd'.repeat(8)), true],
    ...Array.from({ length: 20 }, () => [randomBytes(32), false]),
  ])('a key that is guessed: %j', (bytes, guessed) => {
    expect([isGuessed(bytes.toString('base64')), isGuessed(bytes)]).toEqual([guessed, guessed])
  })

  test('finds nothing wrong where nothing is', async () => {
    // What compliance finds is below.
    world.write('tcs-secrets.config.json', { ...world.config, compliance: false })
    const env = { REDIS_URL: redis.url, TCS_CACHE_KEYS: `k1:${randomBytes(32).toString('base64')}` }
    // Redis has 250 ms to answer, which a busy machine may not keep at the first try.
    const { status, document } = await until('nothing is wrong', async () => {
      const run = await cli.json('doctor', { env })
      return run.document.healthy && run
    })
    expect(document.findings.filter(({ status: state }) => state !== 'ok' && state !== 'note')).toEqual([])
    expect(status).toBe(0)
    expect(findings(document, 'environment')[0].message).toBe('staging, from TCS_ENVIRONMENT')
    expect(findings(document, 'cache keys')[0].message).toBe('k1 from TCS_CACHE_KEYS; the first encrypts')
    expect(document.findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining(['Node', 'package', 'AWS', 'clock', 'Redis', 'permissions']),
    )
  })

  test('has a fix for each thing that is wrong', async () => {
    await world.aws.deny({
      actions: ['GetSecretValue', 'BatchGetSecretValue'],
      secrets: ['GITHUB_API_TOKEN_staging'],
    })
    write('tcs-secrets.config.json', {
      ...config,
      aws: { credentials: { accessKeyId: 'AKIA', secretAccessKey: canary } },
      cache: {
        snapshotPath: 'snapshot',
        redis: { url: 'redis://127.0.0.1:1' },
        encryptionKeys: [{ id: 'k9', key: Buffer.alloc(32, 2).toString('base64') }],
      },
    })
    write('.env.staging', `LEGACY_KEY=${canary}\n`)
    write('snapshot', '')
    fs.chmodSync(file('.env.staging'), 0o644)
    fs.chmodSync(file('snapshot'), 0o640)
    const { status, document } = await cli.json('doctor')
    expect([status, document.healthy]).toEqual([1, false])
    const wrong = document.findings.filter(({ status: state }) => state === 'warning' || state === 'error')
    expect(wrong.filter(({ fix }) => fix === null)).toEqual([])
    const told = wrong.map(({ check, status: state, fix }) => `${state} ${check}: ${fix}`).join('\n')
    expect(told).toContain(`warning env file: chmod 600 ${file('.env.staging')}`)
    expect(told).toContain(`warning snapshot: chmod 600 ${file('snapshot')}`)
    // Once each, although the delivery warns of them as well.
    expect(wrong.filter(({ message }) => /\bmode 0\d/.test(message)).map(({ check }) => check)).toEqual([
      'env file',
      'snapshot',
    ])
    expect(told).toContain('warning configuration: use the AWS_* variables')
    expect(told).toMatch(/Redis: check cache\.redis\.url/)
    expect(told).toContain('error permissions: grant the identity secretsmanager:GetSecretValue')
  })

  test('says what may be read beyond what is declared, as far as AWS tells', async () => {
    const PROBE = 'TCS_SECRET_DELIVERY_HEALTH_PROBE'
    const wider = async () => {
      const { document } = await cli.json('doctor')
      const told = findings(document, 'permissions').map(({ message }) => message)
      return told.find((message) => message.startsWith('more may be read'))
    }
    const long = `GITHUB_API_TOKEN_staging-${PROBE}`
    expect(await wider()).toBe(
      'more may be read than is declared: other names of this environment; secrets of production; names that begin like GITHUB_API_TOKEN_staging',
    )
    const denied = (/** @type {string[]} */ ...secrets) =>
      world.aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'], secrets })
    await denied(`${PROBE}_staging`, long)
    expect(await wider()).toBe('more may be read than is declared: secrets of production')
    await world.aws.allow()
    await denied(`${PROBE}_staging`, `${PROBE}_production`)
    expect(await wider()).toBe('more may be read than is declared: names that begin like GITHUB_API_TOKEN_staging')
    await world.aws.allow()
    await denied(`${PROBE}_staging`, `${PROBE}_production`, long)
    expect(await wider()).toBeUndefined()
  })

  test('says which secrets are wrong, and why', async () => {
    await world.aws.put({ GITHUB_API_TOKEN_staging: 'short' })
    const { document } = await cli.json('doctor')
    const message = 'wrong or missing: GITHUB_API_TOKEN (TOO_SHORT)'
    expect(findings(document, 'secrets')).toEqual([expect.objectContaining({ status: 'error', message })])
  })

  test('says what is wrong with the configuration, and how to make a key', async () => {
    const { status, document } = await cli.json('doctor', { env: { REDIS_URL: redis.url } })
    expect([status, findings(document, 'configuration')]).toEqual([
      1,
      [
        expect.objectContaining({
          status: 'error',
          message: expect.stringContaining('ENCRYPTION_KEY_INVALID'),
          fix: expect.stringContaining('TCS_CACHE_KEYS'),
        }),
      ],
    ])
    const { stdout } = await cli.run('doctor', { env: { REDIS_URL: redis.url } })
    expect(stdout).toMatch(/^error +configuration .*\n +→ make a key: /m)
  })

  test.each([
    [0, 'ok', 'agrees'],
    [-90, 'warning', '90 seconds ahead of'],
    [400, 'error', '400 seconds behind'],
  ])('compares the clock with an answer that is %j seconds off', async (off, status, message) => {
    const now = Date.now()
    const server = http.createServer((_, answer) =>
      answer.writeHead(404, { date: new Date(now + off * 1000).toUTCString() }).end(),
    )
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    // The header has whole seconds: at the start of one.
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Math.floor(now / 1000) * 1000)
    try {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
      const [finding] = await clockFindings(`http://127.0.0.1:${port}`)
      expect([finding.status, finding.message]).toEqual([status, expect.stringContaining(message)])
    } finally {
      clock.mockRestore()
      server.close()
    }
  })

  test('sees an AWS that does not answer', async () => {
    const { status, document } = await cli.json('doctor -e production', {
      env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    })
    expect([status, findings(document, 'AWS')]).toEqual([
      1,
      [expect.objectContaining({ status: 'error', fix: expect.stringContaining('network') })],
    ])
  })
})
