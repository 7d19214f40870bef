'use strict'

// The runtimes that tests run the package on, and where tools/setup.js installs them.

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

module.exports = { ALL, MODES, program }
