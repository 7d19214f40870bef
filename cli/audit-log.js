'use strict'

// Reads an audit log line by line, since it may have gigabytes.

const fs = require('node:fs')
const path = require('node:path')
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

/**
 * The files of a log that are there, oldest first.
 *
 * @param {string} log
 * @returns {string[]}
 */
function filesOf(log) {
  const { dir, name, ext } = path.parse(log)
  const rotated = new RegExp(`^${escaped(name)}-\\d{8}T\\d{6}Z-(\\d{6,})${escaped(ext)}$`)
  /** @param {string} file */
  const number = (file) => Number(rotated.exec(path.basename(file))?.[1])
  let older
  try {
    older = fs.readdirSync(dir || '.').filter((file) => rotated.test(file))
  } catch (error) {
    throw notRead(log, error)
  }
  older.sort((a, b) => number(a) - number(b))
  const found = older.map((file) => path.join(dir, file))
  return fs.existsSync(log) || found.length === 0 ? [...found, log] : found
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/**
 * The records of a log with its older files, each with the actor of its instance: `host`, `user`, `program`, …
 *
 * @param {string} log
 * @returns {AsyncGenerator<{ record: any, actor: Record<string, string> }>}
 */
async function* allRecords(log) {
  /** @type {Map<string, Record<string, string>>} */
  const actors = new Map()
  for (const file of filesOf(log)) {
    for await (const record of records(file)) {
      if (record.event === 'open' || record.event === 'session') actors.set(record.instance, pairs(record.detail))
      yield { record, actor: actors.get(record.instance) ?? {} }
    }
  }
}

/** The `name=value` pairs of a detail. @param {string} [detail] @returns {Record<string, string>} */
function pairs(detail = '') {
  const split = detail.split(' ').map((pair) => pair.split('='))
  return Object.fromEntries(split.filter(([, value]) => value !== undefined))
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

module.exports = { DEFAULT_FILE, allRecords, defaultLog, filesOf, logOf, parsed, readKey, records }
