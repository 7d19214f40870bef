'use strict'

// Who asks AWS: a function of the service, profiles, SSO, processes, containers; what is said when there are no credentials,
// and that who signs in meanwhile is let in.

const { execFileSync } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { Cli } = require('../support/cli')
const { atHome } = require('../support/at-home')
const { written } = require('../support/files')
const { until } = require('../support/until')

const world = atHome({ A_B_production: 'value', A_B_development: 'value' })
const { deliver, serving } = world

const file = (name) => path.join(world.home, name)
const write = (name, content) => written(world.home, name, content)

const read = (delivery) => delivery.getSecret('A_B').catch((error) => error)
const soon = (ms = 3_600_000) => new Date(Date.now() + ms)

const inJson = (answer, status, content) =>
  answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content))

describe('a function', () => {
  test('gives credentials once for all reads, and again before they end', async () => {
    let asked = 0
    const credentials = async () => {
      asked += 1
      return {
        accessKeyId: `AKID${asked}`,
        secretAccessKey: 's',
        sessionToken: 't',
        expiration: soon(asked === 1 ? 400 : 3_600_000),
      }
    }
    const delivery = deliver({}, { credentials })
    expect(await Promise.all([read(delivery), read(delivery), read(delivery)])).toEqual(['value', 'value', 'value'])
    expect(asked).toBe(1)
    // The first ones end in a moment: they are renewed behind a reader, or before one.
    await until('they are renewed', async () => (await read(delivery)) === 'value' && asked === 2)
    expect(await read(delivery)).toBe('value')
    expect(asked).toBe(2)
  })

  test('is asked again when AWS does not accept what it gave', async () => {
    let asked = 0
    const credentials = async () => ({ accessKeyId: `AKID${(asked += 1)}`, secretAccessKey: 's' })
    const delivery = deliver({}, { credentials })
    await world.aws.fault({ action: { error: { status: 400, code: 'ExpiredTokenException' } }, times: 1 })
    expect(await read(delivery)).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: 'ExpiredTokenException' } })
    expect(await read(delivery)).toBe('value')
    expect(asked).toBe(2)
  })

  test.each([
    [
      'throws',
      () => {
        throw Object.assign(new TypeError('canary'), { code: 'E_LOGIN' })
      },
      /own function, threw TypeError \(E_LOGIN\)/,
    ],
    ['rejects', () => Promise.reject(new Error('canary')), /own function, threw Error/],
    ['gives nothing', () => Promise.resolve(), /must resolve to \{ accessKeyId/],
    ['gives half', () => ({ accessKeyId: 'canary' }), /must resolve to \{ accessKeyId/],
    [
      'gives an expiration that is none',
      () => ({ accessKeyId: 'a', secretAccessKey: 'canary', expiration: 'soon' }),
      /expiration that is no date/,
    ],
  ])('that %s is named', async (_, credentials, words) => {
    const error = await read(deliver({}, { credentials }))
    expect(error.code).toBe('SOURCE_UNAVAILABLE')
    expect(error.message).toMatch(words)
    expect(error.message).not.toContain('canary')
  })

  test('that never settles costs a read no more than its deadline, and no process its end', async () => {
    const delivery = deliver({}, { credentials: () => new Promise(() => {}), timeoutMs: 500 })
    expect(await read(delivery)).toMatchObject({ code: 'SOURCE_TIMEOUT' })
    await delivery.close()
  })

  test('is not called without need, and true does not stand for one', async () => {
    const credentials = jest.fn()
    await deliver({}, { credentials }).close()
    expect(credentials).not.toHaveBeenCalled()
    expect(() => new SecretDelivery({ aws: { credentials: /** @type {any} */ (true) } })).toThrow(/aws\.credentials/)
  })
})

