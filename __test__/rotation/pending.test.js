'use strict'

// The label AWSPENDING of others, values that people put during a rotation, and hooks of single secrets.

const { overRedis } = require('../support/services')
const { until } = require('../support/until')

const ID = 'DB_PASSWORD_production'
const world = overRedis({ [ID]: 'old', API_KEY_production: 'api' })
const tools = {
  db: { secrets: { password: { rotationType: 'database-credentials' } } },
  api: { secrets: { key: { rotationType: 'api-tokens' } } },
}

/** @param {object} [rotation] @param {(message: string) => void} [warn] */
function service(rotation = {}, warn = () => {}) {
  return world.deliver({}, { tools, rotation, logger: { warn } })
}

/** @param {string} label */
async function holder(label, id = ID) {
  return (await world.aws.versions(id)).find(({ labels }) => labels.includes(label))
}

const fail = async () => {
  throw new Error('the database is away')
}

describe('a value that a rotation with hooks left half-way', () => {
  test('is not made live by a rotation without hooks, and is by one with them', async () => {
    const failed = await service({ hooks: { set: fail } }).rotation.rotate('DB_PASSWORD')
    expect(failed.outcome).toBe('failed')
    const left = await holder('AWSPENDING')
    expect(left).toBeDefined()

    const refused = await service().rotation.rotate('DB_PASSWORD')
    expect(refused).toMatchObject({ outcome: 'failed', error: { code: 'ROTATION_FAILED' } })
    expect(refused.error?.message).toContain(left?.versionId)
    expect(refused.error?.message).toMatch(/AWSPENDING.*with the hooks/)
    expect([(await holder('AWSCURRENT'))?.value, (await holder('AWSPENDING'))?.versionId]).toEqual([
      'old',
      left?.versionId,
    ])

    const set = jest.fn(async () => {})
    const finished = await service({ hooks: { set } }).rotation.rotate('DB_PASSWORD')
    expect(finished).toMatchObject({ outcome: 'finished', resumed: true, versionId: left?.versionId })
    expect(set).toHaveBeenCalledTimes(1)
  })

  test('one that a rotation without hooks left is finished without hooks', async () => {
    await world.aws.fault({
      action: { error: { status: 400, code: 'InvalidRequestException' } },
      match: { operation: 'UpdateSecretVersionStage' },
    })
    expect((await service().rotation.rotate('DB_PASSWORD')).outcome).toBe('failed')
    const left = await holder('AWSPENDING')
    await world.aws.clearFaults()
    const finished = await service().rotation.rotate('DB_PASSWORD')
    expect(finished).toMatchObject({ outcome: 'finished' })
    expect((await holder('AWSCURRENT'))?.versionId).toBe(finished.versionId)
    expect(left === undefined || left.versionId === finished.versionId).toBe(true)
  }, 60_000)
})

describe('what people put', () => {
  const put = (/** @type {string} */ value, /** @type {string[] | undefined} */ stages) =>
    world.aws.ask('PutSecretValue', { SecretId: ID, SecretString: value, ...(stages && { VersionStages: stages }) })

  test.each([{}, { hooks: { set: async () => {} } }])(
    'as AWSPENDING keeps its label: the rotation says who has it (%j)',
    async (rotation) => {
      await put('theirs', ['AWSPENDING'])
      const theirs = await holder('AWSPENDING')
      const { outcome, error } = await service(rotation).rotation.rotate('DB_PASSWORD')
      expect(outcome).toBe('failed')
      expect(error?.message).toContain(theirs?.versionId)
      expect(error?.message).toContain('--version-stage AWSPENDING --remove-from-version-id')
      expect((await holder('AWSPENDING'))?.value).toBe('theirs')
      await world.aws.ask('UpdateSecretVersionStage', {
        SecretId: ID,
        VersionStage: 'AWSPENDING',
        RemoveFromVersionId: theirs?.versionId,
      })
      expect((await service(rotation).rotation.rotate('DB_PASSWORD')).outcome).toBe('finished')
    },
  )

  test('as the live value while hooks run stays live, and the target system is put back', async () => {
    const seen = []
    const hooks = {
      async set() {
        await put('by hand')
      },
      async undo(/** @type {any} */ context) {
        seen.push(context.currentValue())
      },
    }
    const { outcome, error } = await service({ hooks }).rotation.rotate('DB_PASSWORD')
    expect(outcome).toBe('failed')
    expect(error?.code).toBe('ROTATION_FAILED')
    expect((await holder('AWSCURRENT'))?.value).toBe('by hand')
    expect(await holder('AWSPENDING')).toBeUndefined()
    // Not the one that was live before: what is live opens the door.
    expect(seen).toEqual(['by hand'])
    expect(error?.message).toContain((await holder('AWSCURRENT'))?.versionId)
    expect(error?.message).not.toContain('the old value stays live')
  })

  test.each([
    ['a field, of what is live', { username: 'app', host: 'db2' }, 'unverified', 0],
    ['a password by hand', { username: 'app', password: 'by hand' }, 'failed', 1],
    ['a field, of what was live before', { username: 'app', password: 'old', host: 'db2' }, 'failed', 1],
  ])(
    'while a live value is found wrong stays, and the target system has it: %s',
    async (_, change, outcome, undone) => {
      const old = { username: 'app', password: 'old' }
      await put(JSON.stringify(old))
      const target = { password: 'old', undone: 0 }
      const password = (/** @type {string} */ secret) => JSON.parse(secret).password
      const report = await service({
        hooks: {
          set: (/** @type {any} */ context) => void (target.password = password(context.newValue())),
          async verify(/** @type {any} */ context) {
            await put(JSON.stringify({ ...JSON.parse(context.newValue()), ...change }))
            await fail()
          },
          undo(/** @type {any} */ context) {
            target.password = password(context.currentValue())
            target.undone++
          },
        },
      }).rotation.rotate('DB_PASSWORD')
      const live = await holder('AWSCURRENT')
      expect([report.outcome, target.undone, password(live?.value ?? '')]).toEqual([outcome, undone, target.password])
      expect(report.error?.message).toContain(`Version ${live?.versionId}, which another writer put meanwhile, is live`)
      expect(await holder('AWSPENDING')).toBeUndefined()
    },
  )
})

