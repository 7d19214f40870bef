'use strict'

const fs = require('node:fs')
const { temporaryDirectory } = require('./files')

/**
 * @typedef {{
 *   directory: string,
 *   ends: (() => unknown)[],
 *   started: <T extends { stop(): Promise<unknown> }>(starting: Promise<T>) => Promise<T>,
 * }} Stage A temporary directory, the functions to call at the end (in this order), and a function that adds a server to them.
 */

/**
 * Runs `act`, and then stops every server that it started in reverse order, even if it throws.
 *
 * @param {(stage: Stage) => Promise<void>} act
 */
async function staged(act) {
  const directory = temporaryDirectory()
  /** @type {(() => unknown)[]} */
  const ends = [() => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10 })]
  /** @template {{ stop(): Promise<unknown> }} T @param {Promise<T>} starting */
  const started = async (starting) => {
    const server = await starting
    ends.unshift(() => server.stop())
    return server
  }
  try {
    await act({ directory, ends, started })
  } finally {
    for (const end of ends) await end()
  }
}

module.exports = { staged }
