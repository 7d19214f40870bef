'use strict'

// The secrets of the lab. A value names its secret and its version, so that a reader can distinguish the right value, an older
// one, that of another secret, and one that never existed.

const { createHash } = require('node:crypto')

/** @param {string} prefix @param {number} index */
const nameOf = (prefix, index) => `${prefix}_N${String(index).padStart(4, '0')}`

/** @param {string} prefix @param {number} count */
const names = (prefix, count) => Array.from({ length: count }, (_, index) => nameOf(prefix, index))

/** @param {string} name What AWS calls the secret. */
const idOf = (name) => `${name}_production`

/** @param {string} name @param {number} version */
function valueOf(name, version) {
  const head = `${name}.v${version}`
  return `${head}.${createHash('sha256').update(head).digest('hex').slice(0, 16)}`
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {number | undefined} The version; `undefined` for what never was a value of `name`.
 */
function versionOf(name, value) {
  if (typeof value !== 'string') return undefined
  const version = Number(/\.v(\d+)\.[0-9a-f]{16}$/.exec(value)?.[1])
  return value === valueOf(name, version) ? version : undefined
}

/** @param {string[]} of @param {number} version @returns {Record<string, string>} As AWS holds them. */
const stored = (of, version) => Object.fromEntries(of.map((name) => [idOf(name), valueOf(name, version)]))

module.exports = { idOf, nameOf, names, stored, valueOf, versionOf }
