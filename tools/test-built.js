'use strict'

// Tests the addon that lies beside package.json, wherever it was built: all of Jest on Linux with glibc, elsewhere the
// suites that need no servers. The release workflow runs it on each system. Arguments go to Jest.

const fs = require('node:fs')
const path = require('node:path')
const setup = require('./setup')

/** Suites that start no server. */
const PORTABLE = ['reads/env-grammar', 'package/loader', 'reads/options', 'package/package'].map(
  (name) => `__test__/${name}.test.js`,
)

setup.nodeModules()
const everything = fs.existsSync(path.join(setup.root, `tcs-secret-delivery.linux-${process.arch}-gnu.node`))
if (everything) setup.forTests()
const jest = path.join(setup.root, 'node_modules', 'jest', 'bin', 'jest.js')
setup.run(process.execPath, [jest, '--ci', ...(everything ? [] : PORTABLE), ...process.argv.slice(2)])
