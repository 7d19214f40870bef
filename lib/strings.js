'use strict'

// The strings of cached secrets: one for each copy in memory, made at its first read and handed out again and again. The
// addon returns the number under which one is held here, and says when to let go of it.

const { SecretError, orThrow } = require('./errors')
const native = require('./load')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */

/** In place of a secret type: what stands before it is a whole name. */
const NAME = Symbol('name')

/**
 * The function of cached reads: a value, the name of a secret that is not cached in an array, `undefined` for no name.
 *
 * @param {NativeDelivery} nativeDelivery
 * @param {(string | undefined)[]} held
 * @returns {(toolOrName: string, secretType: string | symbol) => string | [string] | undefined}
 */
function cachedReader(nativeDelivery, held) {
  const read = nativeDelivery.cachedReader()
  /** The ids of whole names, and of types by tool: the addon need not build a name that it has found once. */
  const [ids, idsOfTools] = [
    /** @type {Map<string, number>} */ (new Map()),
    /** @type {Map<string, Ids>} */ (new Map()),
  ]
  return (toolOrName, secretType) => {
    const id = secretType === NAME ? ids.get(toolOrName) : idsOfTools.get(toolOrName)?.get(secretType)
    const found =
      id !== undefined
        ? read(id)
        : secretType === NAME
          ? read(toolOrName)
          : read(toolOrName, /** @type {any} */ (secretType))
    if (typeof found === 'number') return held[found]
    if (found === undefined || found.length === 1) return /** @type {[string] | undefined} */ (found)
    const [slot, value, newId] = found
    if (newId !== undefined) {
      if (secretType === NAME) ids.set(toolOrName, newId)
      else noteId(idsOfTools, toolOrName, secretType, newId)
    }
    return value === undefined ? held[slot] : (held[slot] = value)
  }
}

/** @typedef {Map<string | symbol, number>} Ids */

/** However tool and type are written: the addon bounds the names, and this bounds the ways to write them. */
const MOST_WAYS = 1000

/** @param {Map<string, Ids>} idsOfTools @param {string} tool @param {string | symbol} type @param {number} id */
function noteId(idsOfTools, tool, type, id) {
  const ofTool = idsOfTools.get(tool)
  if (ofTool === undefined) {
    if (idsOfTools.size < MOST_WAYS) idsOfTools.set(tool, new Map([[type, id]]))
  } else if (ofTool.size < MOST_WAYS) {
    ofTool.set(type, id)
  }
}

/**
 * The secrets of a declared tool by their keys, when all of them are cached.
 *
 * @param {NativeDelivery} nativeDelivery
 * @param {(string | undefined)[]} held
 * @returns {(toolName: string) => Record<string, string> | undefined}
 */
function cachedTools(nativeDelivery, held) {
  const read = nativeDelivery.toolReader()
  /** By the name as it is written. @type {Map<string, Tool | null>} */
  const tools = new Map()
  return (toolName) => {
    let tool = tools.get(toolName)
    if (tool === undefined) {
      tool = declared(nativeDelivery, toolName)
      if (tools.size < MOST_WAYS) tools.set(toolName, tool)
    }
    if (tool === null) return undefined
    const { number, keys, numbers } = tool
    const found = read(number, numbers)
    if (found === undefined) return undefined
    /** @type {Record<string, string>} */
    const secrets = {}
    if (found === true) {
      for (let at = 0; at < keys.length; at++) secrets[keys[at]] = /** @type {string} */ (held[numbers[at]])
      return secrets
    }
    for (const [at, one] of found.entries()) {
      secrets[keys[at]] = typeof one === 'number' ? /** @type {string} */ (held[one]) : (held[one[0]] = one[1])
    }
    return secrets
  }
}

/**
 * A tool whose secrets are declared. `numbers`: where the addon writes the numbers under which their values are held.
 *
 * @typedef {{ number: number, keys: string[], numbers: Uint32Array }} Tool
 */

/** @param {NativeDelivery} nativeDelivery @param {string} toolName @returns {Tool | null} */
function declared(nativeDelivery, toolName) {
  const number = nativeDelivery.toolNumber(toolName)
  if (number === null) return null
  const keys = nativeDelivery.toolKeys(number)
  return { number, keys, numbers: new Uint32Array(keys.length) }
}

/**
 * A secret parsed as JSON. The parser's message quotes the text, and is not repeated.
 *
 * @param {string} toolName
 * @param {string} secretType
 * @param {string | null} text
 */
function parsed(toolName, secretType, text) {
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    const name = orThrow(native.secretName(toolName, secretType))
    const why = text.startsWith('\uFEFF') ? ': it begins with a byte order mark; write it without' : ''
    throw new SecretError('SOURCE_RESPONSE_INVALID', `${name} is not JSON${why}`)
  }
}

module.exports = { NAME, cachedReader, cachedTools, parsed }
