'use strict'

// Reads a file of secrets for `import`: an env file, JSON, or YAML. Nothing that it says contains a value.

const path = require('node:path')
const { faultOf } = require('../lib/json-fault')
const { nameOf } = require('../lib/config-file')
const { CliError, EXIT } = require('./exit')
const { entriesIn, notUtf8 } = require('./judgement')

/** The largest JSON or YAML document, in bytes: its parser takes seconds for more. */
const MOST_DOCUMENT = 4 * 1024 * 1024
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,256}$/
const FORMATS = /** @type {const} */ (['dotenv', 'json', 'yaml'])

/** Stands for an alias of something that is not there. */
const NO_ANCHOR = {}

/** @typedef {(typeof FORMATS)[number]} Format */
/** @typedef {{ name: string, line: number, why: string }} Left What is not imported, and why. */
/** @typedef {{ values: Map<string, string>, left: Left[] }} Read */

/** The format that a file's name tells. @param {string} file @returns {Format} */
function formatOf(file) {
  const extension = path.extname(file).toLowerCase()
  if (extension === '.json') return 'json'
  return extension === '.yaml' || extension === '.yml' ? 'yaml' : 'dotenv'
}

/**
 * The values of a document, by the names of secrets. `github: { api_token: … }` is the tool github with its type api_token; an object
 * in place of a value is a JSON secret.
 *
 * @param {string} text
 * @param {Format} format
 * @param {string} file For messages.
 * @param {import('./context').Config} config
 * @returns {Read}
 */
function read(text, format, file, config) {
  if (format === 'dotenv') return fromDotenv(text)
  const bytes = Buffer.byteLength(text)
  if (bytes > MOST_DOCUMENT) throw unusable(file, `it has ${bytes} bytes, ${MOST_DOCUMENT} are allowed; divide it`)
  if (format === 'json') {
    const fault = faultOf(text)
    if (fault !== null) throw unusable(file, `line ${fault.line}, column ${fault.column}: ${fault.reason}`)
  }
  return fromDocument(text, format, file, new Set(config.declared.map(({ name }) => name)))
}

/** @param {string} text @returns {Read} */
function fromDotenv(text) {
  /** @type {Read} */
  const found = { values: new Map(), left: [] }
  for (const { name, line, value, doubt } of entriesIn(text)) {
    const why = !NAME.test(name) ? 'no name that a secret can have' : value === '' ? 'empty' : doubt
    if (why === null) found.values.set(name.toUpperCase(), value)
    else found.left.push({ name, line, why })
  }
  return found
}

/**
 * @param {string} text
 * @param {Format} format
 * @param {string} file
 * @param {Set<string>} declared
 * @returns {Read}
 */
function fromDocument(text, format, file, declared) {
  // Loaded here: it takes a while, and other commands do not need it.
  const { LineCounter, isAlias, isMap, isScalar, parseDocument } = require('yaml')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, merge: false, logLevel: 'error' })
  const [broken] = document.errors
  if (broken !== undefined) {
    const { line = 1, col = 1 } = broken.linePos?.[0] ?? {}
    // The message of the parser may quote the document.
    throw unusable(file, `line ${line}, column ${col}: ${REASONS[broken.code] ?? 'this is no valid YAML'}`)
  }
  const { contents } = document
  if (!isMap(contents)) throw unusable(file, 'it has to be a mapping of names to values')
  /** @type {Read} */
  const found = { values: new Map(), left: [] }
  /** @type {Map<string, number>} */
  const seen = new Map()
  for (const { name, at, node } of pairs(contents)) {
    const isTool = isMap(node) && !declared.has(name.toUpperCase())
    if (!isTool) add(name, at, node)
    else for (const inner of pairs(node)) add(nameOf(name, inner.name), inner.at, inner.node)
  }
  return found

  /** @param {any} map @returns {{ name: string, at: number, node: any }[]} */
  function pairs(map) {
    return map.items.map((/** @type {any} */ { key, value }) => ({
      name: isScalar(key) ? String(key.source ?? key.value) : '',
      at: lines.linePos(key?.range?.[0] ?? 0).line,
      node: isAlias(value) ? (value.resolve(document) ?? NO_ANCHOR) : value,
    }))
  }

  /** @param {string} given @param {number} line @param {any} node */
  function add(given, line, node) {
    const name = given.toUpperCase()
    const value = valueOf(node)
    const before = seen.get(name)
    seen.set(name, line)
    const why = !NAME.test(given)
      ? 'no name that a secret can have'
      : before !== undefined
        ? `it stands in line ${before} as well`
        : value === null
          ? 'empty'
          : value === undefined
            ? node === NO_ANCHOR
              ? 'its alias has no anchor before it'
              : 'a list or a mapping is no value; write it as a text of JSON'
            : notUtf8(value)
    if (before !== undefined) found.values.delete(name)
    if (why === null) found.values.set(name, /** @type {string} */ (value))
    else found.left.push({ name: given, line, why })
  }

  /** The text of a value, digit for digit; `null`: empty. @param {any} node @returns {string | null | undefined} */
  function valueOf(node) {
    if (node === null || node === undefined) return null
    if (isScalar(node)) {
      if (node.value === null || node.value === '') return null
      return typeof node.value === 'string' ? node.value : (node.source ?? undefined)
    }
    const [begin, end] = node.range ?? []
    return format === 'json' ? text.slice(begin, end) : undefined
  }
}

/** What the parser's codes mean, without the document's text. @type {Partial<Record<string, string>>} */
const REASONS = {
  BAD_ALIAS: 'an alias has no anchor before it',
  BAD_INDENT: 'the indentation does not fit',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping cannot stand inside of a line; a value with a colon needs quotes',
  MISSING_CHAR: 'a quote, bracket or brace is missing',
  MULTIPLE_DOCS: 'a second document begins here; one is allowed',
  RESOURCE_EXHAUSTION: 'values are nested too deep',
  TAB_AS_INDENT: 'a tab cannot indent',
}

/** @param {string} file @param {string} why */
function unusable(file, why) {
  return new CliError('FILE_UNFIT', EXIT.no, `${file}: ${why}; nothing was changed`)
}

module.exports = { FORMATS, formatOf, read }
