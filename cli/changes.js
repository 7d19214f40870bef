'use strict'

// Changes of secrets in AWS: what would change, by names and never by values, and how it ended.

const { CliError, EXIT, exitFor } = require('./exit')
const { closest } = require('../lib/suggest')
const { told } = require('./words')

/** @typedef {import('../index').ComparedSecret} ComparedSecret */
/** @typedef {import('../index').StoreReport} StoreReport */
/** @typedef {import('./terminal').Terminal} Terminal */
/** @typedef {import('./context').SecretDelivery} SecretDelivery */

const WORDS = { create: 'new', update: 'changed', keep: 'same', unknown: 'unknown' }
/** How many values are compared in one go: they cross into the addon together. */
const CHUNK = 100

/**
 * Compares values with AWS.
 *
 * @param {SecretDelivery} delivery
 * @param {Map<string, string | Uint8Array>} values By name.
 * @returns {Promise<ComparedSecret[]>}
 */
async function compare(delivery, values) {
  const left = [...values]
  /** @type {ComparedSecret[]} */
  const found = []
  while (left.length > 0) found.push(...(await delivery.store.compare(Object.fromEntries(left.splice(0, CHUNK)))))
  return found
}

/**
 * What AWS has of one secret, compared with a value. An error of AWS rejects.
 *
 * @param {SecretDelivery} delivery
 * @param {string} name
 * @param {string | Uint8Array} value
 * @returns {Promise<ComparedSecret>}
 */
async function compareOne(delivery, name, value) {
  const [found] = await compare(delivery, new Map([[name, value]]))
  if (found === undefined) throw new Error('a comparison has no entry')
  if (found.error !== null) throw failure(found.error)
  return found
}

/** @param {{ code: string, message: string }} error */
function failure({ code, message }) {
  return new CliError(code, exitFor(code), message)
}

/** @param {ComparedSecret['fields']} fields */
function fieldsOf(fields) {
  if (fields === null) return ''
  const parts = /** @type {const} */ (['changed', 'added', 'removed']).filter((kind) => fields[kind].length > 0)
  return parts.map((kind) => `${kind}: ${fields[kind].join(', ')}`).join('; ')
}

/** @param {ComparedSecret[]} found @param {Terminal} terminal */
function changesTable(found, terminal) {
  const rows = found.map(({ name, change, fields, error }) => [name, WORDS[change], fieldsOf(fields) || told(error)])
  return terminal.table(['NAME', 'CHANGE', 'FIELDS'], rows, terminal.words(1, { new: 'green', changed: 'yellow' }))
}

/**
 * A warning for a name that is not declared: it may be misspelt.
 *
 * @param {string} name
 * @param {import('./context').Config} config
 * @param {Terminal} terminal
 */
function warnUndeclared(name, { declared }, terminal) {
  const names = declared.map((secret) => secret.name)
  if (names.length === 0 || names.includes(name.toUpperCase())) return
  const meant = closest(name.toUpperCase(), names)
  terminal.warn(`${name.toUpperCase()} is not declared${meant === undefined ? '' : `; did you mean ${meant}?`}`)
}

/**
 * How a change ended, in a line, and how to take it back.
 *
 * @param {StoreReport} report
 * @param {Terminal} terminal
 */
function ended({ name, environment, outcome, versionId, previousVersionId, field, awsId }, terminal) {
  const where = field === null ? '' : ` (the field ${field} of ${awsId})`
  const words = {
    created: 'it was made',
    filled: 'it has its first value',
    updated: 'it has a new value',
    kept: 'AWS has this value already; nothing was changed',
    scheduled: 'it is marked for deletion',
    removed: 'the field was taken out',
    restored: 'it is back',
    absent: 'AWS has no such secret',
  }
  const undo = previousVersionId === null ? '' : `Back: tcs-secrets restore ${name} --to ${previousVersionId}\n`
  return [
    `${terminal.style('bold', name)} in ${environment}${where}: ${words[outcome]}\n`,
    versionId === null ? '' : `version ${versionId}\n`,
    undo,
  ].join('')
}

/**
 * Asks, unless --yes was given. What is asked about is shown before.
 *
 * @param {Terminal} terminal
 * @param {{ yes?: boolean }} options
 * @param {string} what The command, with its subject.
 * @param {string} consequence A sentence.
 */
async function agreed(terminal, { yes }, what, consequence) {
  if (!yes) await terminal.confirm(what, consequence)
}

module.exports = { agreed, changesTable, compare, compareOne, ended, failure, fieldsOf, warnUndeclared }
