'use strict'

// Secrets as files for the command of `run`: in a directory of their own, which only this user can enter, and which is removed
// when the command has ended.

const fs = require('node:fs')
const path = require('node:path')
const { privateDirectory, writeAtomically } = require('./private-file')

class SecretFiles {
  #directory

  constructor() {
    this.#directory = privateDirectory('tcs-secrets-')
  }

  /**
   * Writes the values. Readers see the old or the new one.
   *
   * @param {Map<string, string>} values By names of variables.
   * @returns {Map<string, string>} The paths, by the names of variables that end with `_FILE`.
   */
  write(values) {
    return new Map(
      [...values].map(([name, value]) => {
        const file = path.join(this.#directory, name)
        writeAtomically(file, value)
        return [`${name}_FILE`, file]
      }),
    )
  }

  remove() {
    fs.rmSync(this.#directory, { recursive: true, force: true })
  }
}

exports.SecretFiles = SecretFiles
