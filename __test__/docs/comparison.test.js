'use strict'

// docs/comparison.md claims of speed only what the committed tables of docs/benchmarks.md show.

const { table } = require('../support/pages')

const rows = table('docs/comparison.md', 'what')
const cellsOf = (/** @type {string} */ start) => {
  const row = rows.find(([label]) => label.startsWith(start))
  if (row === undefined) throw new Error(`docs/comparison.md has no row '${start}'`)
  return row
}

test.each(['40', '2,048'])('says who reads a cached value of %s bytes faster than a `Map`', (bytes) => {
  const measured = table('docs/benchmarks.md', 'bytes').filter(([size]) => size === bytes)
  const shown = (/** @type {string} */ side) => {
    const ratio = Number(/^([\d.]+)×$/.exec(measured.find(([, name]) => name === side)?.[3] ?? '')?.[1])
    expect(ratio).toBeGreaterThan(0)
    return ratio < 1 ? 'faster' : 'slower'
  }
  const [, own, , powertools] = cellsOf(`a cached read of ${bytes} bytes`)
  expect([own, powertools]).toEqual([shown('tcs-secret-delivery'), shown('Powertools `SecretsProvider.get`')])
})

test('says how many times the cold reads of the SDK there are at least', () => {
  const [, , measured] = table('docs/benchmarks.md', 'what').find(([what]) =>
    what.startsWith('cold reads, 50 at once: throughput'),
  )
  const claimed = Number(/^over (\d+) times/.exec(cellsOf('cold reads a second, 50 at once')[1])?.[1])
  expect(claimed).toBeGreaterThan(1)
  expect(parseFloat(measured)).toBeGreaterThan(claimed)
})
