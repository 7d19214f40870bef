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
 * @returns {(toolOrName: string, secretType: string | typeof NAME) => string | [string] | undefined}
 */
function cachedReader(nativeDelivery, held) {
  const read = nativeDelivery.cachedReader()
  return (toolOrName, secretType) => {
    const found = secretType === NAME ? read(toolOrName) : read(toolOrName, /** @type {any} */ (secretType))
    if (typeof found === 'number') return held[found]
    if (found === undefined || found.length === 1) return /** @type {[string] | undefined} */ (found)
    return (held[found[0]] = found[1])
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
  /** @type {Map<string, string[]>} */
  const keysOf = new Map()
  return (toolName) => {
    const found = nativeDelivery.cachedTool(toolName)
    if (found === null) return undefined
    let keys = keysOf.get(toolName)
    // Only a declared tool has an answer here: there are no more of these than there are declared tools.
    if (keys === undefined) keysOf.set(toolName, (keys = nativeDelivery.toolKeys(toolName) ?? []))
    /** @type {Record<string, string>} */
    const secrets = {}
    for (let at = 0; at < found.length; at++) {
      const one = found[at]
      secrets[keys[at]] = typeof one === 'number' ? /** @type {string} */ (held[one]) : (held[one[0]] = one[1])
    }
    return secrets
  }
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
    throw new SecretError('SOURCE_RESPONSE_INVALID', `${name} is not JSON`)
  }
}

module.exports = { NAME, cachedReader, cachedTools, parsed }
