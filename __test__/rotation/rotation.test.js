'use strict'

// Rotation as a service sees it: reports, hooks, policies, and what reaches other instances.

const { inspect } = require('node:util')
const { request } = require('../support/request')
const { until } = require('../support/until')
const { overRedis } = require('../support/services')

const ID = 'DB_PASSWORD_production'
const world = overRedis({ [ID]: 'old' })
const tools = { db: { secrets: { password: { rotationType: 'database-credentials' } } } }

/** @param {object} [rotation] @param {(message: string) => void} [warn] */
function service(rotation = {}, warn = () => {}) {
  return world.deliver({}, { tools, rotation, logger: { warn } })
}

class DriverError extends Error {
  name = 'DatabaseError'
  /** @param {string} message @param {string} code */
  constructor(message, code) {
    super(message)
    this.code = code
  }
}

describe('rotate', () => {
  test('gives a report, and the new value to every reader', async () => {
    const [delivery, other] = [service(), service()]
    expect(await delivery.getSecret('DB_PASSWORD')).toBe('old')
    expect(await other.getSecret('DB_PASSWORD')).toBe('old')
    const report = await delivery.rotation.rotate('DB_PASSWORD')
    expect(report).toEqual({
      name: 'DB_PASSWORD',
      environment: 'production',
      awsId: ID,
      rotationType: 'database-credentials',
      outcome: 'finished',
      resumed: false,
      byAws: false,
      byAnotherInstance: false,
      startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      endedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      steps: ['create', 'finish'].map((step) => ({
        step,
        startedAt: expect.any(String),
        durationMs: expect.any(Number),
        error: null,
      })),
      previousVersionId: expect.any(String),
      versionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      error: null,
    })
    const value = await delivery.getSecret('DB_PASSWORD')
    expect(value).toMatch(/^[A-Za-z0-9]{32}$/)
    await until('the other one has it', async () => (await other.getSecret('DB_PASSWORD')) === value)
    expect(await delivery.getSecretVersions('DB_PASSWORD')).toEqual({
      current: { value, versionId: report.versionId, createdAt: expect.any(String) },
      previous: { value: 'old', versionId: report.previousVersionId, createdAt: expect.any(String) },
      pending: null,
    })
    expect(delivery.metrics.snapshot().rotations).toEqual({ finished: 1, unverified: 0, failed: 0, 'rolled-back': 0 })
  })

  test('has a documented form that says whether the new value is live', async () => {
    const delivery = service()
    expect(await delivery.rotateSecret('DB_PASSWORD', 'production')).toBe(true)
    expect(await delivery.rotation.rotateSecret('DB_PASSWORD', 'prod')).toBe(true)
    expect(await delivery.rotateSecret('DB_NOTHING', 'production')).toBe(false)
    await expect(delivery.rotateSecret('DB_PASSWORD', 'qa')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(delivery.rotation.rotate('../x')).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' })
    await delivery.close()
    await expect(delivery.rotation.rotate('DB_PASSWORD')).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('hooks', () => {
  test('are called in order, as methods, with both values', async () => {
    const calls = []
    const note = (/** @type {string} */ name) =>
      async function (/** @type {any} */ context) {
        calls.push([name, context.currentValue(), context.newValue(), context.versionId, this === hooks])
      }
    const hooks = { set: note('set'), test: note('test'), verify: note('verify') }
    const delivery = service({ hooks })
    const { outcome, versionId, steps } = await delivery.rotation.rotate('DB_PASSWORD')
    expect(outcome).toBe('finished')
    const value = await delivery.getSecret('DB_PASSWORD')
    expect(calls).toEqual(['set', 'test', 'verify'].map((name) => [name, 'old', value, versionId, true]))
    expect(steps.map(({ step }) => step)).toEqual(['create', 'set', 'test', 'finish', 'verify'])
  })

  test('may make the value, also without a promise', async () => {
    const seen = []
    const delivery = service({
      hooks: {
        create(context) {
          seen.push(context.tool, context.secretType, context.rotationType, context.versionId)
          expect(() => context.newValue()).toThrow('not there yet')
          return `${context.currentValue()}er`
        },
      },
    })
    expect((await delivery.rotation.rotate('DB_PASSWORD')).outcome).toBe('finished')
    expect(await delivery.getSecret('DB_PASSWORD')).toBe('older')
    expect(seen).toEqual(['db', 'password', 'database-credentials', null])
  })

  test('never give a value away: not in what they are told, nor by what they throw', async () => {
    const printed = []
    let kept
    const delivery = service(
      {
        hooks: {
          test(context) {
            kept = context
            printed.push(inspect(context, { showHidden: true, depth: 9, getters: true }), JSON.stringify(context))
            throw new DriverError(`password '${context.newValue()}' was refused`, '28P01')
          },
        },
      },
      (message) => printed.push(message),
    )
    const report = await delivery.rotation.rotate('DB_PASSWORD')
    expect(report.error).toEqual({
      code: 'ROTATION_FAILED',
      message: `${ID}: the test hook failed: DatabaseError 28P01`,
    })
    // Nothing was set anywhere, so the value was given up at once; AWS keeps it without a label.
    const { pending } = await delivery.getSecretVersions('DB_PASSWORD')
    expect(pending).toBeNull()
    expect(() => kept.newValue()).toThrow('after it had ended')
    const text = printed.concat(JSON.stringify(report)).join('\n')
    expect(text).toContain('DB_PASSWORD')
    expect(text).not.toMatch(/'old'|"old"|[A-Za-z0-9]{32}/)
  })

  test('that fail in any way leave the old value live', async () => {
    const failures = [
      () => Promise.reject(new Error('no')),
      () => {
        throw null // eslint-disable-line no-throw-literal
      },
      () => {
        throw 'text'
      },
      () => new Promise(() => {}),
      async () => false,
    ]
    for (const fail of failures) {
      const delivery = service({ hooks: { test: /** @type {any} */ (fail) }, hookTimeoutMs: 100 })
      const { outcome, error } = await delivery.rotation.rotate('DB_PASSWORD')
      expect([outcome, error?.code]).toEqual(['failed', 'ROTATION_FAILED'])
      expect(await delivery.getSecret('DB_PASSWORD')).toBe('old')
    }
    for (const nothing of [undefined, '', 7, {}]) {
      const delivery = service({ hooks: { create: () => /** @type {any} */ (nothing) } })
      expect((await delivery.rotation.rotate('DB_PASSWORD')).error?.message).toContain('gave no value')
    }
  })

  test('that refuse the live value have it taken back', async () => {
    const undone = []
    const warnings = []
    const hooks = {
      verify: () => Promise.reject(new Error('no')),
      undo: (context) => void undone.push(context.currentValue()),
    }
    const delivery = service({ hooks }, (message) => warnings.push(message.split(':')[0]))
    expect(await delivery.getSecret('DB_PASSWORD')).toBe('old')
    const { outcome, error } = await delivery.rotation.rotate('DB_PASSWORD')
    expect([outcome, error?.code, undone]).toEqual(['rolled-back', 'ROTATION_ROLLED_BACK', ['old']])
    expect(await delivery.getSecret('DB_PASSWORD')).toBe('old')
    await until('the warning', () => warnings.includes('ROTATION_ROLLED_BACK'))
    expect(await delivery.rotateSecret('DB_PASSWORD', 'production')).toBe(false)
  })
})

test('close ends a rotation that waits for its hook; the next one goes on with the same value', async () => {
  let value
  const hanging = service({
    hooks: {
      set: async () => {},
      test: (context) => {
        value = context.newValue()
        return new Promise(() => {})
      },
    },
  })
  const rotation = hanging.rotation.rotate('DB_PASSWORD')
  const refused = expect(rotation).rejects.toMatchObject({ code: 'CLOSED' })
  await until('the hook is called', () => value !== undefined)
  await hanging.close()
  await refused
  const { outcome, resumed } = await service({ hooks: { set: async () => {} } }).rotation.rotate('DB_PASSWORD')
  expect([outcome, resumed]).toEqual(['finished', true])
  expect(await service().getSecret('DB_PASSWORD')).toBe(value)
})

test('instances that rotate at the same time make one version', async () => {
  const all = Array.from({ length: 4 }, () => service())
  const reports = await Promise.all(all.map((delivery) => delivery.rotation.rotate('DB_PASSWORD')))
  expect(new Set(reports.map(({ outcome }) => outcome))).toEqual(new Set(['finished']))
  expect(new Set(reports.map(({ versionId }) => versionId)).size).toBe(1)
  // Redis lets one of them work; when it does not answer in time, another one may as well, and makes the same version.
  expect(reports.filter(({ byAnotherInstance }) => !byAnotherInstance).length).toBeGreaterThan(0)
  const { previous } = await all[0].getSecretVersions('DB_PASSWORD')
  expect(previous?.value).toBe('old')
})

describe('the calendar', () => {
  test('names the documented policies, and own ones in their place', () => {
    const own = { secretType: 'api-tokens', rotationInterval: 30, notificationDays: 5 }
    const { policies } = service({ policies: [own, { secretType: 'own', rotationInterval: 1 }] }).rotation
    const shown = policies.map((policy) => [
      policy.secretType,
      policy.rotationInterval,
      policy.rotationTime,
      policy.notificationDays,
      policy.rollbackEnabled,
    ])
    expect(shown).toEqual([
      ['api-tokens', 30, '03:00', 5, true],
      ['database-credentials', 90, '02:00', 7, true],
      ['oauth-credentials', 180, '01:00', 14, false],
      ['own', 1, '02:00', 0, true],
    ])
    expect(() => /** @type {any} */ (policies).push({})).toThrow()
  })

  test('says when each declared secret is due', async () => {
    const [entry] = await service().rotation.due()
    const rotated = Date.parse(/** @type {string} */ (entry.rotatedAt))
    expect(Math.abs(Date.now() - rotated)).toBeLessThan(60_000)
    const day = 86_400_000
    const due = Math.floor(rotated / day) * day + 90 * day + 2 * 3_600_000
    expect(entry).toEqual({
      name: 'DB_PASSWORD',
      tool: 'db',
      secretType: 'password',
      rotationType: 'database-credentials',
      policy: 'database-credentials',
      state: 'later',
      versionId: expect.any(String),
      rotatedAt: expect.any(String),
      noticeAt: new Date(due - 7 * day).toISOString(),
      dueAt: new Date(due).toISOString(),
      by: 'hand',
      why: expect.stringContaining('create or set hook'),
      error: null,
    })
  })

  test('is followed by one instance of a fleet', async () => {
    const long = Math.floor(Date.now() / 1000) - 400 * 86_400
    await request(`${world.aws.url}/_control/date`, 'POST', { secret: ID, unixSeconds: long })
    const notices = []
    const fleet = Array.from({ length: 3 }, () => service({ jitterSeconds: 0, hooks: { set: async () => {} } }))
    for (const delivery of fleet) {
      delivery.rotation.onNotice((notice) => notices.push(notice))
      expect(delivery.rotation.start()).toBe(true)
    }
    await until('it is rotated', () => notices.length > 0)
    expect(notices[0]).toMatchObject({ kind: 'ended', report: { outcome: 'finished', awsId: ID } })
    await Promise.all(fleet.map((delivery) => delivery.rotation.due()))
    expect(notices).toHaveLength(1)
    const { previous } = await fleet[0].getSecretVersions('DB_PASSWORD')
    expect(previous?.value).toBe('old')
    for (const delivery of fleet) delivery.rotation.stop()
  })
})
