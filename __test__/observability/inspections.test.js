'use strict'

// What is read from AWS and delivered to nobody has a record as well, and each record leads to who asked.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { verifyAuditLog } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { overRedis } = require('../support/services')
const { until } = require('../support/until')

const world = overRedis({ A_B_production: 'value', A_B_staging: 'other' })

/** @type {string} */
let directory
/** @type {string} */
let log
beforeEach(() => {
  directory = temporaryDirectory()
  log = path.join(directory, 'audit.jsonl')
})
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }))

/** @param {object} [audit] @param {object} [options] */
const service = (audit, options) =>
  world.deliver({ redis: false }, { audit: { path: log, ...audit }, alerts: false, ...options })

const records = () =>
  fs
    .readFileSync(log, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
const tools = { a: { secrets: { b: {} } } }

test.each([
  ['explain', 'explain', (delivery) => delivery.explain('A_B')],
  ['due', 'due', (delivery) => delivery.rotation.due()],
  ['a migration plan', 'compare', (delivery) => delivery.migration.plan()],
  ['validateSecretConsistency', 'compare', (delivery) => delivery.validateSecretConsistency()],
  ['validateSecretAccess', 'compare', (delivery) => delivery.validateSecretAccess()],
  ['validateToolSecrets', 'validate', (delivery) => delivery.validateToolSecrets('a')],
  ['validateApplicationFunctionality', 'validate', (delivery) => delivery.validateApplicationFunctionality()],
  ['assessPerformanceImpact', 'measure', (delivery) => delivery.assessPerformanceImpact()],
  ['ready', 'probe', (delivery) => until('ready', async () => (await delivery.ready()).ready)],
])('%s delivers nothing and is recorded', async (_, source, call) => {
  const delivery = service({}, { tools })
  await call(delivery)
  await delivery.close()
  const found = records().filter(({ event }) => event === 'inspect')
  const shown = found.map(({ source, secret, outcome }) => [source, secret, outcome])
  expect(shown).toContainEqual([source, 'A_B', 'ok'])
  expect(found.find(({ secret, outcome }) => secret === 'A_B' && outcome === 'ok').version).toEqual(expect.any(String))
  expect(records().filter(({ event }) => event === 'access')).toEqual([])
  expect(await verifyAuditLog(log)).toMatchObject({ valid: true, deliveries: 0 })
})

test.each([
  ['what it reads', 'ok', async () => {}],
  ['what AWS denies it', 'denied', () => world.aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'] })],
])('an event: %s is recorded', async (_, outcome, before) => {
  const delivery = service({}, { tools })
  await before()
  const event = {
    'detail-type': 'Secret Label Updated',
    source: 'aws.secretsmanager',
    detail: { name: 'A_B_production', labelUpdated: 'AWSCURRENT' },
  }
  expect(await delivery.handleSecretEvent(event)).toBe(true)
  await delivery.close()
  const found = records().filter(({ source, secret }) => source === 'event' && secret === 'A_B')
  expect(found.map(({ event, outcome }) => [event, outcome])).toContainEqual(['inspect', outcome])
})

test('what hooks are given has the environment that it is of', async () => {
  const delivery = service({}, { environment: 'staging', tools, rotation: { hooks: { set() {} } } })
  expect(await delivery.rotation.rotate('A_B', 'production')).toMatchObject({ outcome: 'finished' })
  await delivery.close()
  const given = records().filter(({ source }) => source === 'hook')
  expect(given.map(({ environment }) => environment)).toEqual(['production', 'production'])
})

test('a refresh in the background is recorded', async () => {
  const delivery = service({}, { cache: { redis: false, ttlSeconds: 1 } })
  await until('the record of a refresh', async () => {
    await delivery.getSecret('A_B')
    return records().some(({ event, source }) => event === 'inspect' && source === 'refresh')
  })
})

test('where the log cannot be written, diagnosis still works, and comparisons of values do not', async () => {
  const logger = { warn() {} }
  const delivery = service({ path: path.join(directory, 'none', 'audit.jsonl') }, { tools, logger })
  expect((await delivery.explain('A_B')).error).toBeNull()
  expect(await delivery.rotation.due()).toHaveLength(1)
  await expect(delivery.validateSecretConsistency()).rejects.toMatchObject({ code: 'AUDIT_WRITE_FAILED' })
  await expect(delivery.validateToolSecrets('a')).rejects.toMatchObject({ code: 'AUDIT_WRITE_FAILED' })
})

test('the first record of an instance says who it is, and others lead to it', async () => {
  const delivery = service({ program: 'billing nightly run' })
  await delivery.getSecret('A_B')
  await delivery.close()
  const [open] = records().filter(({ event }) => event === 'open')
  const said = Object.fromEntries(open.detail.split(' ').map((pair) => pair.split('=')))
  const uid = process.getuid?.()
  expect(said).toMatchObject({ host: os.hostname(), uid: String(uid), program: 'billing', command: 'nightly_run' })
  if (uid === 0) expect(said.user).toBe('root')
  expect(records().find(({ event }) => event === 'access').instance).toBe(open.instance)
})

test('a read that AWS refuses has the id of the request, and so has what looked', async () => {
  await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['A_B_production'] })
  const delivery = service({}, { tools })
  const error = await delivery.getSecret('A_B').catch((error) => error)
  await delivery.explain('A_B')
  await delivery.findInAws({ prefix: 'A_B' })
  await delivery.close()
  const refused = records().filter(({ outcome }) => outcome === 'denied')
  expect(refused.map(({ event, source }) => [event, source])).toEqual([
    ['access', undefined],
    ['inspect', 'explain'],
    ['inspect', 'find'],
  ])
  for (const { request } of refused) expect(request).toMatch(/^[0-9a-f-]{8,64}$/)
  expect(refused[0].request).toBe(error.requestId)
})

test('the AWS account is known from the first answer on', async () => {
  const delivery = service({}, { tools })
  await delivery.getSecret('A_B')
  await delivery.close()
  const all = records()
  const told = all.findIndex(({ event, detail }) => event === 'session' && /(^| )account=\d{12}$/.test(detail))
  const access = all.findIndex(({ event }) => event === 'access')
  expect(told).toBeGreaterThanOrEqual(0)
  expect(told).toBeLessThan(access)
  expect(all[told].instance).toBe(all[access].instance)
  expect(all[told].detail).toContain(`host=`)
})
