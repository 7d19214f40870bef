'use strict'

// Copies of what a service logs, in which every text went through a function: errors with their causes and stacks, plain
// data, collections, bytes. What has nothing to replace is returned as it is.

const util = require('node:util')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** What is nested deeper is not copied, and must not be shown. */
const DEEPEST = 100
const TOO_DEEP = '[not searched for secrets: nested too deeply]'
const UNREADABLE = '[not searched for secrets: it cannot be read]'
/** Shorter values are not looked for. */
const LEAST = 8
/** The largest code unit of a text. */
const LARGEST_UNIT = 0xffff
/** The members of an error that are shown. They are not enumerable, and may be getters of the engine's. */
const OF_ERRORS = ['message', 'stack', 'cause', 'errors']
/** The members of a function that say nothing of a service. */
const OF_FUNCTIONS = new Set(['length', 'name', 'prototype', 'arguments', 'caller'])

/** @typedef {Through & { hidden: (why: string) => string }} Noting */
/** @typedef {{ text: (text: string) => string, bytes: (bytes: Uint8Array) => Uint8Array }} Through */
/**
 * @typedef {object} Shown What the copy is for. Default: for anything, so that all of it is looked at.
 * @property {number} deepest What is nested deeper will not be shown, and stays.
 * @property {number} most So many objects are looked at. The others stay.
 * @property {boolean} isCustom Whether `util.inspect` calls the functions of the service that show an object: such an object stays.
 */

/**
 * @template T
 * @param {T} value
 * @param {Through} through
 * @param {Shown} [shown] The copy is shown by `util.inspect`: no getters are called, and classes stay.
 * @returns {T}
 */
function redacted(value, through, shown) {
  let isChanged = false
  /** @template P @param {P} part @param {P} shown @returns {P} */
  const noted = (part, shown) => {
    isChanged ||= shown !== part
    return shown
  }
  const noting = {
    text: (/** @type {string} */ text) => noted(text, through.text(text)),
    bytes: (/** @type {Uint8Array} */ bytes) => noted(bytes, through.bytes(bytes)),
    hidden: (/** @type {string} */ why) => noted('', why),
  }
  const copy = new Copies(noting, shown).of(value, 0)
  // A circle is copied also where there is nothing to replace.
  return isChanged ? copy : value
}

class Copies {
  #through
  #shown
  /** What was begun, with its copy: circles stay circles. @type {Map<object, any>} */
  #seen = new Map()

  /** @param {Noting} through @param {Shown | undefined} shown */
  constructor(through, shown) {
    this.#through = through
    this.#shown = shown
  }

  /** @param {any} value @param {number} depth @returns {any} */
  of(value, depth) {
    switch (typeof value) {
      case 'string':
        return this.#through.text(value)
      case 'number':
      case 'bigint':
        return this.#asText(value)
      case 'symbol':
        return this.#symbol(value)
      case 'object':
      case 'function':
        return value === null ? null : this.#kept(value, depth)
      default:
        return value
    }
  }

  /** @param {any} value @param {number} depth */
  #kept(value, depth) {
    if (this.#seen.has(value)) return this.#seen.get(value)
    const { deepest, most } = this.#shown ?? { deepest: Infinity, most: Infinity }
    if (depth > deepest || this.#seen.size >= most) return value
    if (depth > DEEPEST) return this.#through.hidden(TOO_DEEP)
    try {
      return typeof value === 'function' ? this.#function(value, depth + 1) : this.#object(value, depth + 1)
    } catch {
      return this.#through.hidden(UNREADABLE)
    }
  }

  /** Where its text has nothing to replace, the value itself. @param {any} value */
  #asText(value) {
    const text = String(value)
    if (text.length < LEAST) return value
    const shown = this.#through.text(text)
    return shown === text ? value : shown
  }

