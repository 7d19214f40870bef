'use strict'

// Which host is asked: partitions, FIPS, dual-stack, endpoints of one's own, replicas. A proxy that refuses everything hears it.
// Secrets Manager's dual-stack endpoints have the names of the others in most partitions (the rules of AWS's SDK).

const { SecretDelivery } = require('../..')
const { endpointOf } = require('../../cli/doctor/aws')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Proxy } = require('../support/servers/tls')
const { until } = require('../support/until')
const { withVariables } = require('../support/with-variables')

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'example', AWS_EC2_METADATA_DISABLED: 'true' }
const HOME = temporaryDirectory()

/** @type {AwsEndpoint} */
let aws
/** @type {Proxy} */
let proxy
/** @type {SecretDelivery[]} */
const open = []

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  await aws.reset()
  proxy = await Proxy.start(1, { status: 403 })
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  await proxy.stop()
})
afterAll(() => aws.stop())

function deliver(options, variables = {}, more = {}) {
  const delivery = withVariables({ ...KEYS, HOME, HTTPS_PROXY: proxy.url(), ...variables }, () => {
    const logger = { warn() {} }
    return new SecretDelivery({
      environment: 'production',
      compliance: false,
      audit: false,
      alerts: false,
      logger,
      aws: { maxAttempts: 1, ...options },
      ...more,
    })
  })
  open.push(delivery)
  return delivery
}
/** The hosts that were asked: on a busy machine one of them twice. */
const asked = () => [...new Set(proxy.asked)]
const read = (delivery) => delivery.getSecret('A_B').catch((error) => error)

test.each([
  [{ region: 'eu-central-1' }, 'secretsmanager.eu-central-1.amazonaws.com'],
  [{ region: 'cn-north-1' }, 'secretsmanager.cn-north-1.amazonaws.com.cn'],
  [{ region: 'us-gov-west-1' }, 'secretsmanager.us-gov-west-1.amazonaws.com'],
  [{ region: 'us-iso-east-1' }, 'secretsmanager.us-iso-east-1.c2s.ic.gov'],
  [{ region: 'us-isob-east-1' }, 'secretsmanager.us-isob-east-1.sc2s.sgov.gov'],
  [{ region: 'eu-isoe-west-1' }, 'secretsmanager.eu-isoe-west-1.cloud.adc-e.uk'],
  [{ region: 'us-isof-south-1' }, 'secretsmanager.us-isof-south-1.csp.hci.ic.gov'],
  [{ region: 'us-gov-east-1', useDualstackEndpoint: true }, 'secretsmanager.us-gov-east-1.amazonaws.com'],
  [{ region: 'cn-north-1', useDualstackEndpoint: true }, 'secretsmanager.cn-north-1.amazonaws.com.cn'],
  [{ region: 'eusc-de-east-1' }, 'secretsmanager.eusc-de-east-1.amazonaws.eu'],
  [{ region: 'us-east-1', useFipsEndpoint: true }, 'secretsmanager-fips.us-east-1.amazonaws.com'],
  [{ region: 'us-gov-west-1', useFipsEndpoint: true }, 'secretsmanager-fips.us-gov-west-1.amazonaws.com'],
  [{ region: 'eu-west-1', useDualstackEndpoint: true }, 'secretsmanager.eu-west-1.amazonaws.com'],
  [
    { region: 'us-east-1', useFipsEndpoint: true, useDualstackEndpoint: true },
    'secretsmanager-fips.us-east-1.amazonaws.com',
  ],
  [
    { endpoint: 'https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com', region: 'eu-west-1' },
    'vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com',
  ],
])('%j', async (options, host) => {
  const error = await read(deliver(options))
  expect(asked()).toEqual([`${host}:443`])
  expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { host, port: 443 } })
  // What the clock check of `doctor` asks.
  expect(endpointOf(/** @type {any} */ (options), options.region)).toBe(`https://${host}`)
})

