'use strict'

// `npm run example:rotate-postgres`: sets up what is missing, then rotates a PostgreSQL password under load.

const path = require('node:path')
const setup = require('./setup')

setup.rust()
setup.nodeModules()
setup.redis()
if (!setup.postgres()) process.exit(1)
setup.addon()
setup.awsEndpoint('dev')
setup.run(process.execPath, [path.join(setup.root, 'examples', 'rotate-postgres', 'main.js')])
