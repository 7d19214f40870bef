'use strict'

// Runs the failure lab and reports whether every bound was kept; see docs/reliability.md.

const path = require('node:path')
const { parseArgs } = require('node:util')
const { goalTable, machine, markdown, writeMeasured } = require('../report')
const { root } = require('../../__test__/support/files')
const { HEADING, measure } = require('./fault')
const { awsFaults } = require('./scenarios/aws')
const { fleetScenarios } = require('./scenarios/fleet')
const { outageFaults } = require('./scenarios/outage')
const { redisFaults } = require('./scenarios/redis')
const { rotationScenarios } = require('./scenarios/rotation')
const { tenMinutes } = require('./scenarios/ten-minutes')

const DOCUMENT = path.join(root, 'docs', 'reliability.md')
/** The number of scenarios that run at a time. A scenario waits most of the time. */
const LANES = { short: 8, full: 3 }

/** @typedef {import('./fault').Outcome} Outcome */
/** @typedef {{ name: string, run: () => Promise<Outcome> }} Scenario */
/** @typedef {{ title: string, heading: string[], scenarios: Scenario[] }} Section */

/** @param {{ short: boolean }} mode @returns {Section[]} */
function sections(mode) {
  const profile = mode.short ? 'debug' : 'release'
  const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')
  const faults = (/** @type {string} */ title, /** @type {import('./fault').Fault[]} */ all) => {
    const scenarios = all.map((fault) => ({ name: fault.name, run: () => measure(fault, profile) }))
    return { title, heading: HEADING, scenarios }
  }
  const aws = faults('AWS fails', awsFaults(mode))
  const outage = path.join(target, profile, 'examples', 'long_outage')
  aws.scenarios.push({ name: 'ten-minutes', run: () => tenMinutes(outage) })
  const goals = (/** @type {string} */ title, /** @type {import('./scenarios/fleet').Scenario[]} */ all) => {
    const scenarios = all.map(({ name, run }) => ({
      name,
      run: async () => {
        const goals = await run(profile)
        const missed = goals.filter(({ met }) => !met)
        return {
          rows: goalTable('', goals).rows,
          broken: missed.map(({ what, got, bound }) => `${name}: ${what}: ${got}, bound ${bound}`),
        }
      },
    }))
    return { title, heading: goalTable('', []).heading, scenarios }
  }
  return [
    aws,
    faults('Redis fails', redisFaults(mode)),
    faults('More than one part fails', outageFaults(mode)),
    goals('Rotation', rotationScenarios(mode)),
    goals('Counted and timed', fleetScenarios(mode)),
  ]
}

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      short: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  })
  const all = sections({ short: values.short })
  const names = all.flatMap(({ scenarios }) => scenarios.map(({ name }) => name))
  const unknown = values.only?.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new Error(`there is no scenario '${unknown}'; there are ${names.join(', ')}`)
  if (values.write && (values.short || values.only !== undefined)) {
    throw new Error('--write needs the whole run, without --short and --only')
  }

  const chosen = new Set(values.only ?? names)
  /** @type {Map<string, Outcome>} */
  const outcomes = new Map()
  // Starts with the last sections, which have the longest scenarios.
  const work = [...all].reverse().flatMap(({ heading, scenarios }) =>
    scenarios
      .filter(({ name }) => chosen.has(name))
      .map(({ name, run }) => {
        const brokenDown = (/** @type {Error} */ { message }) => ({
          rows: [[name, ...heading.slice(2).map(() => '–'), '**broken**']],
          broken: [`${name}: not measured: ${message}`],
        })
        return { name, measure: async () => void outcomes.set(name, await run().catch(brokenDown)) }
      }),
  )
  const lanes = values.short ? LANES.short : LANES.full
  await inLanes(
    lanes,
    work.map(({ measure }) => measure),
  )
  // A busy machine can break a bound by chance. A bug breaks it again when the scenario runs alone.
  for (const { name, measure } of work) {
    const broken = outcomes.get(name)?.broken ?? []
    for (const line of broken) console.log(`${line} (once more, alone)`)
    if (broken.length > 0) await measure()
  }

  const tables = all.map(({ title, heading, scenarios }) => {
    const rows = scenarios.flatMap(({ name }) => outcomes.get(name)?.rows ?? [])
    return rows.length === 0 ? [] : [markdown({ title, heading, rows })]
  })
  const printed = [machine('npm run lab -- --write'), '', ...tables.flat()]
  console.log(`\n${printed.join('\n')}`)
  const broken = names.flatMap((name) => outcomes.get(name)?.broken ?? [])
  for (const line of broken) console.log(line)
  const verdict = broken.length === 0 ? 'every bound was kept' : 'bounds were broken'
  console.log(`lab: ${work.length} scenarios, ${verdict}`)
  if (broken.length > 0) process.exitCode = 1
  if (values.write) writeMeasured(DOCUMENT, printed)
}

/**
 * Does all of `work`, with a limit on how much runs at a time.
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
