'use strict'

/** @typedef {import('./index').Finding} Finding */

/**
 * @param {string} check
 * @param {Finding['status']} status
 * @param {string} message
 * @param {string | null} [fix]
 * @returns {Finding}
 */
function finding(check, status, message, fix = null) {
  return { check, status, message, fix }
}

module.exports = { finding }
