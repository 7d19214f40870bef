'use strict'

// What is set and cannot be: regions, endpoints, names of sessions, halves of a web identity. Each message names the variable, the
// setting or the option, and what to do.

const fs = require('node:fs')
const { SecretDelivery } = require('../..')
const { temporaryDirectory, written } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { withVariables } = require('../support/with-variables')

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'example' }
const roleArn = 'arn:aws:iam::111122223333:role/reader'

/** @type {AwsEndpoint} */
let aws
const home = temporaryDirectory()

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: 'value' })
  await aws.putIn('111122223333', { A_B_production: "the role's" })
  await aws.role(roleArn, {})
})
afterAll(async () => {
  await aws.stop()
  fs.rmSync(home, { recursive: true })
})

/** What a read gives or is refused with, and what `health` says of AWS then. */
async function read(variables, options = {}) {
  const given = { HOME: home, AWS_REGION: 'eu-central-1', AWS_EC2_METADATA_DISABLED: 'true', ...variables }
  const delivery = withVariables(given, () => {
    const quiet = { compliance: false, audit: false, alerts: false, cache: false, logger: { warn() {} } }
    return new SecretDelivery({ environment: 'production', ...quiet, aws: { maxAttempts: 1, ...options } })
  })
  try {
    const outcome = await delivery.getSecret('A_B').catch((error) => error)
    return { outcome, reason: (await delivery.health()).checks.aws.reason }
  } finally {
    await delivery.close()
  }
}

/** Both, a read and `health`, say it. */
async function isTold(words, variables, options, code = 'SOURCE_UNAVAILABLE') {
  const { outcome, reason } = await read(variables, options)
  expect(outcome).toMatchObject({ code, message: expect.stringContaining(words) })
  expect(outcome.message).not.toMatch(/could not be sent|does not resolve/)
  expect(reason).toContain(words)
}

