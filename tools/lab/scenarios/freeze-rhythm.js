'use strict'

// A platform stops the process 5 ms after each answer and continues it for the next read, as AWS Lambda does. AWS is
// healthy, and the secret is rotated in between.

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { goal, number } = require('../../report')
const { Stage } = require('../stage')
const { names, stored, versionOf } = require('../values')

const TTL_SECONDS = 3
const FREEZE_AFTER_MS = 5
/** Time between two reads: shorter than the second after which a freeze is noticed, longer, and longer than the TTL. */
const RHYTHMS = {
  short: [400, 1_300, 2_900, 5_000],
  full: [400, 900, 1_300, 2_000, 2_900, 5_000, 10_000, 20_000],
}
const DURATION_MS = { short: 16_000, full: 80_000 }

/**
 * @typedef {object} Seen
 * @property {number} rotations
 * @property {number} latest The greatest number of reads past the TTL that one rotation took to be seen.
 * @property {string[]} failed
 * @property {string[]} wrong
 */

/**
 * Reads `name` in this rhythm, and rotates it after every read that returned the live version.
 *
 * @param {Stage} stage
 * @param {import('../service').Service} service
 * @param {{ name: string, rhythmMs: number, durationMs: number }} options
 * @returns {Promise<Seen>}
 */
async function readFrozen(stage, service, { name, rhythmMs, durationMs }) {
  /** @type {Seen} */
  const seen = { rotations: 0, latest: 0, failed: [], wrong: [] }
  let [version, newest, rotated, late] = [1, 0, 0, 0]
  const ends = performance.now() + durationMs
  for (;;) {
    const isPastTtl = performance.now() > rotated + TTL_SECONDS * 1e3
    service.thaw()
    const { answers } = await service.ask('read', [name])
    await sleep(FREEZE_AFTER_MS)
    service.freeze()

    const [{ value, code }] = answers
    const got = versionOf(name, value)
    if (code !== undefined) seen.failed.push(`${name}: ${code}`)
    else if (got === undefined || got < newest) seen.wrong.push(`${name}: ${value} after v${newest}`)
    newest = Math.max(newest, got ?? 0)
    if (isPastTtl && version > 1) seen.latest = Math.max(seen.latest, ++late)
    if (newest === version) {
      if (performance.now() > ends) break
      await stage.aws.put(stored([name], ++version))
      ;[rotated, late] = [performance.now(), 0]
      seen.rotations++
    } else if (performance.now() > ends + durationMs) {
      throw new Error(`${name}: v${version} is not seen, every ${rhythmMs} ms`)
    }
    await sleep(rhythmMs)
  }
  return seen
}

/** @param {{ short: boolean }} mode @returns {import('./fleet').Scenario} */
const freezeRhythm = ({ short }) => ({
  name: 'freeze-rhythm',
  async run(profile) {
    const mode = short ? 'short' : 'full'
    const [rhythms, durationMs] = [RHYTHMS[mode], DURATION_MS[mode]]
    const of = names('FROZEN', rhythms.length)
    /** All rhythms beside each other. @param {boolean} redis @returns {Promise<Seen[]>} */
    const measured = (redis) =>
      Stage.use(profile, { redis }, async (stage) => {
        await stage.aws.put(stored(of, 1))
        return Promise.all(
          rhythms.map(async (rhythmMs, i) => {
            // On such platforms every instance has a file system of its own. In a shared log a frozen writer stops the others.
            const audit = { path: stage.file('audit.jsonl') }
            const service = await stage.service({ audit, cache: { ttlSeconds: TTL_SECONDS } })
            return readFrozen(stage, service, { name: of[i], rhythmMs, durationMs })
          }),
        )
      })
    /** @type {import('../../report').Goal[]} */
    const goals = []
    for (const redis of short ? [false] : [false, true]) {
      const all = await measured(redis)
      const [failed, wrong] = [all.flatMap((seen) => seen.failed), all.flatMap((seen) => seen.wrong)]
      const rotations = all.reduce((sum, seen) => sum + seen.rotations, 0)
      const seconds = `every ${rhythms[0] / 1e3} to ${/** @type {number} */ (rhythms.at(-1)) / 1e3} s`
      const what = `frozen ${FREEZE_AFTER_MS} ms after each read, read ${seconds}${redis ? ', with Redis' : ''}`
      const latest = Math.max(...all.map((seen) => seen.latest))
      goals.push(
        goal(`${what}: ${rotations} rotations seen by read past the TTL`, latest, 'at most', 2, number),
        goal(`${what}: failed reads`, failed.length, 'at most', 0, number),
        goal(`${what}: wrong values`, wrong.length, 'at most', 0, number),
        ...[...failed, ...wrong].slice(0, 5).map((line) => goal(line, 1, 'at most', 0, number)),
      )
    }
    return goals
  },
})

module.exports = { freezeRhythm }
