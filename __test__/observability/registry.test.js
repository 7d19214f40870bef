'use strict'

// `metrics.registry()` beside prom-client's registries, in both formats, and several deliveries in one of them.

const { Counter, Gauge, Histogram, Registry } = require('prom-client')
const { SecretDelivery } = require('../..')
const { TestDelivery } = require('../../testing')

/** @type {SecretDelivery<any>[]} */
const open = []
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))

/** A delivery that answered this many reads. @param {number} reads */
async function deliver(reads) {
  const delivery = new TestDelivery({ names: { A_B: 'value' } })
  open.push(delivery)
  for (let read = 0; read < reads; read++) await delivery.getSecret('A_B')
  await delivery.metrics.recordSecretRetrieval('A_B', 'aws', 12.5, true)
  return delivery
}

/** Metrics of the service itself, of each type. @param {any} [contentType] */
function service(contentType) {
  const registry = new Registry(contentType)
  const registers = [registry]
  const enableExemplars = contentType === Registry.OPENMETRICS_CONTENT_TYPE
  const counter = new Counter({
    name: 'requests_total',
    help: 'Requests',
    labelNames: ['path'],
    enableExemplars,
    registers,
  })
  if (enableExemplars) counter.inc({ labels: { path: '/' }, value: 3, exemplarLabels: { trace_id: 'abc' } })
  else counter.inc({ path: '/' }, 3)
  new Gauge({ name: 'open_files', help: 'Files', registers }).set(2)
  new Histogram({ name: 'latency_seconds', help: 'Latency', buckets: [1], registers }).observe(0.5)
  return registry
}

/**
 * Reads an exposition strictly: what it says twice, or out of place, is an error.
 *
 * @param {string} text
 */
