'use strict'

// `delivery.redactor()`: takes the values of secrets out of what a service writes.

const { Transform } = require('node:stream')
const util = require('node:util')
const { SecretError } = require('./errors')
const { plainOptions } = require('./options')
const { redacted } = require('./redacted')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */
/** @typedef {import('../native').NativeRedactor} NativeRedactor */
/** @typedef {(...words: any[]) => void} Method */

/** Methods of `console` whose arguments become one text. The others (`count`, `timeLog`) call these. */
const WRITERS = ['debug', 'error', 'info', 'log', 'trace', 'warn', 'group', 'groupCollapsed']
/** Methods whose first argument is something else. */
const OTHERS = ['assert', 'dir', 'dirxml', 'table']

/** See `index.d.ts` for the documentation of every member. */
class Redactor {
  #native
  #text
  #through

  /** @param {NativeRedactor} nativeRedactor */
  constructor(nativeRedactor) {
    this.#native = nativeRedactor
    const replace = nativeRedactor.text()
    this.#text = (/** @type {string} */ text) => replace(text) ?? text
    this.#through = { text: this.#text, bytes: (/** @type {Uint8Array} */ bytes) => this.#bytes(bytes) }
  }

  /**
   * @template T
   * @param {T} value
   * @returns {T}
   */
  redact(value) {
    return typeof value === 'string' ? /** @type {any} */ (this.#text(value)) : redacted(value, this.#through)
  }

  /** @returns {Transform} */
  stream() {
    const pieces = this.#native.stream()
    return new Transform({
      transform(piece, _, done) {
        settle(done, () => pieces.push(piece))
      },
      flush(done) {
        settle(done, () => pieces.end())
      },
    })
  }

  /** @param {any} [options] */
  pino(options) {
    const given = options ?? {}
    const before = given.hooks?.streamWrite
    const streamWrite = (/** @type {string} */ line) => this.#text(before === undefined ? line : before(line))
    return { ...given, hooks: { ...given.hooks, streamWrite } }
  }

  winston() {
    return { transform: (/** @type {any} */ info) => this.redact(info) }
  }

  /** @param {any} [target] */
  console(target = console) {
    /** @type {Map<string, Method>} */
    const methods = new Map()
    for (const name of [...WRITERS, ...OTHERS]) {
      const method = target[name]
      if (typeof method !== 'function') continue
      methods.set(name, method)
      target[name] = Object.defineProperty(this.#written(name, method, target), 'name', { value: name })
    }
    const installed = new Map([...methods.keys()].map((name) => [name, target[name]]))
    return () => {
      // What somebody else put over it stays.
      for (const [name, method] of methods) if (target[name] === installed.get(name)) target[name] = method
    }
  }

  watching() {
    return this.#native.watching()
  }

  /**
   * A method of `console` that writes no value. Where there is none, it is called with the arguments as they are.
   *
   * @param {string} name
   * @param {Method} method
   * @param {any} target
   * @returns {Method}
   */
  #written(name, method, target) {
    if (name === 'dir' || name === 'dirxml' || name === 'table') {
      return (...words) => method.apply(target, this.#isClean(words, words[1]) ? words : this.redact(words))
    }
    const first = name === 'assert' ? 1 : 0
    return (...words) => {
      const rest = words.slice(first)
      const text = util.format(...rest)
      const shown = this.#text(text)
      method.apply(target, shown === text ? words : [...words.slice(0, first), '%s', shown])
    }
  }

  /** @param {unknown[]} words @param {any} options Of `console.dir`. */
  #isClean(words, options) {
    const depth = typeof options === 'object' && options !== null ? options.depth : undefined
    const text = util.inspect(words, { depth: depth ?? 10, maxStringLength: null, maxArrayLength: null })
    return this.#text(text) === text && redacted(words, this.#through) === words
  }

  /** @param {Uint8Array} bytes */
  #bytes(bytes) {
    const pieces = this.#native.stream()
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const shown = Buffer.concat([pieces.push(whole), pieces.end()])
    return shown.equals(whole) ? bytes : shown
  }

  [inspect]() {
    return 'Redactor {}'
  }
}

/**
 * @param {(error: Error | null, piece?: Buffer) => void} done
 * @param {() => Buffer} work
 */
function settle(done, work) {
  let piece
  try {
    piece = work()
  } catch (error) {
    return done(/** @type {Error} */ (error))
  }
  done(null, piece)
}

/**
 * A redactor of one delivery.
 *
 * @param {NativeDelivery} nativeDelivery
 * @param {unknown} options
 */
function redactorOf(nativeDelivery, options) {
  const given = plainOptions(options)
  const unknown = Object.keys(given).find((name) => name !== 'except')
  if (unknown !== undefined) {
    throw new SecretError('CONFIG_INVALID', `options.${unknown} is not an option of redactor (except)`)
  }
  const except = given.except ?? []
  if (!Array.isArray(except) || !except.every((name) => typeof name === 'string')) {
    throw new SecretError('CONFIG_INVALID', 'options.except must be an array of names of secrets')
  }
  return Object.freeze(new Redactor(nativeDelivery.redactor(except)))
}

module.exports = { redactorOf }
