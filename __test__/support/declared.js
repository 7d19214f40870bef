'use strict'

// What index.d.ts declares.

const fs = require('node:fs')
const { files, flat, read } = require('../../tools/options')

const declared = fs.readFileSync(files.declarations, 'utf8')

/** Every option by its path (`tools.*.secrets`, `rotation.policies[].secretType`), the options inside of it included. */
const options = () => flat(read(declared).options)

module.exports = { declared, options }
