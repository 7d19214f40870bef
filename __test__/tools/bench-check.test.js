'use strict'

// `npm run bench -- --check` on made-up runs.

const fs = require('node:fs')
const path = require('node:path')
const { committedGoals, regressions } = require('../../tools/bench/check')
const { plot } = require('../../tools/bench/plot')
const { goal, goalTable, markdown } = require('../../tools/report')
const { root } = require('../support/files')

const times = (ratio) => `${ratio.toFixed(2)}×`
const run = (time, throughput, ms) => [
  goal('a read: time of a peer', time, 'at most', 0.8, times),
  goal('reads: throughput of a peer', throughput, 'at least', 5, times),
  goal('start', ms, 'under', 15, (value) => `${value} ms`),
]
const document = `# Some text\n\n${markdown(goalTable('Bounds', run(0.4, 12, 5)))}\n### Another\n`

test('a run as good as the committed one passes, however long it took', () => {
  expect(regressions(run(0.4, 12, 500), document)).toEqual([])
  expect(regressions(run(0.59, 8.1, 5), document)).toEqual([])
  expect(regressions(run(0.1, 60, 5), document)).toEqual([])
})

test('a ratio that is more than half worse is named, in both directions', () => {
  expect(regressions(run(0.61, 12, 5), document)).toEqual([
    'a read: time of a peer: 0.61×, and 0.40× in the committed run',
  ])
  expect(regressions(run(0.4, 7.9, 5), document)).toEqual([
    'reads: throughput of a peer: 7.90×, and 12.00× in the committed run',
  ])
})

test('a run that cannot be compared does not pass', () => {
  expect(regressions(run(0.4, 12, 5), '# No tables\n')).toEqual([expect.stringContaining('nothing could be compared')])
})

test('the committed tables are ones that it can read', () => {
  const committed = fs.readFileSync(path.join(root, 'docs', 'benchmarks.md'), 'utf8')
  const read = [goal('cached read, 40 bytes: time of Powertools', 99, 'at most', 0.8, times)]
  expect(regressions(read, committed)).toHaveLength(1)
})

describe('the plot', () => {
  /** The bar of each row: from where to where, and whether its bound was met. @param {string} svg */
  const bars = (svg) =>
    [...svg.matchAll(/<rect\s+class="(\w+)"\s+x="(\S+)"\s+y="\S+"\s+width="(\S+)"/g)].map(([, kind, x, width]) => [
      kind,
      Number(x),
      Number(x) + Number(width),
    ])
  const one = (svg) => Number(/class="even" x1="(\S+)"/.exec(svg)?.[1])

  test('has a bar for each ratio: to the right what is better, whichever way it was measured', () => {
    const svg = plot(run(0.5, 2, 5))
    const [time, throughput, ...more] = bars(svg)
    expect(more).toEqual([])
    // Half the time and twice the throughput are the same to a reader; the bound of one of them is 5.
    expect([time, throughput]).toEqual([
      ['met', one(svg), expect.closeTo(throughput[2], 1)],
      ['missed', one(svg), expect.closeTo(time[2], 1)],
    ])
    const [worse] = bars(plot(run(2, 10, 5)))
    expect(worse).toEqual(['missed', expect.any(Number), expect.closeTo(one(plot(run(2, 10, 5))), 1)])
    expect(worse[1]).toBeLessThan(worse[2])
    expect(svg.match(/a read, time, against a peer|reads, throughput, against a peer/g)).toHaveLength(2)
  })

  test('is refused without a ratio', () => {
    expect(() => plot(run(NaN, NaN, 5))).toThrow('no ratio')
  })

  test('that is committed is that of the committed tables: `npm run bench -- --plot` draws it', () => {
    const committed = (/** @type {string} */ name) => fs.readFileSync(path.join(root, 'docs', name), 'utf8')
    expect(committed('benchmarks.svg')).toBe(plot(committedGoals(committed('benchmarks.md'))))
  })
})
