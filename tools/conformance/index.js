'use strict'

// `npm run conformance`: asks a Secrets Manager about each rule of AWS that this package relies on. See docs/conformance.md.
//
// Runs in this process, and not in a child as other tools do: the secrets that it made are removed again also when this
// process gets a signal.

const setup = require('../setup')

setup.nodeModules()
require('./run').main(process.argv.slice(2))