describe('whatever a hook throws', () => {
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }
  test.each([
    ['nothing', undefined],
    ['a text', 'text'],
    ['an error that cannot be read', Object.defineProperty({}, 'name', { get: () => BigInt('x') })],
    ['a code that cannot be read', Object.defineProperty(new Error('x'), 'code', { get: () => BigInt('x') })],
    ['a revoked proxy', revoked()],
    ['a symbol', Symbol('x')],
  ])('the rotation has failed, and the process goes on: %s', async (_, thrown) => {
    const hooks = { set: () => Promise.reject(thrown), undo: () => Promise.reject(thrown) }
    const { outcome, error } = await service({ hooks }).rotation.rotate('DB_PASSWORD')
    expect([outcome, error?.code]).toEqual(['failed', 'ROTATION_FAILED'])
    expect((await holder('AWSCURRENT'))?.value).toBe('old')
    const refused = await service()
      .withSecret('db', 'password', () => Promise.reject(thrown))
      .then(
        () => 'done',
        (error) => error === thrown,
      )
    expect(refused).toBe(true)
  })
})

describe('hooks of single secrets', () => {
  test('are called for theirs, and the others for the rest', async () => {
    /** @type {[string, string][]} */
    const calls = []
    const noting = (/** @type {string} */ who) => ({
      async set(/** @type {any} */ { name }) {
        calls.push([who, name])
      },
    })
    const delivery = service({ hooks: noting('all'), hooksOf: { DB_PASSWORD: noting('own') } })
    for (const name of ['DB_PASSWORD', 'API_KEY'])
      expect((await delivery.rotation.rotate(name)).outcome).toBe('finished')
    expect(calls).toEqual([
      ['own', 'DB_PASSWORD'],
      ['all', 'API_KEY'],
    ])
  })

  test('a secret without any is due by hand', async () => {
    for (const rotation of [
      { hooksOf: { DB_PASSWORD: { set: async () => {} } } },
      { hooks: { set: async () => {} }, hooksOf: { API_KEY: null } },
    ]) {
      const delivery = service(rotation)
      const due = Object.fromEntries((await delivery.rotation.due()).map(({ name, by, why }) => [name, [by, why]]))
      expect(due.DB_PASSWORD).toEqual(['scheduler', null])
      expect(due.API_KEY).toEqual(['hand', expect.stringContaining('no create or set hook')])
    }
  })

  test('may be methods of a class', async () => {
    class Postgres {
      #values
      /** @param {string[]} values */
      constructor(values) {
        this.#values = values
      }
      async set(/** @type {any} */ context) {
        this.#values.push(context.newValue())
      }
    }
    /** @type {string[]} */
    const given = []
    const postgres = new Postgres(given)
    const delivery = service({ hooksOf: { DB_PASSWORD: postgres } })
    await delivery.rotation.rotate('DB_PASSWORD')
    const live = await delivery.getSecret('DB_PASSWORD')
    await until('it is there', async () => given.length === 1)
    expect(given).toEqual([live])
  })

  test.each([
    [{ hooksOf: [] }, 'options.rotation.hooksOf'],
    [{ hooksOf: 5 }, 'options.rotation.hooksOf'],
    [{ hooksOf: { DB_PASSWORD: { set: 5 } } }, 'options.rotation.hooksOf.DB_PASSWORD.set'],
    [{ hooksOf: { DB_PASSWORD: { sett() {} } } }, 'options.rotation.hooksOf.DB_PASSWORD.sett'],
    [{ hooksOf: { 'a/b': { set() {} } } }, 'options.rotation.hooksOf.a/b'],
    [{ hooksOf: { DB_LOGIN: { set() {} } } }, 'options.rotation.hooksOf.DB_LOGIN is not declared'],
    [
      { hooksOf: { db_password: { set() {} } } },
      "is not declared under options.tools or options.secrets; did you mean 'DB_PASSWORD'?",
    ],
  ])('refused: %j', (rotation, path) => {
    expect(() => service(/** @type {any} */ (rotation))).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(path) }),
    )
  })
})
