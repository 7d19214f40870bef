'use strict'

// The root of this checkout, and temporary directories.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const root = path.resolve(__dirname, '..', '..')

/** @param {string} [prefix] */
function temporaryDirectory(prefix = 'tcs-secret-delivery-') {
  return fs.mkdtempSync(path.join(os.tmpdir(), prefix))
}

module.exports = { root, temporaryDirectory }
