'use strict'

// Rotation of a PostgreSQL password while services read the secret and connect with it, while each part
// fails, and while the rotating process is killed.

const { fork } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const { once } = require('node:events')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { oneRole } = require('../../../examples/rotate-postgres/hooks')
const { connected, setPassword } = require('../../../examples/rotate-postgres/role')
const { goal, number } = require('../../report')
const { PostgresServer } = require('../../../__test__/support/servers/postgres')
const { until } = require('../../../__test__/support/until')
const { Stage } = require('../stage')
const { idOf, names, stored, valueOf } = require('../values')

/** The hook timeout, which is long enough for a busy machine. */
const HOOK_TIMEOUT_MS = 1500
const EVENT_BOUND_MS = 250
/** The time limit of `withSecret`, in milliseconds. */
const CONNECT_BOUND_MS = 10_000

/** @typedef {import('../../report').Goal} Goal */
/** @typedef {import('../../../index').RotationReport} RotationReport */
/** @typedef {import('../rotator').Task} Task */

const milliseconds = (/** @type {number} */ ms) => `${ms.toFixed(0)} ms`
/** @param {string} what @param {unknown[]} got */
const none = (what, got) => goal(what, got.length, 'at most', 0, number)

/** @param {string} role */
const credentials = (role) => JSON.stringify({ username: role, password: randomBytes(12).toString('hex') })

/** A stage with PostgreSQL, and a role and a secret of each name. @param {'debug' | 'release'} profile @param {string[]} of @param {(stage: Stage, database: import('../../../examples/rotate-postgres/hooks').Database) => Promise<Goal[]>} use */
const onPostgres = (profile, of, use) =>
  Stage.use(profile, { redis: true, postgres: true }, async (stage) => {
    const postgres = /** @type {PostgresServer} */ (stage.postgres)
    const database = { admin: postgres.admin, place: postgres.options('', '') }
    for (const name of of) {
      const secret = credentials(name.toLowerCase())
      await postgres.query(`CREATE ROLE ${name.toLowerCase()} LOGIN`)
      await setPassword(postgres.admin, name.toLowerCase(), JSON.parse(secret).password)
      await stage.aws.put({ [idOf(name)]: secret })
    }
    return use(stage, database)
  })

/** The live version. @param {Stage} stage @param {string} name */
async function liveOf(stage, name) {
  const versions = await stage.aws.versions(idOf(name))
  const live = versions.filter(({ labels }) => labels.includes('AWSCURRENT'))
  if (live.length !== 1) throw new Error(`${name}: ${live.length} versions are live`)
  return { live: live[0], versions }
}

/** Whether the database accepts the live value. @param {Stage} stage @param {string} name */
async function isAccepted(stage, name) {
  const { live } = await liveOf(stage, name)
  const { username, password } = JSON.parse(live.value)
  const place = /** @type {PostgresServer} */ (stage.postgres).options(username, password)
  return connected(place, (client) => client.query('SELECT 1')).then(
    () => true,
    (error) => {
      if (error.code !== '28P01') throw error
      return false
    },
  )
}

/**
 * What goes wrong in one rotation.
 *
 * @typedef {object} Trouble
 * @property {string} what
 * @property {boolean} [short] Part of the short form.
 * @property {object[]} [faults] Of AWS.
 * @property {Partial<Record<'create' | 'set' | 'test' | 'verify' | 'undo', 'throws' | 'throws after' | 'hangs after'>>} [hooks]
 * @property {Partial<Record<'set' | 'test' | 'verify', (stage: Stage) => Promise<unknown>>>} [at] In this hook, before it does its work.
 * @property {(stage: Stage) => Promise<unknown>} [lift] After it.
 */

