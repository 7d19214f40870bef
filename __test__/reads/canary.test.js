'use strict'

// A random value is driven through every path; it must appear in nothing but the values returned.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const util = require('node:util')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')
const { until } = require('../support/until')

const canary = `canary-${randomBytes(12).toString('hex')}`
const key = randomBytes(32).toString('base64')
/** Everything that anyone could print. @type {string[]} */
const seen = []

function see(what) {
  seen.push(typeof what === 'string' ? what : util.inspect(what, { depth: 10, showHidden: true, getters: true }))
  if (what instanceof Error) seen.push(String(what), what.stack ?? '', JSON.stringify(what))
  else if (typeof what === 'object') seen.push(JSON.stringify(what))
}

const failing = [
  { error: { status: 500, code: 'InternalServiceError', message: canary } },
  { error: { status: 400, code: 'ThrottlingException', message: canary } },
  { error: { status: 400, code: 'AccessDeniedException', message: canary } },
  { error: { status: 400, code: 'ValidationException', message: canary } },
  { error: { status: 418, code: canary } },
  { body: { status: 200, text: `{"SecretString":"${canary}` } },
  { body: { status: 200, text: canary } },
  { body: { status: 503, text: `<html>${canary}</html>` } },
  { truncate: true },
  { close: true },
]

test('a secret value appears nowhere but in the values returned', async () => {
  const [aws, redis] = await Promise.all([AwsEndpoint.start(), RedisServer.start()])
  const directory = temporaryDirectory()
  const warnings = []
  const written = []
  const spies = ['log', 'info', 'warn', 'error', 'debug', 'trace'].map((name) =>
    jest
      .spyOn(console, /** @type {any} */ (name))
      .mockImplementation((...words) => written.push(util.format(...words))),
  )
  for (const stream of [process.stdout, process.stderr]) {
    spies.push(jest.spyOn(stream, 'write').mockImplementation((text) => written.push(String(text)) > 0))
  }
  const deliveries = []
  const deliver = (options) => {
    const delivery = new SecretDelivery({
      environment: 'staging',
      aws: {
        ...aws.options,
        credentials: { accessKeyId: 'AKIA', secretAccessKey: canary, sessionToken: canary },
        maxAttempts: 1,
        // What is throttled is asked again until this has passed.
        timeoutMs: 800,
      },
      envFile: { directory },
      runtime: {
        variables: { C_RUNTIME: canary, C_POINTER_FILE: path.join(directory, canary) },
        secretDirectories: [directory],
      },
      cache: { redis: { url: `redis://:${canary}@127.0.0.1:1` }, encryptionKeys: [{ id: 'k', key }] },
      tools: { c: { secrets: { aws: { pattern: '^x', minLength: 200, json: ['f'] }, file: {}, runtime: {} } } },
      logger: { warn: (message) => warnings.push(message) },
      ...options,
    })
    deliveries.push(delivery)
    return delivery
  }
  try {
    await aws.put({ C_AWS_staging: canary, C_ROTATE_staging: canary })
    fs.writeFileSync(path.join(directory, '.env.staging'), `C_FILE=${canary}\nbad line ${canary}\n"${canary}\n`)
    fs.writeFileSync(path.join(directory, 'c-mounted'), canary)
    fs.writeFileSync(path.join(directory, 'C_BINARY'), Buffer.concat([Buffer.from(canary), Buffer.from([0xff])]))
    const delivery = deliver({})
    const values = [
      await delivery.getToolSecret('c', 'aws'),
      await delivery.getToolSecret('c', 'aws'),
      await delivery.getToolSecret('c', 'file'),
      await delivery.getToolSecret('c', 'runtime'),
      await delivery.getToolSecret('c', 'mounted'),
      ...Object.values(await delivery.getToolSecrets('c')),
    ]
    expect(new Set(values)).toEqual(new Set([canary]))
    const everything = (one) => [
      () => one.getSecret('C_AWS'),
      () => one.getSecret('C_BINARY'),
      () => one.getSecret('C_POINTER'),
      () => one.refresh('C_AWS'),
      () => one.getToolSecrets('c'),
      () => one.getSecretFromAWS('C_AWS'),
      () => one.cache.set('C_AWS', canary, 60),
      () => one.cache.get('C_AWS'),
      () => one.rotateSecret('C_ROTATE', 'staging'),
    ]
    const reports = (one) => [
      () => one.explain('C_AWS'),
      () => one.explain('C_FILE'),
      () => one.explain('C_BINARY'),
      () => one.health(),
      () => one.validateToolSecrets('c'),
      () => one.validateSecretAccess(),
      () => one.validateSecretConsistency(),
      () => one.validateApplicationFunctionality(),
      () => one.assessPerformanceImpact(),
    ]
    const examine = async (one) => {
      for (const call of everything(one)) await call().catch(see)
      for (const call of reports(one)) see(await call().catch((error) => error))
      see(one)
      see(one.cache)
      see(one.metrics)
      see(one.metrics.snapshot())
    }
    await examine(delivery)
    await examine(deliver({ cache: { redis: { url: redis.url }, encryptionKeys: [{ id: 'k', key }] } }))
    for (const action of failing) {
      await aws.clearFaults()
      await aws.fault({ action })
      await examine(deliver({ cache: { redis: false } }))
      const strict = deliver({ environment: 'production', cache: { redis: false } })
      for (const call of everything(strict)) await call().catch(see)
    }
    await aws.clearFaults()
    for (const options of [
      { aws: { endpoint: `http://${canary}:x@host` } },
      { aws: { region: canary.toUpperCase() } },
      { cache: { redis: { url: `redis://:${canary}@` } } },
      { cache: { redis: { url: `http://:${canary}@host` } } },
      { cache: { encryptionKeys: [{ id: 'k', key: canary }] } },
      { cache: { encryptionKeys: canary } },
      { aws: { credentials: { accessKeyId: 'a', secretAccessKey: [canary] } } },
      { runtime: { variables: { A: [canary] } } },
    ]) {
      expect(() => deliver(options)).toThrow()
      try {
        deliver(options)
      } catch (error) {
        see(error)
      }
    }
    await until('warnings arrived', () => warnings.length > 0)
    await Promise.all(deliveries.map((one) => one.close()))
    for (const one of deliveries) await one.getSecret('C_AWS').catch(see)
    const stored = await redis.command('KEYS', '*')
    for (const name of stored) seen.push(String(name), String(await redis.command('GET', name)))
    expect(stored.length).toBeGreaterThan(0)
  } finally {
    for (const spy of spies) spy.mockRestore()
    await Promise.all([aws.stop(), redis.stop()])
    fs.rmSync(directory, { recursive: true })
  }
  expect(seen.length).toBeGreaterThan(200)
  expect([...seen, ...warnings, ...written].filter((text) => text.includes(canary))).toEqual([])
  expect([...seen, ...warnings, ...written].filter((text) => text.includes(key))).toEqual([])
}, 120_000)
