'use strict'

// Runs cargo-deny with the rules of deny.toml. Usage: node tools/release/deny.js CHECK..., of advisories (needs its database,
// which comes from GitHub), bans, licenses, sources.

const path = require('node:path')
const setup = require('../setup')

setup.rust()
setup.cargoDeny()
const PATH = `${setup.pythonPrograms}${path.delimiter}${process.env.PATH}`
setup.run('cargo', ['deny', '--locked', 'check', ...process.argv.slice(2)], { env: { PATH } })
