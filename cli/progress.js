'use strict'

const { constants } = require('node:os')

const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])

/**
 * Shows how far a long work is, and says on Ctrl-C what was done: it goes on where it was when it is run again.
 *
 * @param {import('./terminal').Terminal} terminal
 * @param {string} what Such as `moved`.
 * @param {number} [total] How many there are, where that is known.
 */
function stoppable(terminal, what, total = 0) {
  let last = { done: 0, total }
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    const done = last.total === 0 ? 'no secret is done' : `${last.done} of ${last.total} secrets are done`
    terminal.note(`\nstopped: ${done}; run the command again to go on`)
    process.exit(128 + constants.signals[signal])
  }
  for (const signal of SIGNALS) process.once(signal, stop)
  return {
    onProgress: (/** @type {{ done: number, total: number }} */ { done, total }) => {
      last = { done, total }
      terminal.progress(what, done, total)
    },
    end: () => {
      for (const signal of SIGNALS) process.off(signal, stop)
    },
  }
}

module.exports = { stoppable }
