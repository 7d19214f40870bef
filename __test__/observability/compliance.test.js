'use strict'

// `compliance: 'soc2'`: watched, enforced, waived; and the specification's own configurations.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, environmentDefaults } = require('../..')
const { overAws } = require('../support/over-aws')
const { temporaryDirectory } = require('../support/files')

const world = overAws()
const directory = temporaryDirectory('tcs-compliance-')
afterAll(() => fs.rmSync(directory, { recursive: true }))

const key = () => randomBytes(32).toString('base64')
const audit = () => ({ path: path.join(directory, `${randomBytes(6).toString('hex')}.jsonl`), key: key() })
const soc2 = { profile: 'soc2', enforce: true }

/** A delivery with its warnings. @param {object} options */
function delivery(options) {
  const warnings = []
  const made = new SecretDelivery({
    aws: { enabled: false },
    envFile: false,
    runtime: { variables: {} },
    ...options,
    logger: { warn: (/** @type {string} */ message) => void warnings.push(message) },
  })
  return { made, warnings }
}

/** What the constructor throws. @param {object} options */
function refusal(options) {
  try {
    void delivery(options).made.close()
    return undefined
  } catch (error) {
    return /** @type {any} */ (error)
  }
}

describe("the specification's configurations are options", () => {
  // Word for word, but for the comments.
  const devSecretConfig = {
    source: 'aws-secrets-manager',
    fallback: '.env.dev',
    cache: false,
    rotation: 'manual',
    audit: false,
  }
  const testSecretConfig = {
    source: 'aws-secrets-manager',
    fallback: '.env.test',
    cache: true,
    rotation: 'weekly',
    audit: true,
  }
  const stagingSecretConfig = {
    source: 'aws-secrets-manager',
    fallback: '.env.staging',
    cache: true,
    rotation: 'bi-weekly',
    audit: true,
    encryption: true,
    compliance: 'soc2',
  }
  const prodSecretConfig = {
    source: 'aws-secrets-manager',
    fallback: null,
    cache: true,
    rotation: 'weekly',
    audit: true,
    encryption: true,
    compliance: 'soc2',
    monitoring: true,
    alerting: true,
  }
  const configs = /** @type {const} */ ({
    development: devSecretConfig,
    test: testSecretConfig,
    staging: stagingSecretConfig,
    production: prodSecretConfig,
  })

  test.each(Object.entries(configs))('%s', async (environment, config) => {
    const { made } = delivery({ environment, envFile: undefined, ...config, audit: config.audit && audit() })
    const preset = environmentDefaults(environment)
    // They are what the presets say.
    expect({ ...config }).toMatchObject(Object.fromEntries(Object.keys(config).map((name) => [name, preset[name]])))
    expect(made.environment).toBe(environment)
    await made.close()
  })

  test('an env file that is named in production is read, and one that is null in staging is not', async () => {
    fs.writeFileSync(path.join(directory, '.env.own'), 'ORDERS_KEY=from-a-file\n')
    fs.writeFileSync(path.join(directory, '.env.staging'), 'ORDERS_KEY=from-a-file\n')
    const named = delivery({ environment: 'test', envFile: { directory }, fallback: '.env.own', audit: false })
    expect(await named.made.getSecretFromEnvFile('ORDERS_KEY')).toBe('from-a-file')
    await named.made.close()
    const none = delivery({ environment: 'staging', envFile: undefined, fallback: null, audit: audit() })
    expect(await none.made.getSecretFromEnvFile('ORDERS_KEY')).toBeNull()
    await none.made.close()
  })

  test.each([
    ['source', { source: 'vault' }, "options.source must be 'aws-secrets-manager'"],
    ['fallback', { fallback: '' }, 'options.fallback must be'],
    ['fallback', { fallback: '.env.a', envFile: { path: '.env.b' } }, 'contradict each other'],
    ['rotation', { rotation: 'daily' }, "'manual', 'weekly', 'bi-weekly'"],
    ['encryption', { encryption: 'yes' }, 'options.encryption must be true or false'],
  ])('%s that cannot be is refused: %j', (_, options, message) => {
    const error = refusal({ environment: 'test', envFile: undefined, audit: false, ...options })
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) })
  })

  test('encryption: true asks for keys where the environment would not', () => {
    const cache = { redis: { url: 'redis://127.0.0.1:1' } }
    expect(refusal({ environment: 'test', audit: false, cache, encryption: true })).toMatchObject({
      code: 'ENCRYPTION_KEY_INVALID',
    })
    expect(refusal({ environment: 'test', audit: false, cache })).toBeUndefined()
  })
})

