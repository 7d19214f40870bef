'use strict'

/** Text that is HTML already. */
class Html {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }

  toString() {
    return this.text
  }
}

const ENTITIES = /** @type {Record<string, string>} */ ({
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
})

/**
 * A template whose values are escaped, unless they are HTML already; lists are joined, `null` is nothing.
 *
 * @param {TemplateStringsArray} strings
 * @param {...unknown} values
 * @returns {Html}
 */
function html(strings, ...values) {
  return new Html(strings.reduce((text, string, i) => text + shown(values[i - 1]) + string))
}

/** @param {unknown} value @returns {string} */
function shown(value) {
  if (value === null || value === undefined) return ''
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(shown).join('')
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

// Not as members of an object: the class would not be a type.
exports.Html = Html
exports.html = html