const TROUBLES = (/** @type {string} */ secret) => {
  /** @param {string} operation @param {object} action @param {number} times */
  const fault = (operation, action, times) => ({ action, match: { operation, secret }, times })
  const [get, put, move] = ['GetSecretValue', 'PutSecretValue', 'UpdateSecretVersionStage']
  const broken = { error: { status: 500, code: 'InternalServiceError' } }
  const throttled = { error: { status: 400, code: 'ThrottlingException' } }
  const lost = { lose: true }
  const kill = async (/** @type {Stage} */ { redis }) => redis?.stop()
  const restart = (/** @type {Stage} */ stage) => stage.startRedis()
  /** @type {Trouble[]} */
  const troubles = [
    { what: `${get} answers 500 twice`, faults: [fault(get, broken, 2)], short: true },
    { what: `${get} is throttled twice`, faults: [fault(get, throttled, 2)] },
    { what: `two answers of ${get} are lost`, faults: [fault(get, lost, 2)] },
    { what: `${put} answers 500 twice`, faults: [fault(put, broken, 2)] },
    { what: `${put} is throttled`, faults: [fault(put, throttled, 3)], short: true },
    { what: `an answer of ${put} is lost`, faults: [fault(put, lost, 1)] },
    { what: `the answers of ${put} are lost`, faults: [fault(put, lost, 3)], short: true },
    { what: `${move} answers 500 twice`, faults: [fault(move, broken, 2)] },
    { what: `${move} is throttled`, faults: [fault(move, throttled, 3)], short: true },
    { what: `an answer of ${move} is lost`, faults: [fault(move, lost, 1)] },
    { what: `the answers of ${move} are lost`, faults: [fault(move, lost, 3)], short: true },
    { what: 'create throws', hooks: { create: 'throws' } },
    { what: 'set throws', hooks: { set: 'throws' } },
    { what: 'set throws after its work', hooks: { set: 'throws after' }, short: true },
    { what: 'set hangs after its work', hooks: { set: 'hangs after' } },
    { what: 'test throws', hooks: { test: 'throws' }, short: true },
    { what: 'test hangs', hooks: { test: 'hangs after' } },
    { what: 'verify throws', hooks: { verify: 'throws' }, short: true },
    { what: 'verify hangs', hooks: { verify: 'hangs after' } },
    { what: 'set and undo throw', hooks: { set: 'throws after', undo: 'throws' }, short: true },
    { what: 'verify and undo throw', hooks: { verify: 'throws', undo: 'throws' } },
    { what: 'Redis is killed in set, and is back in verify', at: { set: kill, verify: restart }, short: true },
    { what: 'Redis is killed in test, and is back afterwards', at: { test: kill }, lift: restart },
  ]
  return troubles
}

/** The usual hooks, which fail as `trouble` says. @param {Stage} stage @param {import('../../../examples/rotate-postgres/hooks').Database} database @param {() => Trouble} trouble */
function troubledHooks(stage, database, trouble) {
  const usual = {
    ...oneRole(database),
    create: (/** @type {any} */ context) => credentials(JSON.parse(context.currentValue()).username),
  }
  const wrapped = Object.entries(usual).map(([name, work]) => {
    /** @param {any} context */
    const hook = async (context) => {
      const { hooks = {}, at = {} } = /** @type {any} */ (trouble())
      // Each part fails once.
      const how = hooks[name]
      delete hooks[name]
      await at[name]?.(stage)
      if (how === 'throws') throw new Error(how)
      const made = await work(context)
      if (how === 'throws after') throw new Error(how)
      if (how === 'hangs after') await new Promise(() => {})
      return made
    }
    return [name, hook]
  })
  return Object.fromEntries(wrapped)
}

