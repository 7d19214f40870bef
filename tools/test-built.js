'use strict'

// Tests the addon beside package.json, which may have been built elsewhere: all Jest suites on Linux with glibc; on other
// systems, and with `--portable`, the suites that need no servers. The workflows run it on each system. Other arguments go to Jest.

const fs = require('node:fs')
const path = require('node:path')
const setup = require('./setup')

/** Suites that run on every system. */
const PORTABLE = [
  'reads/env-grammar',
  'reads/options',
  'package/loader',
  'package/package',
  'observability/audit-file',
  'cli/windows',
].map((name) => `__test__/${name}.test.js`)

const args = process.argv.slice(2)
const forJest = args.filter((argument) => argument !== '--portable')
setup.nodeModules()
const glibc = fs.existsSync(path.join(setup.root, `tcs-secret-delivery.linux-${process.arch}-gnu.node`))
const everything = glibc && !args.includes('--portable')
if (everything) setup.forTests()
const jest = path.join(setup.root, 'node_modules', 'jest', 'bin', 'jest.js')
setup.run(process.execPath, [jest, '--ci', ...(everything ? [] : PORTABLE), ...forJest])
