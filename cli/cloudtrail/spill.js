'use strict'

// Lines in files by a key, so that what has one key can be looked at together, and no more than a part of all is in memory.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { CliError, EXIT } = require('../exit')

const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])
const PARTS = 256
/** What is gathered for a part before it is written, in bytes. */
const BATCH = 32 * 1024
const LINE_END = 0x0a

/** A directory for lines, which is removed, also when a signal ends this program. */
class SpillPlace {
  #directory
  #spills = 0

  constructor() {
    const parent = os.tmpdir()
    // Before the directory: a signal in between would leave it behind.
    for (const signal of SIGNALS) process.once(signal, this.#stop)
    this.#directory = attempt(parent, () => fs.mkdtempSync(path.join(parent, 'tcs-compare-')))
  }

  spill() {
    return new Spill(path.join(this.#directory, `${this.#spills++}-`))
  }

  /** Removes everything. */
  close() {
    for (const signal of SIGNALS) process.off(signal, this.#stop)
    fs.rmSync(this.#directory, { recursive: true, force: true })
  }

  #stop = (/** @type {NodeJS.Signals} */ signal) => {
    this.close()
    process.exit(128 + os.constants.signals[signal])
  }
}

/** Lines by key. */
class Spill {
  /** @type {Buffer[]} */
  #waiting = []
  #used = new Uint32Array(PARTS)
  /** @type {Set<number>} */
  #written = new Set()

  /** @param {string} files What the paths of its files begin with. */
  constructor(files) {
    this.files = files
  }

  /** Writes what is in memory, for another thread. @returns {number[]} The parts that have lines. */
  flush() {
    for (const [part, used] of this.#used.entries()) {
      if (used > 0) this.#write(part, used)
      this.#used[part] = 0
    }
    this.#waiting = []
    return [...this.#written]
  }

  /** Has the lines that another thread wrote for these files. @param {number[]} parts */
  adopt(parts) {
    this.#written = new Set(parts)
  }

  /** @param {string} key @param {string} line ASCII without a line end, shorter than {@link BATCH}. */
  add(key, line) {
    const part = hash(key) % PARTS
    let used = /** @type {number} */ (this.#used[part])
    if (used + line.length >= BATCH) {
      this.#write(part, used)
      used = 0
    }
    const buffer = (this.#waiting[part] ??= Buffer.allocUnsafeSlow(BATCH))
    used += buffer.write(line, used, 'latin1')
    buffer[used] = LINE_END
    this.#used[part] = used + 1
  }

  /** The lines of a part, which may be read several times. @param {number} part @returns {Iterable<string>} */
  part(part) {
    return { [Symbol.iterator]: () => this.#lines(part) }
  }

  /** Removes a part. @param {number} part */
  remove(part) {
    if (this.#written.has(part)) fs.rmSync(this.#file(part))
    this.#written.delete(part)
    this.#used[part] = 0
    delete this.#waiting[part]
  }

  /** @param {number} part @returns {Generator<string>} */
  *#lines(part) {
    if (this.#written.has(part)) {
      const handle = fs.openSync(this.#file(part), 'r')
      try {
        const buffer = Buffer.allocUnsafeSlow(64 * 1024)
        let rest = ''
        for (let length = 0; (length = fs.readSync(handle, buffer)) > 0;) {
          // Lines are ASCII, so that no character is cut.
          const lines = (rest + buffer.toString('latin1', 0, length)).split('\n')
          rest = lines.pop() ?? ''
          yield* lines
        }
      } finally {
        fs.closeSync(handle)
      }
    }
    const waiting = this.#waiting[part]
    if (waiting === undefined) return
    const lines = waiting.toString('latin1', 0, this.#used[part]).split('\n')
    lines.pop()
    yield* lines
  }

  /** @param {number} part @param {number} used */
  #write(part, used) {
    const bytes = /** @type {Buffer} */ (this.#waiting[part]).subarray(0, used)
    attempt(path.dirname(this.files), () => fs.appendFileSync(this.#file(part), bytes, { mode: 0o600 }))
    this.#written.add(part)
  }

  /** @param {number} part */
  #file(part) {
    return this.files + part
  }
}

/** @template T @param {string} place @param {() => T} act @returns {T} */
function attempt(place, act) {
  try {
    return act()
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    const message = `${place} has no room for what is sorted (${code}): set TMPDIR to a directory with more; it takes about 150 bytes for each read`
    throw new CliError('FILE_NOT_WRITTEN', EXIT.source, message)
  }
}

/** @param {string} key */
function hash(key) {
  let sum = 0x811c9dc5
  for (let at = 0; at < key.length; at++) sum = Math.imul(sum ^ key.charCodeAt(at), 0x01000193)
  return (sum ^ (sum >>> 15)) >>> 0
}

// Named exports: as members of an object literal the classes would be no types.
exports.PARTS = PARTS
exports.Spill = Spill
exports.SpillPlace = SpillPlace
