'use strict'

// The runtimes that are installed here. Modules that need only their names import ./list.

const fs = require('node:fs')
const { ALL, MODES, program } = require('./list')

/** @typedef {import('./list').Runtime} Runtime */

/**
 * All runtimes on Linux x64, for which their packages are listed; on other systems, the Node.js that runs this.
 *
 * @returns {Runtime[]}
 */
function installed() {
  if (process.platform === 'linux' && process.arch === 'x64') {
    const missing = ALL.filter(({ command }) => !fs.existsSync(command)).map(({ name }) => name)
    if (missing.length > 0) throw new Error(`not installed: ${missing.join(', ')}; 'npm test' does that`)
    return ALL
  }
  return [
    { name: `Node.js ${process.versions.node.split('.')[0]}`, command: process.execPath, flags: [], modes: MODES },
  ]
}

module.exports = { installed, program }