/** @param {{ short: boolean }} mode @returns {import('./fleet').Scenario} */
const underLoad = ({ short }) => ({
  name: 'rotation-load',
  run: (profile) => {
    const [name] = names('ROTATED', 1)
    return onPostgres(profile, [name], async (stage, database) => {
      const [tool, secretType] = name.toLowerCase().split('_')
      const troubles = TROUBLES(idOf(name)).filter((trouble) => !short || trouble.short)
      /** @type {Trouble} */
      let trouble = { what: 'nothing' }
      const hooks = troubledHooks(stage, database, () => trouble)
      const rotator = await stage.deliver({ rotation: { hooks, hookTimeoutMs: HOOK_TIMEOUT_MS } })
      const service = await stage.service({ cache: { ttlSeconds: 2 } })
      const [readsPerSecond, connectionsPerSecond] = [200, short ? 10 : 50]
      await service.ask('startClients', {
        tool,
        secretType,
        place: database.place,
        readsPerSecond,
        connectionsPerSecond,
      })

      /** Rotations whose end did not match their report. @type {string[]} */
      const between = []
      const rotate = async () => {
        const report = await rotator.rotation.rotate(name)
        const wanted = report.outcome === 'finished' ? report.versionId : report.previousVersionId
        if ((await liveOf(stage, name)).live.versionId !== wanted) between.push(`${trouble.what}: ${report.outcome}`)
        return report
      }
      let refused = 0
      for (trouble of troubles) {
        for (const fault of trouble.faults ?? []) await stage.aws.fault(fault)
        const { outcome, error } = await rotate()
        if (outcome !== 'finished') refused++
        await stage.aws.clearFaults()
        await trouble.lift?.(stage)
        // A breaker may still be open, and a copy from Redis may still arrive.
        if (outcome !== 'finished') {
          await until(
            `a rotation after '${trouble.what}' (${error?.message})`,
            async () => (await rotate()).outcome === 'finished',
          )
        }
        if (!(await isAccepted(stage, name))) between.push(`${trouble.what}: PostgreSQL refuses what is live`)
        const before = (await service.ask('clients')).connections
        await until('the service goes on', async () => (await service.ask('clients')).connections > before + 2)
      }
      const seen = /** @type {import('../clients').ClientsReport} */ (await service.ask('stopClients'))
      const live = (await stage.aws.versions(idOf(name))).filter(({ wasLive }) => wasLive).map(({ value }) => value)
      const never = seen.values.filter((value) => value === null || !live.includes(value))
      const what = `${troubles.length} rotations, a fault in each`
      return [
        none(`${what}: failed reads of ${number(seen.reads)}, ${readsPerSecond} a second`, seen.failedReads),
        none(`${what}: values read that were never live, of ${seen.values.length}`, never),
        none(
          `${what}: failed connections through withSecret of ${number(seen.connections)} (${seen.refused} attempts were refused)`,
          seen.failedConnections,
        ),
        goal(`${what}: the longest that a connection took`, seen.worstMs, 'under', CONNECT_BOUND_MS, milliseconds),
        none(`${what}: rotations that ended in between (${refused} did not finish at first)`, between),
        ...[...seen.failedReads, ...seen.failedConnections, ...between].slice(0, 5).map((line) => none(line, [line])),
      ]
    })
  },
})

/**
 * Where a rotation is killed.
 *
 * @typedef {object} Death
 * @property {string} at
 * @property {Partial<Task>} [task]
 * @property {{ operation: string, stage?: string, done?: boolean, times: number }} [inAws] While AWS is asked for this; `done`: AWS has
 *   carried it out.
 * @property {boolean} goesOn Whether the next rotation finds its value.
 */

const LABEL = 'UpdateSecretVersionStage'

