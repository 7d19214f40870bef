'use strict'

// Why there are no credentials, by what STS, EC2 and the service's own function answer: each has its own words.

const http = require('node:http')
const { Cli } = require('../support/cli')
const { atHome } = require('../support/at-home')
const { written } = require('../support/files')
const { freePort } = require('../support/servers/server')

const ROLE = 'arn:aws:iam::111122223333:role/reader'

const world = atHome({ A_B_production: 'value' })
const { deliver, serving } = world

/** @param {Record<string, string>} variables @param {object} [options] */
const failure = (variables, options) =>
  deliver(variables, options)
    .getSecret('A_B')
    .catch((error) => error)

/** An STS that refuses. @param {number} status @param {string} [code] */
const sts = (status, code) =>
  serving((_, answer) => {
    const error = `<Error><Type>Sender</Type><Code>${code}</Code><Message>canary</Message></Error>`
    answer.writeHead(status).end(code && `<ErrorResponse>${error}<RequestId>r-1</RequestId></ErrorResponse>`)
  })

/** What STS answers, what is said, and whether the role's trust policy is named. @type {[string, number, string | undefined, RegExp, boolean][]} */
const ANSWERS = [
  ['an expired token', 400, 'ExpiredTokenException', /has expired \(ExpiredTokenException\): renew the token/, false],
  ['throttling', 400, 'Throttling', /STS is asked too often: throttled \(Throttling\)/, false],
  ['a failure of its own', 503, 'ServiceUnavailable', /STS failed \(ServiceUnavailable\)/, false],
  ['a gateway in its place', 502, undefined, /STS failed \(HTTP 502\)/, false],
  ['a provider that it cannot reach', 400, 'IDPCommunicationError', /cannot reach the identity provider/, false],
  ['a region that is off', 403, 'RegionDisabledException', /not switched on .*\(RegionDisabledException\)/, false],
  ['another request', 400, 'ValidationError', /does not accept the request \(ValidationError\)/, false],
  ['a refusal', 403, 'AccessDenied', /STS refused it \(AccessDenied\)/, true],
  ['another token', 400, 'InvalidIdentityToken', /STS refused it \(InvalidIdentityToken\)/, true],
]

describe('a web identity', () => {
  /** @param {Record<string, string>} more */
  const identity = (more) =>
    failure({ AWS_WEB_IDENTITY_TOKEN_FILE: written(world.home, 'token', 'x.y.z'), AWS_ROLE_ARN: ROLE, ...more })

  test.each(ANSWERS)('%s', async (_, status, code, words, isOfRole) => {
    const error = await identity({ AWS_ENDPOINT_URL_STS: await sts(status, code) })
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: code ?? `HTTP ${status}` } })
    expect(error.message).toMatch(words)
    expect(/trust policy/.test(error.message)).toBe(isOfRole)
    expect(error.message + error.cause.message).not.toContain('canary')
  })

  test('an STS that is not there', async () => {
    const error = await identity({ AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${await freePort()}` })
    expect(error.message).toMatch(/connection refused/)
    expect(error.message).not.toMatch(/trust policy/)
  })

  test('a role that is no ARN', async () => {
    const AWS_ENDPOINT_URL_STS = await sts(400, 'ValidationError')
    const error = await identity({ AWS_ROLE_ARN: 'role/x', AWS_ENDPOINT_URL_STS })
    expect(error.message).toMatch(/AWS_ROLE_ARN is no ARN of a role/)
  })

  test('in a profile', async () => {
    const token = written(world.home, 'token', 'x.y.z')
    written(world.home, '.aws/config', `[default]\nrole_arn = ${ROLE}\nweb_identity_token_file = ${token}\n`)
    const { message } = await failure({ AWS_ENDPOINT_URL_STS: await sts(400, 'ExpiredTokenException') })
    expect(message).toMatch(/has expired \(ExpiredTokenException\): renew the token of web_identity_token_file/)
    expect(message).not.toMatch(/see role_arn/)
  })
})

describe('EC2', () => {
  /** @param {http.RequestListener} listener */
  const ec2 = async (listener) => ({
    AWS_EC2_METADATA_DISABLED: 'false',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: await serving((request, answer) => {
      if (request.method !== 'PUT') return listener(request, answer)
      answer.setHeader('x-aws-ec2-metadata-token-ttl-seconds', '21600')
      answer.end('token')
    }),
  })

  test('that may not assume the role names its trust policy', async () => {
    const error = await failure(
      await ec2((request, answer) => {
        if (/security-credentials\/$/.test(`${request.url}`)) return answer.end('reader')
        answer.end(JSON.stringify({ Code: 'AssumeRoleUnauthorizedAccess', Message: 'canary', LastUpdated: 'x' }))
      }),
    )
    expect(error.message).toMatch(/ec2\.amazonaws\.com in the role's trust policy/)
    expect(error.message).not.toMatch(/IMDSv2|canary/)
  })

  test('without a role says so', async () => {
    const error = await failure(await ec2((_, answer) => answer.writeHead(404).end()))
    expect(error.message).toMatch(/this EC2 instance has no role/)
  })

  test('that is not there is not called a container', async () => {
    const AWS_EC2_METADATA_SERVICE_ENDPOINT = `http://127.0.0.1:${await freePort()}`
    const error = await failure({ AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT })
    expect(error.message).toMatch(
      /EC2's metadata service 127\.0\.0\.1:\d+ cannot be reached: connection refused .*\(AWS_EC2_METADATA_SERVICE_ENDPOINT\)/,
    )
    expect(error.message).not.toMatch(/container/)
  })
})

