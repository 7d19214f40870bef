'use strict'

// Properties of several processes, such as the number of AWS calls of a fleet.

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { goal, number } = require('../../report')
const { until } = require('../../../__test__/support/until')
const { MACHINE_MS, TRANSIENT } = require('../fault')
const { FaultProxy } = require('../proxy')
const { Stage } = require('../stage')
const { idOf, names, stored, valueOf, versionOf } = require('../values')

const FLEET = 8
/** The number of TTLs during which calls are counted. */
const TTLS = 3.8
/** The longest time that one instance may make the others wait, in milliseconds. */
const LOCK_MS = 1000
const SECRETS = names('FLEET', 100)
const [ONE] = SECRETS

/** @typedef {import('../../report').Goal} Goal */
/** @typedef {import('../service').Service} Service */
/** @typedef {{ name: string, run(profile: 'debug' | 'release'): Promise<Goal[]> }} Scenario */

const seconds = (/** @type {number} */ ms) => `${(ms / 1e3).toFixed(2)} s`
const milliseconds = (/** @type {number} */ ms) => `${ms.toFixed(0)} ms`
const none = (/** @type {string} */ what, /** @type {number} */ got) => goal(what, got, 'at most', 0, number)

/**
 * @template T
 * @param {'debug' | 'release'} profile
 * @param {(stage: Stage) => Promise<T>} use
 * @returns {Promise<T>}
 */
const on = (profile, use, wanted = { redis: true }) =>
  Stage.use(profile, wanted, async (stage) => {
    await stage.aws.put(stored(SECRETS, 1))
    return use(stage)
  })

/** @param {{ answers: { value?: string | null }[] }} read @param {string[]} of */
const wrongIn = ({ answers }, of, version = 1) =>
  answers.filter(({ value }, i) => value !== valueOf(of[i % of.length], version)).length

/**
 * Counts the AWS calls of several processes that read all secrets from a cold start until each was refreshed four times.
 *
 * @param {'debug' | 'release'} profile
 * @param {number} processes
 * @param {number} ttlSeconds
 */
function callsOfFleet(profile, processes, ttlSeconds) {
  return on(profile, async (stage) => {
    const fleet = await Promise.all(Array.from({ length: processes }, () => stage.service({ cache: { ttlSeconds } })))
    await stage.aws.resetCalls()
    const started = performance.now()
    await Promise.all(fleet.map((service) => service.ask('read', SECRETS)))
    const load = { known: SECRETS, readsPerSecond: 500, cold: 'COLD', coldPerSecond: 0 }
    await Promise.all(fleet.map((service) => service.ask('startLoad', load)))
    // The fourth refresh ahead comes at 3.6 TTLs at the latest, the fifth at 4 at the earliest.
    await sleep(TTLS * ttlSeconds * 1e3 - (performance.now() - started))
    const { total } = await stage.aws.calls()
    for (const { known } of await Promise.all(fleet.map((service) => service.ask('stopLoad')))) {
      if (known.wrong > 0 || Object.keys(known.failed).length > 0) throw new Error(JSON.stringify(known))
    }
    return total
  })
}

