'use strict'

// Runs the failure lab and says whether every bound was kept; see docs/reliability.md.

const path = require('node:path')
const { parseArgs } = require('node:util')
const { goalTable, machine, markdown, writeMeasured } = require('../scripts/report')
const { root } = require('../scripts/servers')
const { HEADING, measure } = require('./fault')
const { awsFaults } = require('./scenarios/aws')
const { count, fleetScenarios } = require('./scenarios/fleet')
const { outageFaults } = require('./scenarios/outage')
const { redisFaults } = require('./scenarios/redis')

const DOCUMENT = path.join(root, 'docs', 'reliability.md')
/** Scenarios at a time. Most of one is waiting. */
const LANES = { short: 6, full: 2 }

/** @typedef {import('./fault').Row} Row */
/** @typedef {import('../scripts/report').Goal} Goal */

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      short: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  })
  const mode = { short: values.short }
  const tables = [
    { title: 'AWS fails', faults: awsFaults(mode) },
    { title: 'Redis fails', faults: redisFaults(mode) },
    { title: 'More than one part fails', faults: outageFaults(mode) },
  ]
  const fleet = fleetScenarios(mode)
  const all = [...tables.flatMap(({ faults }) => faults), ...fleet].map(({ name }) => name)
  const unknown = values.only?.find((name) => !all.includes(name))
  if (unknown !== undefined) throw new Error(`there is no scenario '${unknown}'; there are ${all.join(', ')}`)
  if (values.write && (values.short || values.only !== undefined)) {
    throw new Error('--write needs the whole run, without --short and --only')
  }

  const chosen = new Set(values.only ?? all)
  const profile = values.short ? 'debug' : 'release'
  /** @type {Map<string, Row>} */
  const rows = new Map()
  /** @type {Map<string, Goal[]>} */
  const goals = new Map()
  const work = [
    ...tables.flatMap(({ faults }) =>
      faults.map((fault) => ({
        name: fault.name,
        run: async () => rows.set(fault.name, await measure(fault, profile)),
      })),
    ),
    ...fleet.map((scenario) => ({
      name: scenario.name,
      run: async () => goals.set(scenario.name, await count(scenario, profile)),
    })),
  ].filter(({ name }) => chosen.has(name))
  await inLanes(
    mode.short ? LANES.short : LANES.full,
    work.map(({ run }) => run),
  )

  const of = (/** @type {{ name: string }[]} */ faults) => faults.flatMap(({ name }) => rows.get(name) ?? [])
  const measured = tables
    .map(({ title, faults }) => ({ title, heading: HEADING, rows: of(faults).map(({ cells }) => cells) }))
    .filter(({ rows }) => rows.length > 0)
  const met = fleet.flatMap(({ name }) => goals.get(name) ?? [])
  if (met.length > 0) measured.push(goalTable('Counted and timed', met))
  const printed = [machine('npm run lab -- --write'), '', ...measured.map(markdown)]
  console.log(`\n${printed.join('\n')}`)
  const broken = [
    ...[...rows.values()].flatMap(({ name, broken }) => broken.map((line) => `${name}: ${line}`)),
    ...met.filter(({ met }) => !met).map(({ what, bound, got }) => `${what} ${got}, bound ${bound}`),
  ]
  for (const line of broken) console.log(line)
  const verdict = broken.length === 0 ? 'every bound was kept' : 'bounds were broken'
  console.log(`lab: ${work.length} scenarios, ${verdict}`)
  if (broken.length > 0) process.exitCode = 1
  if (values.write) writeMeasured(DOCUMENT, printed)
}

/**
 * Does all of `work`, so many at a time.
 *
 * @param {number} lanes
 * @param {(() => Promise<unknown>)[]} work
 */
async function inLanes(lanes, work) {
  let next = 0
  const lane = async () => {
    while (next < work.length) await work[next++]()
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
