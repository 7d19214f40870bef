'use strict'

// Lines in files by a key, so that what has one key can be looked at together, and no more than a part of all is in memory.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const PARTS = 128
/** What is gathered for a part before it is written. */
const BATCH = 64 * 1024

/** Lines by key. */
class Spill {
  #directory
  /** @type {string[]} */
  #waiting = Array.from({ length: PARTS }, () => '')
  #written = new Set()

  constructor() {
    this.#directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tcs-compare-'))
  }

  /** @param {string} key @param {string} line Without a line end. */
  add(key, line) {
    const part = hash(key) % PARTS
    const text = this.#waiting[part] + line + '\n'
    if (text.length < BATCH) this.#waiting[part] = text
    else this.#write(part, text)
  }

  /**
   * The lines of each part, which may be read several times while it is looked at. It is removed then.
   *
   * @returns {Generator<Iterable<string>>}
   */
  *parts() {
    for (let part = 0; part < PARTS; part++) {
      yield { [Symbol.iterator]: () => this.#lines(part) }
      if (this.#written.has(part)) fs.rmSync(this.#file(part))
      this.#written.delete(part)
      this.#waiting[part] = ''
    }
  }

  /** @param {number} part @returns {Generator<string>} */
  *#lines(part) {
    if (this.#written.has(part)) {
      const handle = fs.openSync(this.#file(part), 'r')
      try {
        const buffer = Buffer.alloc(1024 * 1024)
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
    const lines = (this.#waiting[part] ?? '').split('\n')
    lines.pop()
    yield* lines
  }

  /** Removes everything. */
  close() {
    fs.rmSync(this.#directory, { recursive: true, force: true })
  }

  /** @param {number} part @param {string} text */
  #write(part, text) {
    fs.appendFileSync(this.#file(part), text, 'latin1')
    this.#written.add(part)
    this.#waiting[part] = ''
  }

  /** @param {number} part */
  #file(part) {
    return path.join(this.#directory, String(part))
  }
}

/** @param {string} key */
function hash(key) {
  let sum = 0x811c9dc5
  for (let at = 0; at < key.length; at++) sum = Math.imul(sum ^ key.charCodeAt(at), 0x01000193)
  return (sum ^ (sum >>> 15)) >>> 0
}

// A named export: as a member of an object literal the class would not be a type.
exports.Spill = Spill
