'use strict'

// Env files in the grammar of npm dotenv.

const { CliError, EXIT } = require('../exit')

/** The regular expression of npm dotenv. */
const LINE =
  /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?(?:$|$)/gm

/**
 * @param {string} text
 * @returns {Map<string, string>}
 */
function parse(text) {
  const lines = text.replace(/\r\n?/gm, '\n')
  return new Map([...lines.matchAll(LINE)].map(([, name = '', value = '']) => [name, unquoted(value.trim())]))
}

/** @param {string} value */
function unquoted(value) {
  const inner = value.replace(/^(['"`])([\s\S]*)\1$/gm, '$2')
  return value.startsWith('"') ? inner.replace(/\\n/g, '\n').replace(/\\r/g, '\r') : inner
}

/**
 * @typedef {object} Form One way to write an assignment that npm dotenv can read.
 * @property {string} line
 * @property {Reader[]} others Those who read another value from it.
 */
/** @typedef {'a shell' | 'Python' | 'Docker Compose'} Reader Who else reads env files. */

/**
 * An env file with these values. What npm dotenv, python-dotenv, Docker Compose and a shell read alike comes first. A form in
 * which a shell would run a part of the value is never used.
 *
 * @param {Map<string, string>} values By names of variables.
 * @param {(message: string) => void} warn
 * @returns {string}
 */
function format(values, warn) {
  /** @type {Map<string, string[]>} */
  const differing = new Map()
  const lines = [...values].map(([name, value]) => {
    const fitting = forms(name, value).filter(({ line }) => isAlone(line, name, value))
    const best = fitting.sort((a, b) => a.others.length - b.others.length)[0]
    if (best === undefined) throw unfit(name)
    const readers = best.others.join(' and ')
    if (readers !== '') differing.set(readers, [...(differing.get(readers) ?? []), name])
    return best.line
  })
  for (const [readers, names] of differing) {
    warn(`${names.join(', ')}: npm dotenv reads the value, ${readers} would read another one from this file`)
  }
  return `${lines.join('\n')}\n`
}

/** @param {string} name */
function unfit(name) {
  const message = `${name} cannot be written as dotenv: no form of its quotes, '$', backslashes and line ends is read alike and run by no shell; use --format json, shell or k8s`
  return new CliError('FORMAT_UNFIT', EXIT.no, message)
}

/** @param {string} name @param {string} value @returns {Form[]} */
function forms(name, value) {
  if (/^[\w./:@%+,=-]+$/.test(value)) return [{ line: `${name}=${value}`, others: [] }]
  // python-dotenv replaces this in every kind of quotes.
  const replaced = /\$\{/.test(value) ? /** @type {const} */ (['Python']) : []
  /** @type {Form[]} */
  const found = []
  if (!value.includes("'")) {
    found.push({ line: `${name}='${value}'`, others: /\\\\/.test(value) ? ['Python'] : [...replaced] })
  }
  // Between double quotes a shell runs these.
  if (/["$`]/.test(value)) return found
  const escapes = /\\[\\'"abfnrtv\r\n]/.test(value) ? /** @type {const} */ (['Python', 'Docker Compose']) : []
  const shell = /\\[\\\n]/.test(value) ? /** @type {const} */ (['a shell']) : []
  const escaped = value.replaceAll('\n', '\\n').replaceAll('\r', '\\r')
  found.push({ line: `${name}="${value}"`, others: [...shell, ...escapes] })
  if (escaped !== value) found.push({ line: `${name}="${escaped}"`, others: ['a shell', ...escapes] })
  return found
}

/**
 * Whether a line is parsed as this value only, even between other lines with any kind of quote: an unpaired quote would
 * include the lines that follow.
 *
 * @param {string} line
 * @param {string} name
 * @param {string} value
 */
function isAlone(line, name, value) {
  return [`'`, `"`, '`'].every((quote) => {
    const around = `BEFORE=${quote}a${quote}\n${line}\nAFTER=${quote} #${quote}\nLAST=x\n`
    const found = parse(around)
    return found.size === 4 && found.get(name) === value && found.get('BEFORE') === 'a' && found.get('LAST') === 'x'
  })
}

module.exports = { LINE, format, parse, unquoted }
