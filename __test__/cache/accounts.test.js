'use strict'

// Services of two AWS accounts that share a Redis, with the same prefix, names, region and encryption key: none is ever given what
// is the other's.

const fs = require('node:fs')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { temporaryDirectory } = require('../support/files')
const { refusal } = require('../support/refusal')
const { until } = require('../support/until')
const { withVariables } = require('../support/with-variables')
const { overRedis } = require('../support/services')

const ID = 'A_B_production'
/** Access key ids as AWS makes them, and the accounts that they are of: both were published, and open nothing. */
const OURS = { account: '609629065308', accessKeyId: 'ASIAY34FZKBOKMUTVV7A' }
const THEIRS = { account: '029608264753', accessKeyId: 'ASIAQNZGKIQY56JQ7WML' }

const world = overRedis({})
beforeEach(async () => {
  await world.aws.users({ [OURS.accessKeyId]: OURS.account, [THEIRS.accessKeyId]: THEIRS.account })
  await world.aws.putIn(OURS.account, { [ID]: 'ours' })
  await world.aws.putIn(THEIRS.account, { [ID]: 'theirs' })
})

/** A cold instance. @param {{ accessKeyId: string }} account @param {object} [options] */
const instance = ({ accessKeyId }, options) =>
  world.deliver(undefined, {
    aws: { ...world.aws.options, credentials: { accessKeyId, secretAccessKey: 's' }, maxAttempts: 1 },
    ...options,
  })

const keys = async () =>
  (await world.redis.command('KEYS', `*${ID}`))
    .map(String)
    .filter((key) => !/lock:|drop:/.test(key))
    .sort()
const shared = (number) => until(`${number} shared copies`, async () => (await keys()).length === number)

test('each has its own value, also from shared copies, and instances of one account share theirs', async () => {
  expect(await instance(OURS).getSecret('A_B')).toBe('ours')
  await shared(1)
  expect(await instance(THEIRS).getSecret('A_B')).toBe('theirs')
  await shared(2)
  expect(await keys()).toEqual([THEIRS, OURS].map(({ account }) => `secret:${account}:eu-central-1:${ID}`))
  await world.aws.resetCalls()
  for (const [account, value] of /** @type {const} */ ([
    [OURS, 'ours'],
    [THEIRS, 'theirs'],
  ])) {
    expect(await instance(account).getSecret('A_B')).toBe(value)
  }
  expect((await world.aws.calls()).total).toBe(0)
})

