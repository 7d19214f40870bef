'use strict'

// `npm run bench`: sets up what is missing, then measures side by side with the peers. `-- --write` puts the tables
// into docs/benchmarks.md and the plot beside it, `-- --check` fails where a ratio is 1.5 times worse than there,
// `-- --only NAME` (may be repeated) measures a part. `-- --plot` draws the plot of the committed tables and measures nothing.

const path = require('node:path')
const setup = require('../setup')

setup.nodeModules()
if (!process.argv.includes('--plot')) {
  setup.rust()
  setup.redis()
  setup.addon()
  setup.awsEndpoint('release')
}
setup.run(process.execPath, [path.join(__dirname, 'run.js'), ...process.argv.slice(2)])
