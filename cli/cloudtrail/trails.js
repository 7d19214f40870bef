'use strict'

// Reads files of CloudTrail in several threads, since nearly all the time of a comparison goes into them.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { CliError } = require('../exit')
const { readTrail } = require('./trail')

/** @typedef {import('./trail').TrailFile} TrailFile */
/** @typedef {import('./trail').Range} Range */
/** @typedef {import('./trail').TrailFound} TrailFound */
/** @typedef {{ found: TrailFound, spill: import('./spill').Spill }} Part What one thread found, and the lines of it. */

/** Each thread takes about 80 MiB, and all of it is to need less than 512. */
const MOST_THREADS = 2
/** Bytes of files that are read in this thread: starting another one takes longer. */
const FEW_BYTES = 2 * 1024 * 1024

/**
 * @param {TrailFile[]} files
 * @param {Range} range
 * @param {import('./spill').SpillPlace} place
 * @param {(done: number) => void} onFile
 * @returns {Promise<Part[]>}
 */
async function readTrails(files, range, place, onFile) {
  let done = 0
  const read = () => onFile(++done)
  const threads = Math.min(MOST_THREADS, os.availableParallelism(), files.length)
  if (threads < 2 || bytesOf(files) < FEW_BYTES) {
    const spill = place.spill()
    return [{ found: await readTrail(files, range, spill, read), spill }]
  }
  const shares = Array.from({ length: threads }, (_, thread) => files.filter((_, at) => at % threads === thread))
  return Promise.all(shares.map((share) => inThread(share, range, place, read)))
}

/**
 * @param {TrailFile[]} files
 * @param {Range} range
 * @param {import('./spill').SpillPlace} place
 * @param {() => void} read
 * @returns {Promise<Part>}
 */
function inThread(files, range, place, read) {
  const spill = place.spill()
  const workerData = { files, range, place: spill.files }
  const worker = new Worker(path.join(__dirname, 'trail-worker.js'), { workerData })
  return new Promise((resolve, reject) => {
    worker.on('message', (message) => {
      if (message.kind === 'file') return read()
      if (message.kind === 'refused') return reject(new CliError(message.code, message.exit, message.message))
      spill.adopt(message.parts)
      resolve({ found: message.found, spill })
    })
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('a thread that reads files of CloudTrail ended early')))
  })
}

/** @param {TrailFile[]} files */
function bytesOf(files) {
  return files.reduce((sum, { file }) => sum + (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)
}

module.exports = { readTrails }
