'use strict'

// Metrics as an operator's tools see them: promtool, prom-client, a real Prometheus; and the alerts.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { Counter, Registry } = require('prom-client')
const { filled, shipped } = require('../../tools/dashboard/queries')
const { root } = require('../support/files')
const { PrometheusServer } = require('../support/servers/prometheus')
const { Server } = require('../support/servers/server')
const { until } = require('../support/until')
const { OUTAGE, overRedis } = require('../support/services')

const world = overRedis({ A_B_production: 'value-of-a-b', A_C_production: 'c' })
const ops = (...names) => path.join(root, 'ops', ...names)

/** @param {string[]} args @param {string} [input] */
function promtool(args, input) {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8', timeout: 30_000 })
  return { status, output: stdout + stderr }
}

/** A delivery that has seen some of everything. */
async function used() {
  // Its labels are in monitoring.test.js.
  const delivery = world.deliver({}, { monitoring: false, logger: { warn() {} } })
  for (let i = 0; i < 5; i++) await delivery.getSecret('A_B')
  await delivery.getSecret('A_NOTHING')
  await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['A_C_production'] })
  await expect(delivery.getSecret('A_C')).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
  await delivery.rotation.rotate('A_B')
  await delivery.rotation.rotate('A_NOTHING')
  await delivery.metrics.recordSecretRetrieval('A_B', 'aws', 12.5, true)
  await delivery.metrics.recordSecretRetrieval('A_B', 'elsewhere', 7_000, false)
  return delivery
}

/** The samples of a text format. @param {string} text @returns {Map<string, number>} */
const samples = (text) =>
  new Map([...text.matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]))

test('the text is valid, complete, and names no secret', async () => {
  await world.aws.allow()
  const delivery = await used()
  const text = delivery.metrics.prometheus()
  expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, output: '' })
  const all = samples(text)
  const expected = {
    'secret_delivery_secrets_retrieved_total{source="aws"}': 1,
    'secret_delivery_secrets_retrieved_total{source="reported"}': 2,
    'secret_delivery_errors_total{code="SECRET_ACCESS_DENIED"}': 1,
    secret_delivery_unauthorized_access_total: 1,
    secret_delivery_rotation_failures_total: 1,
    'secret_delivery_rotations_total{outcome="finished"}': 1,
    'secret_delivery_rotations_total{outcome="failed"}': 1,
    'secret_delivery_retrieval_latency_seconds_count{source="none",outcome="absent"}': 1,
    'secret_delivery_retrieval_latency_seconds_count{source="none",outcome="error"}': 1,
    'secret_delivery_retrieval_latency_seconds_bucket{le="0.025",source="reported",outcome="ok"}': 1,
    'secret_delivery_retrieval_latency_seconds_bucket{le="5.0",source="reported",outcome="error"}': 0,
    'secret_delivery_retrieval_latency_seconds_sum{source="reported",outcome="error"}': 7,
    secret_delivery_secrets_not_in_aws: 0,
    'secret_delivery_breaker_state{source="aws"}': 0,
    'secret_delivery_breaker_state{source="redis"}': 0,
    'secret_delivery_build_info{version="0.1.0",environment="production"}': 1,
  }
  expect(Object.fromEntries(Object.keys(expected).map((name) => [name, all.get(name)]))).toEqual(expected)
  // A copy from before the subscription stood was looked up once more.
  for (const counts of [
    'secrets_retrieved_total{source="%"}',
    'retrieval_latency_seconds_count{source="%",outcome="ok"}',
  ]) {
    const of = (source) => all.get(`secret_delivery_${counts.replace('%', source)}`) ?? 0
    expect(of('memory') + of('redis')).toBe(4)
  }
  expect(all.get('secret_delivery_retrieval_latency_seconds_sum{source="memory",outcome="ok"}')).toBeGreaterThan(0)
  expect(delivery.metrics.contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  const open = delivery.metrics.openMetrics()
  expect(open.endsWith('# EOF\n')).toBe(true)
  expect(delivery.metrics.openMetricsContentType).toContain('openmetrics')
  for (const shown of [text, open, JSON.stringify(delivery.metrics.snapshot())]) {
    expect(shown).not.toMatch(/A_B|A_C|A_NOTHING|value-of/)
  }
})

