'use strict'

const { noToolsDeclared } = require('./context')
const { namesInEnvFile } = require('./env-file')

/**
 * The names of the secrets that a delivery is known to have: those that are declared, and those of the env file.
 *
 * @param {import('./context').SecretDelivery} delivery
 * @param {import('./context').Config} config
 * @returns {string[]}
 */
function declaredNames({ environment }, config) {
  const names = new Set(config.declared.map(({ name }) => name))
  for (const name of namesInEnvFile(config, environment)) names.add(name)
  if (names.size === 0) throw noToolsDeclared(config)
  return [...names].sort()
}

module.exports = { declaredNames }
