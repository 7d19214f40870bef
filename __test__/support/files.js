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

/** Writes a file and the directories above it; returns its path. @param {string} directory @param {string} name @param {string | Uint8Array} content */
function written(directory, name, content) {
  const file = path.join(directory, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, content)
  return file
}

module.exports = { root, temporaryDirectory, written }
