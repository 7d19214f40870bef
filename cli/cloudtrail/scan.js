'use strict'

// Reads files of CloudTrail as a stream: one event after the other, whatever the size of the file.

const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const zlib = require('node:zlib')
const { EventReader } = require('./event-reader')
const { CliError, EXIT } = require('../exit')

const [QUOTE, ESCAPE, OPEN, CLOSE, LIST, LIST_END] = [...'"\\{}[]'].map((letter) => letter.charCodeAt(0))
/** No event is longer: CloudTrail's have 256 KiB at most, and one that holds another as a text is twice that. */
const MOST_BYTES = 2 * 1024 * 1024
/** What files of a trail begin with, and what `aws cloudtrail lookup-events` writes, perhaps behind a byte order mark. */
const LISTED = /^(?:\u00ef\u00bb\u00bf)?\s*\{\s*"(Records|Events)"\s*:\s*\[/
/** The depth at which events begin there. */
const LISTED_LEVEL = 2
/** The bytes that say which of these forms a file has. */
const BEGINNING = 200
const gunzip = promisify(zlib.gunzip)
/** What is read in one go. */
const CHUNK = 64 * 1024
/** Files up to these sizes are unpacked in one piece, which is faster. CloudTrail's have a few MiB. */
const MOST_PACKED = 8 * 1024 * 1024
const MOST_UNPACKED = 32 * 1024 * 1024

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
 * Calls `seen` with each event of a file.
 *
 * @param {string} file
 * @param {(event: EventReader) => void} seen Has the event until it returns.
 * @param {Promise<Buffer | null>} [ahead] What {@link unpackedAhead} gave for it.
 * @returns {Promise<{ problem: string | null, isListed: boolean }>} Why the file was not read to its end (`null`: it was), and whether
 *   it is a list as CloudTrail makes it, which may be empty.
 */
async function scan(file, seen, ahead) {
  // A pipe would be waited for.
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile())
    return { problem: 'it is no regular file', isListed: false }
  const scanner = new Scanner(seen)
  const whole = await ahead
  if (whole) return { problem: scanner.all(whole), isListed: scanner.isListed }
  const bytes = fs.createReadStream(file, { highWaterMark: CHUNK })
  let problem = null
  try {
    const stream = isPacked(file) ? unpacked(bytes) : bytes
    for await (const chunk of stream) scanner.take(chunk)
    problem = scanner.end()
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    const isDamaged = code === 'Z_BUF_ERROR' || code === 'Z_DATA_ERROR'
    problem = isDamaged ? 'its packed data is cut or damaged' : (code ?? message)
  } finally {
    bytes.destroy()
  }
  return { problem, isListed: scanner.isListed }
}

/**
 * Unpacks a file beside other work, while the one before it is looked at. `null` for one that is read as a stream: it is not packed,
 * it is large, or something is wrong with it, and then what can be read of it counts.
 *
 * @param {string} file
 * @returns {Promise<Buffer | null>}
 */
async function unpackedAhead(file) {
  try {
    const stat = await fs.promises.stat(file)
    if (!stat.isFile() || stat.size > MOST_PACKED) return null
    const packed = await fs.promises.readFile(file)
    if (!looksPacked(packed)) return null
    return await gunzip(packed, { chunkSize: 1024 * 1024, maxOutputLength: MOST_UNPACKED })
  } catch {
    // The stream meets the same error, and names it.
    return null
  }
}

/** @param {fs.ReadStream} bytes */
function unpacked(bytes) {
  const stream = zlib.createGunzip({ chunkSize: CHUNK })
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
  return looksPacked(start)
}

/** @param {Buffer} bytes */
const looksPacked = (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b

/** Finds where events begin. */
class Scanner {
  #seen
  #event = new EventReader()
  #depth = 0
  /** What the file is: nothing, JSON, or another text. */
  #isEmpty = true
  #isJson = false
  /** The depth at which an event begins; `-1`: not known yet. */
  #level = -1
  /** What a later chunk continues: an event, or a text between events. @type {Buffer | null} */
  #rest = null

  /** @param {(event: EventReader) => void} seen */
  constructor(seen) {
    this.#seen = seen
  }

  /** @param {Buffer} chunk */
  take(chunk) {
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = null
    if (this.#isEmpty) this.#begin(bytes)
    if (this.#level < 0 && bytes.length < BEGINNING) this.#rest = bytes
    else this.#scan(bytes)
  }

  /** @param {Buffer} bytes The first ones. */
  #begin(bytes) {
    this.#isEmpty = bytes.length === 0
    // As PowerShell writes what a command prints. As UTF-8 it would have no events, and nothing to say.
    if (bytes.length > 1 && [0xfffe, 0xfeff].includes(bytes.readUInt16BE(0)))
      throw new Error('it is UTF-16: save it as UTF-8')
  }

  get isListed() {
    return this.#level === LISTED_LEVEL
  }

  /** All of a file. @param {Buffer} bytes @returns {string | null} */
  all(bytes) {
    try {
      for (let at = 0; at < bytes.length; at += CHUNK) this.take(bytes.subarray(at, at + CHUNK))
      return this.end()
    } catch (error) {
      return /** @type {Error} */ (error).message
    }
  }

  /** @returns {string | null} */
  end() {
    if (this.#level < 0 && this.#rest !== null) {
      const bytes = this.#rest
      this.#rest = null
      this.#scan(bytes)
    }
    if (this.#depth !== 0 || this.#rest !== null) return 'it is cut'
    if (this.#isJson) return null
    return this.#isEmpty ? 'it is empty' : 'it is no JSON'
  }

  /** @param {Buffer} bytes */
  #scan(bytes) {
    // A character for each byte, so that positions are the same, and the text takes no more memory than the bytes.
    const text = bytes.toString('latin1')
    const end = bytes.length
    if (this.#level < 0) this.#level = levelOf(text)
    let at = 0
    while (at < end) {
      const code = bytes[at]
      let next = at + 1
      if (code === OPEN || code === LIST) this.#isJson = true
      if (code === QUOTE) next = endOfText(bytes, next)
      else if (code === OPEN && this.#depth === this.#level) {
        next = this.#event.read(bytes, text, at)
        if (next >= 0) this.#seen(this.#event)
      } else if (code === OPEN || code === LIST) this.#depth++
      else if (code === CLOSE || code === LIST_END) {
        this.#depth--
        if (this.#depth < 0) throw new Error('it is no JSON')
      }
      if (next < 0) {
        if (end - at > MOST_BYTES) throw new Error('it holds no events of CloudTrail')
        this.#rest = bytes.subarray(at)
        return
      }
      at = next
    }
  }
}

/** At which depth events begin. @param {string} text */
function levelOf(text) {
  if (LISTED.test(text)) return LISTED_LEVEL
  return /^(?:\u00ef\u00bb\u00bf)?\s*\[/.test(text) ? 1 : 0
}

/** The position behind a text, or `-1`. @param {Uint8Array} bytes @param {number} at Behind its first quote. */
function endOfText(bytes, at) {
  for (; at < bytes.length; at++) {
    const code = bytes[at]
    if (code === QUOTE) return at + 1
    if (code === ESCAPE) at++
  }
  return -1
}

module.exports = { filesBelow, scan, unpackedAhead }
