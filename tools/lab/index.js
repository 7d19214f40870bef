'use strict'

// `npm run lab`: sets up what is missing, then runs the failure lab. `-- --write` puts the tables into
// docs/reliability.md, `-- --only NAME` (may be repeated) runs a part, `-- --short` what `npm test` runs.
// `-- --simulate COUNT [FIRST_SEED]` runs simulated schedules instead, `-- --start [INSTANCES]` simulates instances that
// start at once within AWS's quotas, and `-- --accounting [ROUNDS] [ACCESSES]` compares
// what JavaScript received with the audit log.

const path = require('node:path')
const setup = require('../setup')

/**
 * Runs simulated schedules on all cores, or instances that start at once.
 *
 * @param {string[]} args how many, and the first seed
 * @param {string[]} [what]
 */
function simulate(args, what = []) {
  for (const arg of args) {
    if (!/^[0-9]{1,15}$/.test(arg)) {
      const takes =
        what.length > 0
          ? '--start takes a number of instances'
          : '--simulate takes a number of schedules and a first seed'
      throw new Error(`${takes}, not '${arg}'`)
    }
  }
  setup.coreExample('simulate', 'release')
  const target = process.env.CARGO_TARGET_DIR ?? path.join(setup.root, 'target')
  setup.run(path.join(target, 'release', 'examples', 'simulate'), [...what, ...args])
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
else if (first === '--start') simulate(rest, ['start'])
else if (first === '--accounting') accounting(rest)
else scenarios()