/** @type {Death[]} */
const DEATHS = [
  { at: 'create', task: { dies: { hook: 'create' } }, goesOn: false },
  { at: 'put, not carried out', inAws: { operation: 'PutSecretValue', times: 1 }, goesOn: false },
  { at: 'put, carried out', inAws: { operation: 'PutSecretValue', done: true, times: 2 }, goesOn: true },
  { at: 'set', task: { dies: { hook: 'set' } }, goesOn: true },
  { at: 'set, carried out', task: { dies: { hook: 'set', after: true } }, goesOn: true },
  { at: 'test', task: { dies: { hook: 'test', after: true } }, goesOn: true },
  { at: 'claim, not carried out', inAws: { operation: LABEL, stage: 'tcs-rotation', times: 1 }, goesOn: true },
  { at: 'claim, carried out', inAws: { operation: LABEL, stage: 'tcs-rotation', done: true, times: 2 }, goesOn: true },
  // Two moves of the claim come first.
  { at: 'finish, not carried out', inAws: { operation: LABEL, stage: 'AWSCURRENT', times: 3 }, goesOn: true },
  { at: 'finish, carried out', inAws: { operation: LABEL, stage: 'AWSCURRENT', done: true, times: 4 }, goesOn: false },
  { at: 'verify', task: { dies: { hook: 'verify' } }, goesOn: false },
  // The label is back before the system is (decision 129): the value has AWSPENDING, and is tried again.
  { at: 'undo', task: { refuses: true, dies: { hook: 'undo' } }, goesOn: true },
  { at: 'undo, carried out', task: { refuses: true, dies: { hook: 'undo', after: true } }, goesOn: true },
  {
    at: 'rollback, not carried out',
    task: { refuses: true },
    // After the two moves of the claim, the finish, and a third move of the claim.
    inAws: { operation: LABEL, stage: 'AWSCURRENT', times: 5 },
    goesOn: false,
  },
]

