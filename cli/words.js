'use strict'

/** A count with its noun, such as `1 error` or `2 errors`. @param {number} count @param {string} noun */
function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** The text of an error of a report, for a cell of a table. @param {{ code: string, message: string } | null} error */
function told(error) {
  return error === null ? '' : `${error.code}: ${error.message}`
}

module.exports = { plural, told }
