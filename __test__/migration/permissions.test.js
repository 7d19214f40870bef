'use strict'

// Which permission is missing, as AWS's own answers tell: the endpoint's denials, and AWS's documented messages as faults.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery[]} */
const open = []
/** @type {string} */
let directory

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  await aws.reset()
  directory = temporaryDirectory()
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  fs.rmSync(directory, { recursive: true })
})
afterAll(() => aws.stop())

const tools = { app: { secrets: { one: {}, two: {}, three: {} } } }

/** @param {object} [more] */
function deliver(more) {
  const options = {
    environment: 'staging',
    tools,
    envFile: { directory },
    cache: { redis: false },
    audit: false,
    ...more,
  }
  const delivery = new SecretDelivery(
    /** @type {any} */ ({ ...options, aws: { ...aws.options, maxAttempts: 1 }, logger: { warn() {} } }),
  )
  open.push(delivery)
  return delivery
}

const USER = 'User: arn:aws:sts::123456789012:assumed-role/canary/i-0 is not authorized to perform:'
const denied = (message) => ({ error: { status: 400, code: 'AccessDeniedException', message } })
const states = ({ permissions }) => Object.fromEntries(permissions.map(({ action, state }) => [action, state]))
const stored = () => aws.put({ APP_ONE_staging: 'canary-1', APP_TWO_staging: 'canary-2' })
const WRITES = {
  'secretsmanager:CreateSecret': 'unknown',
  'secretsmanager:TagResource': 'unknown',
  'secretsmanager:PutSecretValue': 'unknown',
  'kms:GenerateDataKey': 'unknown',
}
const GRANTED = {
  'secretsmanager:GetSecretValue': 'granted',
  'kms:Decrypt': 'granted',
  'secretsmanager:BatchGetSecretValue': 'granted',
  'secretsmanager:ListSecrets': 'granted',
  'secretsmanager:DescribeSecret': 'granted',
  ...WRITES,
}

test('what AWS does is granted, and nothing is written to find that out', async () => {
  await stored()
  await aws.resetCalls()
  const result = await deliver().validateSecretAccess()
  expect([result.valid, states(result)]).toEqual([true, GRANTED])
  expect((await aws.calls()).byOperation).toEqual({ BatchGetSecretValue: 2, ListSecrets: 1, DescribeSecret: 3 })
  // Without secrets there is no key.
  await aws.remove('APP_ONE_staging')
  await aws.remove('APP_TWO_staging')
  expect(states(await deliver().validateSecretAccess())).toEqual({ ...GRANTED, 'kms:Decrypt': 'unknown' })
})

test.each(['BatchGetSecretValue', 'ListSecrets', 'DescribeSecret', 'GetSecretValue'])(
  '%s is missed by its name',
  async (name) => {
    await stored()
    await aws.deny({ actions: [name] })
    const result = await deliver().validateSecretAccess()
    const nothingRead = name === 'GetSecretValue'
    expect(states(result)).toEqual({
      ...GRANTED,
      ...(nothingRead && { 'kms:Decrypt': 'unknown' }),
      [`secretsmanager:${name}`]: 'denied',
    })
    // The others are not needed to read.
    expect(result.valid).toBe(!nothingRead)
    const perSecret = ['GetSecretValue', 'DescribeSecret'].includes(name)
    const { refusedFor } = result.permissions.find(({ state }) => state === 'denied') ?? {}
    expect(refusedFor).toEqual(perSecret ? ['APP_ONE', 'APP_THREE', 'APP_TWO'] : [])
  },
)

test('a permission that is missing for one secret is missing for that one', async () => {
  await stored()
  await aws.deny({ actions: ['GetSecretValue'], secrets: ['APP_TWO_staging'] })
  const { permissions, secrets } = await deliver().validateSecretAccess()
  expect(permissions[0]).toEqual({ action: 'secretsmanager:GetSecretValue', state: 'denied', refusedFor: ['APP_TWO'] })
  const { issues } = /** @type {import('../..').ValidatedSecret} */ (secrets.find(({ name }) => name === 'APP_TWO'))
  expect(issues).toEqual([expect.objectContaining({ code: 'SOURCE_ERROR', action: 'secretsmanager:GetSecretValue' })])
  expect(issues[0]?.message).toMatch(/grant this identity secretsmanager:GetSecretValue on the secret/)
})

