'use strict'

// The thread of a part of the files of CloudTrail. See trails.js.

const { parentPort, workerData } = require('node:worker_threads')
const { CliError } = require('../exit')
const { Spill } = require('./spill')
const { readTrail } = require('./trail')

/** @param {unknown} message */
const tell = (message) => parentPort?.postMessage(message)

async function main() {
  const { files, range, place } = workerData
  const spill = new Spill(place)
  try {
    const found = await readTrail(files, range, spill, () => tell({ kind: 'file' }))
    tell({ kind: 'found', found, parts: spill.flush() })
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    // As it is it would arrive as a plain error, without its codes.
    const { code, exit, message } = error
    tell({ kind: 'refused', code, exit, message })
  }
}

main()
