'use strict'

// `ready()` as a readiness probe sees it: traffic goes where required secrets can be delivered, and nowhere else.

const fs = require('node:fs')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { temporaryDirectory } = require('../support/files')
const { KEY, OUTAGE, overRedis, shared } = require('../support/services')
const { until } = require('../support/until')

const world = overRedis({ A_B_production: 'value', A_C_production: 'value-c' })
const tools = { a: { secrets: { b: { required: true }, c: {} } } }

/** @param {object} [options] */
const service = (options) =>
  world.deliver({ redis: false, ttlSeconds: 1 }, { audit: false, alerts: false, tools, ...options })

/** @param {import('../..').SecretDelivery} delivery */
async function timed(delivery) {
  const from = performance.now()
  const report = await delivery.ready()
  expect(performance.now() - from).toBeLessThan(1000)
  return report
}

const READY = { ready: true, status: 'ready', reasons: [] }

test('a fresh instance is ready when its required secrets can be read, and asks AWS once in ten seconds', async () => {
  const delivery = service({ cache: { redis: false } })
  expect(await timed(delivery)).toEqual(READY)
  const { total } = await world.aws.calls()
  for (let i = 0; i < 20; i++) expect(await timed(delivery)).toEqual(READY)
  await Promise.all(Array.from({ length: 20 }, () => timed(delivery)))
  expect((await world.aws.calls()).total).toBe(total)
  // It was read like any read: the instance is warm.
  expect(await delivery.getSecret('A_B')).toBe('value')
  expect((await world.aws.calls()).total).toBe(total)
})

test('a role that AWS denies is not ready, whatever copies others share', async () => {
  const shares = { redis: { url: world.redis.url }, encryptionKeys: [KEY] }
  const options = { audit: false, alerts: false, tools }
  const first = world.deliver(shares, options)
  expect(await timed(first)).toEqual(READY)
  await shared('A_B_production', world.redis)
  // A process that may read is asked for once, and no more.
  const second = world.deliver(shares, options)
  await world.aws.resetCalls()
  await until('ready', async () => (await timed(second)).ready)
  for (let i = 0; i < 20; i++) expect(await timed(second)).toEqual(READY)
  expect((await world.aws.calls()).total).toBe(1)
  await world.aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'] })
  const third = world.deliver(shares, options)
  await until('AWS has answered', async () => !(await timed(third)).ready)
  expect(await timed(third)).toMatchObject({ ready: false, reasons: [expect.stringContaining('A_B: ')] })
  // Where AWS fails, copies answer.
  await world.aws.allow()
  await world.aws.fault(OUTAGE)
  expect((await timed(world.deliver(shares, options))).ready).toBe(true)
})

test('a required field that its secret does not have is not ready, unless another source has it', async () => {
  await world.aws.put({ 'a-json_production': '{"b":"","c":"value-c"}', 'a-text_production': 'no JSON' })
  const of = (/** @type {string} */ aws, /** @type {object} */ options) =>
    service({ cache: { redis: false }, tools: { a: { secrets: { b: { required: true, aws } } } }, ...options })
  expect(await timed(of('a-json_production#c', {}))).toEqual(READY)
  for (const [aws, why] of [
    ['a-json_production#b', 'A_B: no source has it'],
    ['a-json_production#d', 'A_B: no source has it'],
    ['a-text_production#b', 'is not a JSON object'],
  ]) {
    const delivery = of(String(aws), {})
    // Also once the copy of the whole secret is in memory.
    for (let i = 0; i < 2; i++) {
      const { ready, reasons } = await timed(delivery)
      expect([aws, ready, reasons.join()]).toEqual([aws, false, expect.stringContaining(String(why))])
    }
  }
  expect(await timed(of('a-json_production#d', { runtime: { variables: { A_B: 'value' } } }))).toEqual(READY)
})

test('AWS hangs, and copies are usable: ready, each time within a second', async () => {
  const delivery = service()
  await delivery.getToolSecrets('a')
  await world.aws.fault({ action: { hang: true } })
  await until('the copies are past their TTL', async () => {
    const { layers } = await delivery.explain('A_B')
    return layers[0].state === 'stale'
  })
  for (let i = 0; i < 3; i++) {
    const { ready, status, reasons } = await timed(delivery)
    expect([ready, status]).toEqual([true, 'degraded'])
    expect(reasons[0]).toContain('A_B: a copy answers')
  }
})

test('AWS hangs, and there is no copy: not ready, within a second', async () => {
  await world.aws.fault({ action: { hang: true } })
  const { ready, status, reasons } = await timed(service())
  expect([ready, status]).toEqual([false, 'not-ready'])
  expect(reasons).toContain('A_B: AWS has not answered yet')
})

