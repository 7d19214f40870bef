'use strict'

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { CliError, EXIT } = require('./exit')

const PRIVATE = 0o600
/** The permission bits of group and others. */
const OTHERS = 0o077

/**
 * Refuses a path that a secret must not be written to: an existing file that others may read, or that is not a regular
 * file.
 *
 * @param {string} file
 */
function assertPrivate(file) {
  const stat = fs.lstatSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isFile()) throw refused(`${file} exists and is no plain file; name another one with --out`)
  if (isOpen(stat)) {
    throw refused(
      `${file} exists and others may read it (mode ${modeOf(stat)}): run chmod 600 ${file}, or name another one with --out`,
    )
  }
}

/**
 * Writes a file that only its owner can read, atomically: readers see the old file or the new one.
 * Synchronous, so that no signal is handled in between.
 *
 * @param {string} named
 * @param {string} text
 * @param {number} [mode]
 */
function writeAtomically(named, text, mode = PRIVATE) {
  const file = replaceable(named)
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`)
  try {
    const handle = fs.openSync(temporary, 'wx', mode)
    try {
      fs.writeFileSync(handle, text)
      fs.fsyncSync(handle)
    } finally {
      fs.closeSync(handle)
    }
    fs.renameSync(temporary, file)
  } catch (error) {
    fs.rmSync(temporary, { force: true })
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    throw new CliError('FILE_NOT_WRITTEN', EXIT.refused, `${file} could not be written (${code}); check the directory`)
  }
}

/**
 * The file that a path stands for, behind links. What is no file, such as a device, is refused: it would be gone, and a file in its place.
 *
 * @param {string} file
 */
function replaceable(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return file
  if (!stat.isFile()) throw refused(`${file} exists and is no plain file; name another one`)
  return fs.realpathSync(file)
}

/**
 * A new directory that only this user can enter: in memory, where the system has one for this user.
 *
 * @param {string} prefix
 */
function privateDirectory(prefix) {
  const parent = process.env.XDG_RUNTIME_DIR || os.tmpdir()
  try {
    return fs.mkdtempSync(path.join(parent, prefix))
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    const message = `${parent} has no room for files (${code}): set TMPDIR to a directory that this user can write to`
    throw new CliError('FILE_NOT_WRITTEN', EXIT.refused, message)
  }
}

/** Whether group or others have any permission; always false on Windows, which has no such modes. @param {fs.Stats} stat */
function isOpen({ mode }) {
  return process.platform !== 'win32' && (mode & OTHERS) !== 0
}

/** The mode as text, such as `0644`. @param {fs.Stats} stat */
function modeOf({ mode }) {
  return `0${(mode & 0o777).toString(8)}`
}

/** @param {string} message */
function refused(message) {
  return new CliError('REFUSED', EXIT.refused, message)
}

module.exports = { PRIVATE, assertPrivate, isOpen, modeOf, privateDirectory, refused, writeAtomically }