test('while AWS fails, the copy of the other account does not answer', async () => {
  expect(await instance(OURS).getSecret('A_B')).toBe('ours')
  await shared(1)
  await world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
  await expect(instance(THEIRS).getSecret('A_B')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  expect(await instance(OURS).getSecret('A_B')).toBe('ours')
})

test('what one drops, clears or hears of leaves the other', async () => {
  const [ours, theirs] = [instance(OURS), instance(THEIRS)]
  expect([await ours.getSecret('A_B'), await theirs.getSecret('A_B')]).toEqual(['ours', 'theirs'])
  await shared(2)
  await ours.cache.invalidate('A_B')
  expect(await keys()).toEqual([`secret:${THEIRS.account}:eu-central-1:${ID}`])
  expect(await ours.getSecret('A_B')).toBe('ours')
  // What was asked for in the millisecond of the drop is not shared: Redis's clock does not tell which was first.
  await until('2 shared copies', async () => (await keys()).length === 2 || (await ours.refresh('A_B')) === null)
  await ours.cache.clear()
  expect(await keys()).toEqual([`secret:${THEIRS.account}:eu-central-1:${ID}`])
  const event = {
    'detail-type': 'Secret Label Updated',
    source: 'aws.secretsmanager',
    region: 'eu-central-1',
    resources: [`arn:aws:secretsmanager:eu-central-1:${OURS.account}:secret:${ID}-a1B2c3`],
    detail: { name: ID, labelUpdated: 'AWSCURRENT', versionId: '0a7e8feb-b491-4cf7-a9f1-bf3703467718' },
  }
  // An event that names its account only in the ARN, and one that names it.
  expect(await theirs.handleSecretEvent(event)).toBe(false)
  expect(await theirs.handleSecretEvent({ ...event, account: OURS.account })).toBe(false)
  expect(await theirs.getSecret('A_B')).toBe('theirs')
})

test('an event about a secret of another account or region is not followed, also before anything was read', async () => {
  const event = (region, account, more = {}) => ({
    'detail-type': 'Secret Label Updated',
    source: 'aws.secretsmanager',
    resources: [`arn:aws:secretsmanager:${region}:${account}:secret:${ID}-a1B2c3`],
    detail: { name: ID, labelUpdated: 'AWSCURRENT', versionId: '0a7e8feb-b491-4cf7-a9f1-bf3703467718' },
    ...more,
  })
  const log = []
  const logger = { warn() {}, debug: (line) => void log.push(String(line)) }
  const options = { tools: { a: { secrets: { b: {} } } }, logger, logLevel: 'debug' }
  const ours = instance(OURS, options)
  // The first call loads the credentials, which say whose they are.
  expect(await ours.cache.get('A_B')).toBe(null)
  const foreign = [
    event('eu-central-1', THEIRS.account),
    // As CloudTrail tells it of a caller in this account.
    event('eu-central-1', THEIRS.account, { account: OURS.account, region: 'eu-central-1' }),
    event('us-east-1', OURS.account),
    event('eu-central-1', OURS.account, { region: 'us-east-1', resources: [] }),
    event('eu-central-1', OURS.account, { account: THEIRS.account, resources: [] }),
    event('moon-1', '1'),
  ]
  for (const one of foreign) expect(await ours.handleSecretEvent(one)).toBe(false)
  expect((await world.aws.calls()).total).toBe(0)
  expect(log.filter((line) => line.includes('of another account or region is not followed'))).toHaveLength(
    foreign.length,
  )
  expect(await ours.handleSecretEvent(event('eu-central-1', OURS.account))).toBe(true)
  expect(await ours.getSecret('A_B')).toBe('ours')
})

test('credentials that become those of another account take what is held of the former one with them', async () => {
  await world.aws.putIn(OURS.account, { B_production: 'b' })
  await world.aws.putIn(THEIRS.account, { B_production: 'b' })
  let now = OURS
  const credentials = async () => ({ accessKeyId: now.accessKeyId, secretAccessKey: 's' })
  const aws = { ...world.aws.options, credentials, maxAttempts: 1 }
  const delivery = world.deliver({ redis: undefined }, { aws })
  expect(await delivery.getSecret('A_B')).toBe('ours')
  now = THEIRS
  await world.aws.fault({ action: { error: { status: 400, code: 'ExpiredTokenException' } }, times: 1 })
  await expect(delivery.getSecret('B')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  await until(
    'the new credentials are used',
    async () => (await delivery.getSecret('B').catch(() => undefined)) === 'b',
  )
  expect(await delivery.getSecret('A_B')).toBe('theirs')
  const event = (account) => ({
    'detail-type': 'Secret Label Updated',
    source: 'aws.secretsmanager',
    resources: [`arn:aws:secretsmanager:eu-central-1:${account}:secret:${ID}-a1B2c3`],
    detail: { name: ID, labelUpdated: 'AWSCURRENT' },
  })
  expect(await delivery.handleSecretEvent(event(OURS.account))).toBe(false)
  expect(await delivery.handleSecretEvent(event(THEIRS.account))).toBe(true)
})

describe('the last-known-good file', () => {
  /** @type {string} */
  let directory
  beforeEach(() => {
    directory = temporaryDirectory()
  })
  afterEach(() => fs.rmSync(directory, { recursive: true }))

  /** A cold instance without Redis. @param {{ accessKeyId: string }} account @param {object} [more] */
  const cold = ({ accessKeyId }, more) =>
    world.deliver(
      { redis: undefined, snapshotPath: path.join(directory, 'last-known-good') },
      { aws: { ...world.aws.options, credentials: { accessKeyId, secretAccessKey: 's' }, maxAttempts: 1, ...more } },
    )
  const outage = () => world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
  const refused = { code: 'SOURCE_UNAVAILABLE' }

  test('answers only the account and region that wrote it', async () => {
    const first = cold(OURS)
    expect(await first.getSecret('A_B')).toBe('ours')
    await first.close()
    await outage()
    await expect(cold(THEIRS).getSecret('A_B')).rejects.toMatchObject(refused)
    await expect(cold(OURS, { region: 'eu-west-1' }).getSecret('A_B')).rejects.toMatchObject(refused)
    // Keys that name no account, as those of stand-ins.
    await expect(cold({ accessKeyId: 'test' }).getSecret('A_B')).rejects.toMatchObject(refused)
    expect(await cold(OURS).getSecret('A_B')).toBe('ours')
  })

  test('answers while the credentials cannot be loaded, where the configuration names the account', async () => {
    const first = cold(OURS)
    expect(await first.getSecret('A_B')).toBe('ours')
    await first.close()
    const token = path.join(directory, 'token')
    fs.writeFileSync(token, 'token', { mode: 0o600 })
    const variables = (account) => ({
      HOME: directory,
      AWS_WEB_IDENTITY_TOKEN_FILE: token,
      AWS_ROLE_ARN: `arn:aws:iam::${account}:role/service`,
      AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1',
      AWS_EC2_METADATA_DISABLED: 'true',
    })
    const without = (account) => withVariables(variables(account), () => cold(OURS, { credentials: undefined }))
    expect(await without(OURS.account).getSecret('A_B')).toBe('ours')
    await expect(without(THEIRS.account).getSecret('A_B')).rejects.toMatchObject(refused)
  })
})

test('without credentials that say whose they are, copies are not shared, and AWS is asked', async () => {
  expect(await instance(OURS).getSecret('A_B')).toBe('ours')
  await shared(1)
  let fails = true
  const credentials = async () => {
    if (fails) throw new Error('not yet')
    return { accessKeyId: THEIRS.accessKeyId, secretAccessKey: 's' }
  }
  const aws = { ...world.aws.options, credentials, maxAttempts: 1 }
  const unknown = world.deliver(undefined, { aws })
  await expect(unknown.getSecret('A_B')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  await expect(unknown.cache.invalidate('A_B')).rejects.toMatchObject({
    code: 'CACHE_UNAVAILABLE',
    message: expect.stringContaining('which AWS account'),
  })
  fails = false
  await until('the credentials are asked for again', async () => {
    return (await unknown.getSecret('A_B').catch(() => undefined)) === 'theirs'
  })
  await shared(2)
})

test('while STS fails, a cold instance takes the copies of the account that its role names', async () => {
  expect(await instance(OURS).getSecret('A_B')).toBe('ours')
  await shared(1)
  const directory = temporaryDirectory()
  const token = path.join(directory, 'token')
  fs.writeFileSync(token, 'token', { mode: 0o600 })
  const role = (account) => ({
    HOME: directory,
    AWS_WEB_IDENTITY_TOKEN_FILE: token,
    AWS_ROLE_ARN: `arn:aws:iam::${account}:role/service`,
    AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1',
    AWS_EC2_METADATA_DISABLED: 'true',
  })
  const aws = { endpoint: world.aws.url, region: 'eu-central-1', maxAttempts: 1 }
  const cold = (account) => withVariables(role(account), () => world.deliver(undefined, { aws }))
  expect(await cold(OURS.account).getSecret('A_B')).toBe('ours')
  await expect(cold(THEIRS.account).getSecret('A_B')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
})

test('credentials that never come cost a read its deadline and no more', async () => {
  expect(await instance(OURS).getSecret('A_B')).toBe('ours')
  await shared(1)
  const aws = { ...world.aws.options, credentials: () => new Promise(() => {}), timeoutMs: 3000, maxAttempts: 1 }
  const cold = world.deliver(undefined, { aws })
  const from = performance.now()
  const error = await refusal(cold.getSecret('A_B'))
  expect(performance.now() - from).toBeLessThan(4500)
  expect(error).toMatchObject({ code: 'SOURCE_TIMEOUT', message: expect.stringContaining('credentials') })
})

test('in the test environment close() drops the copies of its account, and asks for no credentials', async () => {
  await world.aws.putIn(OURS.account, { A_B_test: 'ours' })
  let asked = 0
  const credentials = async () => ({ accessKeyId: OURS.accessKeyId, secretAccessKey: `s${++asked}` })
  const delivery = instance(OURS, { environment: 'test', audit: false, aws: { ...world.aws.options, credentials } })
  expect(await delivery.getSecret('A_B')).toBe('ours')
  const key = `secret:${OURS.account}:eu-central-1:A_B_test`
  const isShared = async () => Number(await world.redis.command('EXISTS', key)) === 1
  await until('it is shared', isShared)
  await delivery.close()
  expect([await isShared(), asked]).toEqual([false, 1])
})

test('copies of version 0.1.0, which knows no accounts, are dropped with those of the account', async () => {
  const ours = instance(OURS)
  expect(await ours.getSecret('A_B')).toBe('ours')
  await shared(1)
  await world.redis.command('SET', `secret:${ID}`, '\x01old')
  await ours.cache.invalidate('A_B')
  expect(await keys()).toEqual([])
  await world.redis.command('SET', `secret:${ID}`, '\x01old')
  await ours.cache.clear()
  expect(await keys()).toEqual([])
})

test('one role in two regions has copies in each', async () => {
  const roleArn = `arn:aws:iam::${OURS.account}:role/reader`
  await world.aws.role(roleArn)
  const of = (region) =>
    world.deliver(undefined, {
      aws: {
        ...world.aws.options,
        region,
        credentials: { accessKeyId: OURS.accessKeyId, secretAccessKey: 's' },
        assumeRole: { roleArn },
      },
    })
  expect(await of('eu-central-1').getSecret('A_B')).toBe('ours')
  const places = async () =>
    (await world.redis.command('KEYS', '*A_B*')).map(String).filter((key) => key.includes(roleArn))
  await until('it is shared', async () => (await places()).some((key) => key.startsWith(`secret:eu-central-1:${ID}`)))
  await world.aws.resetCalls()
  expect(await of('eu-central-1').getSecret('A_B')).toBe('ours')
  expect((await world.aws.calls()).total).toBe(0)
  await world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
  await expect(of('eu-west-1').getSecret('A_B')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
})
