'use strict'

// Finds the env file and the names in it. Only the delivery reads the values.

const fs = require('node:fs')
const path = require('node:path')
const { library } = require('./context')
const { parse } = require('./formats/dotenv')
const { presetOf } = require('./environments')
const { readText } = require('./read-file')

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/

/**
 * @param {import('./context').Config} config
 * @param {import('../index').Environment} environment
 * @returns {string | null} The path; `null`: none is used.
 */
function envFilePath({ directory, options }, environment) {
  const { envFile } = options
  if (envFile === false) return null
  const given = envFile?.path ?? presetOf(environment, options, library().environmentDefaults)?.fallback ?? null
  const name = typeof given === 'string' || given === null ? given : given[0]
  return name === null ? null : path.resolve(directory, envFile?.directory ?? '', name)
}

/**
 * @param {import('./context').Config} config
 * @param {import('../index').Environment} environment
 * @returns {string[]} Those that may name a secret; none when there is no file.
 */
function namesInEnvFile(config, environment) {
  const file = envFilePath(config, environment)
  if (file === null || !fs.existsSync(file)) return []
  return [...parse(readText(file)).keys()].filter((name) => NAME.test(name))
}

module.exports = { envFilePath, namesInEnvFile }