/** @param {{ short: boolean }} mode @returns {Scenario[]} */
function fleetScenarios({ short }) {
  return [
    {
      name: 'fleet-ttl',
      async run(profile) {
        const ttlSeconds = short ? 4 : 10
        const one = await callsOfFleet(profile, 1, ttlSeconds)
        const eight = await callsOfFleet(profile, FLEET, ttlSeconds)
        const what = `${FLEET} processes × ${SECRETS.length} secrets over ${TTLS} TTLs: AWS calls of one process (${one})`
        // Five batches at the start and five for each refresh. Where a whole test run shares the machine, Redis now and
        // then misses its deadline, and a part is asked for in several calls; without each other it would be eight times.
        const most = short ? 4 : 1.1
        return [goal(what, eight / one, 'at most', most, (ratio) => `${ratio.toFixed(2)}×`)]
      },
    },
    {
      name: 'fleet-herd',
      run: (profile) =>
        on(
          profile,
          async (stage) => {
            const service = await stage.service({})
            const read = await service.ask('read', SECRETS, 10)
            const { byOperation } = await stage.aws.calls()
            const what = `1,000 cold reads at once of ${SECRETS.length} secrets`
            return [
              goal(`${what}: batch calls`, byOperation.BatchGetSecretValue ?? 0, 'at most', 5, number),
              goal(`${what}: single calls`, byOperation.GetSecretValue ?? 0, 'at most', 1, number),
              none(`${what}: wrong or failed`, wrongIn(read, SECRETS)),
            ]
          },
          { redis: false },
        ),
    },
    {
      name: 'fleet-lock',
      run: (profile) =>
        on(profile, async (stage) => {
          const others = await Promise.all([stage.service({}), stage.service({})])
          await Promise.all(others.map((service) => service.call('health')))
          let [worst, wrong, deaf] = [0, 0, 0]
          for (const name of SECRETS.slice(0, short ? 2 : 5)) {
            const holder = await stage.service({})
            await stage.aws.fault({ action: { delayMs: 60_000 }, times: 1 })
            await stage.aws.resetCalls()
            const lost = holder.ask('read', [name]).catch(() => {})
            await until('the holder asks AWS', async () => (await stage.aws.calls()).total === 1)
            const reads = others.map((service) => service.ask('read', [name]))
            await holder.kill()
            await lost
            for (const read of await Promise.all(reads)) {
              worst = Math.max(worst, read.ms)
              wrong += wrongIn(read, [name])
            }
            for (const service of others) {
              const { layers } = await service.call('explain', 'COLD_N0000')
              if (layers.find((/** @type {any} */ { layer }) => layer === 'redis').state === 'error') deaf++
            }
            await stage.aws.clearFaults()
          }
          const what = 'the instance that fetches is killed'
          return [
            goal(`${what}: longest wait of the others`, worst, 'under', LOCK_MS + 3 * MACHINE_MS, milliseconds),
            none(`${what}: wrong or failed reads of the others`, wrong),
            none(`${what}: others that give Redis up for it`, deaf),
          ]
        }),
    },
    {
      name: 'fleet-changes',
      run: (profile) =>
        on(profile, async (stage) => {
          const { a, b, wire } = await pair(stage)
          let version = 1
          /** How long until `b` sees what `change` did through `a`. @param {string} what @param {(value: string) => Promise<unknown>} change */
          const heard = async (what, change, { inAws = true, within = 1000 } = {}) => {
            await Promise.all([a, b].map((service) => service.ask('read', [ONE])))
            const value = valueOf(ONE, ++version)
            if (inAws) await stage.aws.put(stored([ONE], version))
            await until('the change is taken', () => isTaken(change(value)))
            const ms = await untilRead(b, ONE, (read) => read === value)
            return goal(`${what}: another process has the new value after`, ms, 'under', within, milliseconds)
          }
          const goals = [
            await heard('cache.invalidate', () => a.call('cache.invalidate', ONE)),
            await heard('cache.clear', () => a.call('cache.clear')),
            await heard('a new version seen by refresh()', () => a.call('refresh', ONE)),
            await heard('cache.set', (value) => a.call('cache.set', ONE, value), { inAws: false }),
            // Invalidates the value of `cache.set`, which AWS does not have, before the rotation.
            await heard('cache.invalidate of it', () => a.call('cache.invalidate', ONE)),
          ]
          await a.call('rotateSecret', ONE, 'production')
          const rotated = await a.call('getSecretFromAWS', ONE)
          const ms = await untilRead(b, ONE, (read) => read === rotated)
          goals.push(goal('rotateSecret: another process has the new value after', ms, 'under', 1000, milliseconds))
          // A message that was published while the service was disconnected must take effect too.
          const unheard = async () => {
            await wire.refuse()
            await until('the change is taken', () => isTaken(a.call('cache.invalidate', ONE)))
            await wire.pass()
          }
          goals.push(await heard('cache.invalidate, its connections lost', unheard, { within: 10_000 }))
          return goals
        }),
    },
    {
      name: 'fleet-deaf',
      run: (profile) =>
        on(profile, async (stage) => {
          const { a, b, wire } = await pair(stage)
          await wire.halfOpen()
          await stage.aws.put(stored([ONE], 2))
          await until('the change is taken', () => isTaken(a.call('cache.invalidate', ONE)))
          const ms = await untilRead(b, ONE, (read) => versionOf(ONE, read) === 2)
          return [goal('a subscription dies without a word: the new value is seen after', ms, 'under', 30_000, seconds)]
        }),
    },
    {
      name: 'ends-in-time',
      async run(profile) {
        const limits = { ttlSeconds: 2, maxStaleSeconds: 3 }
        /** Measures how long values are still served. @param {(stage: Stage) => Promise<unknown>} apply @param {(answer: { value?: string | null, code?: string }) => boolean} isEnd */
        const served = async (apply, isEnd) => {
          const use = async (/** @type {Stage} */ stage) => {
            const service = await stage.service({ aws: { timeoutMs: 120 }, cache: limits })
            await service.warm([ONE])
            const started = performance.now()
            await apply(stage)
            await until('the end', async () => isEnd((await service.ask('read', [ONE])).answers[0]))
            return performance.now() - started
          }
          return on(profile, use, { redis: false })
        }
        const { ttlSeconds, maxStaleSeconds } = limits
        const [stale, denied, deleted] = await Promise.all([
          served(
            ({ aws }) => aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } }),
            ({ code }) => code !== undefined && TRANSIENT.includes(code),
          ),
          served(
            ({ aws }) => aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'] }),
            ({ code }) => code === 'SECRET_ACCESS_DENIED',
          ),
          served(
            ({ aws }) => aws.remove(idOf(ONE)),
            ({ value }) => value === null,
          ),
        ])
        const late = 10 * MACHINE_MS
        const [ttl, all] = [ttlSeconds * 1e3 + late, (ttlSeconds + maxStaleSeconds) * 1e3 + late]
        const bounds = `TTL ${ttlSeconds} s, maxStaleSeconds ${maxStaleSeconds}`
        return [
          goal(`AWS down (${bounds}): values end after`, stale, 'under', all, seconds),
          goal(`AWS down (${bounds}): values last for`, stale, 'at least', maxStaleSeconds * 1e3, seconds),
          goal(`access denied (${bounds}): values end after`, denied, 'under', ttl, seconds),
          goal(`secret deleted (${bounds}): values end after`, deleted, 'under', ttl, seconds),
        ]
      },
    },
  ]
}

