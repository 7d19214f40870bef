'use strict'

// Answers that are none, codes that do not exist, other accounts' secrets: a clear code, and no copy is lost.

const { SecretDelivery } = require('../..')
const { refusal } = require('../support/refusal')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery<any>[]} */
const open = []

/** @param {object} [options] */
function deliver(options = {}) {
  const delivery = new SecretDelivery({
    environment: 'production',
    audit: false,
    alerts: false,
    logger: { warn() {} },
    ...options,
    aws: { ...aws.options, maxAttempts: 1, ...options.aws },
    cache: { encryptionKeys: [] },
  })
  open.push(delivery)
  return delivery
}
const said = (body, status = 200) => ({
  body: { status, text: typeof body === 'string' ? body : JSON.stringify(body) },
})

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  await aws.reset()
  await aws.put({ A_B_production: 'value' })
})
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(() => aws.stop())

const SINGLE = [
  ['nothing', said(''), /^SOURCE_RESPONSE_INVALID|^SOURCE_UNAVAILABLE/, ''],
  ['no members', said({}), /^SOURCE_RESPONSE_INVALID/, 'without SecretString and SecretBinary'],
  ['no value', said({ Name: 'A_B_production', VersionId: 'v' }), /^SOURCE_RESPONSE_INVALID/, 'without SecretString'],
  ['null for a value', said({ Name: 'A_B_production', SecretString: null }), /^SOURCE_RESPONSE_INVALID/, 'without'],
  ['a number for a value', said({ SecretString: 7 }), /^SOURCE_/, ''],
  [
    "another secret's value",
    said({ Name: 'C_D_production', VersionId: 'v', SecretString: 'hunter2' }),
    /^SOURCE_RESPONSE_INVALID/,
    'another secret',
  ],
  ['an array', said([]), /^SOURCE_/, ''],
  ['no JSON', said('<html>hunter2</html>'), /^SOURCE_/, ''],
  ['bytes that are no base64', said({ SecretBinary: '%%%' }), /^SOURCE_/, ''],
  [
    'a code that does not exist',
    said({ __type: 'BrandNewException' }, 400),
    /^SOURCE_UNAVAILABLE/,
    'BrandNewException',
  ],
  ['a code that is none', said({ __type: 'hunter2 <b>' }, 400), /^SOURCE_UNAVAILABLE/, 'an unknown error code'],
  ['an error without a code', said({ Message: 'hunter2' }, 400), /^SOURCE_/, ''],
  ['an error that is no JSON', said('hunter2', 403), /^SOURCE_/, ''],
  ['a failure that is no JSON', said('hunter2', 502), /^SOURCE_UNAVAILABLE/, ''],
]

test.each(SINGLE)('a read: %s', async (_, action, code, words) => {
  const delivery = deliver()
  expect(await delivery.getSecret('A_B')).toBe('value')
  await aws.fault({ action })
  const error = await refusal(delivery.refresh('A_B'))
  expect(error.code).toMatch(code)
  expect(error.message).toContain(words)
  expect(error.message).toContain('A_B_production')
  expect(JSON.stringify(error)).not.toContain('hunter2')
  // The copy is still there.
  expect(await delivery.getSecret('A_B')).toBe('value')
  expect(delivery.metrics.snapshot().unauthorizedAccess).toBe(0)
})

test.each([
  ['no members', {}],
  ['lists that are none', { SecretValues: null, Errors: null }],
  ['values without names', { SecretValues: [{ SecretString: 'x' }], Errors: [{ ErrorCode: 'AccessDeniedException' }] }],
  ['values of others', { SecretValues: [{ Name: 'C_D_production', ARN: 'x', SecretString: 'x' }] }],
  ['an error without a code', { Errors: [{ SecretId: 'A_B_production' }] }],
])('a batch: %s: each name is asked for by itself', async (_, answer) => {
  await aws.put({ A_C_production: 'other' })
  const tools = { a: { secrets: { b: {}, c: {} } } }
  await aws.fault({ action: said(answer), match: { operation: 'BatchGetSecretValue' } })
  expect(await deliver({ tools }).getToolSecrets('a')).toEqual({ b: 'value', c: 'other' })
})

