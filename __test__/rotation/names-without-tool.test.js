'use strict'

// Secrets that are declared without a tool (`secrets`) are due, rotated by the scheduler's rules and counted like those of tools.

const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { until } = require('../support/until')

/** @type {AwsEndpoint} */
let aws
beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
afterAll(() => aws.stop())

const DAY_MS = 86_400_000

test('they are in the calendar, in the compliance report, and their declaration counts for a rotation', async () => {
  await aws.put({
    GITHUB_TOKEN_production: 'a-token',
    'prod/mail': 'a-mail-key-of-ours',
    SHARED_PEPPER_production: 'old',
  })
  const delivery = new SecretDelivery({
    environment: 'production',
    aws: aws.options,
    tools: { github: { secrets: { token: {} } } },
    secrets: {
      SENDGRID: { aws: 'prod/mail', rotationType: 'api-tokens' },
      SHARED_PEPPER: { rotate: 'generate' },
    },
    runtime: { variables: {}, secretDirectories: [] },
    cache: { redis: false },
    audit: false,
    compliance: 'soc2',
    logger: { warn() {} },
  })
  try {
    const due = await delivery.rotation.due()
    const row = (/** @type {string} */ wanted) => due.find(({ name }) => name === wanted)
    expect(due.map(({ name }) => name).sort()).toEqual(['GITHUB_TOKEN', 'SENDGRID', 'SHARED_PEPPER'])
    expect(row('SENDGRID')).toMatchObject({ tool: null, secretType: null, rotationType: 'api-tokens', state: 'later' })
    expect(row('SHARED_PEPPER')).toMatchObject({ tool: 'shared', secretType: 'pepper', by: 'scheduler', error: null })
    const days = (Date.parse(row('SENDGRID')?.dueAt ?? '') - Date.now()) / DAY_MS
    expect(days).toBeGreaterThan(20)
    const { controls } = await delivery.compliance()
    const keys = controls.find(({ control }) => control === 'customer-managed-key')
    expect(keys?.evidence.join()).toMatch(/SENDGRID.*SHARED_PEPPER|SHARED_PEPPER.*SENDGRID/)
    expect(await delivery.rotation.rotate('SHARED_PEPPER')).toMatchObject({ outcome: 'finished' })
    expect(await delivery.getSecretFromAWS('SHARED_PEPPER')).not.toBe('old')
  } finally {
    await delivery.close()
  }
})

test('their new versions are heard of, by name, beside those of tools that share their AWS secret', async () => {
  await aws.put({ 'shop/all': '{"mail":"m1","key":"k1"}', SESSION_production: 's1' })
  const delivery = new SecretDelivery({
    environment: 'production',
    aws: aws.options,
    tools: { shop: { aws: 'shop/all', secrets: { key: {} } } },
    secrets: { Mail: { aws: 'shop/all#mail' }, SESSION: {} },
    runtime: { variables: {}, secretDirectories: [] },
    audit: false,
    compliance: false,
    logger: { warn() {} },
  })
  try {
    /** @type {string[][]} */
    const heard = []
    delivery.onSecretRotated((tool, secretType) => heard.push([tool, secretType]))
    await Promise.all([
      delivery.getSecret('Mail'),
      delivery.getSecret('SESSION'),
      delivery.getToolSecret('shop', 'key'),
    ])
    await aws.put({ 'shop/all': '{"mail":"m2","key":"k2"}', SESSION_production: 's2' })
    expect([await delivery.refresh('Mail'), await delivery.refresh('SESSION')]).toEqual(['m2', 's2'])
    await until('all are heard of', () => heard.length >= 3)
    expect(heard.sort()).toEqual([
      ['', 'Mail'],
      ['', 'SESSION'],
      ['shop', 'key'],
    ])
  } finally {
    await delivery.close()
  }
})
