'use strict'

// Runs the failure lab and says whether every bound was kept; see docs/reliability.md.

const path = require('node:path')
const { parseArgs } = require('node:util')
const { machine, markdown, writeMeasured } = require('../scripts/report')
const { root } = require('../scripts/servers')
const { HEADING, measure } = require('./fault')
const { awsFaults } = require('./scenarios/aws')
const { outageFaults } = require('./scenarios/outage')
const { redisFaults } = require('./scenarios/redis')

const DOCUMENT = path.join(root, 'docs', 'reliability.md')

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      short: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      lanes: { type: 'string' },
    },
  })
  const mode = { short: values.short }
  const profile = values.short ? 'debug' : 'release'
  const faults = [...awsFaults(mode), ...redisFaults(mode), ...outageFaults(mode)].filter(
    ({ name }) => values.only?.includes(name) ?? true,
  )
  const rows = await inLanes(Number(values.lanes ?? 2), faults, (fault) => measure(fault, profile))
  console.log(markdown({ title: 'faults', heading: HEADING, rows: rows.map(({ cells }) => cells) }))
  for (const { name, broken } of rows) for (const line of broken) console.log(`${name}: ${line}`)
}

/** @template T, R @param {number} lanes @param {T[]} work @param {(one: T) => Promise<R>} act @returns {Promise<R[]>} In the order of `work`. */
async function inLanes(lanes, work, act) {
  /** @type {R[]} */
  const results = []
  let next = 0
  const lane = async () => {
    while (next < work.length) {
      const at = next++
      results[at] = await act(work[at])
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return results
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