describe("the service's own function", () => {
  /** @param {unknown} thrown */
  const thrown = (thrown) => failure({}, { credentials: () => Promise.reject(thrown) })

  test("keeps the class and the code of what it threw as the error's cause", async () => {
    const error = await thrown(Object.assign(new TypeError('canary'), { code: 'E_LOGIN' }))
    expect(error.cause).toMatchObject({ code: 'E_LOGIN', message: 'TypeError (E_LOGIN)' })
    expect((await thrown(new TypeError('canary'))).cause).toMatchObject({ code: 'TypeError', message: 'TypeError' })
    expect((await thrown('canary')).cause).toMatchObject({ code: 'Error' })
  })

  test("repeats the words of AWS's SDK, and nothing else of its message", async () => {
    const expired = new Error('Token is expired. To refresh this SSO session run aws sso login canary')
    const error = await thrown(Object.assign(expired, { name: 'CredentialsProviderError' }))
    expect(error.cause.message).toBe('CredentialsProviderError: Token is expired')
    expect(error.message).toMatch(/threw CredentialsProviderError: Token is expired/)
  })

  test('says what could not be reached', async () => {
    const refused = new Error('connect ECONNREFUSED 10.0.0.1:443 canary')
    const error = await thrown(
      Object.assign(refused, { code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.1', port: 443 }),
    )
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED', host: '10.0.0.1', port: 443 })
    expect(error.cause.message).toBe('Error (ECONNREFUSED): connect 10.0.0.1:443')
  })

  test('may give credentials that ended in 1970: AWS says what it thinks of them', async () => {
    const credentials = async () => ({ accessKeyId: 'a', secretAccessKey: 's', expiration: new Date(0) })
    expect(await failure({}, { credentials })).toBe('value')
  })
})

test('without a region identity() and doctor name it, also with an endpoint', async () => {
  const variables = {
    AWS_REGION: '',
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_ENDPOINT_URL_STS: world.aws.url,
  }
  const error = await deliver(variables)
    .identity()
    .catch((reason) => reason)
  expect(error.message).toMatch(/no AWS region is set/)
  const env = { ...variables, AWS_ENDPOINT_URL_SECRETS_MANAGER: world.aws.url }
  const { stdout } = await new Cli(world.home, env).run('doctor -e production')
  expect(stdout).toMatch(/AWS identity .*no AWS region is set/)
})
