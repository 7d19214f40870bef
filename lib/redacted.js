'use strict'

// Copies of what a service logs, in which every text went through a function: errors with their causes and stacks, plain
// data, collections. What has nothing to replace is returned as it is.

/** What is nested deeper is not copied, and must not be shown. */
const DEEPEST = 100
const TOO_DEEP = '[not searched for secrets: nested too deeply]'
const UNREADABLE = '[not searched for secrets: it cannot be read]'

/** @typedef {Through & { hidden: (why: string) => string }} Noting */
/** @typedef {{ text: (text: string) => string, bytes: (bytes: Uint8Array) => Uint8Array }} Through */

/**
 * @template T
 * @param {T} value
 * @param {Through} through
 * @returns {T}
 */
function redacted(value, through) {
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
  const copy = copied(value, noting, new Map(), 0)
  // A circle is copied also where there is nothing to replace.
  return isChanged ? copy : value
}

/**
 * @param {any} value
 * @param {Noting} through
 * @param {Map<object, any>} seen What was begun, with its copy: circles stay circles.
 * @param {number} depth
 * @returns {any}
 */
function copied(value, through, seen, depth) {
  if (typeof value === 'string') return through.text(value)
  if (typeof value !== 'object' || value === null) return value
  if (seen.has(value)) return seen.get(value)
  if (depth > DEEPEST) return through.hidden(TOO_DEEP)
  try {
    return copiedObject(value, through, seen, depth + 1)
  } catch {
    return through.hidden(UNREADABLE)
  }
}

/** @param {any} value @param {Noting} through @param {Map<object, any>} seen @param {number} depth */
function copiedObject(value, through, seen, depth) {
  if (value instanceof Uint8Array) return through.bytes(value)
  if (ArrayBuffer.isView(value) || value instanceof Date || value instanceof RegExp) return value
  if (value instanceof URL || value instanceof URLSearchParams || value instanceof String) {
    const text = String(value)
    const shown = through.text(text)
    return shown === text ? value : shown
  }
  /** @type {any} */
  let copy
  if (Array.isArray(value)) copy = []
  else if (value instanceof Map) copy = new Map()
  else if (value instanceof Set) copy = new Set()
  else copy = Object.create(prototypeOf(value))
  // Whether it is used is known at the end; a circle that leads here gets the copy in any case.
  seen.set(value, copy)
  const one = (/** @type {any} */ part) => copied(part, through, seen, depth)
  let isSame = true
  if (copy instanceof Map) {
    for (const [key, part] of value) {
      const [newKey, newPart] = [one(key), one(part)]
      isSame &&= newKey === key && newPart === part
      copy.set(newKey, newPart)
    }
  } else if (copy instanceof Set) {
    for (const part of value) {
      const newPart = one(part)
      isSame &&= newPart === part
      copy.add(newPart)
    }
  }
  for (const key of keysOf(value)) {
    const own = Object.getOwnPropertyDescriptor(value, key)
    if ((own === undefined && !(key in value)) || (Array.isArray(value) && key === 'length')) continue
    const descriptor = own ?? { enumerable: false, value: value[key] }
    // Getters are called: whoever shows the copy would call them.
    const part = 'value' in descriptor ? descriptor.value : value[key]
    const [newKey, newPart] = [typeof key === 'string' ? through.text(key) : key, one(part)]
    isSame &&= newKey === key && newPart === part
    const { enumerable } = descriptor
    Object.defineProperty(copy, newKey, { value: newPart, enumerable, writable: true, configurable: true })
  }
  if (!isSame) return copy
  seen.set(value, value)
  return value
}

/** What is shown of an error stands in members that are not enumerable. @param {any} value @returns {(string | symbol)[]} */
function keysOf(value) {
  if (!(value instanceof Error)) return Reflect.ownKeys(value)
  return [...new Set(['message', 'stack', 'cause', 'errors', ...Reflect.ownKeys(value)])]
}

/** The members of a class may need what a copy does not have. @param {any} value */
function prototypeOf(value) {
  const prototype = Object.getPrototypeOf(value)
  return value instanceof Error || prototype === null ? prototype : Object.prototype
}

module.exports = { redacted }
