'use strict'

// The formats of `export`. Each takes values by secret name and returns the text of the file.

const { CliError, EXIT } = require('../exit')
const docker = require('./docker')
const dotenv = require('./dotenv')
const { externalSecret } = require('./external-secret')
const githubActions = require('./github-actions')
const { manifest } = require('./k8s')

/**
 * @typedef {object} About
 * @property {string} app
 * @property {import('../../index').Environment} environment
 * @property {string | undefined} namespace
 * @property {'variable' | 'kebab'} keys The spelling of the keys of a Kubernetes Secret.
 */

/** @type {Record<string, (values: Map<string, string>, about: About, warn: (message: string) => void) => string>} */
const FORMATS = {
  dotenv: (values, _, warn) => dotenv.format(asVariables(values), warn),
  json: (values) => `${JSON.stringify(Object.fromEntries(values), null, 2)}\n`,
  shell: (values) => [...asVariables(values)].map(([name, value]) => `export ${name}=${quoted(value)}\n`).join(''),
  docker: (values, _, warn) => docker.format(asVariables(values), warn),
  k8s: (values, about) => manifest(about.keys === 'kebab' ? values : asVariables(values), about),
  'github-actions': (values) => githubActions.format(asVariables(values)),
}

/** Quotes a value for `sh`: no character is special between single quotes. @param {string} value */
function quoted(value) {
  return `'${value.replaceAll("'", `'\\''`)}'`
}

/**
 * The values by names of variables, with `_` for `-`, as a delivery looks for them.
 *
 * @param {Map<string, string>} values
 * @returns {Map<string, string>}
 */
function asVariables(values) {
  /** @type {Map<string, string>} */
  const variables = new Map()
  for (const [name, value] of values) {
    const variable = name.replaceAll('-', '_')
    if (variables.has(variable)) {
      throw new CliError(
        'FORMAT_UNFIT',
        EXIT.no,
        `two secrets would both be the variable ${variable}; rename one of them`,
      )
    }
    if (/^\d/.test(variable)) {
      throw new CliError('FORMAT_UNFIT', EXIT.no, `${name} begins with a digit, which a variable must not`)
    }
    if (value.includes('\0')) {
      throw new CliError('FORMAT_UNFIT', EXIT.no, `${name} has a NUL character, which a variable cannot hold`)
    }
    variables.set(variable, value)
  }
  return variables
}

module.exports = { FORMATS, asVariables, externalSecret, maskLines: githubActions.maskLines }
