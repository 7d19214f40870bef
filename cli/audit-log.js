'use strict'

// Reads an audit log line by line, since it may have gigabytes.

const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { baseOf } = require('./environments')
const { CliError, EXIT } = require('./exit')

const DEFAULT_FILE = 'secret-audit.jsonl'
const STANDARD_OUTPUT = new Set(['stdout', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'])

/** Whether a log of this path goes to standard output. @param {unknown} path */
const isStandardOutput = (path) => STANDARD_OUTPUT.has(/** @type {string} */ (path))

/**
 * Where the log of a service is, by its configuration. `null`: it goes to standard output.
 *
 * @param {import('./context').Config} config
 * @returns {string | null}
 */
function configuredLog({ directory, options }) {
  const { TCS_AUDIT_LOG, TCS_ENVIRONMENT, NODE_ENV } = process.env
  const given = (options.audit || {}).path ?? (TCS_AUDIT_LOG || undefined)
  if (isStandardOutput(given)) return null
  if (given !== undefined) return path.resolve(directory, given)
  const environment = baseOf(options.environment ?? (TCS_ENVIRONMENT || NODE_ENV || 'development'), options)
  return isTest(environment) ? defaultOf(environment, directory) : path.join(directory, DEFAULT_FILE)
}

/** @param {string} environment */
const isTest = (environment) => environment === 'test'

/** Loaded late: it needs the addon. @param {string} environment @param {string} directory */
const defaultOf = (environment, directory) => require('../lib/audit').defaultAuditFile(environment, directory)

/**
 * The log that a command names, else the one of the configuration.
 *
 * @param {string | undefined} file
 * @param {import('./context').Context} context
 * @returns {Promise<string>}
 */
async function logOf(file, context) {
  if (file !== undefined) return file
  const log = configuredLog(await context.config())
  if (log !== null) return path.relative('', log) || log
  throw new CliError('USAGE', EXIT.usage, 'the audit log goes to standard output; name the file with the lines')
}

/** No key is longer, in bytes. */
const MOST_KEY = 64 * 1024

/** The text of a key file, which may be a pipe, as `<(…)` of a shell is. @param {string} file */
function readKey(file) {
  const bytes = Buffer.alloc(MOST_KEY + 1)
  let length = 0
  try {
    const handle = fs.openSync(file, 'r')
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = fs.readSync(handle, bytes, length, bytes.length - length, null)
      }
    } finally {
      fs.closeSync(handle)
    }
  } catch (error) {
    throw notRead(file, error)
  }
  if (length <= MOST_KEY) return bytes.toString('utf8', 0, length).trim()
  throw new CliError('FILE_NOT_READ', EXIT.source, `${file} has more than ${MOST_KEY} bytes, and is no key`)
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

const TEXTS = [
  ...['time', 'instance', 'environment', 'event', 'tool', 'secret', 'source', 'cache', 'outcome', 'code', 'version'],
  ...['last', 'caller', 'request', 'detail', 'prev'],
]
const NUMBERS = ['seq', 'pid', 'latency_us', 'count']

/**
 * The record of a line. Anybody may have written into the file: a line that is no record is left out, as is a field that has
 * another type than the log writes.
 *
 * @param {string} line
 * @returns {any}
 */
function parsed(line) {
  let found
  try {
    found = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof found !== 'object' || found === null) return undefined
  const isRight = (/** @type {[string, unknown]} */ [name, value]) =>
    (TEXTS.includes(name) && typeof value === 'string') ||
    (NUMBERS.includes(name) && Number.isSafeInteger(value) && Number(value) >= 0)
  const record = Object.fromEntries(Object.entries(found).filter(isRight))
  if (record.event === undefined || !isTime(record.time)) return undefined
  if (record.last !== undefined && !isTime(record.last)) delete record.last
  return record
}

/** @param {unknown} text */
const isTime = (text) => typeof text === 'string' && !Number.isNaN(Date.parse(text))

/** @param {string} file @param {unknown} error */
function notRead(file, error) {
  const { code } = /** @type {NodeJS.ErrnoException} */ (error)
  return new CliError('FILE_NOT_READ', EXIT.source, `${file} could not be read (${code})`)
}

module.exports = { isStandardOutput, allRecords, configuredLog, filesOf, logOf, parsed, readKey, records }