test('a required secret that is refused or missing: not ready; an optional one: degraded', async () => {
  await world.aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'], secrets: ['A_B_production'] })
  const refused = await timed(service())
  expect([refused.ready, refused.status]).toEqual([false, 'not-ready'])
  expect(refused.reasons).toEqual([expect.stringMatching(/^A_B: denied, or not there/)])
  await world.aws.allow()
  await world.aws.remove('A_B_production')
  expect(await timed(service())).toMatchObject({ ready: false, reasons: ['A_B: no source has it'] })
  await world.aws.put({ A_B_production: 'value' })
  await world.aws.remove('A_C_production')
  expect(await timed(service())).toEqual({ ready: true, status: 'degraded', reasons: ['A_C: no source has it'] })
})

test('where nothing is required one usable source is enough', async () => {
  const optional = { a: { secrets: { c: {} } } }
  expect(await timed(service({ tools: optional }))).toEqual(READY)
  expect(await timed(service({ tools: {} }))).toEqual(READY)
  await world.aws.fault(OUTAGE)
  expect(await timed(service({ tools: {} }))).toMatchObject({ ready: false, status: 'not-ready' })
  expect(await timed(service({ tools: {}, environment: 'staging' }))).toMatchObject({ ready: true, status: 'degraded' })
  const offline = { environment: 'development', aws: { enabled: false }, tools: {} }
  expect(await timed(service(offline))).toEqual(READY)
})

const THROTTLED = { action: { error: { status: 400, code: 'ThrottlingException' } } }

test('AWS that throttles is degraded and not down', async () => {
  await world.aws.fault(THROTTLED)
  const delivery = service({ tools: {} })
  const { status, checks } = await delivery.health()
  expect([status, checks.aws.status]).toEqual(['degraded', 'degraded'])
  expect(checks.aws.reason).toContain('throttled (ThrottlingException)')
  expect(await timed(service({ tools: {} }))).toMatchObject({ ready: true, status: 'degraded' })
})

test('a fresh instance that AWS throttles says so', async () => {
  await world.aws.fault(THROTTLED)
  const { ready, reasons } = await timed(service())
  expect([ready, reasons[0]]).toEqual([false, expect.stringMatching(/^A_B: AWS throttles/)])
})

test('while readers wait for AWS to throttle no more, health says so before their deadline', async () => {
  await world.aws.fault(THROTTLED)
  const delivery = service({ tools: {} })
  const reads = Promise.allSettled(Array.from({ length: 100 }, (_, i) => delivery.getSecret(`A_${i}`)))
  await until('reads are throttled', async () => (await world.aws.calls()).byOperation.GetSecretValue > 0)
  const from = performance.now()
  const { checks } = await delivery.health()
  expect(performance.now() - from).toBeLessThan(3000)
  expect(checks.aws).toMatchObject({ status: 'degraded', reason: expect.stringContaining('throttled') })
  await reads
})

test('AWS that answers other reads while the question of health hangs is degraded and not down', async () => {
  const PROBE = 'TCS_SECRET_DELIVERY_HEALTH_PROBE_production'
  await world.aws.fault({ action: { hang: true }, match: { secret: PROBE } })
  const delivery = service({ tools: {} })
  const asked = delivery.health()
  await until('it is asked', async () => (await world.aws.calls()).total > 0)
  expect(await delivery.getSecret('A_B')).toBe('value')
  expect((await asked).checks.aws).toMatchObject({
    status: 'degraded',
    reason: expect.stringContaining('answer in time'),
  })
  // Nothing is answered meanwhile.
  expect((await delivery.health()).checks.aws.status).toBe('down')
}, 30_000)

test('without its audit log nothing is delivered, so it is not ready', async () => {
  const directory = temporaryDirectory()
  try {
    const logger = { warn() {} }
    const denying = service({ audit: { path: path.join(directory, 'none', 'audit.jsonl') }, logger })
    expect(await timed(denying)).toMatchObject({ ready: false, reasons: [expect.stringContaining('audit.path')] })
    const warning = service({
      audit: { path: path.join(directory, 'none', 'audit.jsonl'), onFailure: 'warn' },
      logger,
    })
    expect(await timed(warning)).toMatchObject({ ready: true, status: 'degraded' })
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
})

test('neither ready() nor health() rejects, also when the delivery is closed', async () => {
  const delivery = service()
  await delivery.close()
  expect(await delivery.ready()).toMatchObject({ ready: false, reasons: [expect.stringContaining('closed')] })
  const { status, checks, environment } = await delivery.health()
  expect([status, environment]).toEqual(['down', 'production'])
  expect(Object.keys(checks).sort()).toEqual(['audit', 'aws', 'envFile', 'memory', 'redis', 'runtime'])
})