  /** @param {symbol} symbol */
  #symbol(symbol) {
    const text = symbol.description ?? ''
    const shown = this.#through.text(text)
    return shown === text ? symbol : Symbol(shown)
  }

  /** A function with secrets among its members cannot be copied. @param {any} value @param {number} depth */
  #function(value, depth) {
    this.#seen.set(value, value)
    const members = Reflect.ownKeys(value).filter((key) => !OF_FUNCTIONS.has(/** @type {string} */ (key)))
    const name = this.#through.text(String(value.name))
    const shown = members.map((key) => {
      const own = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(value, key))
      return [key, this.#key(key), own.value, this.of(own.value, depth)]
    })
    const isSame = shown.every(([key, newKey, part, newPart]) => key === newKey && Object.is(part, newPart))
    if (isSame && name === value.name) return value
    return this.#through.hidden(`[Function: ${name}] with ${secretsIn(util.inspect(shown, { maxStringLength: null }))}`)
  }

  /** @param {string | symbol} key */
  #key(key) {
    return typeof key === 'string' ? this.#through.text(key) : this.#symbol(key)
  }

  /** @param {any} value @param {number} depth */
  #object(value, depth) {
    // `util.inspect` shows what is behind a proxy, and calls none of its traps.
    if (this.#shown !== undefined && util.types.isProxy(value)) return value
    if (ArrayBuffer.isView(value) || util.types.isAnyArrayBuffer(value)) {
      const told = this.#bytes(value)
      return told === value && isList(value) ? this.#list(value) : told
    }
    if (util.types.isBoxedPrimitive(value)) {
      const plain = value.valueOf()
      const shown = this.of(plain, depth)
      return shown === plain ? value : shown
    }
    if (value instanceof URL || value instanceof URLSearchParams) return this.#asText(value)
    if (this.#shown?.isCustom && typeof value[inspect] === 'function') return value
    if (this.#shown === undefined && isOpaque(value)) return this.#opaque(value)
    if (Array.isArray(value)) {
      const told = this.#list(value)
      if (told !== value) {
        this.#seen.set(value, told)
        return told
      }
    }
    const isText = value instanceof Date || value instanceof RegExp
    const text = isText ? this.#asText(value) : value
    if (text !== value) return text
    /** @type {any} */
    let copy
    if (Array.isArray(value)) copy = []
    else if (value instanceof Map) copy = new Map()
    else if (value instanceof Set) copy = new Set()
    // `util.inspect` knows an error of another realm, such as Jest's, by its kind alone.
    else if (isError(value)) copy = errorOf(Object.getPrototypeOf(value))
    else copy = Object.create(this.#prototypeOf(value))
    // Whether it is used is known at the end; a circle that leads here gets the copy in any case.
    this.#seen.set(value, copy)
    if (!this.#filled(copy, value, depth)) {
      const shown = this.#asJson(value, depth)
      this.#seen.set(value, shown)
      return shown
    }
    return isText ? Object.defineProperty(copy, 'value', { value: String(value), enumerable: true }) : copy
  }

  /** Whether the copy of the members differs from them. @param {any} copy @param {any} value @param {number} depth */
  #filled(copy, value, depth) {
    let isSame = true
    /** @param {any} part */
    const one = (part) => {
      const shown = this.of(part, depth)
      isSame &&= Object.is(shown, part)
      return shown
    }
    if (copy instanceof Map) for (const [key, part] of Map.prototype.entries.call(value)) copy.set(one(key), one(part))
    else if (copy instanceof Set) for (const part of Set.prototype.values.call(value)) copy.add(one(part))
    for (const key of keysOf(value)) {
      const own = Object.getOwnPropertyDescriptor(value, key)
      if ((own === undefined && !(key in value)) || (Array.isArray(value) && key === 'length')) continue
      const newKey = this.#key(key)
      isSame &&= newKey === key
      // Getters are called where whoever has the copy would call them.
      if (this.#shown !== undefined && own?.get !== undefined && !isOfError(value, key)) {
        Object.defineProperty(copy, newKey, { ...own, configurable: true })
        continue
      }
      const { enumerable } = own ?? { enumerable: false }
      const member = this.#member(value, key)
      isSame &&= member.isRead
      const shown = one(member.part)
      Object.defineProperty(copy, newKey, { value: shown, enumerable, writable: true, configurable: true })
    }
    if (isError(value)) this.#inherited(copy, value, one)
    return !isSame
  }

  /**
   * The members of an error that its class has as getters, such as the name of a `DOMException`: a getter may read what is private, and
   * would throw on a copy.
   *
   * @param {any} copy
   * @param {any} value
   * @param {(part: any) => any} one
   */
  #inherited(copy, value, one) {
    for (const key of gettersOf(value)) {
      // `util.inspect` asks for the name alone, which is no member of most errors.
      if (Object.hasOwn(copy, key) || (this.#shown !== undefined && key !== 'name')) continue
      const { part, isRead } = tried(value, key)
      if (!isRead) continue
      Object.defineProperty(copy, key, { value: one(part), enumerable: false, writable: true, configurable: true })
    }
  }

  /** @param {any} value @param {string | symbol} key @returns {{ part: any, isRead: boolean }} */
  #member(value, key) {
    const member = tried(value, key)
    return member.isRead ? member : { part: this.#through.hidden(UNREADABLE), isRead: false }
  }

  /** What `JSON.stringify` would write of an object that has no member with a secret. @param {any} value @param {number} depth */
  #asJson(value, depth) {
    if (this.#shown !== undefined || typeof value.toJSON !== 'function' || value instanceof Date) return value
    const plain = value.toJSON('')
    if (plain === value) return value
    const shown = this.of(plain, depth)
    return Object.is(shown, plain) ? value : shown
  }

  /** @param {ArrayBufferView | ArrayBufferLike} value */
  #bytes(value) {
    const bytes = ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value)
    const given = value instanceof Uint8Array ? value : bytes
    const replaced = this.#through.bytes(given)
    if (replaced === given) return value
    if (this.#shown === undefined) return replaced
    return `${bytes.length} bytes with ${secretsIn(Buffer.from(replaced).toString('latin1'))}`
  }

  /** A list of the bytes of a value, or of its characters. @param {any} value An array, or a typed one. */
  #list(value) {
    const { length } = value
    if (length < LEAST) return value
    const first = value[0]
    let text
    if (typeof first === 'string') {
      // Characters, some of two code units.
      if (!value.every((/** @type {unknown} */ part) => typeof part === 'string' && part.length <= 2)) return value
      text = value.join('')
    } else {
      const units = Array.from(value, (part) => (typeof part === 'bigint' ? Number(part) : part))
      if (!units.every((unit) => Number.isInteger(unit) && unit >= -128 && unit <= LARGEST_UNIT)) return value
      if (units.every((unit) => unit < 256)) {
        const bytes = Uint8Array.from(units)
        const replaced = this.#through.bytes(bytes)
        if (replaced !== bytes) return `${length} numbers with ${secretsIn(Buffer.from(replaced).toString('latin1'))}`
      }
      text = ''
      for (const unit of units) text += String.fromCharCode(unit)
    }
    const shown = this.#through.text(text)
    if (shown === text) return value
    return `${length} ${typeof first === 'string' ? 'characters' : 'numbers'} with ${secretsIn(shown)}`
  }

  /** What only `util.inspect` looks into. @param {object} value */
  #opaque(value) {
    const text = util.inspect(value, { depth: 4, maxStringLength: null, maxArrayLength: null })
    const shown = this.#through.text(text)
    return shown === text ? value : shown
  }

  /** The members of a class may need what a copy does not have. @param {any} value */
  #prototypeOf(value) {
    const prototype = Object.getPrototypeOf(value)
    const isKept = this.#shown !== undefined || prototype === null
    return isKept ? prototype : Object.prototype
  }
}

