'use strict'

// `npm run dashboard`: sets up what is missing, then draws the Grafana dashboard with six minutes of real metrics into
// docs/dashboard.png. `-- FILE` draws it elsewhere.

const path = require('node:path')
const setup = require('../setup')

setup.rust()
setup.nodeModules()
setup.redis()
setup.prometheus()
if (!setup.chromium()) process.exit(1)
setup.addon()
setup.awsEndpoint('dev')
setup.run(process.execPath, [path.join(__dirname, 'run.js'), ...process.argv.slice(2)])
