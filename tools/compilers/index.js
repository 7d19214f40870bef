'use strict'

// The compilers of TypeScript that tools/setup.js installs here, and the newest one.

const path = require('node:path')

const root = path.resolve(__dirname, '..', '..')
const tsc = (/** @type {string[]} */ ...names) => path.join(...names, 'bin', 'tsc')
const here = (/** @type {string} */ name) => path.join(__dirname, 'node_modules', name)

/** Programs of Node.js by version, the oldest first. @type {Record<string, string>} */
const COMPILERS = {
  '5.0': tsc(here('typescript50')),
  5.4: tsc(here('typescript54')),
  5.9: tsc(here('typescript59')),
  7: tsc(root, 'node_modules', 'typescript'),
}

/** The newest compiler that can be asked as a library. @returns {any} */
function library() {
  return require(here('typescript59'))
}

module.exports = { COMPILERS, library }