describe('a region', () => {
  const WRONG = ['-1', 'eu-central-', 'eu central 1', 'EU-CENTRAL-1', 'x'.repeat(41)]

  test.each(WRONG)('%j', async (region) => {
    const told = (name) => `'${region}' is no AWS region, such as eu-central-1: correct ${name} or unset it`
    await isTold(told('AWS_REGION'), { ...KEYS, AWS_REGION: region })
    await isTold(told('AWS_REGION'), { ...KEYS, AWS_REGION: region }, { endpoint: aws.url })
    await isTold(told('AWS_REGION'), { ...KEYS, AWS_REGION: region }, { assumeRole: { roleArn } })
    await isTold(told('AWS_DEFAULT_REGION'), { ...KEYS, AWS_REGION: '', AWS_DEFAULT_REGION: region })
    const AWS_CONFIG_FILE = written(home, 'config', `[default]\nregion = ${region}\n`)
    await isTold(told('region of the profile default'), { ...KEYS, AWS_REGION: '', AWS_CONFIG_FILE })
    for (const options of [{ region }, { failoverRegions: [region] }]) {
      expect(() => new SecretDelivery({ aws: options })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    }
  })

  test('that is blank counts as unset, in a variable, and is refused as an option', async () => {
    await isTold('set aws.region or AWS_REGION', { ...KEYS, AWS_REGION: ' \t' })
    expect(() => new SecretDelivery({ aws: { region: ' ' } })).toThrow(/^options\.aws\.region must be a region/)
  })
})

describe('an endpoint', () => {
  test.each([' ', 'canary:4566', 'http://'])('%j', async (endpoint) => {
    expect(() => new SecretDelivery({ aws: { endpoint } })).toThrow(/^options\.aws\.endpoint must/)
  })

  test('of STS that is none is named where a role is assumed', async () => {
    const options = { endpoint: aws.url, assumeRole: { roleArn } }
    for (const name of ['AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL']) {
      await isTold(`${name} is no URL of an endpoint`, { ...KEYS, [name]: 'canary:4566' }, options)
    }
    // Blank ones count as unset.
    expect((await read({ ...KEYS, AWS_ENDPOINT_URL_STS: ' ', AWS_ENDPOINT_URL: ' ' }, options)).outcome).toBe(
      "the role's",
    )
  })
})

describe('AWS_ROLE_SESSION_NAME', () => {
  const WRONG = [
    ['a', 'must have 2 to 64 characters'],
    ['x'.repeat(65), 'must have 2 to 64 characters'],
    ['a b', "holds ' '"],
    ['röle', "holds 'ö'"],
    ['x'.repeat(1 << 20), 'must have 2 to 64 characters'],
  ]

  test.each(WRONG)('%.70s is refused by STS, and named before', async (name, why) => {
    const variables = { ...KEYS, AWS_ROLE_SESSION_NAME: name }
    const options = { endpoint: aws.url, assumeRole: { roleArn } }
    await isTold('AWS_ROLE_SESSION_NAME (', variables, options, 'ROLE_NOT_ASSUMED')
    const { outcome } = await read(variables, options)
    expect(outcome.message).toContain(`${why}`)
    expect(outcome.message).toContain('correct it or unset it')
    expect(outcome.message.length).toBeLessThan(800)
    // Where it is not needed it stops nobody.
    expect((await read(variables, { endpoint: aws.url })).outcome).toBe('value')
    const own = { ...options, assumeRole: { roleArn, sessionName: 'orders' } }
    expect((await read(variables, own)).outcome).toBe("the role's")
  })

  test('is named for a web identity as well, and in a profile', async () => {
    const web = { AWS_WEB_IDENTITY_TOKEN_FILE: written(home, 'token', 'x'), AWS_ROLE_ARN: roleArn }
    const sts = { AWS_ENDPOINT_URL_STS: aws.url }
    await isTold("AWS_ROLE_SESSION_NAME ('a b') holds ' '", { ...web, ...sts, AWS_ROLE_SESSION_NAME: 'a b' })
    const role = `role_arn = ${roleArn}\nsource_profile = keys\nrole_session_name = a b\n`
    const keys = '[profile keys]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s\n'
    const AWS_CONFIG_FILE = written(home, 'config', `[default]\n${role}${keys}`)
    await isTold("role_session_name = a b, which holds ' '", { ...sts, AWS_CONFIG_FILE })
  })

  test('of all characters that STS takes names the session', async () => {
    const name = 'A_z9+=,.@-'
    const options = { endpoint: aws.url, assumeRole: { roleArn } }
    expect((await read({ ...KEYS, AWS_ROLE_SESSION_NAME: name }, options)).outcome).toBe("the role's")
  })
})

describe('half an identity', () => {
  const token = () => written(home, 'token', 'x')
  test.each([
    ['AWS_ROLE_ARN is not set', () => ({ AWS_WEB_IDENTITY_TOKEN_FILE: token() })],
    ['AWS_WEB_IDENTITY_TOKEN_FILE is not set', () => ({ AWS_ROLE_ARN: roleArn })],
    ['AWS_SECRET_ACCESS_KEY is not set', () => ({ AWS_ACCESS_KEY_ID: 'a' })],
  ])('%s', async (words, variables) => {
    await isTold(words, variables(), { endpoint: aws.url })
    await isTold(words, { ...variables(), AWS_REGION: '' })
    // Also where the chain ends with a service that does not answer.
    const AWS_CONTAINER_CREDENTIALS_FULL_URI = 'http://127.0.0.1:1/c'
    await isTold(words, { ...variables(), AWS_CONTAINER_CREDENTIALS_FULL_URI }, { endpoint: aws.url })
    // As in AWS's SDK for JavaScript, it stops nobody who has other credentials.
    const shared = '[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s\n'
    const AWS_SHARED_CREDENTIALS_FILE = written(home, 'credentials', shared)
    expect((await read({ ...variables(), AWS_SHARED_CREDENTIALS_FILE }, { endpoint: aws.url })).outcome).toBe('value')
  })

  test('of a profile', async () => {
    const AWS_CONFIG_FILE = written(home, 'config', '[default]\nweb_identity_token_file = /t\n')
    await isTold('web_identity_token_file and no role_arn', { AWS_CONFIG_FILE }, { endpoint: aws.url })
  })
})
