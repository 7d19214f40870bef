'use strict'

// Secrets as files for the command of `run`: in a directory of their own, which only this user can enter, and which is removed
// when the command has ended.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { CliError, EXIT } = require('./exit')
const { writeAtomically } = require('./private-file')

class SecretFiles {
  #directory

  constructor() {
    // A directory in memory, where the system has one for this user.
    const parent = process.env.XDG_RUNTIME_DIR || os.tmpdir()
    try {
      this.#directory = fs.mkdtempSync(path.join(parent, 'tcs-secrets-'))
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error)
      const message = `${parent} has no room for files (${code}): set TMPDIR to a directory that this user can write to`
      throw new CliError('FILE_NOT_WRITTEN', EXIT.refused, message)
    }
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