function parse(text) {
  const isOpen = text.endsWith('# EOF\n')
  const types = new Map()
  const samples = new Map()
  let family = ''
  for (const line of text
    .replace(/# EOF\n$/, '')
    .split('\n')
    .filter(Boolean)) {
    const [, word, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (word === 'HELP') family = name
    if (word !== undefined) {
      if (name !== family) throw new Error(`${line}: not beside its HELP`)
      if (word === 'TYPE' && types.has(name)) throw new Error(`${name} is there twice`)
      if (word === 'TYPE') types.set(name, rest)
      continue
    }
    const [, metric, labels = '', value] = /^([a-z_]+)(\{.*?\})? (\S+)( # .*)?$/.exec(line) ?? []
    const suffixes = {
      counter: isOpen ? ['_total'] : [''],
      gauge: [''],
      info: ['_info'],
      histogram: ['_bucket', '_sum', '_count'],
    }[types.get(family)]
    if (!suffixes?.some((suffix) => metric === family + suffix))
      throw new Error(`${line}: not of ${family} (${types.get(family)})`)
    if (Number.isNaN(Number(value)) && !/^(NaN|[+-]Inf)$/.test(value)) throw new Error(`${line}: no number`)
    const sorted =
      labels
        .slice(1, -1)
        .match(/\w+="(?:[^"\\]|\\.)*"/g)
        ?.sort()
        .join() ?? ''
    if (samples.has(`${metric}{${sorted}}`)) throw new Error(`${line}: there twice`)
    samples.set(`${metric}{${sorted}}`, value)
  }
  return { isOpen, types, samples }
}
const READS = 'secret_delivery_secrets_retrieved_total{source="runtime"}'

test('the text format is merged with that of the service', async () => {
  const delivery = await deliver(2)
  const merged = await Registry.merge([service(), delivery.metrics.registry()]).metrics()
  const { isOpen, samples } = parse(merged)
  expect([isOpen, samples.get(READS), samples.get('requests_total{path="/"}')]).toEqual([false, '2', '3'])
})

test('the OpenMetrics format is merged with that of the service, whose exemplars stay', async () => {
  const delivery = await deliver(2)
  const ours = delivery.metrics.registry({ openMetrics: true })
  expect(ours.contentType).toBe(Registry.OPENMETRICS_CONTENT_TYPE)
  const registry = Registry.merge([service(Registry.OPENMETRICS_CONTENT_TYPE), ours])
  // Each scrape of the same registry is right, also the second.
  for (const expected of ['2', '3']) {
    const text = await registry.metrics()
    const { isOpen, samples, types } = parse(text)
    expect([isOpen, samples.get(READS), samples.get('requests_total{path="/"}')]).toEqual([true, expected, '3'])
    expect(types.get('secret_delivery_secrets_retrieved')).toBe('counter')
    expect(text).toContain('# {trace_id="abc"} 3')
    await delivery.getSecret('A_B')
  }
  // Alone it is the package's own text, which has the same samples.
  const alone = parse(await ours.metrics())
  expect(alone.isOpen).toBe(true)
  const all = parse(await registry.metrics())
  // prom-client writes the bound of a bucket as 1, and not as 1.0.
  const names = [...alone.samples.keys()].map((name) => name.replace(/(?<=le="\d+)\.0(?=")/, ''))
  expect(names.filter((name) => !all.samples.has(name))).toEqual([])
})

test('registries of different formats are refused by prom-client, as its own are', async () => {
  const delivery = await deliver(0)
  const merge = () => Registry.merge([service(Registry.OPENMETRICS_CONTENT_TYPE), delivery.metrics.registry()])
  expect(merge).toThrow('same content type')
})

describe('two deliveries of one process', () => {
  test.each([
    ['text', false],
    ['OpenMetrics', true],
  ])('are scraped as one in the %s format, with and without prom-client', async (_, openMetrics) => {
    const [first, second] = [await deliver(1), await deliver(4)]
    const registry = first.metrics.registry({ openMetrics, name: 'main', others: { 'bill"ing': second } })
    const own = service(openMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : undefined)
    for (const text of [await registry.metrics(), await Registry.merge([own, registry]).metrics()]) {
      const { isOpen, samples } = parse(text)
      expect(isOpen).toBe(openMetrics)
      const reads = (name) =>
        samples.get(`secret_delivery_secrets_retrieved_total{delivery="${name}",source="runtime"}`)
      expect([reads('main'), reads('bill\\"ing')]).toEqual(['1', '4'])
      expect(samples.has(READS)).toBe(false)
    }
    const both = await registry.getMetricsAsJSON()
    expect(both).toHaveLength((await first.metrics.registry().getMetricsAsJSON()).length)
    const metric = registry.getSingleMetric(both[0].name)
    expect((await metric?.get())?.values.length).toBeGreaterThan(both[0].values.length / 2)
  })

  test('have the same samples as each has alone', async () => {
    const delivery = await deliver(1)
    const alone = parse(delivery.metrics.prometheus()).samples
    const { samples } = parse(await delivery.metrics.registry({ name: 'one' }).metrics())
    const named = (name) =>
      name.replace(
        /\{(.*)\}/,
        (_, labels) => `{${[...labels.split(','), 'delivery="one"'].filter(Boolean).sort().join()}}`,
      )
    expect(new Map([...alone].map(([name, value]) => [named(name), Number(value)]))).toEqual(
      new Map([...samples].map(([name, value]) => [name, Number(value)])),
    )
  })

  test('have their default name, and any number of others', async () => {
    const [first, second, third] = [await deliver(1), await deliver(2), await deliver(3)]
    const { samples } = parse(await first.metrics.registry({ others: { second, third } }).metrics())
    const reads = ['default', 'second', 'third'].map((name) =>
      samples.get(`secret_delivery_secrets_retrieved_total{delivery="${name}",source="runtime"}`),
    )
    expect(reads).toEqual(['1', '2', '3'])
  })
})

test('wrong options are refused', async () => {
  const delivery = await deliver(0)
  /** @type {[any, string][]} */
  const cases = [
    [{ openMetric: true }, 'options.openMetric is not an option'],
    [{ openMetrics: 'yes' }, 'options.openMetrics must be true or false'],
    [{ name: 1 }, 'options.name'],
    [{ others: { a: {} } }, 'options.others.a must be a SecretDelivery'],
    [{ others: { a: null } }, 'options.others.a must be a SecretDelivery'],
    [{ others: { default: delivery } }, "a delivery that is named 'default'"],
    [new Map(), 'got a Map'],
  ]
  for (const [options, message] of cases) {
    expect(() => delivery.metrics.registry(options)).toThrow(message)
    expect(() => delivery.metrics.registry(options)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  }
})
