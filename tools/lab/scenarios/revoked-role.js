'use strict'

// AWS denies the identity of one service, while another one goes on refreshing and sharing the copies.

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { goal, number } = require('../../report')
const { until } = require('../../../__test__/support/until')
const { MACHINE_MS } = require('../fault')
const { KNOWN, Stage } = require('../stage')
const { stored, versionOf } = require('../values')

const REVOKED = { accessKeyId: 'revoked', secretAccessKey: 'test' }
const READS = ['GetSecretValue', 'BatchGetSecretValue']
const REFRESH_MS = 250
const GRANTED_MS = 5_000
const DENIED = 'SECRET_ACCESS_DENIED'
const seconds = (/** @type {number} */ ms) => `${(ms / 1e3).toFixed(2)} s`

/** @param {{ short: boolean }} mode @returns {import('./fleet').Scenario} */
const revokedRole = ({ short }) => ({
  name: 'revoked-role',
  run: (profile) =>
    Stage.use(profile, { redis: true }, async (stage) => {
      const accessCheckSeconds = short ? 3 : 8
      const watchMs = short ? 4_000 : 20_000
      const own = await stage.ownAwsProxy()
      const keeper = await stage.service({ cache: { ttlSeconds: 300, accessCheckSeconds: false } })
      const revoked = await stage.service({
        aws: { credentials: REVOKED, endpoint: `http://127.0.0.1:${own.port}` },
        cache: { ttlSeconds: 300, accessCheckSeconds },
      })
      await Promise.all([keeper.warm(KNOWN), revoked.warm(KNOWN)])
      await stage.settled(KNOWN, [keeper, revoked])

      // The other one goes on: reads, and shares a new version of one secret after the other.
      const load = { known: KNOWN, readsPerSecond: 500, cold: 'COLD', coldPerSecond: 0 }
      await keeper.ask('startLoad', load)
      const proxy = /** @type {import('../proxy').FaultProxy} */ (stage.awsProxy)
      const [before, ownBefore] = [proxy.requests, own.requests]
      let [refreshes, isOver] = [0, false]
      const sharing = (async () => {
        for (; !isOver; refreshes++) {
          const name = KNOWN[refreshes % KNOWN.length]
          await stage.aws.put(stored([name], 2 + Math.floor(refreshes / KNOWN.length)))
          await keeper.call('refresh', name)
          await sleep(REFRESH_MS)
        }
      })()

      await stage.aws.deny({ actions: READS, accessKeyId: REVOKED.accessKeyId })
      const denied = performance.now()
      /** When each secret was refused for the first time. @type {Map<string, number>} */
      const refused = new Map()
      /** @type {string[]} */
      const leaks = []
      const look = async () => {
        const { answers } = await revoked.ask('read', KNOWN)
        for (const [i, { code, value }] of answers.entries()) {
          const name = KNOWN[i]
          if (code === DENIED && !refused.has(name)) refused.set(name, performance.now() - denied)
          else if (code !== DENIED && refused.has(name)) leaks.push(`${name}: ${code ?? `v${versionOf(name, value)}`}`)
        }
        await sleep(20)
      }
      await until('every secret is refused', async () => (await look(), refused.size === KNOWN.length), 60_000)
      const watched = performance.now() + watchMs
      while (performance.now() < watched) await look()

      const ownCalls = own.requests - ownBefore
      const lasted = (performance.now() - denied) / 1e3
      await stage.aws.allow()
      const granted = performance.now()
      await until('it is granted again', async () => {
        const { answers } = await revoked.ask('read', KNOWN)
        return answers.every(({ value }, i) => versionOf(KNOWN[i], value) !== undefined)
      })
      const grantedMs = performance.now() - granted
      isOver = true
      await sharing
      const { known } = await keeper.ask('stopLoad')
      const lost = known.wrong + Object.values(known.failed).reduce((a, b) => a + b, 0)

      const what = `a revoked role, accessCheckSeconds ${accessCheckSeconds}`
      const latest = Math.max(...refused.values())
      const bound = accessCheckSeconds * 1e3 + 10 * MACHINE_MS
      return [
        goal(`${what}: the last of ${KNOWN.length} secrets is refused after`, latest, 'under', bound, seconds),
        goal(`${what}: values read after that, for ${lasted.toFixed(0)} s`, leaks.length, 'at most', 0, number),
        goal(`${what}: its calls to AWS`, ownCalls, 'at most', Math.ceil(lasted * 200), number),
        goal(`${what}: it reads again, once granted, after`, grantedMs, 'under', GRANTED_MS, seconds),
        goal(`${what}: failed or wrong reads of another one, of ${number(known.reads)}`, lost, 'at most', 0, number),
        // One call for each refresh. A read that hears of a drop while a refresh is under way may ask for itself.
        goal(`${what}: calls of the other one`, proxy.requests - before, 'at most', refreshes + 2, number),
        ...leaks.slice(0, 5).map((line) => goal(line, 1, 'at most', 0, number)),
      ]
    }),
})

module.exports = { revokedRole }