test.each([
  ['AWS_USE_FIPS_ENDPOINT', 'secretsmanager-fips.us-east-1.amazonaws.com'],
  ['AWS_USE_DUALSTACK_ENDPOINT', 'secretsmanager.us-east-1.amazonaws.com'],
])('%s', async (variable, host) => {
  await read(deliver({ region: 'us-east-1' }, { [variable]: 'true' }))
  expect(asked()).toEqual([`${host}:443`])
})

test('an endpoint of one’s own excludes the options, and goes before the variables', async () => {
  for (const option of ['useFipsEndpoint', 'useDualstackEndpoint']) {
    expect(() => deliver({ endpoint: aws.url, [option]: true })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(`options.aws.${option}`) }),
    )
  }
  await aws.put({ A_B_production: 'value' })
  expect(await read(deliver({ ...aws.options }, { AWS_USE_FIPS_ENDPOINT: 'true' }))).toBe('value')
  const error = await read(
    deliver({ region: 'us-east-1' }, { AWS_USE_FIPS_ENDPOINT: 'true', AWS_ENDPOINT_URL: aws.url }),
  )
  expect(error.message).toContain("FIPS endpoints and an endpoint of one's own exclude each other")
})

test.each([
  ['true', { endpoint: 'http://127.0.0.1:1' }, /AWS_USE_FIPS_ENDPOINT is not used: aws.endpoint names an endpoint/],
  ['1', {}, /AWS_USE_FIPS_ENDPOINT is neither true nor false/],
  ['FALSE', {}, undefined],
])('AWS_USE_FIPS_ENDPOINT=%s that has no effect is told', async (value, options, words) => {
  const warnings = []
  const logger = { warn: (message) => warnings.push(message) }
  await read(deliver({ region: 'us-east-1', ...options }, { AWS_USE_FIPS_ENDPOINT: value }, { logger }))
  const told = warnings.filter((warning) => warning.startsWith('AWS_ENDPOINT_KIND_UNUSED'))
  expect(told).toEqual(words === undefined ? [] : [expect.stringMatching(words)])
})

test.each(['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_SECRETS_MANAGER'])('%s excludes the options as well', (variable) => {
  const given = { region: 'us-east-1', useFipsEndpoint: true }
  expect(() => deliver(given, { [variable]: aws.url })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(variable) }),
  )
})

test.each([
  ['AWS_ENDPOINT_URL', (url) => [{}, { AWS_ENDPOINT_URL: url }]],
  ['AWS_ENDPOINT_URL_SECRETS_MANAGER', (url) => [{}, { AWS_ENDPOINT_URL_SECRETS_MANAGER: url }]],
  ['aws.endpoint', (url) => [{ endpoint: url }, {}]],
])('a replica is never asked at the endpoint of the primary: %s', async (_, given) => {
  await aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
  const [options, variables] = given(aws.url)
  await read(deliver({ region: 'eu-central-1', failoverRegions: ['eu-west-1'], ...options }, variables))
  expect((await aws.calls()).total).toBe(1)
  expect(asked()).toEqual(['secretsmanager.eu-west-1.amazonaws.com:443'])
})

test.each([
  ['https://sqs.eu-north-1.amazonaws.com/123456789012/q', 'sqs.eu-north-1.amazonaws.com'],
  ['https://sqs-fips.us-east-1.amazonaws.com/123456789012/q', 'sqs-fips.us-east-1.amazonaws.com'],
  ['https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q', 'sqs.cn-north-1.amazonaws.com.cn'],
  ['https://sqs.eu-west-1.api.aws/123456789012/q', 'sqs.eu-west-1.api.aws'],
  ['https://sqs.us-gov-west-1.amazonaws.com/123456789012/q', 'sqs.us-gov-west-1.amazonaws.com'],
  ['https://sqs.us-iso-east-1.c2s.ic.gov/123456789012/q', 'sqs.us-iso-east-1.c2s.ic.gov'],
  ['https://sqs.us-isob-east-1.sc2s.sgov.gov/123456789012/q', 'sqs.us-isob-east-1.sc2s.sgov.gov'],
  ['https://sqs.eusc-de-east-1.amazonaws.eu/123456789012/q', 'sqs.eusc-de-east-1.amazonaws.eu'],
])('a queue is asked where it is, with FIPS and dual-stack as well: %s', async (sqsQueueUrl, host) => {
  await aws.put({ A_B_production: 'value' })
  const variables = { AWS_USE_FIPS_ENDPOINT: 'true', AWS_USE_DUALSTACK_ENDPOINT: 'true' }
  await read(deliver({ ...aws.options }, variables, { events: { sqsQueueUrl } }))
  await until('the queue is asked', () => proxy.asked.includes(`${host}:443`))
})

