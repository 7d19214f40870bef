'use strict'

/**
 * Returns `tools`: only their type is new, see `index.d.ts`.
 *
 * @template T
 * @param {T} tools
 * @returns {T}
 */
function defineTools(tools) {
  return tools
}

module.exports = { defineTools }
