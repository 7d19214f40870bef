'use strict'

// For the command line: searches files and other texts for the values of a delivery, which stay in Rust.

const { SCANNER } = require('./receiver')

/** @typedef {import('../native').WatchedValues} WatchedValues */
/** @typedef {import('../native').ScannedFiles} ScannedFiles */
/**
 * @typedef {object} Scanner
 * @property {(names: string[]) => Promise<WatchedValues>} watch
 * @property {(files: string[], folders: string[]) => Promise<ScannedFiles>} files
 * @property {() => import('../native').NativeScan} texts Searches texts that arrive in pieces, one after the other.
 */

/**
 * @param {<T>(begin: (id: number) => void) => Promise<T>} start
 * @param {import('../native').NativeDelivery} native
 * @returns {Scanner}
 */
function scannerOf(start, native) {
  return {
    watch: (names) => start((id) => native.watchValues(id, names)),
    files: (files, folders) => start((id) => native.scanFiles(id, files, folders)),
    texts: () => native.scanTexts(),
  }
}

/** @param {object} delivery @returns {Scanner} */
function scanner(delivery) {
  return /** @type {any} */ (delivery)[SCANNER]()
}

module.exports = { scanner, scannerOf }
