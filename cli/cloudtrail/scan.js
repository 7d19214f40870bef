'use strict'

// Reads files of CloudTrail as a stream: one event after the other, whatever the size of the file.

const fs = require('node:fs')
const path = require('node:path')
const zlib = require('node:zlib')
const { CliError, EXIT } = require('../exit')

const [QUOTE, ESCAPE, OPEN, CLOSE, LIST, LIST_END] = [...'"\\{}[]'].map((letter) => letter.charCodeAt(0))
/** No event is longer: CloudTrail's have 256 KiB at most, and one that holds another as a text is twice that. */
const MOST_BYTES = 2 * 1024 * 1024
/** What files of a trail begin with, and what `aws cloudtrail lookup-events` writes. Everything else is one event a line. */
const LISTED = /^\uFEFF?\s*\{\s*"(Records|Events)"\s*:\s*\[/

/**
 * The files below these places, in a stable order.
 *
 * @param {string[]} places Files and folders.
 * @returns {{ file: string, isNamed: boolean }[]} Whether a file was named itself.
 */
function filesBelow(places) {
  return places.flatMap((place) => /** @type {{ file: string, isNamed: boolean }[]} */ (below(place)))
}

/** @param {string} place */
function below(place) {
  const stat = fs.statSync(place, { throwIfNoEntry: false })
  if (stat === undefined) throw new CliError('FILE_NOT_READ', EXIT.source, `${place} does not exist`)
  if (!stat.isDirectory()) return [{ file: place, isNamed: true }]
  const names = fs.readdirSync(place, { recursive: true, encoding: 'utf8' }).sort()
  return names
    .filter((name) => /\.jsonl?(\.gz)?$/.test(name))
    .map((name) => ({ file: path.join(place, name), isNamed: false }))
}

/**
 * Calls `seen` with each event of a file, as bytes.
 *
 * @param {string} file
 * @param {(bytes: Buffer) => void} seen
 * @returns {Promise<string | null>} Why the file was not read to its end; `null`: it was.
 */
async function scan(file, seen) {
  // A pipe would be waited for.
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return 'it is no regular file'
  const scanner = new Scanner(seen)
  const bytes = fs.createReadStream(file, { highWaterMark: 1024 * 1024 })
  let problem = null
  try {
    const stream = isPacked(file) ? unpacked(bytes) : bytes
    for await (const chunk of stream) scanner.take(chunk)
    problem = scanner.end()
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    problem =
      code === 'Z_BUF_ERROR' || code === 'Z_DATA_ERROR' ? 'its packed data is cut or damaged' : (code ?? message)
  } finally {
    bytes.destroy()
  }
  return problem
}

/** @param {fs.ReadStream} bytes */
function unpacked(bytes) {
  const stream = zlib.createGunzip({ chunkSize: 256 * 1024 })
  bytes.once('error', (error) => stream.destroy(error))
  return bytes.pipe(stream)
}

/** By its first bytes: S3 shows some as unpacked that are named .gz. @param {string} file */
function isPacked(file) {
  const start = Buffer.alloc(2)
  const handle = fs.openSync(file, 'r')
  try {
    fs.readSync(handle, start, 0, 2, 0)
  } finally {
    fs.closeSync(handle)
  }
  return start[0] === 0x1f && start[1] === 0x8b
}

/** Finds where events begin and end, without parsing them. */
class Scanner {
  #seen
  #depth = 0
  #inText = false
  #escaped = false
  /** The depth at which an event begins; `-1`: not known yet. */
  #level = -1
  /** Bytes of an event that began in an earlier chunk. @type {Buffer[]} */
  #begun = []
  #begunBytes = 0
  #isIn = false

  /** @param {(bytes: Buffer) => void} seen */
  constructor(seen) {
    this.#seen = seen
  }

  /** @param {Buffer} chunk */
  take(chunk) {
    if (this.#level < 0) this.#level = LISTED.test(chunk.toString('latin1', 0, 200)) ? 2 : 0
    const level = this.#level
    let depth = this.#depth
    let from = this.#isIn ? 0 : -1
    let at = 0
    const end = chunk.length
    if (this.#escaped) {
      at = 1
      this.#escaped = false
    }
    let inText = this.#inText
    while (at < end) {
      if (inText) {
        const quote = chunk.indexOf(QUOTE, at)
        if (quote < 0) {
          this.#escaped = isEscaped(chunk, end, at)
          at = end
          break
        }
        inText = isEscaped(chunk, quote, at)
        at = quote + 1
        continue
      }
      const byte = chunk[at]
      if (byte === QUOTE) inText = true
      else if (byte === OPEN || byte === LIST) {
        if (depth === level && byte === OPEN) from = at
        depth++
      } else if (byte === CLOSE || byte === LIST_END) {
        depth--
        if (depth < 0) throw new Error('it is no JSON')
        if (depth === level && from >= 0 && byte === CLOSE) {
          this.#emit(chunk.subarray(from, at + 1))
          from = -1
        }
      }
      at++
    }
    this.#inText = inText
    this.#depth = depth
    this.#isIn = from >= 0
    if (from >= 0) {
      this.#begun.push(chunk.subarray(from))
      this.#begunBytes += end - from
      if (this.#begunBytes > MOST_BYTES) throw new Error('it holds no events of CloudTrail')
    }
  }

  /** @returns {string | null} */
  end() {
    if (this.#depth !== 0 || this.#inText) return 'it is cut'
    return null
  }

  /** @param {Buffer} rest */
  #emit(rest) {
    if (this.#begun.length === 0) return this.#seen(rest)
    this.#begun.push(rest)
    const whole = Buffer.concat(this.#begun)
    this.#begun = []
    this.#begunBytes = 0
    this.#seen(whole)
  }
}

/** Whether an odd number of backslashes stands before a byte. @param {Buffer} chunk @param {number} at @param {number} least */
function isEscaped(chunk, at, least) {
  let count = 0
  while (at - count > least && chunk[at - count - 1] === ESCAPE) count++
  return count % 2 === 1
}

module.exports = { filesBelow, scan }
