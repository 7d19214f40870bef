'use strict'

// `withSecret`: a call that goes on with a newer, a pending or an older secret when the one it had was refused.

const { until } = require('../support/until')
const { overRedis } = require('../support/services')

const ID = 'DB_PASSWORD_production'
const world = overRedis({ [ID]: 'old' })

/** A system that accepts one password, and counts. */
class Target {
  /** @type {string[]} */
  tries = []
  /** @param {string} accepted @param {object} [refusal] */
  constructor(accepted, refusal = { code: '28P01' }) {
    this.accepted = accepted
    this.connect = async (/** @type {string} */ password) => {
      this.tries.push(password)
      if (password !== this.accepted) throw Object.assign(new Error('refused'), refusal)
      return 'connected'
    }
  }
}

test('nothing but a read while the secret is right', async () => {
  const delivery = world.deliver()
  const target = new Target('old')
  expect(await delivery.withSecret('db', 'password', target.connect)).toBe('connected')
  await world.aws.resetCalls()
  expect(await delivery.withSecret('db', 'password', target.connect)).toBe('connected')
  expect([target.tries, (await world.aws.calls()).total]).toEqual([['old', 'old'], 0])
})

test('a secret that changed elsewhere is read anew', async () => {
  const delivery = world.deliver()
  expect(await delivery.getSecret('DB_PASSWORD')).toBe('old')
  await world.aws.put({ [ID]: 'new' })
  const target = new Target('new')
  expect(await delivery.withSecret('db', 'password', target.connect)).toBe('connected')
  expect(target.tries).toEqual(['old', 'new'])
  expect(await delivery.getSecret('DB_PASSWORD')).toBe('new')
})

test('a target that is ahead of AWS gets the pending version, one that is behind the previous', async () => {
  const delivery = world.deliver(
    {},
    { rotation: { hooks: { set: async () => {}, test: () => Promise.reject(new Error()) } }, logger: { warn() {} } },
  )
  expect((await delivery.rotation.rotate('DB_PASSWORD')).outcome).toBe('failed')
  const { pending } = await delivery.getSecretVersions('DB_PASSWORD')
  const ahead = new Target(/** @type {any} */ (pending).value)
  expect(await delivery.withSecret('db', 'password', ahead.connect)).toBe('connected')
  expect(ahead.tries).toEqual(['old', pending?.value])
  await world.aws.put({ [ID]: 'new' })
  const behind = new Target('old')
  await delivery.refresh('DB_PASSWORD')
  expect(await delivery.withSecret('db', 'password', behind.connect)).toBe('connected')
  expect(behind.tries.at(-1)).toBe('old')
})

/** A delivery whose rotation stopped half-way, and the version that is being tried. */
async function halfWay() {
  const hooks = { set: async () => {}, test: () => Promise.reject(new Error()) }
  const delivery = world.deliver({}, { rotation: { hooks }, logger: { warn() {} } })
  expect((await delivery.rotation.rotate('DB_PASSWORD')).outcome).toBe('failed')
  const { pending } = await delivery.getSecretVersions('DB_PASSWORD')
  return { delivery, pending: /** @type {any} */ (pending).value }
}

test('a target that is put back while the pending version is tried lets in with the live one after all', async () => {
  const { delivery, pending } = await halfWay()
  const target = new Target(pending)
  const connect = (/** @type {string} */ password) => {
    if (password === pending) target.accepted = 'old'
    return target.connect(password)
  }
  expect(await delivery.withSecret('db', 'password', connect, { timeoutMs: 3000 })).toBe('connected')
  expect(target.tries).toEqual(['old', pending, 'old'])
})

test('while the target is ahead of AWS, not every caller asks AWS which version it has', async () => {
  const { delivery, pending } = await halfWay()
  const target = new Target(pending)
  await delivery.getSecret('DB_PASSWORD')
  await world.aws.resetCalls()
  for (let i = 0; i < 50; i++) await delivery.withSecret('db', 'password', target.connect)
  expect((await world.aws.calls()).total).toBeLessThanOrEqual(4)
  expect(target.tries).toHaveLength(51)
  // Put back, it is entered with the live version again, and that is what comes first from then on.
  target.accepted = 'old'
  target.tries = []
  for (let i = 0; i < 2; i++) await delivery.withSecret('db', 'password', target.connect)
  expect(target.tries).toEqual([pending, 'old', 'old'])
  // A newer live version ends it as well.
  target.accepted = pending
  await delivery.withSecret('db', 'password', target.connect)
  await world.aws.put({ [ID]: 'newer' })
  await delivery.refresh('DB_PASSWORD')
  target.accepted = 'newer'
  target.tries = []
  await delivery.withSecret('db', 'password', target.connect)
  expect(target.tries).toEqual(['newer'])
})

