'use strict'

// Options and variables of a megabyte: what is said of them is short, and still says what to do.

const { SecretDelivery, verifyAuditLog } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { withVariables } = require('../support/with-variables')

const MOST = 1500
const BIG = { 'one name': 'x'.repeat(1 << 20), 'many folders': 'y/'.repeat(1 << 19) }

/** @type {AwsEndpoint} */
let aws
beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: 'value' })
})
afterAll(() => aws.stop())

/** All that a delivery says: errors, warnings, the reasons of its reports. */
async function said(variables, options) {
  /** @type {string[]} */
  const texts = []
  const heard = (/** @type {string} */ message) => texts.push(message)
  const error = (/** @type {any} */ { message, cause }) => texts.push(message, cause?.message ?? '')
  await withVariables({ AWS_EC2_METADATA_DISABLED: 'true', ...variables }, async () => {
    try {
      const { aws: own, ...others } = options
      const delivery = new SecretDelivery({
        environment: 'production',
        compliance: false,
        audit: false,
        alerts: false,
        logger: { warn: heard },
        aws: { ...aws.options, maxAttempts: 1, ...own },
        ...others,
      })
      for (const name of ['A_B', 'A_C']) await delivery.getSecret(name).catch(error)
      await delivery.getToolSecrets('a').catch(error)
      for (const { reason } of Object.values((await delivery.health()).checks)) if (reason) texts.push(reason)
      texts.push(...(await delivery.ready()).reasons)
      await delivery.close().catch(error)
    } catch (refused) {
      error(refused)
    }
  })
  return texts
}

const OPTIONS = {
  'audit.path': (big) => ({ audit: { path: big } }),
  'audit.journalDirectory': (big) => ({ audit: { path: 'log.jsonl', journalDirectory: big } }),
  'cache.snapshotPath': (big) => ({ cache: { snapshotPath: big } }),
  'envFile.path': (big) => ({ envFile: { path: big } }),
  'envFile.directory': (big) => ({ envFile: { directory: big } }),
  'runtime.secretDirectories': (big) => ({ runtime: { secretDirectories: [big] } }),
  'aws.ca': (big) => ({ aws: { ca: big } }),
  'aws.profile': (big) => ({ aws: { profile: big, credentials: undefined } }),
  'aws.region': (big) => ({ aws: { region: big } }),
  'an option that is none': (big) => ({ [big]: 1 }),
  'a name that is none': (big) => ({ secrets: { [`${big}/`]: {} } }),
}
const VARIABLES = ['TCS_AUDIT_LOG', 'AWS_CA_BUNDLE', 'SSL_CERT_DIR', 'AWS_PROFILE', 'AWS_REGION', 'AWS_CONFIG_FILE']

describe.each(Object.keys(BIG))('%s of a megabyte', (kind) => {
  test.each(Object.keys(OPTIONS))('%s', async (option) => {
    for (const text of await said({}, OPTIONS[option](BIG[kind]))) expect(text.length).toBeLessThan(MOST)
  })

  test.each(VARIABLES)('%s', async (name) => {
    const options = name === 'TCS_AUDIT_LOG' ? { audit: {} } : { aws: { region: undefined, credentials: undefined } }
    const texts = await said({ [name]: BIG[kind] }, options)
    for (const text of texts) expect(text.length).toBeLessThan(MOST)
    // The remedy stands behind the path.
    if (name === 'TCS_AUDIT_LOG') expect(texts.join('\n')).toContain('or audit: false')
  })

  test('verifyAuditLog', async () => {
    const error = await verifyAuditLog(BIG[kind]).catch((/** @type {any} */ refused) => refused)
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
    expect(error.message.length).toBeLessThan(MOST)
  })
})
