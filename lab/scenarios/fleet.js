'use strict'

// What holds between processes, and what is a matter of counting rather than of enduring.

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { goal, number } = require('../../scripts/report')
const { until } = require('../../scripts/servers')
const { MACHINE_MS, TRANSIENT } = require('../fault')
const { Stage } = require('../stage')
const { idOf, names, stored, valueOf, versionOf } = require('../values')

const FLEET = 8
const SECRETS = names('FLEET', 100)
const [ONE] = SECRETS

/** @typedef {import('../../scripts/report').Goal} Goal */
/** @typedef {import('../service').Service} Service */
/** @typedef {{ name: string, run(profile: 'debug' | 'release'): Promise<Goal[]> }} Scenario */

const seconds = (/** @type {number} */ ms) => `${(ms / 1e3).toFixed(2)} s`
const milliseconds = (/** @type {number} */ ms) => `${ms.toFixed(0)} ms`
const none = (/** @type {string} */ what, /** @type {number} */ got) => goal(what, got, 'at most', 0, number)

/** @param {'debug' | 'release'} profile @param {(stage: Stage) => Promise<Goal[]>} use */
async function on(profile, use, wanted = { redis: true }) {
  const stage = await Stage.build(profile, wanted)
  try {
    await stage.aws.put(stored(SECRETS, 1))
    return await use(stage)
  } finally {
    await stage.end()
  }
}

/** @param {{ answers: { value?: string | null }[] }} read @param {string[]} of */
const wrongIn = ({ answers }, of, version = 1) =>
  answers.filter(({ value }, i) => value !== valueOf(of[i % of.length], version)).length

/**
 * AWS calls of so many processes that read all secrets from a cold start until each was refreshed once.
 *
 * @param {'debug' | 'release'} profile
 * @param {number} processes
 * @param {number} ttlSeconds
 */
async function callsOfOneTtl(profile, processes, ttlSeconds) {
  let calls = NaN
  await on(profile, async (stage) => {
    const fleet = await Promise.all(
      Array.from({ length: processes }, () => stage.service({ cache: { ttlSeconds, maxStaleSeconds: 60 } })),
    )
    // Connections come first: a process that starts has them before its first read counts.
    await Promise.all(fleet.map((service) => service.call('health')))
    await stage.aws.resetCalls()
    const started = performance.now()
    await Promise.all(fleet.map((service) => service.ask('read', SECRETS)))
    const load = { known: SECRETS, readsPerSecond: 500, cold: 'COLD', coldPerSecond: 0 }
    await Promise.all(fleet.map((service) => service.ask('startLoad', load)))
    // Between the last refresh ahead of the first TTL (at 95 %) and the first one of the second (at 160 %).
    await sleep(ttlSeconds * 1300 - (performance.now() - started))
    calls = (await stage.aws.calls()).total
    const reports = await Promise.all(fleet.map((service) => service.ask('stopLoad')))
    for (const { known } of reports) {
      if (known.wrong > 0 || Object.keys(known.failed).length > 0) throw new Error(JSON.stringify(known))
    }
    return []
  })
  return calls
}

