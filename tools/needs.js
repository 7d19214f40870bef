'use strict'

// Finds the servers that Jest suites need, from their imports: a suite that imports __test__/support/servers/redis.js, directly
// or through other modules, needs what `setup.SERVERS.redis` installs.

const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')
const setup = require('./setup')

/** Folders with modules that start servers or other programs. */
const PLACES = ['__test__/support', 'tools'].map((place) => path.join(setup.root, place))

/**
 * The modules of this checkout that a file imports by a relative path, at any depth, and the file itself.
 *
 * @param {string} file
 * @param {Set<string>} [found]
 * @returns {Set<string>}
 */
function modulesOf(file, found = new Set()) {
  if (found.has(file)) return found
  found.add(file)
  if (!/\.c?js$/.test(file)) return found
  const { resolve } = createRequire(file)
  for (const [, name] of fs.readFileSync(file, 'utf8').matchAll(/\brequire\('(\.[^']*)'\)/g)) {
    modulesOf(resolve(name), found)
  }
  return found
}

/** The name of a module in `setup.SERVERS`, if it is there. @param {string} file @returns {setup.Need | undefined} */
function needOf(file) {
  if (!PLACES.some((place) => file.startsWith(place + path.sep))) return undefined
  const { name, dir } = path.parse(file)
  const known = name === 'index' ? path.basename(dir) : name
  return known in setup.SERVERS ? /** @type {setup.Need} */ (known) : undefined
}

/**
 * @param {string[]} suites Absolute paths.
 * @returns {Set<setup.Need>}
 */
function needsOf(suites) {
  const modules = new Set()
  for (const suite of suites) modulesOf(suite, modules)
  return new Set([...modules].map(needOf).filter((need) => need !== undefined))
}

module.exports = { needsOf }
