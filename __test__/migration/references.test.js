'use strict'

// A migration writes to the places that are declared: fields of JSON secrets change nothing else of them.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery<any>[]} */
const open = []

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(() => aws.reset())
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(() => aws.stop())

function deliver(text, options) {
  const directory = temporaryDirectory()
  fs.writeFileSync(path.join(directory, '.env'), text, { mode: 0o600 })
  const delivery = new SecretDelivery({
    environment: 'staging',
    aws: aws.options,
    envFile: { directory, path: '.env' },
    cache: { encryptionKeys: [{ id: 'a', key: Buffer.alloc(32, 7) }] },
    audit: false,
    logger: { warn() {} },
    ...options,
  })
  open.push(delivery)
  return { delivery, file: path.join(directory, '.env') }
}

const live = async (name) => (await aws.versions(name)).find(({ labels }) => labels.includes('AWSCURRENT'))?.value
const database = { db: { aws: '{environment}/db', secrets: { user: {}, password: {} } } }

async function create(name) {
  const authorization = 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request'
  const headers = { authorization, 'x-amz-target': 'secretsmanager.CreateSecret' }
  await fetch(aws.url, { method: 'POST', headers, body: JSON.stringify({ Name: name }) })
}

test('a field of a secret is written and every other byte stays', async () => {
  const before = '{ "user":"u",\n  "id": 123456789012345678901, "password" : "old", "password": "older"\n}\n'
  await aws.put({ 'staging/db': before })
  const { delivery, file } = deliver('DB_PASSWORD=new"pass\nDB_USER=u\n', { tools: database })
  const plan = await delivery.migration.plan()
  expect(
    Object.values(plan.phases)
      .flat()
      .map(({ name, action }) => [name, action]),
  ).toEqual([
    ['DB_PASSWORD', 'update'],
    ['DB_USER', 'keep'],
  ])
  const { secrets } = await delivery.migration.apply({ overwrite: true })
  expect(secrets.map(({ name, outcome }) => [name, outcome])).toEqual([
    ['DB_PASSWORD', 'updated'],
    ['DB_USER', 'kept'],
  ])
  expect(await live('staging/db')).toBe(before.replace('"older"', '"new\\"pass"'))
  expect(await delivery.getToolSecret('db', 'password')).toBe('new"pass')
  await delivery.migration.retire()
  expect(fs.readFileSync(file, 'utf8')).not.toMatch(/new|^DB_USER/m)
  // No label of the writing stays.
  expect((await aws.versions('staging/db')).flatMap(({ labels }) => labels).sort()).toEqual([
    'AWSCURRENT',
    'AWSPREVIOUS',
  ])
})

test('a secret that does not exist is made once for all of its fields', async () => {
  const { delivery } = deliver('DB_PASSWORD=p\nDB_USER=u\n', { tools: database, migration: { tags: { team: 'a' } } })
  const { secrets } = await delivery.migration.apply()
  expect(secrets.map(({ outcome }) => outcome).sort()).toEqual(['created', 'updated'])
  expect(JSON.parse(await live('staging/db'))).toEqual({ user: 'u', password: 'p' })
})

test('a secret without a value gets its first one', async () => {
  await create('A_B_staging')
  await create('staging/db')
  const { delivery } = deliver('A_B=v\nDB_USER=u\n', { tools: { ...database, a: { secrets: { b: {} } } } })
  const { secrets } = await delivery.migration.apply()
  expect(secrets.map(({ name, outcome }) => [name, outcome])).toEqual(
    expect.arrayContaining([
      ['A_B', 'filled'],
      ['DB_USER', 'filled'],
    ]),
  )
  expect([await live('A_B_staging'), await live('staging/db')]).toEqual(['v', '{"user":"u"}'])
})

test('two writers at once lose nothing', async () => {
  for (let round = 0; round < 100; round++) {
    await aws.put({ 'staging/db': '{"user":"0","password":"0"}' })
    const writers = ['DB_USER', 'DB_PASSWORD'].map((name) => {
      const { delivery } = deliver(`${name}=${round + 1}\n`, { tools: database })
      return delivery.migration.apply({ overwrite: true, names: [name] })
    })
    const applied = await Promise.all(writers)
    expect(applied.flatMap(({ secrets }) => secrets.map(({ outcome }) => outcome))).toEqual(['updated', 'updated'])
    expect(JSON.parse(await live('staging/db'))).toEqual({ user: `${round + 1}`, password: `${round + 1}` })
    await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  }
}, 120_000)

test('a field cannot be written into what is no JSON object', async () => {
  await aws.put({ 'staging/db': 'canary-4711' })
  const { delivery } = deliver('DB_USER=u\n', { tools: database })
  const { secrets } = await delivery.migration.apply({ overwrite: true, names: ['DB_USER'] })
  const [user] = secrets
  expect(user).toMatchObject({ name: 'DB_USER', outcome: 'failed', error: { code: 'SOURCE_RESPONSE_INVALID' } })
  expect(user.error.message).not.toContain('canary')
  expect(await live('staging/db')).toBe('canary-4711')
})
