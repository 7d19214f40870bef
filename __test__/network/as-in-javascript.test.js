'use strict'

// Credentials that AWS's SDK for JavaScript takes, side by side with it where it can be asked: sessions of SSO, output of a
// credential_process, lengths of a role's sessions, what its providers resolve to, a container's service that takes its time.

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { atHome } = require('../support/at-home')
const { written } = require('../support/files')
const { refusal } = require('../support/refusal')

const world = atHome({ A_B_production: 'value' })
const { deliver, serving } = world

/** @param {Record<string, string>} [variables] @param {object} [options] */
const read = (variables, options) =>
  deliver(variables, options)
    .getSecret('A_B')
    .catch((error) => error.message)

const files = () => ({
  configFilepath: path.join(world.home, '.aws/config'),
  filepath: path.join(world.home, 'none'),
  ignoreCache: true,
})
const inAnHour = () => new Date(Date.now() + 3_600_000)

describe('a session of SSO', () => {
  const URL_OF = 'https://x.awsapps.com/start'
  const PLACE = `sso_start_url = ${URL_OF}\nsso_region = eu-central-1\n`
  const ROLE = 'sso_account_id = 111122223333\nsso_role_name = R\n'
  const SESSION = `[sso-session x]\n${PLACE}`
  const BY_SESSION = `[default]\nsso_session = x\n${ROLE}${SESSION}`
  const later = () =>
    inAnHour()
      .toISOString()
      .replace(/\.\d+Z/, '')

  /** @param {string} config @param {string} key @param {object} token */
  async function signedIn(config, key, token) {
    const portal = await serving((request, answer) => {
      const roleCredentials = { accessKeyId: 'a', secretAccessKey: 's', sessionToken: 't', expiration: +inAnHour() }
      answer.end(JSON.stringify(request.method === 'GET' ? { roleCredentials } : token.renewed))
    })
    written(world.home, '.aws/config', config)
    const name = `.aws/sso/cache/${crypto.createHash('sha1').update(key).digest('hex')}.json`
    const session = { startUrl: URL_OF, region: 'eu-central-1', accessToken: 'old', expiresAt: `${later()}Z`, ...token }
    const file = written(world.home, name, JSON.stringify(session))
    return { file, variables: { AWS_ENDPOINT_URL_SSO: portal, AWS_ENDPOINT_URL_SSO_OIDC: portal } }
  }

  test.each([
    ['that has its own section', BY_SESSION, 'x', () => ({})],
    ['beside the settings of older versions', `[default]\nsso_session = x\n${PLACE}${ROLE}${SESSION}`, 'x', () => ({})],
    [
      'beside other settings of older versions',
      `[default]\nsso_session = x\nsso_start_url = https://old\nsso_region = us-east-1\n${ROLE}${SESSION}`,
      'x',
      () => ({}),
    ],
    ['that ends in UTC', `[default]\n${PLACE}${ROLE}`, URL_OF, () => ({ expiresAt: `${later()}UTC` })],
    ['that ends at an offset', `[default]\n${PLACE}${ROLE}`, URL_OF, () => ({ expiresAt: `${later()}+00:00` })],
    [
      'whose registration ends in UTC',
      BY_SESSION,
      'x',
      () => ({ clientId: 'c', clientSecret: 's', refreshToken: 'r', registrationExpiresAt: `${later()}UTC` }),
    ],
  ])('%s', async (_, config, key, token) => {
    const { variables } = await signedIn(config, key, token())
    expect(await read(variables)).toBe('value')
  })

  test('whose dates end in UTC is renewed, and its file says so', async () => {
    const renewed = { accessToken: 'new', expiresIn: 3600, refreshToken: 'r2', tokenType: 'Bearer' }
    const ends = { expiresAt: new Date(Date.now() - 1000).toISOString().replace(/\.\d+Z/, 'UTC') }
    const client = { clientId: 'c', clientSecret: 's', refreshToken: 'r', registrationExpiresAt: `${later()}UTC` }
    const { file, variables } = await signedIn(BY_SESSION, 'x', { ...ends, ...client, renewed })
    expect(await read(variables)).toBe('value')
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toMatchObject({ accessToken: 'new', refreshToken: 'r2' })
  })

  test('of a region that is none is named as that', async () => {
    const { variables } = await signedIn(BY_SESSION.replace('eu-central-1', 'eu central'), 'x', {})
    const told = await read(variables)
    expect(told).toContain('sso_region = eu central is no AWS region')
    expect(told).not.toContain('expired')
  })

  test('counts after a credential_process', async () => {
    const keys = JSON.stringify({ Version: 1, AccessKeyId: 'a', SecretAccessKey: 's' })
    const command = `credential_process = ${process.execPath} -p ${JSON.stringify(`'${keys.replaceAll('"', '\\"')}'`)}\n`
    written(world.home, '.aws/config', `[default]\n${command}sso_session = x\n${ROLE}${SESSION}`)
    expect(await read()).toBe('value')
  })
})

