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

/** Methods of `console` whose arguments become one text. The others (`timeLog`) call these. */
const WRITERS = ['debug', 'error', 'info', 'log', 'trace', 'warn', 'group', 'groupCollapsed']
/** Methods whose first argument is something else. */
const OTHERS = ['assert', 'dir', 'dirxml', 'table']
/** Methods whose first argument is a label, which Node puts into a warning of the process where it does not know it, or knows it already. */
const LABELLED = ['count', 'countReset', 'time', 'timeEnd', 'timeLog']
/** Objects of one call of `console` that are looked into. The text that is written is searched as a whole. */
const MOST_SHOWN = 10_000
/** Longer texts are not looked at as JSON. */
const MOST_JSON = 1 << 20
/** Bytes in objects that are nested deeper are not looked for in what pino logs. */
const DEEPEST_BYTES = 5

/** See `index.d.ts` for the documentation of every member. */
class Redactor {
  #native
  #text
  #through

  /** @param {NativeRedactor} nativeRedactor */
  constructor(nativeRedactor) {
    this.#native = nativeRedactor
    const replace = nativeRedactor.text()
    this.#text = (/** @type {string} */ text) => {
      const shown = replace(text)
      return shown == null ? text : asJson(text, shown)
    }
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
    const logs = given.formatters?.log
    const log = (/** @type {any} */ object) => {
      const shown = this.#withoutBytes(logs === undefined ? object : logs(object), 0)
      return typeof shown === 'string' ? { value: shown } : shown
    }
    return { ...given, formatters: { ...given.formatters, log }, hooks: { ...given.hooks, streamWrite } }
  }

  winston() {
    return { transform: (/** @type {any} */ info) => this.redact(info) }
  }

  /** @param {any} [target] */
  console(target = console) {
    /** @type {Map<string, Method>} */
    const methods = new Map()
    for (const name of [...WRITERS, ...OTHERS, ...LABELLED]) {
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
    if (LABELLED.includes(name)) {
      // The rest goes through the methods that write.
      return (label = 'default', ...rest) => method.call(target, this.#text(String(label)), ...rest)
    }
    if (name === 'dir' || name === 'table') {
      return (what, ...options) => {
        const given = name === 'dir' ? { customInspect: false, ...options[0] } : { maxArrayLength: null }
        const depth = given.depth === null ? Infinity : (given.depth ?? 2)
        const copy = redacted(what, this.#through, { ...shownBy(depth), isCustom: given.customInspect !== false })
        const shows = (/** @type {unknown} */ one) =>
          util.inspect(one, { depth: 10, maxStringLength: null, ...given, colors: false })
        const text = firstOf([copy, what], shows)
        const shown = this.#text(text)
        // What a copy does not reach is written as text: a promise, an iterator, an object that shows itself.
        method.apply(target, shown === text ? [copy, ...options] : [shown])
      }
    }
    const first = name === 'assert' ? 1 : 0
    return (...words) => {
      const rest = words.slice(first)
      // Texts are searched in the line that comes of them. Objects before, since `util.inspect` breaks texts into lines, and shows
      // bytes as columns of numbers.
      const copies = rest.map((word) => (isObject(word) ? redacted(word, this.#through, shownBy()) : word))
      const text = firstOf([copies, rest], (all) => util.format(...all))
      const shown = this.#text(text)
      const isSame = shown === text && copies.every((copy, at) => copy === rest[at])
      method.apply(target, isSame ? words : [...words.slice(0, first), '%s', shown])
    }
  }

  /**
   * JSON makes numbers of bytes: of a `Uint8Array` a line shows nothing to search for, and in the list of a `Buffer` a name is no JSON.
   *
   * @param {any} object
   * @param {number} depth
   * @returns {any}
   */
  #withoutBytes(object, depth) {
    const isNumbers = ArrayBuffer.isView(object) || (Array.isArray(object) && typeof object[0] === 'number')
    if (isNumbers) return redacted(object, this.#through, shownBy())
    const prototype = typeof object === 'object' && object !== null ? Object.getPrototypeOf(object) : undefined
    const isPlain = prototype === Object.prototype || prototype === null || Array.isArray(object)
    if (!isPlain || depth > DEEPEST_BYTES) return object
    let copy
    for (const key of Object.keys(object)) {
      const part = object[key]
      if (typeof part !== 'object' || part === null) continue
      const shown = this.#withoutBytes(part, depth + 1)
      if (shown === part) continue
      copy ??= Array.isArray(object) ? [...object] : { ...object }
      copy[key] = shown
    }
    return copy ?? object
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
 * JSON stays JSON where a list of bytes or a number was replaced in it, and not a part of a text.
 *
 * @param {string} text
 * @param {string} shown
 */
function asJson(text, shown) {
  if (!/^\s*[[{]/.test(text) || text.length > MOST_JSON || isJson(shown) || !isJson(text)) return shown
  // In the braces of a `Uint8Array` a name needs a key.
  return shown.replace(/"(?:[^"\\]|\\.)*"|(\{\s*)?(\[secret [^\]]+\])/gs, (part, brace, name) => {
    if (name === undefined) return part
    return brace === undefined ? `"${name}"` : `${brace}"value":"${name}"`
  })
}

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** @param {unknown} word */
const isObject = (word) => (typeof word === 'object' && word !== null) || typeof word === 'function'

/**
 * What can be shown of a copy, else of what was copied: the members of a class may need what a copy does not have.
 *
 * @template T
 * @param {[T, T]} ways
 * @param {(one: T) => string} shows
 */
function firstOf([copy, original], shows) {
  try {
    return shows(copy)
  } catch (error) {
    if (copy === original) throw error
    return shows(original)
  }
}

/** What `util.inspect` shows, and one level more. @param {number} [depth] Default: that of `%o`, or a larger one that is set. */
function shownBy(depth = 4) {
  const { depth: set } = util.inspect.defaultOptions
  return { deepest: Math.max(depth, set ?? Infinity) + 1, most: MOST_SHOWN, isCustom: true }
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
