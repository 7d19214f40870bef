'use strict'

// Against MiniStack, an AWS stand-in that others wrote, prepared with AWS's own JavaScript client.

const {
  CreateSecretCommand,
  DeleteSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
} = require('@aws-sdk/client-secrets-manager')
const { SecretDelivery } = require('../..')
const { MiniStack } = require('../support/servers/ministack')

/** @type {MiniStack} */
let stack
/** @type {import('@aws-sdk/client-secrets-manager').SecretsManagerClient} */
let client
/** @type {SecretDelivery[]} */
const open = []

function deliver(options) {
  const delivery = new SecretDelivery({
    environment: 'production',
    aws: stack.options,
    runtime: { variables: {}, secretDirectories: [] },
    ...options,
  })
  open.push(delivery)
  return delivery
}

const create = (Name, value) =>
  client.send(
    new CreateSecretCommand(typeof value === 'string' ? { Name, SecretString: value } : { Name, SecretBinary: value }),
  )

beforeAll(async () => {
  stack = await MiniStack.start()
  client = stack.client()
})
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(async () => {
  client.destroy()
  await stack.stop()
})

test('text and binary secrets are read, the latter as base64', async () => {
  await create('MINI_TEXT_production', 'héllo 🔑')
  await create('MINI_BYTES_production', Uint8Array.from([0, 1, 254, 255]))
  const delivery = deliver()
  expect(await delivery.getToolSecret('mini', 'text')).toBe('héllo 🔑')
  expect(await delivery.getToolSecret('mini', 'bytes')).toBe('AAH+/w==')
  expect(await delivery.getToolSecrets('mini')).toEqual({ text: 'héllo 🔑', bytes: 'AAH+/w==' })
})

test('a secret that does not exist, or is marked for deletion, is absent', async () => {
  expect(await deliver().getToolSecret('mini', 'none')).toBeNull()
  await create('MINI_GONE_production', 'v')
  const delivery = deliver()
  expect(await delivery.getToolSecret('mini', 'gone')).toBe('v')
  await client.send(new DeleteSecretCommand({ SecretId: 'MINI_GONE_production', RecoveryWindowInDays: 7 }))
  expect(await delivery.refresh('MINI_GONE')).toBeNull()
  expect(await delivery.getToolSecret('mini', 'gone')).toBeNull()
})

test('a new version is read after an invalidation', async () => {
  await create('MINI_VERSION_production', 'one')
  const delivery = deliver()
  expect(await delivery.getToolSecret('mini', 'version')).toBe('one')
  await client.send(new PutSecretValueCommand({ SecretId: 'MINI_VERSION_production', SecretString: 'two' }))
  expect(await delivery.getToolSecret('mini', 'version')).toBe('one')
  await delivery.cache.invalidate('MINI_VERSION')
  expect(await delivery.getToolSecret('mini', 'version')).toBe('two')
})

test('forty declared secrets are read in batches', async () => {
  const types = Array.from({ length: 40 }, (_, i) => `n${i}`)
  for (const type of types) await create(`BATCH_${type.toUpperCase()}_production`, `v-${type}`)
  const delivery = deliver({ tools: { batch: { secrets: Object.fromEntries(types.map((type) => [type, {}])) } } })
  expect(await delivery.getToolSecrets('batch')).toEqual(Object.fromEntries(types.map((type) => [type, `v-${type}`])))
  const { awsCalls } = delivery.metrics.snapshot()
  expect(awsCalls).toMatchObject({ BatchGetSecretValue: { ok: 2, failed: 0 }, GetSecretValue: { ok: 0, failed: 0 } })
})

test('a rotation leaves the old value as AWSPREVIOUS', async () => {
  await create('MINI_ROTATE_production', 'before')
  const delivery = deliver()
  expect(await delivery.rotateSecret('MINI_ROTATE', 'production')).toBe(true)
  const read = async (VersionStage) =>
    (await client.send(new GetSecretValueCommand({ SecretId: 'MINI_ROTATE_production', VersionStage }))).SecretString
  expect(await read('AWSPREVIOUS')).toBe('before')
  expect(await delivery.getSecret('MINI_ROTATE')).toBe(await read('AWSCURRENT'))
})

test('what the identity may do is found out, and nothing is written', async () => {
  await create('MINI_MAY_production', 'v')
  const tools = { mini: { secrets: { may: {}, may_not: {} } } }
  const { valid, secrets, permissions } = await deliver({ tools }).validateSecretAccess()
  expect([valid, secrets.map(({ name, present }) => [name, present])]).toEqual([
    true,
    [
      ['MINI_MAY', true],
      ['MINI_MAY_NOT', false],
    ],
  ])
  const granted = permissions.filter(({ state }) => state === 'granted').map(({ action }) => action)
  expect(granted).toEqual([
    'secretsmanager:GetSecretValue',
    'kms:Decrypt',
    'secretsmanager:BatchGetSecretValue',
    'secretsmanager:ListSecrets',
    'secretsmanager:DescribeSecret',
  ])
})
