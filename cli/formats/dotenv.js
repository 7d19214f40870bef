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
 * An env file with these values. The grammar cannot escape every character, so each line is parsed again and compared.
 *
 * @param {Map<string, string>} values
 * @returns {string}
 */
function format(values) {
  const lines = [...values].map(([name, value]) => {
    const line = candidates(name, value).find((candidate) => isAlone(candidate, name, value))
    if (line !== undefined) return line
    const message = `${name} cannot be written as dotenv: its mix of quotes and line ends has no form there; use --format json, shell or k8s`
    throw new CliError('FORMAT_UNFIT', EXIT.no, message)
  })
  return `${lines.join('\n')}\n`
}

/** The ways to write a value, the simplest first. @param {string} name @param {string} value */
function candidates(name, value) {
  const plain = /^[\w./:@%+,=-]+$/.test(value) ? [`${name}=${value}`] : []
  const escaped = value.replaceAll('\n', '\\n').replaceAll('\r', '\\r')
  return [
    ...plain,
    `${name}='${value}'`,
    `${name}=\`${value}\``,
    `${name}="${value}"`,
    `${name}="${escaped}"`,
    `${name}=${value}`,
  ]
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

module.exports = { format, parse }