test.each([
  ['Access to KMS is not allowed', 'kms:Decrypt'],
  [
    `${USER} kms:Decrypt on resource: arn:aws:kms:eu-central-1:1:key/canary because no identity-based policy allows it`,
    'kms:Decrypt',
  ],
  [
    `${USER} secretsmanager:GetSecretValue on resource: canary with an explicit deny in a service control policy`,
    'secretsmanager:GetSecretValue',
  ],
  [`${USER} canary:Hunter on resource: x`, undefined],
  ['canary', undefined],
])('of the message %j only the action is taken', async (message, action) => {
  await aws.fault({ action: denied(message), match: { operation: 'GetSecretValue' } })
  await aws.deny({ actions: ['BatchGetSecretValue'] })
  const result = await deliver().validateSecretAccess()
  for (const { issues } of result.secrets) expect(issues[0]?.action).toBe(action)
  const found = result.permissions.filter(({ state, refusedFor }) => state === 'denied' && refusedFor.length > 0)
  expect(found.map((one) => one.action)).toEqual(action === undefined ? [] : [action])
  expect(JSON.stringify(result)).not.toMatch(/canary|Hunter/)
})

test('a write that is refused names what it lacks', async () => {
  fs.writeFileSync(path.join(directory, '.env.staging'), 'APP_ONE=canary-1\n')
  const lacks = async (message) => {
    await aws.clearFaults()
    await aws.fault({ action: denied(message), match: { operation: 'CreateSecret' } })
    const { secrets } = await deliver().migration.apply({ names: ['APP_ONE'] })
    expect(JSON.stringify(secrets)).not.toMatch(/canary/)
    return secrets[0]?.error?.action
  }
  expect(await lacks(`${USER} secretsmanager:TagResource on resource: canary`)).toBe('secretsmanager:TagResource')
  expect(await lacks(`${USER} secretsmanager:CreateSecret on resource: canary`)).toBe('secretsmanager:CreateSecret')
})

test('a validation without AWS is refused, and a scope narrows it', async () => {
  const off = new SecretDelivery({ environment: 'staging', tools, aws: { enabled: false }, cache: false, audit: false })
  open.push(off)
  await expect(off.validateSecretAccess()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const delivery = deliver()
  const names = async (validation) => (await validation).secrets.map(({ name }) => name)
  const scope = { names: ['APP_TWO'] }
  expect(await names(delivery.validateSecretAccess(scope))).toEqual(['APP_TWO'])
  expect(await names(delivery.validateSecretConsistency(scope))).toEqual(['APP_TWO'])
  expect(await names(delivery.validateApplicationFunctionality(scope))).toEqual(['APP_TWO'])
  expect(await names(delivery.validateSecretAccess({ phase: 'critical' }))).toEqual([])
  for (const wrong of [{ name: 'APP_TWO' }, { names: 'APP_TWO' }, null, { phase: 'later' }]) {
    await expect(delivery.validateSecretAccess(/** @type {any} */ (wrong))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  }
})

test('the consistency of 1,000 secrets costs 50 calls', async () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `APP_N${i}`)
  await aws.put(Object.fromEntries(names.map((name) => [`${name}_staging`, `canary-${name}`])))
  fs.writeFileSync(path.join(directory, '.env.staging'), names.map((name) => `${name}=canary-${name}\n`).join(''))
  await aws.resetCalls()
  const { valid, secrets } = await deliver({ tools: {} }).validateSecretConsistency()
  expect([valid, secrets.length]).toEqual([true, 1_000])
  expect((await aws.calls()).byOperation).toEqual({ BatchGetSecretValue: 50 })
})
