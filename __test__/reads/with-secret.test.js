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
  const target = new Target('old')
  /** @type {(value?: unknown) => void} */
  let tried = () => {}
  const whenTried = new Promise((resolve) => (tried = resolve))
  const hooks = {
    set: async (/** @type {any} */ context) => void (target.accepted = context.newValue()),
    test: async () => {
      await whenTried
      throw new Error('refused')
    },
    undo: async () => {},
  }
  const delivery = world.deliver({}, { rotation: { hooks }, logger: { warn() {} } })
  const rotation = delivery.rotation.rotate('DB_PASSWORD')
  await until('the target has the new value', () => target.accepted !== 'old')
  const pending = target.accepted
  const connect = (/** @type {string} */ password) => {
    if (password === pending) {
      target.accepted = 'old'
      tried()
    }
    return target.connect(password)
  }
  expect(await delivery.withSecret('db', 'password', connect, { timeoutMs: 5000 })).toBe('connected')
  expect(target.tries.length).toBeLessThanOrEqual(5)
  expect([target.tries.slice(0, 2), target.tries.at(-1)]).toEqual([['old', pending], 'old'])
  expect((await rotation).outcome).toBe('failed')
})

test('while a rotation is stuck each value is tried once, and the pending one twice, by all callers together', async () => {
  const { delivery, pending } = await halfWay()
  await world.aws.put({ [ID]: 'live' })
  await delivery.refresh('DB_PASSWORD')
  const target = new Target('none of them')
  const call = () => delivery.withSecret('db', 'password', target.connect, { timeoutMs: 4000 })
  await expect(call()).rejects.toMatchObject({ code: '28P01' })
  const times = (/** @type {string} */ value) => target.tries.filter((tried) => tried === value).length
  expect(['live', 'old', pending].map(times)).toEqual([1, 1, 2])
  // For a while it is known to be refused.
  const more = await Promise.allSettled(Array.from({ length: 50 }, call))
  expect(new Set(more.map((one) => one.status === 'rejected' && one.reason.code))).toEqual(new Set(['28P01']))
  expect(target.tries).toHaveLength(4)
  // A new version ends that.
  await world.aws.put({ [ID]: 'none of them' })
  await delivery.refresh('DB_PASSWORD')
  expect(await call()).toBe('connected')
})

test('callers that begin while values are tried do not try them as well', async () => {
  const { delivery, pending } = await halfWay()
  const target = new Target(pending)
  const slow = async (/** @type {string} */ password) => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    return target.connect(password)
  }
  const first = delivery.withSecret('db', 'password', slow)
  await until('the live one was refused', () => target.tries.length === 1)
  const others = Array.from({ length: 30 }, () => delivery.withSecret('db', 'password', slow))
  expect(await Promise.all([first, ...others])).toEqual(Array.from({ length: 31 }, () => 'connected'))
  expect(target.tries.filter((tried) => tried === 'old')).toHaveLength(1)
})

test('what was accepted instead of the live version is not handed out once it was dropped', async () => {
  const { delivery, pending } = await halfWay()
  const target = new Target(pending)
  await delivery.withSecret('db', 'password', target.connect)
  await world.aws.remove(ID)
  await delivery.cache.invalidate('DB_PASSWORD')
  target.tries = []
  await expect(delivery.withSecret('db', 'password', target.connect)).rejects.toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
  })
  expect(target.tries).toEqual([])
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

const err = (/** @type {string} */ message, /** @type {object} */ members = {}) =>
  Object.assign(new Error(message), members)