/** The names in a text in which values were replaced. @param {string} text */
function secretsIn(text) {
  return [...new Set(text.match(/\[secret [^\]]+\]/g))].join(' ')
}

/** Whether a view of bytes is a list of numbers that are no bytes. @param {unknown} value */
const isList = (value) => util.types.isTypedArray(value) && !(value instanceof Uint8Array)

/** Classes of `fetch`, whose members are private. @type {(abstract new (...of: any[]) => object)[]} */
const OPAQUE = ['Headers', 'FormData', 'Request', 'Response'].flatMap((name) => {
  const of = Reflect.get(globalThis, name)
  return typeof of === 'function' ? [of] : []
})

/** Whether an object has no members of its own for what it holds. @param {object} value */
const isOpaque = (value) =>
  util.types.isPromise(value) ||
  util.types.isMapIterator(value) ||
  util.types.isSetIterator(value) ||
  OPAQUE.some((of) => value instanceof of)

/** @param {any} value @param {string | symbol} key @returns {{ part: any, isRead: boolean }} */
function tried(value, key) {
  try {
    return { part: value[key], isRead: true }
  } catch {
    return { part: undefined, isRead: false }
  }
}

/**
 * An error of a class. The engine writes its stack when somebody asks for it or replaces it, and calls the class's getters for that,
 * which may throw: so the stack is a member before the class is there.
 *
 * @param {object | null} prototype
 */
function errorOf(prototype) {
  const error = Object.defineProperty(new Error(), 'stack', { value: '', writable: true, configurable: true })
  return Object.setPrototypeOf(error, prototype)
}

/** The getters that the classes of an error have. @param {object} error @returns {string[]} */
function gettersOf(error) {
  const keys = new Set()
  let of = Object.getPrototypeOf(error)
  for (; of !== null && of !== Error.prototype && of !== Object.prototype; of = Object.getPrototypeOf(of)) {
    for (const [key, { get }] of Object.entries(Object.getOwnPropertyDescriptors(of))) if (get) keys.add(key)
  }
  // Of another realm, `Object.prototype` is among the classes.
  keys.delete('__proto__')
  return [...keys]
}

/** @param {unknown} value */
const isError = (value) =>
  // Older Node does not count a `DOMException` as native, and its `Error` may be the one of another realm, such as Jest's.
  util.types.isNativeError(value) || value instanceof Error || value instanceof DOMException

/** @param {any} value @returns {(string | symbol)[]} */
function keysOf(value) {
  if (!isError(value)) return Reflect.ownKeys(value)
  return [...new Set([...OF_ERRORS, ...Reflect.ownKeys(value)])]
}

/** @param {any} value @param {string | symbol} key */
function isOfError(value, key) {
  return isError(value) && OF_ERRORS.includes(/** @type {string} */ (key))
}

module.exports = { redacted }