test('prom-client shows both in one', async () => {
  await world.aws.allow()
  const delivery = world.deliver({}, { monitoring: false })
  const own = new Registry()
  const requests = new Counter({ name: 'requests_total', help: 'Requests', registers: [own] })
  const both = Registry.merge([own, /** @type {any} */ (delivery.metrics.registry())])
  requests.inc(3)
  await delivery.getSecret('A_B')
  const text = await both.metrics()
  expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, output: '' })
  const [merged, alone] = [samples(text), samples(delivery.metrics.prometheus())]
  expect(merged.get('requests_total')).toBe(3)
  expect(merged.get('secret_delivery_secrets_retrieved_total{source="aws"}')).toBe(1)
  // The order of labels and the notation of numbers are prom-client's; the numbers are the same.
  expect(merged.size).toBe(alone.size + 1)
  expect([...merged.values()].reduce((a, b) => a + b) - 3).toBeCloseTo(
    [...alone.values()].reduce((a, b) => a + b),
    6,
  )
  expect(await delivery.metrics.registry().getMetricsAsJSON()).toHaveLength(21)
})

test('the text of ten thousand secrets takes less than a millisecond', async () => {
  const delivery = world.deliver({ redis: false, maxEntries: 20_000 })
  const names = Array.from({ length: 10_000 }, (_, i) => `TOOL_SECRET_${i}`)
  for (const name of names) await delivery.cache.set(name, 'v')
  expect(delivery.metrics.snapshot().cacheEntries).toBe(10_000)
  const times = Array.from({ length: 50 }, () => {
    const began = performance.now()
    delivery.metrics.prometheus()
    return performance.now() - began
  })
  // The debug build of a developer is slower.
  const isRelease = fs.statSync(require.resolve(`../../tcs-secret-delivery.${triple()}.node`)).size < 20e6
  expect(times.sort((a, b) => a - b)[25]).toBeLessThan(isRelease ? 1 : 10)
})

function triple() {
  return process.platform === 'linux' ? `linux-${process.arch}-gnu` : `${process.platform}-${process.arch}`
}

describe('alerts', () => {
  const alerts = { intervalSeconds: 1, windowSeconds: 2 }

  test('are told once, and once when it is over', async () => {
    await world.aws.allow()
    const delivery = world.deliver({}, { alerts })
    const heard = []
    const unsubscribe = delivery.onAlert((alert) => heard.push(alert))
    await world.aws.deny({ actions: ['GetSecretValue'] })
    await expect(delivery.getSecret('A_B')).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
    await until('both alerts', () => heard.length === 2)
    expect(heard.map(({ metric, state }) => `${metric} ${state}`)).toEqual([
      'unauthorized-access firing',
      'unauthorized-access resolved',
    ])
    const [firing, resolved] = heard
    expect(firing).toEqual({
      metric: 'unauthorized-access',
      secret: null,
      state: 'firing',
      environment: 'production',
      value: 1,
      threshold: 0,
      action: 'Security incident',
      since: expect.stringMatching(/Z$/),
      at: firing.since,
    })
    expect([resolved.since, resolved.value]).toEqual([firing.since, 0])
    expect(Date.parse(resolved.at)).toBeGreaterThan(Date.parse(resolved.since))
    unsubscribe()
  })

  test('that nobody listens for are warnings', async () => {
    const warnings = []
    const delivery = world.deliver({}, { alerts, logger: { warn: (message) => warnings.push(message) } })
    expect((await delivery.rotation.rotate('A_NOTHING')).outcome).toBe('failed')
    await until('the warning', () =>
      warnings.some((message) => message.startsWith('ALERT: rotation-failures is firing')),
    )
  })

  test('name what is not in AWS, until it is', async () => {
    const delivery = world.deliver({}, { environment: 'staging', alerts, runtime: { variables: { A_NEW: 'v' } } })
    const heard = []
    delivery.onAlert(({ metric, state, value }) => heard.push([metric, state, value]))
    expect(await delivery.getSecret('A_NEW')).toBe('v')
    await until('the alert', () => heard.length === 1)
    await world.aws.put({ A_NEW_staging: 'v' })
    await delivery.refresh('A_NEW')
    await until('its end', () => heard.length === 2)
    expect(heard).toEqual([
      ['secrets-not-in-aws', 'firing', 1],
      ['secrets-not-in-aws', 'resolved', 0],
    ])
  })

  test('can be switched off', async () => {
    const delivery = world.deliver({}, { alerts: false, logger: { warn() {} } })
    const heard = []
    delivery.onAlert((alert) => heard.push(alert))
    await delivery.rotation.rotate('A_NOTHING')
    expect(heard).toEqual([])
    expect(() => world.deliver({}, { alerts: { latencySeconds: 0 } })).toThrow('options.alerts.latencySeconds')
    expect(() => delivery.onAlert(/** @type {any} */ ('x'))).toThrow('onAlert')
  })
})

