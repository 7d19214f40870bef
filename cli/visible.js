'use strict'

// Text from elsewhere (AWS, files, arguments), so that a terminal shows it instead of obeying it: a version id, a message or a
// name may contain escape sequences, line ends, or characters that turn the direction of writing around.

/** Control and format characters, line and paragraph separators, halves of surrogate pairs. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** The same without line ends. */
const UNSEEN_IN_LINES = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
const SHORT = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** @param {string} character */
function escaped(character) {
  const code = /** @type {number} */ (character.codePointAt(0)).toString(16)
  return SHORT.get(character) ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`)
}

/** One line of visible characters: `\n` and `\u001b` stand for what they name. @param {string} text */
function visible(text) {
  return text.replace(UNSEEN, escaped)
}

/** The same for a text of several lines. @param {string} text */
function visibleLines(text) {
  return text.replace(UNSEEN_IN_LINES, escaped)
}

/**
 * A copy of plain data in which every text is visible.
 *
 * @template T
 * @param {T} data
 * @returns {T}
 */
function visibleCopy(data) {
  /** @param {unknown} part @returns {unknown} */
  const copy = (part) => {
    if (typeof part === 'string') return visible(part)
    if (Array.isArray(part)) return part.map(copy)
    if (typeof part !== 'object' || part === null) return part
    return Object.fromEntries(Object.entries(part).map(([key, member]) => [visible(key), copy(member)]))
  }
  return /** @type {T} */ (copy(data))
}

/**
 * JSON that a terminal shows, with the same meaning: `JSON.stringify` leaves some of these characters as they are.
 *
 * @param {unknown} data
 * @param {number} [indent] `0`: one line.
 */
function visibleJson(data, indent = 2) {
  return JSON.stringify(data, null, indent).replace(UNSEEN_IN_LINES, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

module.exports = { visible, visibleCopy, visibleJson, visibleLines }
