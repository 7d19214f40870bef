'use strict'

// `environmentDefaults`: the documented preset of an environment.

const { assertEnvironment } = require('./arguments')
const { orThrow } = require('./errors')
const native = require('./load')

/**
 * @param {string} environment
 * @returns {import('../index').EnvironmentDefaults}
 */
function environmentDefaults(environment) {
  assertEnvironment(environment)
  return /** @type {import('../index').EnvironmentDefaults} */ (orThrow(native.environmentDefaults(environment)))
}

module.exports = { environmentDefaults }