test('a secret that is not right yet is waited for', async () => {
  const delivery = world.deliver()
  const target = new Target('soon')
  const call = delivery.withSecret('db', 'password', target.connect)
  await until('it was refused', () => target.tries.length === 1)
  await world.aws.put({ [ID]: 'soon' })
  expect(await call).toBe('connected')
})

test('what drivers call a refusal is one, and nothing else is', async () => {
  const refusals = [
    { code: '28P01' },
    { code: '28000' },
    { errno: 1045 },
    { code: 'ER_ACCESS_DENIED_ERROR' },
    { code: 18 },
    { message: 'WRONGPASS invalid username-password pair or user is disabled.' },
    { message: 'NOAUTH Authentication required.' },
    { status: 401 },
    { statusCode: 403 },
    { response: { status: 401 } },
    { cause: { code: '28P01' } },
  ]
  for (const refusal of refusals) {
    await world.aws.put({ [ID]: 'new' })
    const delivery = world.deliver()
    await delivery.cache.set('DB_PASSWORD', 'old')
    const target = new Target('new', refusal)
    expect([refusal, await delivery.withSecret('db', 'password', target.connect)]).toEqual([refusal, 'connected'])
  }
  for (const failure of [{ code: 'ECONNREFUSED' }, { status: 500 }, { message: 'a WRONGPASS' }, {}]) {
    const error = Object.assign(new Error('other'), failure)
    const call = world.deliver().withSecret('db', 'password', () => Promise.reject(error))
    await expect(call).rejects.toBe(error)
  }
  const thrown = world.deliver().withSecret('db', 'password', () => {
    throw undefined
  })
  await expect(thrown).rejects.toBe(undefined)
})

test('an own predicate decides instead', async () => {
  await world.aws.put({ [ID]: 'new' })
  const delivery = world.deliver()
  await delivery.cache.set('DB_PASSWORD', 'old')
  const target = new Target('new', { code: 'MINE' })
  const isAuthError = (/** @type {any} */ error) => error.code === 'MINE'
  expect(await delivery.withSecret('db', 'password', target.connect, { isAuthError })).toBe('connected')
})

test('a password that is wrong everywhere gives the refusal, and does not hammer AWS', async () => {
  const delivery = world.deliver()
  const target = new Target('never in AWS')
  await delivery.getSecret('DB_PASSWORD')
  await world.aws.resetCalls()
  const call = () => delivery.withSecret('db', 'password', target.connect, { timeoutMs: 500 })
  await expect(call()).rejects.toMatchObject({ code: '28P01' })
  const once = (await world.aws.calls()).total
  expect(once).toBeGreaterThan(0)
  const refused = await Promise.allSettled(Array.from({ length: 200 }, call))
  expect(refused.every(({ status }) => status === 'rejected')).toBe(true)
  expect((await world.aws.calls()).total).toBe(once)
  expect(new Set(target.tries)).toEqual(new Set(['old']))
})

test('a hundred callers that are refused at once share what they look up', async () => {
  const delivery = world.deliver()
  await delivery.getSecret('DB_PASSWORD')
  await world.aws.put({ [ID]: 'new' })
  const target = new Target('new')
  await world.aws.resetCalls()
  const all = Array.from({ length: 100 }, () => delivery.withSecret('db', 'password', target.connect))
  expect(new Set(await Promise.all(all))).toEqual(new Set(['connected']))
  expect((await world.aws.calls()).total).toBeLessThanOrEqual(4)
})

test('while AWS fails the refusal is what the caller gets', async () => {
  const delivery = world.deliver()
  await delivery.getSecret('DB_PASSWORD')
  await world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
  const call = delivery.withSecret('db', 'password', new Target('new').connect, { timeoutMs: 300 })
  await expect(call).rejects.toMatchObject({ code: '28P01' })
})

test('close() ends a call that looks for another value', async () => {
  const delivery = world.deliver()
  const target = new Target('never in AWS')
  const call = delivery.withSecret('db', 'password', target.connect, { timeoutMs: 60_000 })
  const ended = expect(call).rejects.toMatchObject({ code: 'CLOSED' })
  await until('it waits', async () => ((await world.aws.calls()).byOperation.GetSecretValue ?? 0) > 8)
  const started = performance.now()
  await delivery.close()
  await ended
  expect(performance.now() - started).toBeLessThan(1000)
})

test('wrong arguments and a missing secret are refused by code', async () => {
  const delivery = world.deliver()
  const use = async () => 1
  const refused = [
    [() => delivery.withSecret('../x', 'b', use), 'SECRET_NAME_INVALID'],
    [() => delivery.withSecret('db', 'password', /** @type {any} */ ('use')), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'password', use, { timeoutMs: -1 }), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'password', use, { isAuthError: /** @type {any} */ (1) }), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'nothing', use), 'SOURCE_UNAVAILABLE'],
  ]
  for (const [call, code] of refused) await expect(call()).rejects.toMatchObject({ code })
  await delivery.close()
  await expect(delivery.withSecret('db', 'password', use)).rejects.toMatchObject({ code: 'CLOSED' })
})
