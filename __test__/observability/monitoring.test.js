'use strict'

// `monitoring: true`: metrics as instruments of the process's OpenTelemetry provider, labels, exemplars, and the file that a command
// leaves for the node exporter.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { context, metrics, trace } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require('@opentelemetry/sdk-metrics')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const { cliWorld } = require('../support/cli-world')
const { overAws } = require('../support/over-aws')

const world = overAws()
/** @type {InMemoryMetricExporter} */
let exporter
/** @type {PeriodicExportingMetricReader} */
let reader
/** @type {MeterProvider} */
let provider
const spans = new InMemorySpanExporter()

beforeEach(async () => {
  exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  provider = new MeterProvider({ readers: [reader] })
  await world.aws.put({ A_B_production: 'value-of-a-b' })
})
afterEach(async () => {
  await provider.shutdown()
  metrics.disable()
  trace.disable()
  context.disable()
})

/** What the provider exports now: values by name and attributes. */
async function exported() {
  exporter.reset()
  await reader.forceFlush()
  const found = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
  return Object.fromEntries(
    found.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      dataPoints.map(({ attributes, value }) => ({ ...attributes, value })),
    ]),
  )
}

test('every counter and gauge is an instrument by itself, with environment and service', async () => {
  metrics.setGlobalMeterProvider(provider)
  const delivery = world.deliver({ audit: { label: 'orders', path: path.join(world.directory, 'a.jsonl') } })
  for (let at = 0; at < 3; at++) await delivery.getSecret('A_B')
  const found = await exported()
  const labels = { environment: 'production', service: 'orders' }
  expect(found.secret_delivery_cache_hits_total).toEqual([{ ...labels, value: 2 }])
  expect(found.secret_delivery_secrets_retrieved_total).toContainEqual({ ...labels, source: 'aws', value: 1 })
  expect(found.secret_delivery_audit_failing).toEqual([{ ...labels, value: 0 }])
  const [{ value, ...attributes }] = found.secret_delivery_retrieval_latency_seconds
  expect(attributes).toEqual({ ...labels, outcome: 'ok' })
  expect(value).toMatchObject({ count: 1, sum: expect.any(Number) })
  expect(JSON.stringify(found)).not.toMatch(/A_B|value-of/)
  await delivery.close()
  // What is closed is observed no more: its last figures stay.
  await exported()
})

test('a provider that is registered late is found at the next read that takes long', async () => {
  const delivery = world.deliver({ audit: false })
  await delivery.getSecret('A_B')
  metrics.setGlobalMeterProvider(provider)
  await delivery.getSecret('A_OTHER')
  expect((await exported()).secret_delivery_cache_misses_total).toEqual([{ environment: 'production', value: 2 }])
})

test('a read that fails is an error in the histogram, and rejects as ever', async () => {
  metrics.setGlobalMeterProvider(provider)
  const delivery = world.deliver({ audit: false })
  await world.aws.deny({ actions: ['GetSecretValue'] })
  await delivery.getSecret('A_B').catch(() => {})
  const points = (await exported()).secret_delivery_retrieval_latency_seconds
  expect(points.map((/** @type {any} */ one) => one.outcome)).toEqual(['error'])
  await world.aws.allow()
})

test('without monitoring nothing is registered, and there are no labels', async () => {
  metrics.setGlobalMeterProvider(provider)
  const delivery = world.deliver({ audit: false, monitoring: false })
  await delivery.getSecret('A_B')
  expect((await exported()).secret_delivery_cache_misses_total ?? []).toEqual([])
  expect(delivery.metrics.prometheus()).toMatch(/^secret_delivery_cache_misses_total 1$/m)
})

test('monitoring asks for no provider', async () => {
  const delivery = world.deliver({ audit: false })
  expect(await delivery.getSecret('A_B')).toBe('value-of-a-b')
  expect(delivery.metrics.prometheus()).toMatch(/^secret_delivery_cache_misses_total\{environment="production"\} 1$/m)
})

test('a cold read of a sampled trace is an exemplar in the OpenMetrics text', async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }))
  const delivery = world.deliver({ audit: false })
  await delivery.getSecret('A_B')
  const [span] = spans.getFinishedSpans().filter(({ name }) => name === 'secret read')
  const { traceId } = span.spanContext()
  const open = delivery.metrics.openMetrics()
  const lines = open.split('\n').filter((line) => line.includes('trace_id'))
  expect(lines).toHaveLength(1)
  const [, le, exemplar, seconds] = /le="([^"]+)".*# \{trace_id="(\w+)"\} (\S+) \S+$/.exec(lines[0]) ?? []
  expect(exemplar).toBe(traceId)
  expect(Number(seconds)).toBeLessThanOrEqual(le === '+Inf' ? Infinity : Number(le))
  expect(open.endsWith('# EOF\n')).toBe(true)
  // Prometheus's own text has none.
  expect(delivery.metrics.prometheus()).not.toContain('trace_id')
})

describe('the command line', () => {
  const commands = cliWorld()

  test('leaves its metrics for the node exporter', async () => {
    const file = path.join(commands.directory, 'secrets.prom')
    const env = { TCS_METRICS_TEXTFILE: file, TCS_ENVIRONMENT: 'production' }
    expect((await commands.cli.run('due', { env })).status).toBe(0)
    const text = fs.readFileSync(file, 'utf8')
    expect(text).toContain('secret_delivery_rotations_overdue{environment="production"')
    expect(fs.statSync(file).mode & 0o777).toBe(0o644)
    const { status, stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
    expect([status, stdout + stderr]).toEqual([0, ''])
    const nowhere = { ...env, TCS_METRICS_TEXTFILE: path.join(commands.directory, 'none', 'a.prom') }
    const found = await commands.cli.run('due', { env: nowhere })
    expect(found.status).toBe(0)
    expect(found.stderr).toContain('the metrics were not left')
    await commands.cli.run('list')
  })
})
