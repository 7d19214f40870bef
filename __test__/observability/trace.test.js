'use strict'

// Spans, with the OpenTelemetry SDK that a tracing service has.

const { SpanKind, SpanStatusCode, context, trace } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

const SECRET = 'never-in-a-span-4711'
const exporter = new InMemorySpanExporter()
/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery} */
let delivery

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: SECRET, A_C_production: SECRET })
})
beforeEach(() => {
  delivery = new SecretDelivery({ environment: 'production', aws: aws.options, audit: false, logger: { warn() {} } })
})
afterEach(async () => {
  await delivery.close()
  exporter.reset()
})
afterAll(async () => {
  trace.disable()
  context.disable()
  await aws.stop()
})

test('without an SDK reads are not traced, and one that is registered later is used from then on', async () => {
  expect(await delivery.getSecret('A_B')).toBe(SECRET)
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  expect(exporter.getFinishedSpans()).toEqual([])
  expect(await delivery.getSecret('A_C')).toBe(SECRET)
  expect(exporter.getFinishedSpans()).toHaveLength(1)
})

test('a read that leaves the process is a child of the active span; one from memory is none', async () => {
  const parent = await trace.getTracer('service').startActiveSpan('request', async (span) => {
    expect(await delivery.getToolSecret('a', 'b')).toBe(SECRET)
    expect(await delivery.getToolSecret('a', 'b')).toBe(SECRET)
    expect(await delivery.getSecret('A_MISSING')).toBeNull()
    expect(trace.getActiveSpan()).toBe(span)
    span.end()
    return span.spanContext()
  })
  const [found, missing, request] = exporter.getFinishedSpans()
  expect(request.name).toBe('request')
  for (const [span, name, isFound] of [
    [found, 'A_B', true],
    [missing, 'A_MISSING', false],
  ]) {
    expect(span).toMatchObject({
      name: 'secret read',
      kind: SpanKind.CLIENT,
      attributes: { 'secret.name': name, 'secret.found': isFound },
      parentSpanContext: { traceId: parent.traceId, spanId: parent.spanId },
      instrumentationScope: { name: 'tcs-secret-delivery', version: require('../../package.json').version },
    })
  }
})

test('a failed read has the code of its error, and no span holds a value', async () => {
  await aws.deny({ actions: ['GetSecretValue'], secrets: ['A_B_production'] })
  await expect(delivery.getSecret('A_B')).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
  await aws.allow()
  await delivery.getSecret('A_C')
  const [failed, found] = exporter.getFinishedSpans()
  expect(failed).toMatchObject({
    attributes: { 'error.type': 'SECRET_ACCESS_DENIED' },
    status: { code: SpanStatusCode.ERROR, message: 'SECRET_ACCESS_DENIED' },
  })
  const all = [failed, found].map(({ name, attributes, events, status }) => ({ name, attributes, events, status }))
  expect(JSON.stringify(all)).not.toContain(SECRET)
})
