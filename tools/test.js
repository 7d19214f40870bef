'use strict'

// `npm test`: sets up what is missing, builds, and runs every test: Rust's, the failure lab in its short form, Jest's.
// Arguments go to Jest, and leave the lab out.

const path = require('node:path')
const setup = require('./setup')

setup.rust()
setup.nodeModules()
setup.forTests()
setup.run('cargo', ['test', '--workspace', '--locked', '--quiet'])
setup.addon()
const forJest = process.argv.slice(2)
// By itself: it measures waits, which tests beside it would prolong.
if (forJest.length === 0) setup.run(process.execPath, [path.join(__dirname, 'lab', 'run.js'), '--short'])
const jest = path.join(setup.root, 'node_modules', 'jest', 'bin', 'jest.js')
const reporters = ['--reporters=default', `--reporters=${path.join(__dirname, 'jest-closing-line.js')}`]
setup.run(process.execPath, [jest, '--ci', ...reporters, ...forJest])
