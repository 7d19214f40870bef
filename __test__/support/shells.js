'use strict'

const { spawnSync } = require('node:child_process')

/** Whether this shell is there; CI has all of them. @param {'bash' | 'zsh' | 'fish'} shell */
function hasShell(shell) {
  const isThere = process.platform !== 'win32' && spawnSync(shell, ['--version'], { stdio: 'ignore' }).status === 0
  if (!isThere && process.env.CI && process.platform === 'linux') throw new Error(`${shell} is not installed`)
  return isThere
}

module.exports = { hasShell }