describe('the output of a credential_process', () => {
  const keys = (/** @type {object} */ more) =>
    JSON.stringify({ Version: 1, AccessKeyId: 'a', SecretAccessKey: 's', ...more })
  const end = (/** @type {string} */ zone) =>
    inAnHour()
      .toISOString()
      .replace(/\.\d+Z/, zone)

  /** @param {string} output */
  function printing(output) {
    const file = written(world.home, 'output', output)
    const script = written(
      world.home,
      'print.js',
      `process.stdout.write(require('fs').readFileSync(${JSON.stringify(file)}))`,
    )
    written(world.home, '.aws/config', `[default]\ncredential_process = "${process.execPath}" "${script}"\n`)
  }

  test.each([
    ['with a byte order mark', () => `\ufeff${keys({ Expiration: end('Z') })}`],
    ['with an empty end', () => keys({ Expiration: '' })],
    [
      'with an end without a zone',
      () => keys({ Expiration: new Date(Date.now() + 864e5).toISOString().replace(/\.\d+Z/, '') }),
    ],
    ['with a blank in its end', () => keys({ Expiration: end('+00:00').replace('T', ' ') })],
    ['with a short offset in its end', () => keys({ Expiration: end('+0000') })],
    ['with an end in UTC', () => keys({ Expiration: end('UTC') })],
  ])('%s', async (_, output) => {
    printing(output())
    const { fromProcess } = require('@aws-sdk/credential-provider-process')
    await expect(fromProcess({ profile: 'default', ...files() })()).resolves.toMatchObject({ accessKeyId: 'a' })
    expect(await read()).toBe('value')
  })

  test('with an end that is no date is named as that', async () => {
    printing(keys({ Expiration: 'canary' }))
    const told = await read()
    expect(told).toMatch(/printed an Expiration that is no date/)
    expect(told).not.toContain('canary')
  })
})

