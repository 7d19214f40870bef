'use strict'

const { version, engines } = require('../../package.json')
const { library } = require('../context')
const { describe } = require('../exit')
const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */

/** @returns {Finding[]} */
function installationFindings() {
  const least = Number(/\d+/.exec(engines.node)?.[0])
  const node =
    Number(process.versions.node.split('.')[0]) >= least
      ? finding('Node', 'ok', process.version)
      : finding('Node', 'error', `${process.version} is too old`, `install Node ${least} or newer`)
  return [node, packageFinding()]
}

/** @returns {Finding} */
function packageFinding() {
  const { platform, arch } = process
  try {
    library()
    return finding('package', 'ok', `tcs-secret-delivery ${version} for ${platform}-${arch}`)
  } catch (error) {
    return finding('package', 'error', describe(error).message, 'install it again: npm install')
  }
}

/**
 * @param {string} environment
 * @param {import('../context').Config} config
 * @param {import('../context').Globals} globals
 * @returns {Finding}
 */
function environmentFinding(environment, { file, options }, globals) {
  const { TCS_ENVIRONMENT, NODE_ENV } = process.env
  const from = globals.environment
    ? '--environment'
    : options.environment
      ? `"environment" in ${file}`
      : TCS_ENVIRONMENT
        ? 'TCS_ENVIRONMENT'
        : NODE_ENV
          ? 'NODE_ENV'
          : 'the default: nothing names another one'
  return finding('environment', 'ok', `${environment}, from ${from}`)
}

module.exports = { environmentFinding, installationFindings }
