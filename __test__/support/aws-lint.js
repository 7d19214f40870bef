'use strict'

// Programs that look at templates and policies; tools/setup.js installs them.

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { pythonPrograms } = require('../../tools/setup')

const python = path.join(pythonPrograms, 'python')

/** @param {string} file @param {string} input */
function ran(file, input) {
  const { stdout, stderr, status } = spawnSync(python, [file], { input, encoding: 'utf8', maxBuffer: 1 << 26 })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

/** The findings of cfn-lint. @param {string} template Path. @returns {string[]} */
function cfnLint(template) {
  const args = [
    path.join(pythonPrograms, 'cfn-lint'),
    '--format',
    'json',
    '--regions',
    'eu-central-1',
    '--template',
    template,
  ]
  const { stdout, stderr } = spawnSync(python, args, { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout).map((/** @type {any} */ { Rule, Message }) => `${Rule.Id}: ${Message}`)
}

/** The findings of parliament, by name. @param {Record<string, object>} documents @returns {string[]} */
const parliament = (documents) => ran(path.join(__dirname, 'find-in-policies.py'), JSON.stringify(documents))

/** Calls made with policies: see wire-probe.py. @param {object} given @returns {Record<string, Record<string, string>>} */
const wireProbe = (given) => ran(path.join(__dirname, 'wire-probe.py'), JSON.stringify(given))

/** A stack of a stand-in's CloudFormation, and what it made: see stack.py. @param {object} given @returns {any} */
const stack = (given) => ran(path.join(__dirname, 'stack.py'), JSON.stringify(given))

module.exports = { cfnLint, parliament, stack, wireProbe }
