'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')

/**
 * Whether git ignores a file; `null` outside of a repository, or without git.
 *
 * @param {string} file
 * @returns {boolean | null}
 */
function isIgnored(file) {
  const args = ['check-ignore', '--quiet', '--no-index', path.basename(file)]
  const { status } = spawnSync('git', args, { cwd: path.dirname(file), stdio: 'ignore' })
  return status === 0 ? true : status === 1 ? false : null
}

module.exports = { isIgnored }