test('the rules are valid and fire when they should', () => {
  const rules = promtool(['check', 'rules', ops('prometheus', 'secret-delivery.rules.yml')])
  expect([rules.status, rules.output]).toEqual([0, expect.stringContaining('SUCCESS')])
  const tested = promtool(['test', 'rules', ops('prometheus', 'secret-delivery.test.yml')])
  expect([tested.status, tested.output]).toEqual([0, expect.stringContaining('SUCCESS')])
})

test('a real Prometheus scrapes a service, and every panel and rule of ours has data', async () => {
  await world.aws.allow()
  const { url, options } = world.aws
  const service = new Server(process.execPath, [path.join(root, 'examples', 'metrics-service', 'server.js')], {
    env: {
      TCS_ENVIRONMENT: 'production',
      AWS_ENDPOINT_URL: url,
      AWS_REGION: options.region,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      REDIS_URL: world.redis.url,
      TCS_CACHE_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
      NODE_NO_WARNINGS: '1',
    },
  })
  await world.aws.put({ GITHUB_API_TOKEN_production: 'token' })
  await service.ready(async () => service.output.includes('http'))
  const address = service.output.trim()
  const prometheus = await PrometheusServer.start([new URL(address).host])
  try {
    const get = (where) =>
      new Promise((resolve, reject) => {
        http
          .get(address + where, { agent: false }, (answer) => {
            let body = ''
            answer.on('data', (chunk) => (body += chunk)).on('end', () => resolve([answer.statusCode, body]))
          })
          .on('error', reject)
      })
    expect(await get('/')).toEqual([200, 'has a token'])
    expect(await get('/ready')).toEqual([200, expect.stringContaining('"status":"ready"')])
    // Rates need two scrapes with something between them; errors and outages something to be seen.
    await until('two scrapes', async () => {
      await Promise.all([get('/'), get('/health')])
      const [count] = await prometheus.query('count_over_time(secret_delivery_build_info[1m])')
      return Number(count?.value[1] ?? 0) >= 3
    })
    await world.aws.fault(OUTAGE)
    await get('/health')
    await world.aws.clearFaults()

    const dashboard = shipped()
    const shown = (expression) => filled(dashboard, expression, { interval: 15, rate: 60 })
    const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => shown(expr)))
    expect(expressions.length).toBeGreaterThan(15)
    // Nothing was rejected and no alert fires, so there is nothing to see of that.
    const mayBeEmpty = (expression) => /secret_delivery_errors_total|ALERTS/.test(expression)
    for (const expression of expressions) {
      const result = await prometheus.query(expression)
      expect([expression, result.length > 0 || mayBeEmpty(expression)]).toEqual([expression, true])
    }
    // What the variable `job` is chosen from.
    const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(dashboard.templating.list[1].query) ?? []
    const jobs = await prometheus.query(`group by (${label}) (${metric})`)
    expect(jobs.map((job) => job.metric)).toEqual([{ job: 'service' }])
    const groups = await (await fetch(`${prometheus.url}/api/v1/rules`)).json()
    const health = groups.data.groups[0].rules.map(({ name, health, state }) => [name, health, state])
    expect(health).toHaveLength(12)
    expect(health.filter(([, health]) => health === 'err')).toEqual([])
    expect(health.filter(([, , state]) => state === 'firing')).toEqual([])
    const names = await (await fetch(`${prometheus.url}/api/v1/label/__name__/values`)).json()
    expect(names.data).toContain('service_requests_total')
    const series = await prometheus.query('{__name__=~"secret_delivery_.*"}')
    expect(JSON.stringify(series)).not.toMatch(/GITHUB_API_TOKEN|token/)
  } finally {
    await Promise.all([prometheus.stop(), service.stop()])
  }
}, 60_000)
