'use strict'

/** Text that is already HTML. */
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
 * A template tag that escapes values, unless they are already HTML. It joins lists and leaves `null` out.
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

// Named exports: as members of an object literal the class would not be a type.
exports.Html = Html
exports.html = html
