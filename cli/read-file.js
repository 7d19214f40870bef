'use strict'

const library = require('../lib/read-file')
const { CliError, EXIT } = require('./exit')

/**
 * The text of a regular file. Never waits.
 *
 * @param {string} file
 */
function readText(file) {
  try {
    return library.readText(file)
  } catch (error) {
    if (!(error instanceof library.FileNotRead)) throw error
    throw new CliError('FILE_NOT_READ', EXIT.source, error.message)
  }
}

module.exports = { readText }
