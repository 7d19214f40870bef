'use strict'

// `npm run demo`: sets up what is missing, then runs the main job. `-- --aws` adds an AWS stand-in and Redis.

const path = require('node:path')
const setup = require('./setup')

const withAws = process.argv.includes('--aws')
const unknown = process.argv.slice(2).find((argument) => argument !== '--aws')
if (unknown !== undefined) setup.fail(`unknown argument '${unknown}'; usage: npm run demo [-- --aws]`)

setup.rust()
setup.nodeModules()
if (withAws) {
  setup.redis()
  setup.ministack()
}
setup.addon()
setup.run(process.execPath, [path.join(setup.root, 'examples', 'demo', withAws ? 'aws.js' : 'development.js')])
