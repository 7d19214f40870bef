'use strict'

// Where and why a text is no JSON, in words that contain nothing of the text: JSON.parse quotes a part of it, which may be a
// credential, and names no line.

/** @typedef {{ line: number, column: number, reason: string }} Fault */

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y
const WORD = /true|false|null/y
const BLANK = /[ \t\r\n]*/y
/** How deep values may be nested. */
const DEEPEST = 500

class Broken extends Error {
  /** @param {number} at @param {string} reason */
  constructor(at, reason) {
    super(reason)
    this.at = at
  }
}

/**
 * The first fault of a text; `null`: it is JSON.
 *
 * @param {string} text
 * @returns {Fault | null}
 */
function faultOf(text) {
  try {
    const end = blank(text, value(text, blank(text, 0), 0))
    if (end < text.length) throw new Broken(end, 'something follows the end of the document')
    return null
  } catch (error) {
    if (!(error instanceof Broken)) throw error
    const before = text.slice(0, error.at).split('\n')
    return { line: before.length, column: (before.at(-1) ?? '').length + 1, reason: error.message }
  }
}

/** @param {RegExp} pattern @param {string} text @param {number} at @returns {number} Where the match ends; -1: there is none. */
function match(pattern, text, at) {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}

/** @param {string} text @param {number} at */
function blank(text, at) {
  const end = match(BLANK, text, at)
  if (text[end] === '/') throw new Broken(end, 'JSON has no comments')
  return end
}

/** @param {string} text @param {number} at @param {number} depth @returns {number} Where the value ends. */
function value(text, at, depth) {
  if (depth > DEEPEST) throw new Broken(at, `values are nested more than ${DEEPEST} deep`)
  const first = text[at]
  if (first === '{') return members(text, at, '}', depth, (begin) => member(text, begin, depth))
  if (first === '[') return members(text, at, ']', depth, (begin) => value(text, begin, depth + 1))
  if (first === '"') return string(text, at)
  const end = Math.max(match(NUMBER, text, at), match(WORD, text, at))
  if (end >= 0) return end
  if (first === undefined) throw new Broken(at, 'the document ends too early')
  if (first === "'") throw new Broken(at, 'texts have double quotes')
  if (first === ',' || first === '}' || first === ']') throw new Broken(at, 'a value is missing')
  throw new Broken(at, 'this is no value: a text needs double quotes')
}

/**
 * @param {string} text
 * @param {number} at
 * @param {string} close
 * @param {number} depth
 * @param {(begin: number) => number} one
 */
function members(text, at, close, depth, one) {
  let here = blank(text, at + 1)
  if (text[here] === close) return here + 1
  for (;;) {
    here = blank(text, one(here))
    if (text[here] === close) return here + 1
    if (text[here] === undefined) throw new Broken(here, `the document ends before '${close}'`)
    if (text[here] !== ',') throw new Broken(here, `a comma or '${close}' is missing before this`)
    const comma = here
    here = blank(text, here + 1)
    if (text[here] === close) throw new Broken(comma, `there is a comma before '${close}'`)
  }
}

/** @param {string} text @param {number} at @param {number} depth */
function member(text, at, depth) {
  if (text[at] === "'") throw new Broken(at, 'names have double quotes')
  if (text[at] !== '"') throw new Broken(at, 'a name in double quotes is missing')
  const colon = blank(text, string(text, at))
  if (text[colon] !== ':') throw new Broken(colon, "':' is missing after a name")
  return value(text, blank(text, colon + 1), depth + 1)
}

/** @param {string} text @param {number} at */
function string(text, at) {
  const end = match(STRING, text, at)
  if (end >= 0) return end
  const line = text.slice(at, text.indexOf('\n', at) < 0 ? undefined : text.indexOf('\n', at))
  if (!/^"(?:[^"\\]|\\.)*"/.test(line)) throw new Broken(at, 'a text does not end in its line')
  throw new Broken(at, 'a text has a control character or an escape that JSON does not have')
}

module.exports = { faultOf }
