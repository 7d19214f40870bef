'use strict'

// `npm run lab`: sets up what is missing, then runs the failure lab. `-- --write` puts the tables into
// docs/reliability.md, `-- --only NAME` (may be repeated) runs a part, `-- --short` what `npm test` runs.

const path = require('node:path')
const setup = require('../setup')

setup.rust()
setup.nodeModules()
setup.redis()
setup.postgres()
setup.addon()
const profile = process.argv.includes('--short') ? 'dev' : 'release'
setup.awsEndpoint(profile)
setup.longOutage(profile)
setup.run(process.execPath, [path.join(__dirname, 'run.js'), ...process.argv.slice(2)])
