'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { pythonPrograms } = require('../../tools/setup')

const SCRIPT = `
import dotenv, json, sys
print(json.dumps([dotenv.dotenv_values(name).get('A_A') for name in json.load(sys.stdin)]))
`

/**
 * The variable A_A of each of these env files, as python-dotenv reads it.
 *
 * @param {string} directory
 * @param {string[]} names
 * @returns {(string | null)[] | undefined} `undefined`: it is not installed, which CI does not accept.
 */
function readByPython(directory, names) {
  const own = path.join(pythonPrograms, 'python')
  const python = fs.existsSync(own) ? own : 'python3'
  const { status, stdout, stderr } = spawnSync(python, ['-c', SCRIPT], {
    cwd: directory,
    input: JSON.stringify(names),
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  if (status === 0) return JSON.parse(stdout)
  if (process.env.CI || !/ModuleNotFoundError|not found/.test(stderr)) throw new Error(`python-dotenv: ${stderr}`)
  console.warn('python-dotenv is not installed, so it is not asked')
  return undefined
}

module.exports = { readByPython }
