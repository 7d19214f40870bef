'use strict'

/**
 * The error that a promise rejects with.
 *
 * @param {Promise<unknown>} promise
 * @returns {Promise<any>}
 */
const refusal = (promise) =>
  promise.then(
    (value) => Promise.reject(new Error(`not refused: ${value}`)),
    (error) => error,
  )

module.exports = { refusal }