/** @type {[string, object, string][]} Control, options in which it is not met, what is said. */
const unmet = [
  ['audit-log', { audit: false }, 'audit'],
  ['audit-on-failure', { audit: { ...audit(), onFailure: 'warn' } }, 'audit.onFailure'],
  ['audit-key', { audit: { ...audit(), key: undefined } }, 'TCS_AUDIT_KEY'],
  ['audit-key', { audit: { ...audit(), key: Buffer.alloc(32, 7) } }, 'not random'],
  [
    'cache-keys',
    { cache: { redis: { url: 'rediss://cache.internal' }, encryptionKeys: [{ id: 'k1', key: Buffer.alloc(32) }] } },
    'anybody can guess it',
  ],
  [
    'redis-tls',
    { cache: { redis: { url: 'redis://cache.internal:6379' }, encryptionKeys: [{ id: 'k1', key: key() }] } },
    'cache.internal',
  ],
  ['aws-tls', { aws: { region: 'eu-west-1', endpoint: 'http://vpce.internal' } }, 'vpce.internal'],
  ['no-env-file', { envFile: { path: '.env' } }, 'migrate'],
]

describe.each(unmet)('%s', (control, options, says) => {
  const all = { environment: 'production', audit: audit(), ...options }

  test('enforced, it stops the service, and names control, setting and remedy', () => {
    const error = refusal({ ...all, compliance: soc2 })
    expect(error).toMatchObject({ name: 'SecretError', code: 'COMPLIANCE_NOT_MET' })
    expect(error.message).toContain(control)
    expect(error.message).toContain(says)
  })

  test('watched, it costs one warning and is in the report', async () => {
    const { made, warnings } = delivery(all)
    await made.getSecret('ORDERS_KEY').catch(() => {})
    expect(warnings.filter((warning) => warning.startsWith('COMPLIANCE_NOT_MET'))).toEqual([
      expect.stringContaining(control),
    ])
    const report = await made.compliance()
    expect(report).toMatchObject({ profile: 'soc2', enforced: false, met: false })
    expect(report.controls.find((one) => one.control === control)).toMatchObject({
      state: 'not-met',
      evidence: [expect.any(String)],
      remedy: expect.any(String),
    })
    await made.close()
  })

  test('with a reason it is waived, and without it is not looked at', async () => {
    const waive = Object.fromEntries(unmet.map(([name]) => [name, 'the auditor knows']))
    const { made, warnings } = delivery({ ...all, compliance: { ...soc2, waive } })
    await made.getSecret('ORDERS_KEY').catch(() => {})
    expect(warnings.join()).not.toContain('COMPLIANCE')
    const { controls } = await made.compliance()
    expect(controls.find((one) => one.control === control)).toMatchObject({
      state: 'waived',
      waiver: 'the auditor knows',
    })
    await made.close()
    const off = delivery({ ...all, compliance: false })
    expect(await off.made.compliance()).toMatchObject({ profile: null, met: true, controls: [] })
    await off.made.close()
  })
})

test('a waiver is repeated by the audit log', async () => {
  const log = audit()
  const waive = { 'customer-managed-key': "AWS's own key is enough here" }
  const { made } = delivery({ environment: 'production', audit: log, compliance: { ...soc2, waive } })
  await made.getSecret('ORDERS_KEY').catch(() => {})
  await made.close()
  const lines = fs.readFileSync(log.path, 'utf8').trim().split('\n')
  const records = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'config')
  expect(records).toEqual([
    expect.objectContaining({
      source: 'waiver',
      code: 'customer-managed-key',
      secret: "customer-managed-key: AWS's own key is enough here",
    }),
  ])
})

