'use strict'

// Measures every scenario with each side in a process of its own. The sides alternate for several rounds, and the median counts.
// Only the ratios within one run are meaningful; see docs/benchmarks.md.

const { fork } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { goal, goalTable, machine, markdown, number, writeMeasured } = require('../report')
const { root } = require('../../__test__/support/files')
const { AwsEndpoint } = require('../../__test__/support/servers/aws-endpoint')
const { RedisServer } = require('../../__test__/support/servers/redis')
const leaks = require('./leaks')
const { committedGoals, regressions } = require('./check')
const { median } = require('./load')
const { plot } = require('./plot')

const ROUNDS = 3
/** Processes that read from memory: how fast one is differs by a third from the next, for as long as it lives. */
const CACHED_ROUNDS = 7
/** More rounds for shared reads: the cores that threads run on differ between rounds, and change the results. */
const SHARED_ROUNDS = 7
const STARTS = 11
const MIB = 1024 * 1024
const DOCUMENT = path.join(root, 'docs', 'benchmarks.md')
const PICTURE = path.join(root, 'docs', 'benchmarks.svg')
const PEERS = ['@aws-sdk/client-secrets-manager', '@aws-lambda-powertools/parameters', 'ioredis']

/** @typedef {Record<string, number>} Measured */
/** @typedef {import('../report').Goal} Goal */
/** @typedef {import('../report').Table} Table */
/** @typedef {{ tables: Table[], goals: Goal[] }} Part */

/**
 * @param {string} scenario
 * @param {string} side
 * @param {object} [input]
 * @returns {Promise<Measured>}
 */
function measure(scenario, side, input = {}) {
  return new Promise((resolve, reject) => {
    const child = fork(path.join(__dirname, 'side.js'), [scenario, side], {
      env: { ...process.env, INPUT: JSON.stringify(input) },
    })
    /** @type {Measured | undefined} */
    let measured
    child.once('message', (message) => (measured = /** @type {Measured} */ (message)))
    child.once('error', reject)
    child.once('close', (status) => {
      if (measured === undefined) reject(new Error(`${scenario}/${side} ended with status ${status}`))
      else resolve(measured)
    })
  })
}

/**
 * Measures the sides alternately, several times. Returns the median of each figure.
 *
 * @param {string} scenario
 * @param {string[]} sides
 * @param {object} [input]
 * @param {number} [rounds]
 * @returns {Promise<Record<string, Measured>>}
 */
async function compare(scenario, sides, input, rounds = ROUNDS) {
  /** @type {Record<string, Measured[]>} */
  const all = Object.fromEntries(sides.map((side) => [side, []]))
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) all[side].push(await measure(scenario, side, input))
  }
  const middle = (/** @type {Measured[]} */ runs) =>
    Object.fromEntries(Object.keys(runs[0]).map((key) => [key, median(runs.map((run) => run[key]))]))
  return Object.fromEntries(sides.map((side) => [side, middle(all[side])]))
}

const times = (/** @type {number} */ ratio) => `${ratio.toFixed(2)}×`

