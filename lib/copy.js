'use strict'

// Copies of plain data, so that each caller and each listener owns what it receives.

/**
 * @template T
 * @param {T} data
 * @returns {T}
 */
function copyOf(data) {
  if (Array.isArray(data)) return /** @type {any} */ (data.map(copyOf))
  if (typeof data !== 'object' || data === null) return data
  return /** @type {any} */ (Object.fromEntries(Object.entries(data).map(([key, value]) => [key, copyOf(value)])))
}

module.exports = { copyOf }