test.each([
  [{ profile: 'iso27001' }, 'options.compliance.profile'],
  [{ profile: 'soc2', waive: { 'audit-kei': 'x' } }, 'is not a control; there are audit-log'],
  [{ profile: 'soc2', waive: { 'audit-key': '  ' } }, 'must say why'],
  [{ profile: 'soc2', waive: { 'audit-key': 'a\nb' } }, 'must say why'],
  ['soc3', "must be 'soc2'"],
  [true, 'options.compliance must be'],
])('%j is refused', (compliance, message) => {
  const error = refusal({ environment: 'production', audit: audit(), compliance })
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) })
})

describe('what AWS, files and time decide', () => {
  const tools = { orders: { secrets: { key: { required: true }, other: {} } } }

  /** @param {object} [options] */
  async function controls(options = {}) {
    const made = world.deliver({
      environment: 'production',
      compliance: 'soc2',
      tools,
      audit: audit(),
      envFile: false,
      ...options,
    })
    await made.getSecret('ORDERS_KEY').catch(() => {})
    const report = await made.compliance()
    await made.close()
    return Object.fromEntries(report.controls.map((one) => [one.control, one]))
  }

  test('a declared secret that is not in AWS, and a required one that is nowhere', async () => {
    const found = await controls()
    expect(found['secrets-in-aws']).toMatchObject({
      state: 'not-met',
      evidence: ['0 of 2 declared secrets are in AWS', 'not there: ORDERS_KEY, ORDERS_OTHER'],
    })
    expect(found['required-secrets']).toMatchObject({ state: 'not-met', evidence: ['wrong or missing: ORDERS_KEY'] })
    expect(found['customer-managed-key'].state).toBe('not-applicable')
  })

  test("secrets under AWS's own key", async () => {
    await world.aws.put({ ORDERS_KEY_production: 'value-1', ORDERS_OTHER_production: 'value-2' })
    const found = await controls()
    expect(found['secrets-in-aws'].state).toBe('met')
    expect(found['required-secrets'].state).toBe('met')
    expect(found['customer-managed-key']).toMatchObject({
      state: 'not-met',
      evidence: ['under aws/secretsmanager: ORDERS_KEY, ORDERS_OTHER'],
    })
    expect(found.rotation).toMatchObject({ state: 'met' })
    expect(JSON.stringify(found)).not.toContain('value-')
  })

  test('a file that others may read', async () => {
    const log = audit()
    fs.writeFileSync(path.join(directory, '.env.open'), 'A_B=1\n', { mode: 0o644 })
    const found = await controls({ audit: log, envFile: { directory, path: '.env.open' } })
    expect(found['file-modes']).toMatchObject({
      state: process.platform === 'win32' ? 'not-applicable' : 'not-met',
    })
  })

  test('the line of Node.js', async () => {
    const { complianceReport } = require('../../lib/compliance')
    const native = { configuredCompliance: () => ({ profile: 'soc2', enforced: false, waived: {}, controls: [] }) }
    const at = async (/** @type {string} */ day) => {
      const of = { native, facts: async () => [], validate: async () => ({ secrets: [] }), files: [] }
      const { controls } = await complianceReport(/** @type {any} */ (of), 'production', Date.parse(day))
      return controls.find((one) => one.control === 'versions')?.state
    }
    expect(await at('2025-06-01')).toBe('met')
    expect(await at('2039-06-01')).toBe(Number(process.versions.node.split('.')[0]) > 26 ? 'met' : 'not-met')
  })

  test('AWS that does not answer leaves nothing met', async () => {
    const made = world.deliver({
      environment: 'production',
      compliance: 'soc2',
      tools,
      audit: audit(),
      aws: { ...world.aws.options, endpoint: 'http://127.0.0.1:9', maxAttempts: 1, timeoutMs: 500 },
    })
    const { controls } = await made.compliance()
    expect(controls.find((one) => one.control === 'secrets-in-aws')).toMatchObject({ state: 'not-met' })
    await made.close()
  })
})