describe('duration_seconds of a profile', () => {
  /** What STS is asked for. @param {string} config @param {Record<string, string>} [variables] */
  async function asked(config, variables) {
    /** @type {[string | undefined, string | null, string | null][]} */
    const requests = []
    const sts = await serving((request, answer) => {
      let body = ''
      request.on('data', (data) => (body += data))
      request.on('end', () => {
        const sent = new URLSearchParams(body)
        const key = /Credential=(\w+)/.exec(String(request.headers.authorization))?.[1]
        requests.push([key, sent.get('RoleArn'), sent.get('DurationSeconds')])
        const id = `A${requests.length}`
        const given = `<AccessKeyId>${id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>`
        const result = `<Credentials>${given}<Expiration>${inAnHour().toISOString()}</Expiration></Credentials>`
        answer.end(`<AssumeRoleResponse><AssumeRoleResult>${result}</AssumeRoleResult></AssumeRoleResponse>`)
      })
    })
    written(world.home, '.aws/config', config)
    expect(await read({ AWS_PROFILE: 'r', AWS_ENDPOINT_URL_STS: sts, ...variables })).toBe('value')
    return requests
  }
  const arn = (/** @type {string} */ name) => `arn:aws:iam::111122223333:role/${name}`
  const role = (/** @type {string} */ name) => `role_arn = ${arn(name)}\n`
  const KEYS = 'aws_access_key_id = BASE\naws_secret_access_key = s\n'

  test('is asked of STS', async () => {
    const config = `[profile r]\n${role('r')}source_profile = b\nduration_seconds = 1800\n[profile b]\n${KEYS}`
    expect(await asked(config)).toEqual([['BASE', arn('r'), '1800']])
  })

  test('of each role of a chain', async () => {
    const middle = `[profile m]\n${role('m')}source_profile = b\nduration_seconds = 900\n`
    const config = `[profile r]\n${role('r')}source_profile = m\nduration_seconds = 1800\n${middle}[profile b]\n${KEYS}`
    expect(await asked(config)).toEqual([
      ['BASE', arn('m'), '900'],
      ['A1', arn('r'), '1800'],
    ])
  })

  test('of the first role of a chain alone', async () => {
    const middle = `[profile m]\n${role('m')}source_profile = b\nduration_seconds = 900\n`
    const config = `[profile r]\n${role('r')}source_profile = m\n${middle}[profile b]\n${KEYS}`
    expect(await asked(config)).toEqual([
      ['BASE', arn('m'), '900'],
      ['A1', arn('r'), null],
    ])
  })

  test('of a role that is its own source, or takes its credentials from variables', async () => {
    const own = `[profile r]\n${role('r')}source_profile = r\nduration_seconds = 1800\n${KEYS}`
    expect(await asked(own)).toEqual([['BASE', arn('r'), '1800']])
    const variables = { AWS_ACCESS_KEY_ID: 'VARIABLE', AWS_SECRET_ACCESS_KEY: 's' }
    const config = `[profile r]\n${role('r')}credential_source = Environment\nduration_seconds = 1800\n`
    expect(await asked(config, variables)).toEqual([['VARIABLE', arn('r'), '1800']])
  })

  test('that is none is passed over', async () => {
    const config = `[profile r]\n${role('r')}source_profile = b\nduration_seconds = long\n[profile b]\n${KEYS}`
    expect(await asked(config)).toEqual([['BASE', arn('r'), null]])
  })
})

describe('credentials that a provider resolved to', () => {
  const KEYS = { accessKeyId: 'a', secretAccessKey: 's', sessionToken: 't' }

  test.each([
    ['an end', { expiration: inAnHour() }],
    ['no end', { expiration: undefined }],
    ['an account and a scope', { accountId: '111122223333', credentialScope: 'eu-central-1' }],
    ['their origin', { $source: { CREDENTIALS_ENV_VARS: 'g' } }],
  ])('have %s', async (_, more) => {
    expect(await read({}, { credentials: { ...KEYS, ...more } })).toBe('value')
  })

  test('reject reads once they have ended, and say what to give instead', async () => {
    const error = await refusal(deliver({}, { credentials: { ...KEYS, expiration: new Date(0) } }).getSecret('A_B'))
    expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
    expect(error.message).toMatch(/have ended \(expiration\).*aws\.credentials: provider/)
  })

  test('refuse an end that is none, and other members', () => {
    const given = (more) => () => deliver({}, { credentials: { ...KEYS, ...more } })
    expect(given({ expiration: 'canary' })).toThrow('options.aws.credentials.expiration is no date')
    expect(given({ accessKeyID: 'a' })).toThrow('options.aws.credentials.accessKeyID is not an option')
  })
})

test("a container's service has the time of the read", async () => {
  const url = await serving((_, answer) => {
    const keys = { AccessKeyId: 'a', SecretAccessKey: 's', Token: 't', Expiration: inAnHour().toISOString() }
    setTimeout(() => answer.setHeader('content-type', 'application/json').end(JSON.stringify(keys)), 3000)
  })
  const variables = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/c` }
  expect(await read(variables, { timeoutMs: 8000 })).toBe('value')
})

test.each(['http://x:y', '127.0.0.1', 'http://127.0.0.1:99999', '/latest'])(
  'AWS_EC2_METADATA_SERVICE_ENDPOINT=%s is named as what it is',
  async (AWS_EC2_METADATA_SERVICE_ENDPOINT) => {
    const told = await read({ AWS_EC2_METADATA_SERVICE_ENDPOINT, AWS_EC2_METADATA_DISABLED: 'false' })
    expect(told).toMatch(/AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL of an endpoint/)
  },
)
