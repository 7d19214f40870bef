'use strict'

// Takes the value of a secret from standard input, a hidden prompt or a file. Never from an argument: those stay in the history of
// the shell, and every user of the machine can read them while the command runs.

const { readBytes, FileNotRead } = require('../lib/read-file')
const { CliError, EXIT } = require('./exit')
const { looksSecret } = require('./judgement')
const { plural } = require('./words')

/** The longest value that AWS stores, in bytes. */
const MOST_BYTES = 65_536
/** What a type or a tool may be called, as people name them. */
const WORD = /^[A-Za-z][\w-]{0,63}$/

/**
 * @param {import('./terminal').Terminal} terminal
 * @param {string} name
 * @param {{ file?: string, exact?: boolean, binary?: boolean }} options `file`: a path; `-` is standard input.
 * @returns {Promise<string | Uint8Array>} Bytes where `binary` asks for them.
 */
async function valueFrom(terminal, name, { file, exact = false, binary = false }) {
  const isTyped = (file === undefined || file === '-') && process.stdin.isTTY
  if (!isTyped) {
    const bytes = file !== undefined && file !== '-' ? bytesOf(file) : await standardInput(name)
    return binary ? fitting(name, bytes) : textOf(terminal, name, bytes, exact)
  }
  if (binary) throw nothing(name, 'bytes cannot be typed; give them by --file or standard input')
  const value = await terminal.askHidden(`Value of ${name}: `)
  if (value === '') throw nothing(name, 'no value was given')
  if ((await terminal.askHidden('The same again: ')) !== value) throw nothing(name, 'the two values differ')
  return value
}

/** @param {string} file */
function bytesOf(file) {
  try {
    return readBytes(file, MOST_BYTES + 2)
  } catch (error) {
    if (!(error instanceof FileNotRead)) throw error
    throw new CliError('FILE_NOT_READ', EXIT.source, error.message)
  }
}

/** @param {string} name */
async function standardInput(name) {
  /** @type {Buffer[]} */
  const chunks = []
  let size = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk)
    size += chunk.length
    if (size > MOST_BYTES + 2) throw nothing(name, `the value has more than the ${MOST_BYTES} bytes that AWS stores`)
  }
  return Buffer.concat(chunks)
}

/**
 * The value that bytes stand for. The line end after a single line belongs to the file or the pipe; a key of several lines keeps its.
 *
 * @param {import('./terminal').Terminal} terminal
 * @param {string} name
 * @param {Buffer} bytes
 * @param {boolean} exact
 */
function textOf(terminal, name, bytes, exact) {
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw nothing(name, noText(bytes))
  }
  if (text === '') throw nothing(name, "the value is empty; 'delete' takes a secret away")
  if (exact) return text
  if (text.includes('\0')) throw nothing(name, 'the value has bytes of zero, as UTF-16 has; --exact takes it as it is')
  if (text.startsWith('\uFEFF')) {
    terminal.note('The byte order mark at the beginning was taken off; --exact keeps it.')
    text = text.slice(1)
  }
  const [line = '', ending] = /^([^\r\n]*)(\r?\n)$/.exec(text)?.slice(1) ?? []
  if (ending === undefined) return text
  terminal.note('The line end behind the value was taken off; --exact keeps it.')
  if (line === '') throw nothing(name, 'the value is a line end only')
  return line
}

/** @param {string} name @param {Buffer} bytes */
function fitting(name, bytes) {
  if (bytes.length === 0) throw nothing(name, "the value is empty; 'delete' takes a secret away")
  if (bytes.length > MOST_BYTES) throw nothing(name, `the value has ${bytes.length} bytes, AWS stores ${MOST_BYTES}`)
  return bytes
}

/** What to do with bytes that are no text. @param {Buffer} bytes */
function noText(bytes) {
  const mark = bytes.toString('latin1', 0, 2)
  if (mark === '\u00ff\u00fe' || mark === '\u00fe\u00ff') {
    return 'the value is a text in UTF-16; turn it into UTF-8: iconv -f UTF-16 -t UTF-8'
  }
  return 'the value is no UTF-8 text; --binary writes bytes such as those of a key store (SecretBinary), which services read with getToolSecretBytes; a text of another encoding is turned into UTF-8 by iconv'
}

/**
 * Refuses arguments that look like a value.
 *
 * @param {import('./context').Config} config
 * @param {string[]} words The words of the command line, without options.
 * @param {{ value?: unknown }} options
 */
function refuseValues({ declared }, words, { value }) {
  const [first = '', second, ...more] = words
  const names = new Set(declared.map(({ name }) => name))
  const isDeclared = (/** @type {string} */ name) => names.has(name.toUpperCase())
  const isNoType =
    second !== undefined &&
    !isDeclared(`${first}_${second}`) &&
    (isDeclared(first) || !WORD.test(second) || looksSecret(second))
  if (value === undefined && more.length === 0 && !isNoType && !first.includes('=')) return
  throw new CliError(
    'VALUE_IN_ARGUMENT',
    EXIT.refused,
    'a value is never taken from an argument: it would be in the history of the shell and in the list of processes. Give it by standard input, by --file, or at the prompt; if this was a real one, replace it',
  )
}

/** @param {string} name @param {string} why */
function nothing(name, why) {
  return new CliError('VALUE_UNFIT', EXIT.usage, `${name}: ${why}; nothing was changed`)
}

/** What a value looks like without showing it. @param {string | Uint8Array} value */
function sizeOf(value) {
  if (typeof value !== 'string') return `${plural(value.length, 'byte')}, no text`
  const lines = value.split('\n').length
  return `${plural(Buffer.byteLength(value), 'byte')}${lines > 1 ? ` in ${lines} lines` : ''}`
}

module.exports = { MOST_BYTES, nothing, refuseValues, sizeOf, valueFrom }
