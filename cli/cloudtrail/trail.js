'use strict'

// Reads files of CloudTrail: each read becomes a line, by the id of its request. Also in a thread of its own (trail-worker.js).

const { readsIn } = require('./events')
const { scan, unpackedAhead } = require('./scan')
const { Words } = require('./words')

/** @typedef {{ file: string, isNamed: boolean }} TrailFile */
/** @typedef {{ since: number, until: number }} Range Milliseconds since 1970. */
/**
 * @typedef {object} TrailFound
 * @property {string[]} texts What the words in the lines stand for.
 * @property {number} events
 * @property {number} from The time of the first one; `Infinity`: there is none.
 * @property {number} to
 * @property {boolean} isTrail Whether a file is one of CloudTrail, with events or without.
 * @property {{ file: string, problem: string }[]} problems
 */

const TAB = '\t'

/**
 * @param {TrailFile[]} files
 * @param {Range} range
 * @param {import('./spill').Spill} spill
 * @param {() => void} onFile Called when a file was read.
 * @returns {Promise<TrailFound>}
 */
async function readTrail(files, { since, until }, spill, onFile) {
  // Texts of which there are few stand as words in the lines.
  const words = new Words()
  /** @type {TrailFound} */
  const found = { texts: words.texts, events: 0, from: Infinity, to: -Infinity, isTrail: false, problems: [] }
  /** @param {import('./events').Read} read */
  const take = ({ id, request, isBatch, time, who, secret, error }) => {
    if (time < since || time > until) return
    found.events++
    if (time < found.from) found.from = time
    if (time > found.to) found.to = time
    const key = request || id
    spill.add(key, [isBatch ? 'M' : 'S', key, id, time, who, secret, error].join(TAB))
  }
  let next = aheadOf(files[0])
  for (const [at, { file, isNamed }] of files.entries()) {
    const ahead = next
    next = aheadOf(files[at + 1])
    let isTrail = false
    let foreign = 0
    const seen = (/** @type {import('./events').EventReader} */ event) => {
      if (readsIn(event, words, take)) isTrail = true
      else foreign++
    }
    const { problem, isListed } = await scan(file, seen, ahead)
    if (isTrail || isListed) found.isTrail = true
    if (problem !== null) found.problems.push({ file, problem })
    // Folders of a trail have digests as well, which hold no events.
    else if (isNamed && !isTrail && foreign > 0)
      found.problems.push({ file, problem: 'it holds no events of CloudTrail' })
    onFile()
  }
  return found
}

/** @param {TrailFile | undefined} one */
const aheadOf = (one) => (one === undefined ? Promise.resolve(null) : unpackedAhead(one.file))

module.exports = { readTrail }
