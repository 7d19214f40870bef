'use strict'

// `npm test`: sets up what is missing, builds, and runs every test. Arguments go to Jest.

const path = require('node:path')
const setup = require('./setup')

setup.rust()
setup.nodeModules()
setup.redis()
setup.ministack()
setup.run('cargo', ['test', '--workspace', '--locked', '--quiet'])
setup.awsEndpoint('dev')
setup.addon()
const jest = path.join(setup.root, 'node_modules', 'jest', 'bin', 'jest.js')
const reporters = ['--reporters=default', `--reporters=${path.join(__dirname, 'jest-closing-line.js')}`]
setup.run(process.execPath, [jest, '--ci', ...reporters, ...process.argv.slice(2)])