// <https://docs.aws.amazon.com/general/latest/gr/sts.html>
test.each([
  [{ region: 'eu-central-1' }, 'sts.eu-central-1.amazonaws.com'],
  [{ region: 'us-east-1', useFipsEndpoint: true }, 'sts-fips.us-east-1.amazonaws.com'],
  [{ region: 'us-gov-west-1' }, 'sts.us-gov-west-1.amazonaws.com'],
  [{ region: 'us-gov-west-1', useFipsEndpoint: true }, 'sts.us-gov-west-1.amazonaws.com'],
  [{ region: 'eu-west-1', useDualstackEndpoint: true }, 'sts.eu-west-1.api.aws'],
  [{ region: 'cn-north-1' }, 'sts.cn-north-1.amazonaws.com.cn'],
  [{ region: 'cn-northwest-1', useDualstackEndpoint: true }, 'sts.cn-northwest-1.api.amazonwebservices.com.cn'],
  [{ region: 'us-iso-east-1' }, 'sts.us-iso-east-1.c2s.ic.gov'],
  [{ region: 'us-isob-east-1' }, 'sts.us-isob-east-1.sc2s.sgov.gov'],
  [{ region: 'eu-isoe-west-1' }, 'sts.eu-isoe-west-1.cloud.adc-e.uk'],
  [{ region: 'us-isof-south-1' }, 'sts.us-isof-south-1.csp.hci.ic.gov'],
  [{ region: 'eusc-de-east-1' }, 'sts.eusc-de-east-1.amazonaws.eu'],
])('STS, for a role and for who one is: %j', async (options, host) => {
  const assumeRole = { roleArn: 'arn:aws:iam::123456789012:role/reader' }
  const error = await read(deliver({ ...options, assumeRole }))
  expect(asked()).toEqual([`${host}:443`])
  expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { host, port: 443 } })
  expect(error.message).toContain(`the role ${assumeRole.roleArn} could not be assumed: ${host}:443`)
  proxy.asked.length = 0
  await deliver(options)
    .identity()
    .catch(() => undefined)
  expect(asked()).toEqual([`${host}:443`])
})

test.each([
  [
    'AWS_ENDPOINT_URL_STS',
    'https://vpce-1.sts.eu-west-1.vpce.amazonaws.com',
    'vpce-1.sts.eu-west-1.vpce.amazonaws.com',
  ],
  ['AWS_USE_FIPS_ENDPOINT', 'true', 'sts-fips.eu-west-1.amazonaws.com'],
])('STS is where %s says', async (variable, value, host) => {
  const assumeRole = { roleArn: 'arn:aws:iam::123456789012:role/reader' }
  await read(deliver({ region: 'eu-west-1', assumeRole }, { [variable]: value }))
  expect(asked()).toEqual([`${host}:443`])
})

test("the ARN of another region is asked for in that region's partition", async () => {
  for (const [arn, host] of [
    ['arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf', 'secretsmanager.eu-west-1.amazonaws.com'],
    ['arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a-AbCdEf', 'secretsmanager.cn-north-1.amazonaws.com.cn'],
    ['arn:aws-eusc:secretsmanager:eusc-de-east-1:123456789012:secret:a', 'secretsmanager.eusc-de-east-1.amazonaws.eu'],
  ]) {
    proxy.asked.length = 0
    await deliver({ region: 'eu-central-1' })
      .getSecretFromAWS(arn)
      .catch(() => undefined)
    expect(asked()).toEqual([`${host}:443`])
  }
})