describe('words', () => {
  const SSO =
    '[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dev\n[sso-session corp]\nsso_region = eu-central-1\nsso_start_url = https://corp.awsapps.com/start\n'
  const config = (text) => ({ AWS_CONFIG_FILE: write('config', text) })
  const keys = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }

  test.each([
    ['no credentials', () => ({}), /no AWS credentials were found; see aws\.credentials/],
    [
      'half a pair',
      () => ({ AWS_ACCESS_KEY_ID: 'a' }),
      /AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are needed together/,
    ],
    [
      'no profile',
      () => ({ ...config('[profile other]\nregion = x\n'), AWS_PROFILE: 'no-such' }),
      /no profile 'no-such' .*'other'.*aws configure --profile no-such/,
    ],
    [
      'a profile without credentials',
      () => ({ ...config('[profile bare]\nregion = x\n'), AWS_PROFILE: 'bare' }),
      /the profile 'bare' has no credentials/,
    ],
    [
      'a profile whose bracket is missing',
      () => ({ ...config('[profile broken\n=\n'), AWS_PROFILE: 'broken' }),
      /there is no profile 'broken'/,
    ],
    ['no SSO session', () => ({ ...config(SSO), AWS_PROFILE: 'work' }), /aws sso login --profile work/],
    [
      'a process that fails',
      () => ({ ...config('[profile p]\ncredential_process = sh -c "echo canary >&2; exit 7"\n'), AWS_PROFILE: 'p' }),
      /credential_process of the profile 'p' ended with code 7/,
    ],
    [
      'a process that says something else',
      () => ({ ...config('[profile p]\ncredential_process = echo canary\n'), AWS_PROFILE: 'p' }),
      /credential_process of the profile 'p' did not print credentials/,
    ],
    [
      'a token that is not there',
      () => ({
        AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/c',
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file('no-token'),
      }),
      /AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE \(.*no-token\) cannot be read: there is no such file/,
    ],
    [
      'a container that is not there',
      () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/c' }),
      /container's credentials service .*127\.0\.0\.1:1 cannot be reached: connection refused/,
    ],
    [
      'a web identity that is not there',
      () => ({ AWS_WEB_IDENTITY_TOKEN_FILE: file('no-token'), AWS_ROLE_ARN: 'arn:aws:iam::1:role/r' }),
      /AWS_WEB_IDENTITY_TOKEN_FILE \(.*no-token\) cannot be read: there is no such file/,
    ],
    [
      'a web identity that STS does not reach',
      () => ({
        AWS_WEB_IDENTITY_TOKEN_FILE: write('token', 'x'),
        AWS_ROLE_ARN: 'arn:aws:iam::1:role/r',
        AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1',
      }),
      /web identity .*127\.0\.0\.1:1 cannot be reached: connection refused/,
    ],
    [
      'no region',
      () => ({ ...keys, AWS_REGION: '', AWS_ENDPOINT_URL_SECRETS_MANAGER: '' }),
      /no AWS region is set: set aws\.region or AWS_REGION/,
    ],
    [
      'an endpoint that is none',
      () => ({ ...keys, AWS_ENDPOINT_URL_SECRETS_MANAGER: '', AWS_ENDPOINT_URL: 'canary:4566' }),
      /AWS_ENDPOINT_URL is no URL of an endpoint/,
    ],
    [
      'a region that is none',
      () => ({ ...keys, AWS_REGION: 'Frankfurt am Main', AWS_ENDPOINT_URL_SECRETS_MANAGER: '' }),
      /'Frankfurt am Main' is no AWS region/,
    ],
  ])('%s', async (_, variables, words) => {
    const delivery = deliver(variables())
    const error = await read(delivery)
    expect(error.code).toBe('SOURCE_UNAVAILABLE')
    expect(error.message).toMatch(words)
    expect(error.message).not.toContain('canary')
    expect((await delivery.health()).checks.aws.reason).toMatch(words)
  })

  test('an EC2 that does not answer costs a second, and the hop limit is named', async () => {
    const { port } = new URL(await serving(() => undefined))
    const variables = {
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${port}`,
    }
    const began = Date.now()
    const error = await read(deliver(variables))
    expect(error.message).toMatch(
      /no AWS credentials were found, and .*127\.0\.0\.1:\d+ cannot be reached: it does not answer in time/,
    )
    expect(Date.now() - began).toBeLessThan(4000)
  })

  // /dev/zero would be read without an end, and takes all memory where this fails.
  test.each([
    ['AWS_CONFIG_FILE', () => keys, /configuration file cannot be read: not a regular file \(AWS_CONFIG_FILE/],
    ['AWS_SHARED_CREDENTIALS_FILE', () => keys, /not a regular file \(AWS_SHARED_CREDENTIALS_FILE/],
    [
      'AWS_WEB_IDENTITY_TOKEN_FILE',
      () => ({ AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/x' }),
      /the token of AWS_WEB_IDENTITY_TOKEN_FILE cannot be read: not a regular file/,
    ],
    [
      'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
      () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/c' }),
      /the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read: not a regular file/,
    ],
  ])('a FIFO in place of the file of %s, which nobody writes to, holds up nothing', async (name, others, words) => {
    const fifo = path.join(world.home, name)
    execFileSync('mkfifo', [fifo])
    const began = Date.now()
    const error = await read(deliver({ ...others(), [name]: fifo }))
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', message: expect.stringMatching(words) })
    expect(Date.now() - began).toBeLessThan(4000)
  })

  test('no configuration at all: /dev/null', async () => {
    const none = { AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' }
    expect(await read(deliver({ ...keys, ...none }))).toBe('value')
  })

  test('files that are not in their form stop nobody who needs none', async () => {
    expect(await read(deliver({ ...keys, ...config('[profile broken\n=\n') }))).toBe('value')
  })
})

describe('who signs in meanwhile', () => {
  test('is let in: a token file of a container', async () => {
    const url = await serving((request, answer) => {
      if (request.headers.authorization !== 'fresh')
        return inJson(answer, 401, { code: 'Unauthorized', message: 'canary' })
      inJson(answer, 200, { AccessKeyId: 'AKID', SecretAccessKey: 's', Token: 't', Expiration: soon() })
    })
    const variables = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: write('token', 'old'),
    }
    const delivery = deliver(variables)
    expect((await read(delivery)).message).toMatch(/container's credentials service .* gave no credentials: it refused/)
    write('token', 'fresh')
    await until('the new token is used', async () => (await read(delivery)) === 'value', 6000)
  })

  test('is let in: SSO, and a denied role is told apart', async () => {
    let status = 401
    const portal = await serving((request, answer) => {
      if (request.headers['x-amz-sso_bearer_token'] === 'fresh') {
        const roleCredentials = {
          accessKeyId: 'AKID',
          secretAccessKey: 's',
          sessionToken: 't',
          expiration: Number(soon()),
        }
        return inJson(answer, 200, { roleCredentials })
      }
      inJson(answer, status, {
        __type: status === 401 ? 'UnauthorizedException' : 'ForbiddenException',
        message: 'canary',
      })
    })
    write(
      '.aws/config',
      '[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dev\n[sso-session corp]\nsso_region = eu-central-1\nsso_start_url = https://corp.awsapps.com/start\n',
    )
    const token = (accessToken, ms) => {
      const name = `.aws/sso/cache/${crypto.createHash('sha1').update('corp').digest('hex')}.json`
      const expiresAt = soon(ms).toISOString().replace(/\.\d+/, '')
      write(
        name,
        JSON.stringify({ accessToken, expiresAt, region: 'eu-central-1', startUrl: 'https://corp.awsapps.com/start' }),
      )
    }
    token('stale', -3_600_000)
    const delivery = deliver({ AWS_PROFILE: 'work', AWS_ENDPOINT_URL_SSO: portal })
    expect((await read(delivery)).message).toMatch(
      /has expired, or nobody signed in: run: aws sso login --profile work/,
    )
    token('refused', 3_600_000)
    status = 403
    await until('the role is refused', async () =>
      /may not use its account and role/.test((await read(delivery)).message),
    )
    token('fresh', 3_600_000)
    await until('the new session is used', async () => (await read(delivery)) === 'value', 6000)
  })

  test('is let in: a profile that is made later', async () => {
    const delivery = deliver({ AWS_PROFILE: 'later' })
    expect((await read(delivery)).message).toContain("no profile 'later'")
    write('.aws/credentials', '[later]\naws_access_key_id = AKID\naws_secret_access_key = s\n')
    await until('the new profile is used', async () => (await read(delivery)) === 'value', 6000)
  })
})

test('one delivery has one set of credentials: the process is run once for all regions and services', async () => {
  const script = write(
    'give.sh',
    `echo x >> ${file('runs')}\necho '{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"s"}'\n`,
  )
  write('.aws/config', `[default]\ncredential_process = sh ${script}\n`)
  const failoverRegions = [{ region: 'eu-west-1', endpoint: world.aws.url }]
  const delivery = deliver({ AWS_ENDPOINT_URL_STS: world.aws.url }, { failoverRegions, maxAttempts: 1 })
  await world.aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } }, times: 1 })
  expect(await read(delivery)).toBe('value')
  expect(await delivery.identity()).toEqual({ account: '000000000000', arn: 'arn:aws:iam::000000000000:user/AKID' })
  expect(fs.readFileSync(file('runs'), 'utf8')).toBe('x\n')
})

test('identity: null without a way to ask, and doctor says who one is', async () => {
  expect(await deliver({}, { enabled: false }).identity()).toBeNull()
  expect(await deliver({}, { ...world.aws.options }).identity()).toBeNull()
  const env = {
    AWS_ACCESS_KEY_ID: 'AKIDDOCTOR',
    AWS_SECRET_ACCESS_KEY: 'b',
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL: world.aws.url,
  }
  const { stdout } = await new Cli(world.home, env).run('doctor -e production')
  expect(stdout).toMatch(/^ok +AWS identity +arn:aws:iam::000000000000:user\/AKIDDOCTOR, account 000000000000$/m)
})

describe('credentials that end', () => {
  const given = (session) => ({
    Code: 'Success',
    Type: 'AWS-HMAC',
    LastUpdated: new Date().toISOString(),
    AccessKeyId: `AKID${session}`,
    SecretAccessKey: 's',
    Token: 't',
    Expiration: soon(2000).toISOString(),
  })

  test.each([
    [
      'a container',
      async (renewed) => ({
        AWS_CONTAINER_CREDENTIALS_FULL_URI: await serving((_, answer) => inJson(answer, 200, given(renewed()))),
      }),
    ],
    [
      'EC2',
      async (renewed) => ({
        AWS_EC2_METADATA_DISABLED: 'false',
        AWS_EC2_METADATA_SERVICE_ENDPOINT: await serving((request, answer) => {
          if (request.method === 'PUT') {
            answer.setHeader('x-aws-ec2-metadata-token-ttl-seconds', '21600')
            return answer.end('token')
          }
          if (/security-credentials\/?$/.test(`${request.url}`)) return answer.end('orders')
          inJson(answer, 200, given(renewed()))
        }),
      }),
    ],
  ])('are renewed before that, and no read fails: %s', async (_, place) => {
    let sessions = 0
    const variables = await place(() => ++sessions)
    const delivery = deliver(variables)
    const end = Date.now() + 5000
    const answers = new Set()
    while (Date.now() < end) {
      answers.add(await read(delivery))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect([...answers]).toEqual(['value'])
    expect(sessions).toBeGreaterThanOrEqual(3)
  })
})

test('static credentials that a client of AWS’s SDK was given as well', () => {
  const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const options = { region: 'eu-west-1', credentials }
  const client = new SecretsManagerClient(options)
  Object.assign(credentials, { $source: { CREDENTIALS_CODE: 'e' } })
  expect(
    () => new SecretDelivery({ environment: 'production', audit: false, cache: false, aws: options }),
  ).not.toThrow()
  client.destroy()
})
