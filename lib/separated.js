'use strict'

// Which of the options go to Rust, and which are functions or variables that stay on this side.

const os = require('node:os')
const path = require('node:path')
const { checkedSink } = require('./arguments')
const { VariableSource, forConfiguration, workingDirectory } = require('./variables')

/** @type {{ hooks: import('./hooks').Hooks, rotation: undefined }} */
const NO_HOOKS = { hooks: { all: {}, own: new Map() }, rotation: undefined }

/**
 * @param {any} given What `checkedOptions` let through.
 * @param {string | undefined} directory Where relative paths start; unset for the working directory.
 */
function separated(given, directory) {
  const { hooks, rotation } = given.rotation ? require('./hooks').checkedHooks(given.rotation) : NO_HOOKS
  const { sink, audit } = checkedSink(given.audit)
  const { aws, credentials } = given.aws?.credentials
    ? require('./credentials').splitCredentials(given.aws)
    : { aws: given.aws, credentials: undefined }
  const configuration = {
    ...given,
    ...(aws !== undefined && { aws }),
    audit,
    ...(rotation !== undefined && { rotation }),
  }
  const ambient = { ...actor(), variables: forConfiguration(), workingDirectory: directory ?? workingDirectory() }
  const variables = new VariableSource(given.runtime?.variables)
  return { configuration, ambient, variables, hooks, sink, credentials }
}

/**
 * Who runs this process, for the audit log. What is unknown or may not be asked (Deno without --allow-sys) is left out.
 *
 * @returns {{ host?: string, uid?: number, program?: string }}
 */
function actor() {
  const program = process.argv[1] ?? process.execPath
  return {
    host: known(() => os.hostname()),
    uid: known(() => process.getuid?.()),
    program: typeof program === 'string' ? path.basename(program) : undefined,
  }
}

/**
 * @template T
 * @param {() => T} ask
 * @returns {T | undefined}
 */
function known(ask) {
  try {
    return ask()
  } catch {
    return undefined
  }
}

module.exports = { separated }
