'use strict'

// Connections die silently: the peer is gone, nothing says so, and new connections work. The service has made no call
// meanwhile, so it finds out with its next one.

const { setTimeout: sleep } = require('node:timers/promises')
const { goal, number } = require('../../report')
const { MACHINE_MS } = require('../fault')
const { Stage } = require('../stage')
const { names, stored, valueOf } = require('../values')

/** After this long without a word a read is sent once more, on a new connection. */
const RETRY_MS = 1000
/** A connection that answered less than a second ago is not suspected. */
const IDLE_MS = 1_500
const TOGETHER = 20
/** Reads at once are made in batches of 20, so as many connections are open as there are batches. */
const CONNECTIONS = 5
const DEAD = names('DEAD', 1_000)
const milliseconds = (/** @type {number} */ ms) => `${ms.toFixed(0)} ms`

/** @param {{ value?: string | null }[]} answers @param {string[]} of */
const wrongIn = (answers, of) => answers.filter(({ value }, i) => value !== valueOf(of[i], 1)).length

/**
 * Kills the connections of an idle service and reads secrets that it has never read.
 *
 * @param {Stage} stage
 * @param {{ frozen: boolean }} how `frozen`: the process is stopped while its connections die.
 */
async function readOverDead(stage, { frozen }) {
  let next = 0
  const take = (/** @type {number} */ count) => DEAD.slice(next, (next += count))
  const proxy = /** @type {import('../proxy').FaultProxy} */ (stage.awsProxy)
  const service = await stage.service({ aws: { timeoutMs: 4500 } })
  const seen = { wrong: 0, slow: 0, worstMs: 0, togetherMs: 0, calls: 0, killed: 0 }
  for (let round = 0; round < 2; round++) {
    // Delayed, so that calls overlap and each takes a connection.
    await proxy.pass({ latencyMs: 40 })
    const first = take(CONNECTIONS * TOGETHER)
    seen.wrong += wrongIn((await service.ask('read', first)).answers, first)
    seen.killed = Math.max(seen.killed, proxy.accepted)
    if (frozen) service.freeze()
    await proxy.halfOpen()
    await sleep(frozen ? 3_000 : IDLE_MS)
    service.thaw()
    const before = proxy.requests
    const of = take(TOGETHER)
    if (round === 0) {
      const reads = await service.ask('readInTurn', of)
      seen.wrong += wrongIn(reads, of)
      const took = reads.map((/** @type {{ ms: number }} */ { ms }) => ms)
      seen.worstMs = Math.max(...took)
      seen.slow = took.filter((/** @type {number} */ ms) => ms > RETRY_MS / 2).length
      seen.calls = proxy.requests - before
    } else {
      const { answers, ms } = await service.ask('read', of)
      seen.wrong += wrongIn(answers, of)
      seen.togetherMs = ms
    }
  }
  return seen
}

/** @param {{ short: boolean }} mode @returns {import('./fleet').Scenario} */
const deadConnections = ({ short }) => ({
  name: 'dead-connections',
  async run(profile) {
    /** @type {import('../../report').Goal[]} */
    const goals = []
    for (const frozen of short ? [true] : [false, true]) {
      const seen = await Stage.use(profile, {}, async (stage) => {
        await stage.aws.put(stored(DEAD, 1))
        return readOverDead(stage, { frozen })
      })
      const what = `${seen.killed} connections die silently${frozen ? ' while the process is frozen' : ''}`
      const bound = RETRY_MS + 3 * MACHINE_MS
      goals.push(
        goal(`${what}: failed or wrong reads`, seen.wrong, 'at most', 0, number),
        goal(`${what}: the longest of ${TOGETHER} reads in turn`, seen.worstMs, 'under', bound, milliseconds),
        goal(`${what}: reads in turn that waited for a retry`, seen.slow, 'at most', 1, number),
        goal(`${what}: calls of ${TOGETHER} reads in turn`, seen.calls, 'at most', TOGETHER + 1, number),
        goal(`${what}: ${TOGETHER} reads at once`, seen.togetherMs, 'under', bound, milliseconds),
      )
    }
    return goals
  },
})

module.exports = { deadConnections }
