'use strict'

// `npm run lab`: sets up what is missing, then runs the failure lab. `-- --write` puts the tables into
// docs/reliability.md, `-- --only NAME` (may be repeated) runs a part, `-- --short` what `npm test` runs.
// `-- --simulate COUNT [FIRST_SEED]` runs simulated schedules instead, and `-- --accounting [ROUNDS] [ACCESSES]` compares
// what JavaScript received with the audit log.

const path = require('node:path')
const setup = require('../setup')

/**
 * Runs simulated schedules on all cores.
 *
 * @param {string[]} args how many, and the first seed
 */
function simulate(args) {
  for (const arg of args) {
    if (!/^[0-9]{1,15}$/.test(arg))
      throw new Error(`--simulate takes a number of schedules and a first seed, not '${arg}'`)
  }
  setup.coreExample('simulate', 'release')
  const target = process.env.CARGO_TARGET_DIR ?? path.join(setup.root, 'target')
  setup.run(path.join(target, 'release', 'examples', 'simulate'), args)
}

/** Compares what JavaScript received with the audit log. @param {string[]} args */
function accounting(args) {
  setup.addon()
  setup.awsEndpoint('release')
  setup.run(process.execPath, [path.join(__dirname, '..', 'accounting', 'index.js'), ...args])
}

function scenarios() {
  setup.rust()
  setup.nodeModules()
  setup.redis()
  setup.postgres()
  setup.addon()
  const profile = process.argv.includes('--short') ? 'dev' : 'release'
  setup.awsEndpoint(profile)
  setup.coreExample('long_outage', profile)
  setup.run(process.execPath, [path.join(__dirname, 'run.js'), ...process.argv.slice(2)])
}

const [first, ...rest] = process.argv.slice(2)
if (first === '--simulate') simulate(rest)
else if (first === '--accounting') accounting(rest)
else scenarios()
