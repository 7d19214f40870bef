'use strict'

// Every variable that the package reads, with nothing useful in it: none stops a service that does not need it, none panics.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { root, temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { withVariables } = require('../support/with-variables')

/** Read by lib/variables.js, besides all that begin with `AWS_` and `TCS_`. */
const named = () => {
  const text = fs.readFileSync(path.join(root, 'lib', 'variables.js'), 'utf8')
  const list = /CONFIGURATION = new Set\(\[([^]*?)\]\)/.exec(text)?.[1] ?? ''
  return [...list.matchAll(/'(\w+)'/g)].map(([, name]) => name)
}
/** Those of AWS's SDK that decide how a request is made, and those of this package. */
const VARIABLES = [
  ...named(),
  ...['TCS_ENVIRONMENT', 'TCS_CACHE_KEYS', 'TCS_AUDIT_LOG', 'TCS_AUDIT_KEY'],
  ...[
    'AWS_REGION',
    'AWS_DEFAULT_REGION',
    'AWS_PROFILE',
    'AWS_CONFIG_FILE',
    'AWS_SHARED_CREDENTIALS_FILE',
    'AWS_CA_BUNDLE',
  ],
  ...[
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_ENDPOINT_URL',
    'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  ],
  ...['AWS_ENDPOINT_URL_STS', 'AWS_USE_FIPS_ENDPOINT', 'AWS_USE_DUALSTACK_ENDPOINT', 'AWS_EC2_METADATA_DISABLED'],
  ...[
    'AWS_EC2_METADATA_SERVICE_ENDPOINT',
    'AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE',
    'AWS_ROLE_ARN',
    'AWS_ROLE_SESSION_NAME',
  ],
  ...['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_CONTAINER_CREDENTIALS_FULL_URI'],
  ...[
    'AWS_CONTAINER_AUTHORIZATION_TOKEN',
    'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
    'AWS_MAX_ATTEMPTS',
    'AWS_RETRY_MODE',
  ],
  ...[
    'AWS_SDK_UA_APP_ID',
    'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
    'AWS_DISABLE_CLOCK_SKEW_CORRECTION',
    'AWS_ACCOUNT_ID_ENDPOINT_MODE',
  ],
  ...['AWS_SIGV4A_SIGNING_REGION_SET', 'AWS_AUTH_SCHEME_PREFERENCE', 'AWS_REQUEST_CHECKSUM_CALCULATION'],
  ...[
    'AWS_RESPONSE_CHECKSUM_VALIDATION',
    'AWS_DISABLE_REQUEST_COMPRESSION',
    'AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES',
    'AWS_DEFAULTS_MODE',
  ],
  ...[
    'AWS_EXECUTION_ENV',
    'AWS_LAMBDA_FUNCTION_NAME',
    '_X_AMZN_TRACE_ID',
    'AWS_ACCOUNT_ID',
    'AWS_STS_REGIONAL_ENDPOINTS',
  ],
]

/** @type {AwsEndpoint} */
let aws
const directory = temporaryDirectory()
const TEXTS = {
  empty: '',
  blank: ' \t ',
  garbage: '\u001b[31m%zz{}\\"garbage',
  'of several lines': 'a\nb\r\nc: d',
  directory,
  'of 1 MiB': 'x'.repeat(1 << 20),
}

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: 'value' })
})
afterAll(async () => {
  await aws.stop()
  fs.rmSync(directory, { recursive: true })
})

const deliver = (variables, options) =>
  withVariables({ AWS_EC2_METADATA_DISABLED: 'true', ...variables }, () => {
    const logger = { warn() {} }
    return new SecretDelivery({
      environment: 'production',
      compliance: false,
      audit: false,
      alerts: false,
      envFile: false,
      logger,
      ...options,
    })
  })

test('the table has every variable by name', () => expect(named().length).toBeGreaterThan(10))

describe.each(VARIABLES)('%s', (name) => {
  test.each(Object.keys(TEXTS))('that is %s', async (kind) => {
    const variables = { [name]: TEXTS[kind] }
    // Without AWS: none of them is needed.
    const alone = deliver(variables, { aws: { enabled: false }, runtime: { variables: { A_B: 'own' } } })
    expect(await alone.getSecret('A_B')).toBe('own')
    expect((await alone.health()).checks.aws.status).toBe('disabled')
    await alone.close()
    // With AWS, whose options are given: what is said of credentials, proxies and certificates is not needed either, but a
    // proxy that is named is asked.
    const isProxy = /^(https?|all)_proxy$/i.test(name)
    const given = deliver(variables, { aws: { ...aws.options, maxAttempts: 1, ...(isProxy && { proxy: false }) } })
    expect(await given.getSecret('A_B')).toBe('value')
    expect((await given.health()).checks.aws).toEqual({ status: 'ok', reason: null })
    await given.close()
    // Without options: it works, or says what is wrong in words of this package.
    const bare = deliver(
      { AWS_REGION: 'eu-central-1', ...variables },
      { aws: { timeoutMs: 300, maxAttempts: 1, endpoint: aws.url } },
    )
    const outcome = await bare.getSecret('A_B').catch((error) => error)
    if (outcome !== 'value') {
      expect(outcome).toMatchObject({
        name: 'SecretError',
        code: expect.stringMatching(/^SOURCE_(UNAVAILABLE|TIMEOUT)$/),
      })
      expect(outcome.message).not.toMatch(/internal error|panick/)
      expect(outcome.message.length).toBeLessThan(1500)
      expect(outcome.message).not.toMatch(/\u001b/)
    }
    expect((await bare.health()).checks.aws.reason ?? '').not.toContain('internal error')
    await bare.close()
  })
})

// Jest gives its tests a copy of the variables, which the addon's own thread does not see.
describe('variables that AWS makes headers of, in a process of their own', () => {
  const NAMES = [
    'AWS_EXECUTION_ENV',
    'AWS_LAMBDA_FUNCTION_NAME',
    '_X_AMZN_TRACE_ID',
    'AWS_SDK_UA_APP_ID',
    'AWS_ACCOUNT_ID',
  ]
  const run = (variables) => {
    const env = { ...process.env, AWS_EC2_METADATA_DISABLED: 'true', ...variables }
    const child = spawn(process.execPath, [path.join(root, '__test__', 'fixtures', 'execution.js'), aws.url], { env })
    return new Promise((resolve) => {
      let said = ''
      child.stdout.on('data', (chunk) => (said += chunk))
      child.once('close', () => resolve(said.trim()))
    })
  }

  test.each(['a\nb', 'a\r\nx-other: 1', '\u0001', '\u001b[31m', 'schön', ' ', 'x'.repeat(100_000)])(
    '%j',
    async (text) => {
      expect(await run(Object.fromEntries(NAMES.map((name) => [name, text])))).toBe('value')
    },
  )
})