/** Rotates `name` in a process that is killed meanwhile. @param {Stage} stage @param {import('../../../examples/rotate-postgres/hooks').Database} database @param {string} name @param {Death} death */
async function rotateAndDie(stage, database, name, { at, task = {}, inAws }) {
  const faults = []
  if (inAws !== undefined) {
    const { operation, stage: label } = inAws
    const match = { operation, secret: idOf(name), ...(label !== undefined && { stage: label }) }
    if (inAws.done) faults.push({ action: { lose: true }, match, times: 1 })
    faults.push({ action: { hang: true }, match, times: 1 })
  }
  await stage.aws.resetCalls()
  const rotator = fork(path.join(__dirname, '..', 'rotator.js'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(rotator, 'exit')
  try {
    rotator.on('message', ({ outcome, error }) => {
      throw new Error(`a rotation that was to die at ${at} ended: ${outcome} ${error?.message}`)
    })
    // A rollback comes after another call of the same kind.
    const later = task.refuses && inAws !== undefined
    if (!later) for (const fault of faults) await stage.aws.fault(fault)
    /** @type {Task} */
    const whole = {
      options: stage.options({}),
      database,
      name,
      newValue: credentials(name.toLowerCase()),
      faults: later ? { url: `${stage.aws.url}/_control/faults`, faults } : undefined,
      ...task,
    }
    rotator.send(whole)
    if (inAws !== undefined) {
      const { operation, times } = inAws
      await until(`it is in ${at}`, async () => ((await stage.aws.calls()).byOperation[operation] ?? 0) >= times)
      rotator.kill('SIGKILL')
    }
    const [status, signal] = await ended
    if (signal !== 'SIGKILL')
      throw new Error(`a rotation that was to die at ${at} ended with ${signal ?? `status ${status}`}`)
  } finally {
    rotator.kill('SIGKILL')
    await ended
    await stage.aws.clearFaults()
  }
}

/** @type {import('./fleet').Scenario} */
const killed = {
  name: 'rotation-killed',
  run(profile) {
    const of = names('KILLED', DEATHS.length)
    return onPostgres(profile, of, async (stage, database) => {
      const service = await stage.service({})
      for (const name of of) await service.call('getSecret', name)
      const [cutOff, lost, between, notResumed] = [
        /** @type {string[]} */ ([]),
        /** @type {string[]} */ ([]),
        /** @type {string[]} */ ([]),
        /** @type {string[]} */ ([]),
      ]
      const before = new Map()
      for (const [i, death] of DEATHS.entries()) {
        before.set(of[i], (await liveOf(stage, of[i])).live.versionId)
        await rotateAndDie(stage, database, of[i], death)
        // Until the next rotation, services must still be able to connect.
        const [tool, secretType] = of[i].toLowerCase().split('_')
        const connecting = service.ask('connect', { tool, secretType, place: database.place })
        await connecting.catch((error) => cutOff.push(`killed in ${death.at}: ${error.code}`))
      }
      const started = performance.now()
      const rotator = await stage.deliver({ rotation: { hooks: oneRole(database) } })
      const reports = await Promise.all(of.map((name) => rotator.rotation.rotate(name)))
      const took = performance.now() - started
      for (const [i, { at, goesOn }] of DEATHS.entries()) {
        const { outcome, resumed, versionId, error } = reports[i]
        const { live, versions } = await liveOf(stage, of[i])
        const pending = versions.find(({ labels }) => labels.includes('AWSPENDING') && !labels.includes('AWSCURRENT'))
        if (outcome !== 'finished' || live.versionId !== versionId || pending) {
          between.push(`killed in ${at}: ${outcome}, ${error?.message}`)
        }
        if (!(await isAccepted(stage, of[i]))) lost.push(`killed in ${at}: PostgreSQL refuses what is live`)
        if (resumed !== goesOn) notResumed.push(`killed in ${at}: ${resumed ? 'resumed' : 'not resumed'}`)
      }
      const what = `killed at ${DEATHS.length} points of a rotation, rotated again`
      return [
        none(`${what}: services that could not connect in between`, cutOff),
        none(`${what}: secrets that ended neither old nor finished`, between),
        none(`${what}: live values that PostgreSQL refuses`, lost),
        none(`${what}: interrupted values that were not gone on with, or should not have been`, notResumed),
        // The claim of a dead instance is taken over after thirty seconds.
        goal(`${what}: all finished after`, took, 'under', 60_000, milliseconds),
        ...[...cutOff, ...between, ...lost, ...notResumed].slice(0, 5).map((line) => none(line, [line])),
      ]
    })
  },
}

/** @param {{ short: boolean }} mode @returns {import('./fleet').Scenario} */
const events = ({ short }) => ({
  name: 'rotation-events',
  run: (profile) =>
    Stage.use(profile, { redis: true }, async (stage) => {
      const [name] = names('EVENT', 1)
      await stage.aws.put(stored([name], 1))
      const [told, other] = await Promise.all([stage.service({}), stage.service({})])
      await Promise.all([told, other].map((service) => service.warm([name])))
      await stage.settled([name], [told, other])
      /** @type {number[]} */
      const took = []
      for (let version = 2; took.length < (short ? 20 : 200); version++) {
        await stage.aws.put(stored([name], version))
        const { live } = await liveOf(stage, name)
        const event = {
          'detail-type': 'Secret Label Updated',
          source: 'aws.secretsmanager',
          time: new Date().toISOString(),
          detail: { name: idOf(name), labelUpdated: 'AWSCURRENT', versionId: live.versionId },
        }
        const seen = other.ask('waitFor', name, valueOf(name, version))
        const started = performance.now()
        const [isOurs] = await Promise.all([
          told.call('handleSecretEvent', event),
          seen.then(() => took.push(performance.now() - started)),
        ])
        if (isOurs !== true) throw new Error("the event was taken for another environment's")
      }
      took.sort((a, b) => a - b)
      const p99 = took[Math.min(took.length - 1, Math.floor(took.length * 0.99))]
      const what = `${took.length} events: from handleSecretEvent to the new value in another process`
      return [
        goal(
          `${what}: p99 (median ${took[took.length >> 1].toFixed(1)} ms)`,
          p99,
          'under',
          EVENT_BOUND_MS,
          milliseconds,
        ),
      ]
    }),
})

/** @param {{ short: boolean }} mode @returns {import('./fleet').Scenario[]} */
function rotationScenarios(mode) {
  // tools/setup.js says that it is missing, and ends in CI.
  const onPostgresOnly = PostgresServer.programs() === undefined ? [] : [underLoad(mode), killed]
  return [...onPostgresOnly, events(mode)]
}

module.exports = { rotationScenarios }