/** @param {{ short: boolean }} mode @returns {Scenario[]} */
function fleetScenarios({ short }) {
  return [
    {
      name: 'fleet-ttl',
      async run(profile) {
        const ttlSeconds = short ? 4 : 10
        const one = await callsOfOneTtl(profile, 1, ttlSeconds)
        const eight = await callsOfOneTtl(profile, FLEET, ttlSeconds)
        const what = `${FLEET} processes × ${SECRETS.length} secrets over one TTL: AWS calls of one process (${one})`
        const times = (/** @type {number} */ ratio) => `${ratio.toFixed(2)}×`
        return [goal(what, eight / one, 'at most', 1.1, times), goal(what, eight / one, 'at least', 0.9, times)]
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
          let [worst, wrong, calls] = [0, 0, 0]
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
            calls = Math.max(calls, (await stage.aws.calls()).total - 1)
            await stage.aws.clearFaults()
          }
          const what = 'the instance that fetches is killed'
          return [
            goal(`${what}: longest wait of the others`, worst, 'under', 1000 + MACHINE_MS, milliseconds),
            none(`${what}: wrong or failed reads`, wrong),
            goal(`${what}: further AWS calls`, calls, 'at most', 1, number),
          ]
        }),
    },
    {
      name: 'fleet-changes',
      run: (profile) =>
        on(profile, async (stage) => {
          const ttl = { cache: { ttlSeconds: 300 } }
          const [a, b] = await Promise.all([stage.service(ttl), stage.service(ttl)])
          await a.warm(SECRETS)
          await b.warm(SECRETS)
          let version = 1
          /** How long until `b` sees what `change` did through `a`. @param {(value: string) => Promise<unknown>} change */
          const heard = async (change, inAws = true) => {
            const value = valueOf(ONE, ++version)
            if (inAws) await stage.aws.put(stored([ONE], version))
            await change(value)
            return untilRead(b, ONE, (read) => read === value)
          }
          /** @type {Goal[]} */
          const goals = []
          const soon = (/** @type {string} */ what, /** @type {number} */ ms, within = 1000) =>
            goals.push(goal(`${what}: another process has the new value after`, ms, 'under', within, milliseconds))
          soon('cache.invalidate', await heard(() => a.call('cache.invalidate', ONE)))
          soon('cache.clear', await heard(() => a.call('cache.clear')))
          soon('a new version seen by refresh()', await heard(() => a.call('refresh', ONE)))
          soon('cache.set', await heard((value) => a.call('cache.set', ONE, value), false))
          await a.call('rotateSecret', ONE, 'production')
          const rotated = await a.call('getSecretFromAWS', ONE)
          soon('rotateSecret', await untilRead(b, ONE, (read) => read === rotated))

          // What is said while `b` cannot listen must not be missed either.
          const warm = async () => {
            await stage.aws.put(stored([ONE], ++version))
            await a.call('cache.invalidate', ONE)
            await untilRead(b, ONE, (read) => versionOf(ONE, read) === version)
          }
          await warm()
          await stage.redisProxy?.refuse()
          await stage.aws.put(stored([ONE], ++version))
          await a.call('cache.invalidate', ONE).catch(() => {})
          soon('invalidated while Redis was gone', await untilRead(b, ONE, (read) => versionOf(ONE, read) === version))
          await stage.redisProxy?.pass()
          return goals
        }),
    },
    {
      name: 'fleet-deaf',
      run: (profile) =>
        on(profile, async (stage) => {
          const ttl = { cache: { ttlSeconds: 300 } }
          const [a, b] = [await stage.service(ttl), await stage.service(ttl)]
          await b.warm([ONE])
          await b.call('health')
          // The connections of both are dead without a word; new ones work.
          await stage.redisProxy?.halfOpen()
          await a.warm([ONE])
          await stage.aws.put(stored([ONE], 2))
          await until('the others are told', () =>
            a.call('cache.invalidate', ONE).then(
              () => true,
              () => false,
            ),
          )
          const ms = await untilRead(b, ONE, (read) => versionOf(ONE, read) === 2)
          return [goal('a subscription dies without a word: the new value is seen after', ms, 'under', 30_000, seconds)]
        }),
    },
    {
      name: 'ends-in-time',
      async run(profile) {
        const limits = { ttlSeconds: 2, maxStaleSeconds: 3 }
        /** How long values go on being served. @param {(stage: Stage) => Promise<unknown>} apply @param {(answer: { value?: string | null, code?: string }) => boolean} isEnd */
        const served = async (apply, isEnd) => {
          let ms = Infinity
          const use = async (/** @type {Stage} */ stage) => {
            const service = await stage.service({ aws: { timeoutMs: 120 }, cache: limits })
            await service.warm([ONE])
            const started = performance.now()
            await apply(stage)
            await until('the end', async () => isEnd((await service.ask('read', [ONE])).answers[0]))
            ms = performance.now() - started
            return []
          }
          await on(profile, use, { redis: false })
          return ms
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
        const [ttl, all] = [ttlSeconds * 1e3 + MACHINE_MS, (ttlSeconds + maxStaleSeconds) * 1e3 + MACHINE_MS]
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

/** A scenario that breaks down has missed its bounds. @param {Scenario} scenario @param {'debug' | 'release'} profile @returns {Promise<Goal[]>} */
async function count({ name, run }, profile) {
  try {
    return await run(profile)
  } catch (error) {
    return [{ what: name, bound: 'measured', got: /** @type {Error} */ (error).message.split('\n')[0], met: false }]
  }
}

module.exports = { count, fleetScenarios }