/** @type {Record<string, (servers: { aws: AwsEndpoint, redis: RedisServer }) => Promise<Part>>} */
const parts = {
  async cached({ aws }) {
    const { stored } = require('./scenarios/cached')
    const sides = ['tcs', 'fields', 'audited', 'powertools', 'logged', 'map']
    const rows = []
    const goals = []
    for (const bytes of [40, 2048]) {
      await aws.reset()
      await aws.put(stored(bytes))
      const measured = await compare('cached', sides, { aws: aws.options, bytes }, CACHED_ROUNDS)
      const { tcs, fields, audited, powertools, logged, map } = measured
      const row = (/** @type {string} */ name, /** @type {Measured} */ { nsPerRead }) =>
        rows.push([number(bytes), name, number(nsPerRead), times(nsPerRead / map.nsPerRead)])
      row('tcs-secret-delivery', tcs)
      row('the same as fields of JSON secrets', fields)
      row('the same with the audit log', audited)
      row('Powertools `SecretsProvider.get`', powertools)
      row('the same with a pino line', logged)
      row('`Map` + TTL by hand', map)
      goals.push(
        goal(
          `cached read, ${bytes} bytes: time of Powertools`,
          tcs.nsPerRead / powertools.nsPerRead,
          'at most',
          0.5,
          times,
        ),
        goal(
          `cached read with audit, ${bytes} bytes: time of Powertools without`,
          audited.nsPerRead / powertools.nsPerRead,
          'at most',
          0.65,
          times,
        ),
        goal(
          `cached read with audit, ${bytes} bytes: time of Powertools with pino`,
          audited.nsPerRead / logged.nsPerRead,
          'at most',
          0.08,
          times,
        ),
        goal(`cached read of a field, ${bytes} bytes: time of a whole secret`, fields.ratio, 'at most', 1.05, times),
        goal(`cached read, ${bytes} bytes: time of a \`Map\``, tcs.nsPerRead / map.nsPerRead, 'at most', 0.75, times),
      )
    }
    const heading = ['bytes', 'side', 'ns per awaited read', 'of the `Map`']
    return { tables: [{ title: 'A cached read', heading, rows }], goals }
  },

  tool: (servers) => leaks.tool(compare, servers),
  redaction: () => leaks.redaction(compare),
  scan: () => leaks.scan(compare),

  async cold({ aws }) {
    await aws.reset()
    await aws.put(require('./scenarios/cold').stored())
    const rows = []
    /** @type {Goal[]} */
    const goals = []
    for (const concurrency of [1, 50, 500]) {
      const sides = ['tcs', 'sdk', ...(concurrency === 50 ? ['defaults', 'powertools'] : [])]
      const input = { aws: aws.options, concurrency }
      const all = await compare('cold', sides, input, concurrency === 50 ? ROUNDS : 1)
      for (const [side, name] of [
        ['tcs', 'tcs-secret-delivery'],
        ['defaults', 'the same with its default rate limit'],
        ['sdk', '`@aws-sdk/client-secrets-manager`'],
        ['powertools', 'Powertools over it'],
      ]) {
        if (side in all) rows.push([String(concurrency), name, ...loadCells(all[side], all.sdk)])
      }
      if (concurrency !== 50) continue
      const { tcs, defaults, sdk } = all
      goals.push(
        goal(
          'cold reads, 50 at once: throughput of the SDK',
          tcs.readsPerSecond / sdk.readsPerSecond,
          'at least',
          12,
          times,
        ),
        goal(
          'cold reads, 50 at once, default rate limit: throughput of the SDK',
          defaults.readsPerSecond / sdk.readsPerSecond,
          'at least',
          1.8,
          times,
        ),
        goal(
          'cold reads, 50 at once: CPU of the SDK',
          tcs.cpuMsPerThousand / sdk.cpuMsPerThousand,
          'at most',
          0.3,
          times,
        ),
        goal(
          'cold reads, 50 at once: event-loop delay, p99',
          tcs.delayP99Ms,
          'under',
          5,
          (ms) => `${ms.toFixed(1)} ms`,
        ),
      )
    }
    const heading = ['at once', 'side', 'reads/s', 'of the SDK', 'CPU ms per 1,000', 'event-loop delay p99 / max, ms']
    return { tables: [{ title: 'Cold reads', heading, rows }], goals }
  },

  async flights({ aws }) {
    await aws.reset()
    await aws.put(require('./scenarios/flights').stored())
    const rows = []
    const goals = []
    for (const [what, text, most] of /** @type {[string, string, number][]} */ ([
      ['herd', '1,000 concurrent reads of one secret', 1],
      ['tool', '100 secrets of one tool', 6],
    ])) {
      for (const [side, name] of [
        ['tcs', 'tcs-secret-delivery'],
        ['powertools', 'Powertools'],
      ]) {
        await aws.resetCalls()
        const { ms } = await measure('flights', side, { aws: aws.options, what })
        const { total } = await aws.calls()
        rows.push([text, name, number(total), ms.toFixed(1)])
        if (side === 'tcs') goals.push(goal(`${text}: AWS calls`, total, 'at most', most, number))
      }
    }
    const heading = ['what', 'side', 'AWS calls', 'ms, connecting included']
    return { tables: [{ title: 'One flight', heading, rows }], goals }
  },

  async shared({ aws, redis }) {
    await aws.reset()
    await aws.put(require('./scenarios/shared').stored())
    const keys = [{ id: 'bench', key: randomBytes(32).toString('base64') }]
    const input = { aws: aws.options, redis: redis.url, keys }
    await measure('shared', 'fill', input)
    const rows = []
    /** @type {Goal[]} */
    const goals = []
    for (const concurrency of [50, 500]) {
      const all = await compare('shared', ['tcs', 'ioredis', 'pipelined'], { ...input, concurrency }, SHARED_ROUNDS)
      const { tcs, ioredis: peer } = all
      goals.push(
        goal(
          `shared-cache reads, ${concurrency} at once: throughput of ioredis`,
          tcs.readsPerSecond / peer.readsPerSecond,
          'at least',
          concurrency === 50 ? 1.5 : 2,
          times,
        ),
        goal(
          `shared-cache reads, ${concurrency} at once: event-loop delay, p99`,
          tcs.delayP99Ms,
          'under',
          5,
          (ms) => `${ms.toFixed(1)} ms`,
        ),
      )
      for (const [side, name] of [
        ['tcs', 'tcs-secret-delivery, decrypting'],
        ['ioredis', 'ioredis, bare text'],
        ['pipelined', 'ioredis with auto-pipelining, bare text'],
      ]) {
        rows.push([String(concurrency), name, ...loadCells(all[side], all.ioredis)])
      }
    }
    const heading = ['at once', 'side', 'reads/s', 'of ioredis', 'CPU ms per 1,000', 'event-loop delay p99 / max, ms']
    return { tables: [{ title: 'Shared-cache reads', heading, rows }], goals }
  },

  async start() {
    const { tcs, sdk, powertools } = await compare('start', ['tcs', 'sdk', 'powertools'], {}, STARTS)
    const row = (/** @type {string} */ name, /** @type {Measured} */ { ms, rssMiB }) => [
      name,
      ms.toFixed(1),
      rssMiB.toFixed(1),
    ]
    const addon = fs.readdirSync(root).find((name) => name.endsWith('.node'))
    const mib = fs.statSync(path.join(root, /** @type {string} */ (addon))).size / MIB
    const rows = [
      row('tcs-secret-delivery', tcs),
      row('`@aws-sdk/client-secrets-manager`', sdk),
      row('Powertools', powertools),
    ]
    const heading = ['side', 'ms', 'memory added, MiB']
    return {
      tables: [{ title: '`require` and the first instance', heading, rows }],
      goals: [
        goal('`require` and the first instance', tcs.ms, 'under', 15, (ms) => `${ms.toFixed(1)} ms`),
        goal('`require` and the first instance: time of the SDK’s', tcs.ms / sdk.ms, 'at most', 0.2, times),
        goal('addon file', mib, 'under', 13, (size) => `${size.toFixed(2)} MiB`),
      ],
    }
  },
}