describe('ARNs', () => {
  const foreign = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:A_B_production'
  const own = 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:A_B_production'

  test("an answer about another account's secret is none for the one that was asked for", async () => {
    const answer = { ARN: `${foreign}-AbCdEf`, Name: 'A_B_production', VersionId: 'v', SecretString: 'theirs' }
    await aws.fault({ action: said(answer) })
    const error = await refusal(deliver().getSecretFromAWS(own))
    expect(error).toMatchObject({ code: 'SOURCE_RESPONSE_INVALID' })
    expect(error.message).toContain('another secret')
    expect(await deliver().getSecretFromAWS(foreign)).toBe('theirs')
  })

  test('and in a batch nobody is given it', async () => {
    const answer = {
      SecretValues: [{ ARN: `${foreign}-AbCdEf`, Name: 'A_B_production', VersionId: 'v', SecretString: 'theirs' }],
    }
    const secrets = { X: { aws: own }, Y: { aws: 'y' }, Z: { aws: 'z' } }
    await aws.put({ y: 'y', z: 'z' })
    const delivery = deliver({ secrets })
    expect(await delivery.getSecret('Y')).toBe('y')
    await aws.fault({ action: said(answer), match: { operation: 'BatchGetSecretValue' } })
    const [x, z] = await Promise.all([delivery.getSecret('X').catch(({ code }) => code), delivery.getSecret('Z')])
    expect(x).not.toBe('theirs')
    expect(z).toBe('z')
  })

  test.each(['arn:aws:secretsmanager:eu-central-1:HACK:secret:A_B_production-AbCdEf', 'arn:x:y:z:HACK', ':::::', 'x'])(
    'an answer with the ARN %s does not hide events of the own account',
    async (arn) => {
      const answer = { ARN: arn, Name: 'A_B_production', VersionId: 'v', SecretString: 'value' }
      await aws.fault({ action: said(answer), times: 1 })
      const delivery = deliver()
      expect(await delivery.getSecret('A_B')).toBe('value')
      await aws.put({ A_B_production: 'next' })
      const event = {
        'detail-type': 'Secret Label Updated',
        source: 'aws.secretsmanager',
        account: '000000000000',
        resources: [`${own}-AbCdEf`],
        detail: { name: 'A_B_production', labelUpdated: 'AWSCURRENT' },
      }
      expect(await delivery.handleSecretEvent(event)).toBe(true)
      expect(await delivery.getSecret('A_B')).toBe('next')
    },
  )

  test.each([
    ['arn:azure:secretsmanager:eu-central-1:111122223333:secret:x', 'partition'],
    ['arn:aws-:secretsmanager:eu central:111122223333:secret:x', ''],
    ['arn:aws:secretsmanager::111122223333:secret:x', 'region'],
    ['arn:aws:secretsmanager:eu-central-1:1:secret:x', '12 digits'],
    ['arn:aws:ssm:eu-central-1:111122223333:parameter/x', 'no ARN of a secret'],
  ])('%s is refused before anything is asked', async (id, words) => {
    expect(() => deliver({ secrets: { X: { aws: id } } })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(words) }),
    )
    expect(await refusal(deliver().getSecretFromAWS(id))).toMatchObject({ code: 'SECRET_NAME_INVALID' })
    expect((await aws.calls()).total).toBe(0)
  })

  test('of a partition that is not known yet, they are asked for where the SDK takes it to be', async () => {
    const id = 'arn:aws-new:secretsmanager:xx-new-1:111122223333:secret:x'
    const error = await refusal(
      deliver({ aws: { endpoint: undefined, timeoutMs: 1500, proxy: 'http://127.0.0.1:9' } }).getSecretFromAWS(id),
    )
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { host: expect.any(String) } })
  })
})