/** Whether Redis took a change in time: on a busy machine it may not, and the caller is told. @param {Promise<unknown>} change */
const isTaken = (change) =>
  change.then(
    () => true,
    (error) => {
      if (error.code !== 'CACHE_UNAVAILABLE') throw error
      return false
    },
  )

/** Two services that hold the first secret and hear of changes; the second one's way to Redis is `wire`. @param {Stage} stage */
async function pair(stage) {
  const cache = { ttlSeconds: 300 }
  const wire = await stage.keep(FaultProxy.start(/** @type {number} */ (stage.redisPort)))
  const redis = { url: `redis://127.0.0.1:${wire.port}` }
  const [a, b] = await Promise.all([stage.service({ cache }), stage.service({ cache: { ...cache, redis } })])
  await Promise.all([a.warm([ONE]), b.warm([ONE])])
  await stage.settled([ONE], [a, b])
  return { a, b, wire }
}

/** How long until `service` reads what is wanted, in milliseconds. @param {Service} service @param {string} name @param {(value: unknown) => boolean} wanted */
async function untilRead(service, name, wanted) {
  const started = performance.now()
  await until(
    `${name} is read as wanted`,
    async () => wanted((await service.ask('read', [name])).answers[0].value),
    40_000,
  )
  return performance.now() - started
}

module.exports = { fleetScenarios }
