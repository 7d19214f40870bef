'use strict'

// Which of the options go to Rust, and which are functions or variables that stay on this side.

const { actor } = require('./actor')
const { checkedSink } = require('./arguments')
const { splitCredentials } = require('./credentials')
const { checkedHooks } = require('./hooks')
const { VariableSource, forConfiguration } = require('./variables')

/**
 * @param {any} given What `checkedOptions` let through.
 * @param {string} workingDirectory Where relative paths start.
 */
function separated(given, workingDirectory) {
  const { hooks, rotation } = checkedHooks(given.rotation)
  const { sink, audit } = checkedSink(given.audit)
  const { aws, credentials } = splitCredentials(given.aws)
  const configuration = {
    ...given,
    ...(aws !== undefined && { aws }),
    audit,
    ...(rotation !== undefined && { rotation }),
  }
  const ambient = { ...actor(), variables: forConfiguration(), workingDirectory }
  const variables = new VariableSource(given.runtime?.variables)
  return { configuration, ambient, variables, hooks, sink, credentials }
}

module.exports = { separated }
