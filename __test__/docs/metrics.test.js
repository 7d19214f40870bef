'use strict'

// The table of docs/observability.md has every metric, with its type and its labels.

const { SecretDelivery } = require('../..')
const { table } = require('../support/pages')

test('the table of metrics is what a delivery exports', async () => {
  const delivery = new SecretDelivery({ environment: 'test', runtime: { variables: {} }, audit: false })
  const text = delivery.metrics.prometheus()
  await delivery.close()
  const exported = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type])
  const rows = table('docs/observability.md', 'metric').flatMap(([names, type]) => {
    const [first, ...others] = [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name)
    // `…_misses_total` begins as the name before it does.
    const start = first.replace(/_[a-z]+_total$/, '')
    return [first, ...others.map((name) => name.replace('…', start))].map((name) => [name, type])
  })
  expect(exported.length).toBeGreaterThan(10)
  expect(rows.sort()).toEqual(exported.sort())
})