/** @param {Measured} measured @param {Measured} base */
const loadCells = ({ readsPerSecond, cpuMsPerThousand, delayP99Ms, delayMaxMs }, base) => [
  number(readsPerSecond),
  times(readsPerSecond / base.readsPerSecond),
  number(cpuMsPerThousand),
  `${delayP99Ms.toFixed(1)} / ${delayMaxMs.toFixed(1)}`,
]

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      check: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      plot: { type: 'boolean', default: false },
    },
  })
  if (values.plot) return fs.writeFileSync(PICTURE, plot(committedGoals(fs.readFileSync(DOCUMENT, 'utf8'))))
  const chosen = values.only ?? Object.keys(parts)
  const unknown = chosen.find((name) => !(name in parts))
  if (unknown !== undefined)
    throw new Error(`there is no part '${unknown}'; there are ${Object.keys(parts).join(', ')}`)
  if (values.write && values.only !== undefined) throw new Error('--write needs the whole run, without --only')

  const written = [machine('npm run bench -- --write', PEERS), '']
  console.log(`\n${written[0]}\n`)
  const [aws, redis] = await Promise.all([AwsEndpoint.start({ profile: 'release' }), RedisServer.start()])
  /** @type {Goal[]} */
  const goals = []
  try {
    for (const name of chosen) {
      const part = await parts[name]({ aws, redis })
      goals.push(...part.goals)
      for (const table of part.tables.map(markdown)) {
        console.log(table)
        written.push(table)
      }
    }
  } finally {
    await Promise.all([aws.stop(), redis.stop()])
  }
  const bounds = markdown(goalTable('Bounds', goals))
  console.log(bounds)
  written.splice(2, 0, bounds)
  if (values.check) {
    const worse = regressions(goals, fs.readFileSync(DOCUMENT, 'utf8'))
    console.log(worse.length === 0 ? 'No ratio is far worse than in the committed run.' : worse.join('\n'))
    if (worse.length > 0) process.exitCode = 1
  }
  if (values.write) {
    writeMeasured(DOCUMENT, written)
    fs.writeFileSync(PICTURE, plot(goals))
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