test('what drivers call a refusal is one', async () => {
  const refusals = [
    err('x', { code: '28P01' }),
    err('role "app_2" does not exist', { code: '28000' }),
    err('FATAL: SASL authentication failed', { code: '08P01' }),
    err("Access denied for user 'app'@'%'", { errno: 1045 }),
    err('x', { code: 'ER_ACCESS_DENIED_ERROR' }),
    err('x', { code: 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR', errno: 1698 }),
    err('Login failed', { number: 18456 }),
    err('Authentication failed.', { code: 18, codeName: 'AuthenticationFailed' }),
    err('bad auth : Authentication failed.', { code: 8000, codeName: 'AtlasError' }),
    err('x', { name: 'PrismaClientInitializationError', errorCode: 'P1000' }),
    err('WRONGPASS invalid username-password pair or user is disabled.'),
    err('NOAUTH Authentication required.'),
    err('16 UNAUTHENTICATED: expired', { code: 16, details: 'expired' }),
    err(
      'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused using …"',
    ),
    err('x', { status: 401 }),
    err('x', { statusCode: 403 }),
    err('x', { response: { status: 401, headers: new Headers() } }),
    err('x', { cause: { code: '28P01' } }),
    err('x', { cause: err('y', { cause: new AggregateError([err('z'), err('z', { code: 'ELOGIN' })]) }) }),
    new AggregateError([err('Login failed.', { code: 'ELOGIN' })], ''),
  ]
  for (const refusal of refusals) {
    await world.aws.put({ [ID]: 'new' })
    const delivery = world.deliver()
    await delivery.cache.set('DB_PASSWORD', 'old')
    const use = async (/** @type {string} */ password) => {
      if (password !== 'new') throw refusal
      return 'connected'
    }
    expect([refusal, await delivery.withSecret('db', 'password', use)]).toEqual([refusal, 'connected'])
  }
})

test('a refusal for another reason is thrown at once', async () => {
  const circular = err('x')
  Object.assign(circular, { cause: circular })
  const others = [
    err('other'),
    err('x', { code: 'ECONNREFUSED' }),
    err('x', { status: 500 }),
    err('x', { status: 429 }),
    err('a WRONGPASS'),
    err('no pg_hba.conf entry for host "10.0.0.1"', { code: '28000' }),
    err('invalid frontend message type 80', { code: '08P01' }),
    err('x', { code: 'ER_DBACCESS_DENIED_ERROR', errno: 1044 }),
    err('user is not allowed to do action [find]', { code: 8000, codeName: 'AtlasError' }),
    err('not authorized on shop', { code: 13, codeName: 'Unauthorized' }),
    err('NOPERM this user has no permissions to run the command'),
    err('7 PERMISSION_DENIED: no', { code: 7, details: 'no' }),
    err('8 RESOURCE_EXHAUSTED: quota', { code: 8, details: 'quota' }),
    err("403 (ACCESS-REFUSED) with message \"ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user\""),
    err('API rate limit exceeded', { status: 403 }),
    err('x', { status: 403, response: { headers: { 'x-ratelimit-remaining': '0' } } }),
    err('x', { response: { status: 403, headers: new Headers({ 'retry-after': '60' }) } }),
    err('x', { response: { status: 401, headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' } } }),
    err('x', { response: { status: 403, data: { error: 'insufficient_scope' } } }),
    err('x', { response: { statusCode: 403, body: { error: 'insufficient_scope' } } }),
    err('Resource not accessible by personal access token', { status: 403 }),
    circular,
  ]
  const delivery = world.deliver()
  for (const error of others) {
    let tries = 0
    const call = delivery.withSecret('db', 'password', () => {
      tries++
      return Promise.reject(error)
    })
    await expect(call).rejects.toBe(error)
    expect([error, tries]).toEqual([error, 1])
  }
  const thrown = delivery.withSecret('db', 'password', () => {
    throw undefined
  })
  await expect(thrown).rejects.toBe(undefined)
})

test('fetch, which does not throw for a refusal, is followed as well', async () => {
  await world.aws.put({ [ID]: 'new' })
  const delivery = world.deliver()
  await delivery.cache.set('DB_PASSWORD', 'old')
  const seen = []
  const answers = (accepted, init = {}) =>
    delivery.withSecret(
      'db',
      'password',
      async (secret) => {
        seen.push(secret)
        return secret === accepted ? new Response('welcome') : new Response('go away', { status: 401, ...init })
      },
      { timeoutMs: 500 },
    )
  expect(await (await answers('new')).text()).toBe('welcome')
  expect(seen.splice(0)).toEqual(['old', 'new'])
  // A right that is missing, or a limit, is no wrong credential.
  for (const init of [{ status: 403 }, { headers: { 'retry-after': '1' } }, { status: 500 }]) {
    expect((await answers('none', init)).ok).toBe(false)
    expect(seen.splice(0)).toHaveLength(1)
  }
  // Refused whatever is tried: the caller's own answer, and for those who come meanwhile one without a body.
  const refused = await answers('none', { headers: { 'x-request': '7' } })
  expect([refused.status, await refused.text()]).toEqual([401, 'go away'])
  seen.length = 0
  const spared = await answers('none')
  expect([spared.status, spared.headers.get('x-request'), await spared.text(), seen]).toEqual([401, '7', '', []])
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

test('a signal ends the wait, and no other value is tried', async () => {
  const delivery = world.deliver()
  await world.aws.put({ [ID]: 'old' })
  const [target, stop] = [new Target('another'), new AbortController()]
  const call = delivery.withSecret('db', 'password', target.connect, { timeoutMs: 60_000, signal: stop.signal })
  await until('the live value was refused', async () => target.tries.length === 1)
  stop.abort(new Error('no longer needed'))
  await expect(call).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'no longer needed' } })
  await world.aws.put({ [ID]: 'new' })
  await delivery.refresh('DB_PASSWORD')
  expect(await delivery.getSecret('DB_PASSWORD')).toBe('new')
  expect(target.tries).toEqual(['old'])
})

test('wrong arguments and a missing secret are refused by code', async () => {
  const delivery = world.deliver()
  const use = async () => 1
  const refused = [
    [() => delivery.withSecret('../x', 'b', use), 'SECRET_NAME_INVALID'],
    [() => delivery.withSecret('db', 'password', /** @type {any} */ ('use')), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'password', use, { timeoutMs: -1 }), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'password', use, { isAuthError: /** @type {any} */ (1) }), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'password', use, /** @type {any} */ ({ timeoutMS: 5 })), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'password', use, { signal: /** @type {any} */ ({}) }), 'CONFIG_INVALID'],
    [() => delivery.withSecret('db', 'nothing', use), 'SOURCE_UNAVAILABLE'],
  ]
  for (const [call, code] of refused) await expect(call()).rejects.toMatchObject({ code })
  await delivery.close()
  await expect(delivery.withSecret('db', 'password', use)).rejects.toMatchObject({ code: 'CLOSED' })
})
