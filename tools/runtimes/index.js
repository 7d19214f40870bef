'use strict'

// Where the runtimes are that tools/setup.js installed here.

const fs = require('node:fs')
const path = require('node:path')

const program = (/** @type {string[]} */ ...names) => path.join(__dirname, 'node_modules', ...names)

/** @typedef {'main' | 'worker' | 'cluster'} Mode */
/** @typedef {{ name: string, command: string, flags: string[], modes: Mode[] }} Runtime */

/** @type {Mode[]} */
const MODES = ['main', 'worker', 'cluster']

/** @type {Runtime[]} */
const ALL = [
  ...[20, 22, 24, 26].map((major) => ({
    name: `Node.js ${major}`,
    command: program(`node${major}`, 'bin', 'node'),
    flags: [],
    modes: MODES,
  })),
  { name: 'Bun', command: program('bun', 'bin', 'bun'), flags: ['run'], modes: MODES },
  {
    name: 'Deno',
    command: program('deno', 'deno'),
    flags: ['run', '--allow-ffi', '--allow-read', '--allow-env', '--allow-run'],
    modes: MODES,
  },
]

/**
 * All of them on Linux x64, for which their packages are listed; elsewhere the Node.js that runs this.
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

module.exports = { ALL, installed, program }
