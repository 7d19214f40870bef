'use strict'

// Reads an audit log line by line, since it may have gigabytes.

const fs = require('node:fs')
const readline = require('node:readline')
const { CliError, EXIT } = require('./exit')

const DEFAULT_FILE = 'secret-audit.jsonl'

/** The default file of the log. `stdout` is not a file. */
function defaultLog() {
  return process.env.TCS_AUDIT_LOG || DEFAULT_FILE
}

/** @param {string | undefined} file */
function logOf(file) {
  const log = file ?? defaultLog()
  if (log === 'stdout') throw new CliError('USAGE', EXIT.usage, 'TCS_AUDIT_LOG is stdout; name the file with the lines')
  return log
}

/** @param {string} file */
function readKey(file) {
  try {
    return fs.readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw notRead(file, error)
  }
}

/**
 * The records of a log, without an incomplete last line.
 *
 * @param {string} file
 * @returns {AsyncGenerator<any>}
 */
async function* records(file) {
  try {
    const lines = readline.createInterface({ input: fs.createReadStream(file), crlfDelay: Infinity })
    for await (const line of lines) {
      const record = parsed(line)
      if (record !== undefined) yield record
    }
  } catch (error) {
    throw notRead(file, error)
  }
}

/** @param {string} line */
function parsed(line) {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** @param {string} file @param {unknown} error */
function notRead(file, error) {
  const { code } = /** @type {NodeJS.ErrnoException} */ (error)
  return new CliError('FILE_NOT_READ', EXIT.source, `${file} could not be read (${code})`)
}

module.exports = { DEFAULT_FILE, defaultLog, logOf, readKey, records }
