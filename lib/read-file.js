'use strict'

// Reads a file that a user or a configuration names, which may be anything: a directory, a pipe that nobody writes to, a device.

const fs = require('node:fs')

/** The largest env file, in bytes, as in the library. */
const MOST_BYTES = 16 * 1024 * 1024

/**
 * The text of a regular file. Never waits.
 *
 * @param {string} file
 * @param {number} [most] In bytes.
 */
function readText(file, most = MOST_BYTES) {
  return decoded(readBytes(file, most))
}

/**
 * The bytes of a regular file. Never waits.
 *
 * @param {string} file
 * @param {number} [most]
 * @returns {Buffer}
 */
function readBytes(file, most = MOST_BYTES) {
  let handle
  try {
    // O_NONBLOCK: a pipe would wait for a writer.
    handle = fs.openSync(file, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0))
    const stat = fs.fstatSync(handle)
    if (stat.isDirectory()) throw notRead(`${file} is a directory, not a file`)
    if (!stat.isFile()) throw notRead(`${file} is no regular file`)
    if (stat.size > most) throw notRead(`${file} has ${stat.size} bytes, ${most} are allowed`)
    return fs.readFileSync(handle)
  } catch (error) {
    if (error instanceof FileNotRead) throw error
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    throw notRead(`${file} cannot be read (${code}): ${REMEDIES[code ?? ''] ?? 'check the path'}`)
  } finally {
    if (handle !== undefined) fs.closeSync(handle)
  }
}

/** UTF-8, or UTF-16 with its mark, as PowerShell writes it. @param {Buffer} bytes */
function decoded(bytes) {
  const mark = bytes.length % 2 === 0 && bytes.length > 1 ? bytes.readUInt16BE(0) : 0
  if (mark === 0xfffe) return bytes.toString('utf16le')
  return mark === 0xfeff ? bytes.swap16().toString('utf16le') : bytes.toString('utf8')
}

/** @type {Partial<Record<string, string>>} */
const REMEDIES = {
  EACCES: 'give this user the right to read it, or run as its owner',
  EISDIR: 'it is a directory, not a file',
  ENXIO: 'it is no regular file',
  ELOOP: 'its symbolic links lead to each other',
}

/** Says why a file is not read, and what to do. */
class FileNotRead extends Error {}

/** @param {string} message */
function notRead(message) {
  return new FileNotRead(message)
}

module.exports = { FileNotRead, readBytes, readText }
