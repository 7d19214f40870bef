'use strict'

// Events that are forged, and honest ones that concern other services, among which there is one that matters.

const { randomUUID } = require('node:crypto')
const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { goal, number } = require('../../report')
const { until } = require('../../../__test__/support/until')
const { MACHINE_MS } = require('../fault')
const { KNOWN, Stage } = require('../stage')
const { idOf, names, stored, valueOf } = require('../values')

const FORGED = 1_000
const OTHERS = 2_000
const MOST_CALLS = 200
const DELAY_MS = 100
/** The announced version is read within this time. */
const FOLLOWED_MS = 5_000
const LOAD = { known: KNOWN, readsPerSecond: 1000, cold: 'COLD', coldPerSecond: 20 }
const milliseconds = (/** @type {number} */ ms) => `${ms.toFixed(0)} ms`

/** @param {string} name AWS's. @param {string} versionId */
const event = (name, versionId) => ({
  'detail-type': 'Secret Label Updated',
  source: 'aws.secretsmanager',
  time: new Date().toISOString(),
  detail: { name, labelUpdated: 'AWSCURRENT', versionId },
})

/** `LAB_N0000` is the secret `n0000` of the tool `lab`. */
const TOOLS = {
  lab: { secrets: Object.fromEntries(KNOWN.map((name) => [name.toLowerCase().replace('lab_', ''), {}])) },
}

/** @param {{ short: boolean }} mode @returns {import('./fleet').Scenario} */
const eventStorm = ({ short }) => ({
  name: 'event-storm',
  run: (profile) =>
    Stage.use(profile, { redis: true }, async (stage) => {
      const service = await stage.service({ tools: TOOLS })
      await service.warm(KNOWN)
      await stage.settled(KNOWN, [service])
      const others = names('OTHER', OTHERS).map(idOf)
      await service.ask('startLoad', LOAD)
      const quietMs = short ? 2_000 : 5_000
      await sleep(quietMs)
      const quiet = await service.ask('cut')
      await stage.aws.resetCalls()

      const rotated = KNOWN[7]
      await stage.aws.put(stored([rotated], 2))
      const versions = await stage.aws.versions(idOf(rotated))
      const live = versions.find(({ labels }) => labels.includes('AWSCURRENT'))
      const storm = Array.from({ length: FORGED }, (_, i) => event(idOf(KNOWN[i % KNOWN.length]), randomUUID()))
      storm.push(...others.map((id) => event(id, randomUUID())))
      // In an order that mixes them, with the honest one in the middle.
      storm.sort((a, b) => (a.detail.versionId < b.detail.versionId ? -1 : 1))
      storm.splice(storm.length >> 1, 0, event(idOf(rotated), /** @type {any} */ (live).versionId))

      const started = performance.now()
      const handled = service.ask('events', storm)
      await until('the rotation is followed', async () => {
        const { answers } = await service.ask('read', [rotated])
        return answers[0].value === valueOf(rotated, 2)
      })
      const followedMs = performance.now() - started
      const { answers, handedOverMs } = await handled
      // What a catch-up does after its event was answered counts as well.
      await sleep(short ? 3_000 : 20_000)
      const { known, cold } = await service.ask('stopLoad')
      const calls = (await stage.aws.calls()).total - cold.reads
      const lost = [known, cold].reduce(
        (sum, { wrong, failed }) => sum + wrong + Object.values(failed).reduce((a, b) => Number(a) + Number(b), 0),
        0,
      )
      const what = `${number(FORGED)} forged events, ${number(OTHERS)} of other services, one honest one`
      const delayed = (
        /** @type {import('../load').Report} */ during,
        /** @type {import('../load').Report} */ before,
      ) => Math.max(0, during.worstMs - before.worstMs)
      // The short run shares the machine with a whole test run.
      const delay = short ? DELAY_MS + MACHINE_MS : DELAY_MS
      return [
        goal(`${what} (${JSON.stringify(answers)}): AWS calls`, calls, 'under', MOST_CALLS, number),
        goal(`${what}: the rotation is followed after`, followedMs, 'under', FOLLOWED_MS, milliseconds),
        goal(`${what}: known reads waited longer by`, delayed(known, quiet.known), 'under', delay, milliseconds),
        goal(`${what}: cold reads waited longer by`, delayed(cold, quiet.cold), 'under', delay, milliseconds),
        goal(`${what}: the event loop was blocked for`, handedOverMs, 'under', delay, milliseconds),
        goal(`${what}: failed or wrong reads`, lost, 'at most', 0, number),
      ]
    }),
})

module.exports = { eventStorm }
