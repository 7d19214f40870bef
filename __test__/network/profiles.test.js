'use strict'

// AWS's configuration files as people and programs write them, tokens and variables with line ends, and an STS that fails in passing:
// what AWS's SDK for JavaScript reads is read here too, and what cannot be used is named.

const fs = require('node:fs')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { forConfiguration } = require('../../lib/variables')
const { temporaryDirectory, written } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Listening } = require('../support/servers/tls')
const { until } = require('../support/until')
const { withVariables } = require('../support/with-variables')

/** @type {AwsEndpoint} */
let aws
/** @type {string} */
let home
/** @type {string[]} */
let warnings
/** @type {SecretDelivery[]} */
const open = []
/** @type {{ stop(): unknown }[]} */
const running = []

const file = (name) => path.join(home, name)
const write = (name, content) => written(home, name, content)

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: 'value' })
})
beforeEach(() => {
  home = temporaryDirectory()
  warnings = []
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  await Promise.all(running.splice(0).map((server) => server.stop()))
  fs.rmSync(home, { recursive: true })
})
afterAll(() => aws.stop())

/** What a service with these variables reads. */
function read(variables = {}, options = {}) {
  const place = { HOME: home, AWS_REGION: 'eu-central-1', AWS_ENDPOINT_URL_SECRETS_MANAGER: aws.url }
  const all = Object.entries({ AWS_EC2_METADATA_DISABLED: 'true', ...place, ...variables })
  const set = Object.fromEntries(all.filter(([, value]) => value !== undefined))
  const delivery = withVariables(set, () => {
    const logger = { warn: (message) => warnings.push(message) }
    const others = { compliance: false, audit: false, alerts: false, cache: false, logger }
    return new SecretDelivery({ environment: 'production', aws: options, ...others })
  })
  open.push(delivery)
  return delivery.getSecret('A_B').catch((error) => `${error.code}: ${error.message}`)
}

/** @param {http.RequestListener} listener */
async function serving(listener) {
  const server = await Listening.start(http.createServer(listener))
  running.push(server)
  return `http://127.0.0.1:${server.port}`
}
/** What STS answers to who assumes a role. */
const assumed = (action) =>
  `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials><AccessKeyId>AKID</AccessKeyId>` +
  `<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}` +
  `</Expiration></Credentials></${action}Result></${action}Response>`

const KEYS = 'aws_access_key_id = AKID\naws_secret_access_key = s\n'

describe('a file of credentials', () => {
  test.each([
    ['is indented', '[default]\n  aws_access_key_id = AKID\n\taws_secret_access_key = s\n'],
    ['begins with a byte order mark', `\ufeff[default]\n${KEYS}`],
    ['has a line that is none', `garbage\n[default]\n${KEYS}`],
    ['has a section whose bracket is missing', `[default]\n${KEYS}[other\naws_access_key_id = x\n`],
    ['has indented lines that are none', `[default]\ns3 =\n  max_concurrent_requests\n${KEYS}`],
    ['is in Latin-1', Buffer.from(`# schön\n[default]\n${KEYS}`, 'latin1')],
    ['is in UTF-16, as PowerShell writes', Buffer.from(`\ufeff[default]\r\n${KEYS}`, 'utf16le')],
  ])('that %s', async (_, content) => {
    write('.aws/credentials', content)
    expect(await read()).toBe('value')
  })

  test('whose values are empty is named as having none', async () => {
    write('.aws/credentials', '[default]\naws_access_key_id =\naws_secret_access_key = s\n')
    expect(await read()).toContain("the profile 'default' has aws_secret_access_key and no aws_access_key_id")
  })

  test('is found without HOME, where the system knows the user', async () => {
    expect(withVariables({}, () => forConfiguration().HOME)).toBe(os.userInfo().homedir)
  })
})

// As AWS's SDK for JavaScript has it.
describe('keys in variables beside a profile that is chosen', () => {
  const OTHERS = { AWS_ACCESS_KEY_ID: 'AKIDVARIABLE', AWS_SECRET_ACCESS_KEY: 'v', AWS_SESSION_TOKEN: 't' }
  const UNUSED =
    /^AWS_KEYS_UNUSED: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not used, because (AWS_PROFILE|aws.profile) is set as well/

  /** Whose key id signs the requests. */
  async function signer(variables, options = {}) {
    const seen = new Set()
    const url = await serving((request, answer) => {
      seen.add(/Credential=(\w+)/.exec(String(request.headers.authorization))?.[1])
      request.resume().on('end', () => answer.writeHead(400).end('{"__type":"ResourceNotFoundException"}'))
    })
    const answered = await read({ ...variables, AWS_ENDPOINT_URL_SECRETS_MANAGER: url }, options)
    return seen.size === 0 ? answered : [...seen].join()
  }

  test.each([
    ['AWS_PROFILE', { AWS_PROFILE: 'own' }, {}, 'AKID'],
    ['aws.profile', {}, { profile: 'own' }, 'AKID'],
    ['AWS_PROFILE=default', { AWS_PROFILE: 'default' }, {}, 'AKIDDEFAULT'],
    ['no profile', {}, {}, 'AKIDVARIABLE'],
    ['an empty AWS_PROFILE', { AWS_PROFILE: '' }, {}, 'AKIDVARIABLE'],
  ])('%s', async (_, variables, options, id) => {
    const other = '[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = s\n'
    write('.aws/credentials', `${other}[own]\n${KEYS}`)
    expect(await signer({ ...OTHERS, ...variables }, options)).toBe(id)
    const told = warnings.filter((warning) => warning.startsWith('AWS_KEYS_UNUSED'))
    expect(told).toEqual(id === 'AKIDVARIABLE' ? [] : [expect.stringMatching(UNUSED)])
  })

  test('count where the profile takes its credentials from them', async () => {
    const role = 'role_arn = arn:aws:iam::111122223333:role/r\n'
    write('.aws/config', `[profile own]\nregion = eu-central-1\n${role}credential_source = Environment\n`)
    const bases = new Set()
    const sts = await serving((request, answer) => {
      bases.add(/Credential=(\w+)/.exec(String(request.headers.authorization))?.[1])
      bases.add(request.headers['x-amz-security-token'])
      request.resume().on('end', () => answer.end(assumed('AssumeRole')))
    })
    expect(await signer({ ...OTHERS, AWS_PROFILE: 'own', AWS_ENDPOINT_URL_STS: sts })).toBe('AKID')
    expect([...bases]).toEqual(['AKIDVARIABLE', 't'])
    expect(warnings.filter((warning) => warning.startsWith('AWS_KEYS_UNUSED'))).toEqual([])
  })

  test.each([
    ['has no credentials', '[profile own]\nregion = x\n', "the profile 'own' has no credentials"],
    ['is not there', '[profile other]\nregion = x\n', "there is no profile 'own'"],
  ])('are named where the profile %s', async (_, config, words) => {
    write('.aws/config', config)
    const told = await signer({ ...OTHERS, AWS_PROFILE: 'own' })
    expect(told).toContain(words)
    expect(told).toContain(
      'or unset AWS_PROFILE (aws.profile), so that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY count',
    )
  })

  test('cost no warning where the service gives its credentials itself', async () => {
    const credentials = { accessKeyId: 'AKIDOWN', secretAccessKey: 's' }
    expect(await signer({ ...OTHERS, AWS_PROFILE: 'own' }, { credentials })).toBe('AKIDOWN')
    expect(warnings.filter((warning) => warning.startsWith('AWS_KEYS_UNUSED'))).toEqual([])
  })
})

const unix = process.platform === 'win32' ? describe.skip : describe

unix('a credential_process', () => {
  const GIVES = `echo '{"Version":1,"AccessKeyId":"AKIDPROCESS","SecretAccessKey":"s"}'`

  test.each([
    ['prints without an end', 'yes canary', 'printed more than 1024 KiB, and was ended'],
    ['prints without an end through another', 'yes canary | cat', 'printed more than 1024 KiB, and was ended'],
  ])('that %s is ended and named', async (_, command, words) => {
    write('.aws/config', `[default]\ncredential_process = ${command}\n`)
    const told = await read({}, { timeoutMs: 20_000 })
    expect(told).toContain(`the credential_process of the profile 'default' ${words}`)
    expect(told).not.toContain('canary')
  })

  test('that does not end is ended with what it started, once nobody waits', async () => {
    const command = write('hangs.sh', `echo $$ > ${file('pid')}; sleep 600 & echo $! >> ${file('pid')}; wait\n`)
    write('.aws/config', `[default]\ncredential_process = sh ${command}\n`)
    expect(await read({}, { timeoutMs: 700 })).toMatch(/^SOURCE_TIMEOUT/)
    const pids = fs.readFileSync(file('pid'), 'utf8').trim().split('\n').map(Number)
    expect(pids).toHaveLength(2)
    await until('both processes end', () => pids.every((pid) => hasEnded(pid)))
  })

  test.each([
    ['who assumes a role', '[default]\nrole_arn = R\nsource_profile = base\n[profile base]\ncredential_process = C\n'],
    ['a role that is its own source', '[default]\nrole_arn = R\nsource_profile = default\ncredential_process = C\n'],
  ])('gives the credentials of %s', async (_, config) => {
    const command = write('gives.sh', `${GIVES}\n`)
    write('.aws/config', config.replace('R', 'arn:aws:iam::111122223333:role/r').replace('C', `sh ${command}`))
    const bases = new Set()
    const sts = await serving((request, answer) => {
      bases.add(/Credential=(\w+)/.exec(String(request.headers.authorization))?.[1])
      request.resume().on('end', () => answer.end(assumed('AssumeRole')))
    })
    expect(await read({ AWS_ENDPOINT_URL_STS: sts })).toBe('value')
    expect([...bases]).toEqual(['AKIDPROCESS'])
  })
})

// As AWS's SDK for JavaScript has it.
describe('keys of a profile', () => {
  test.each([
    ['a session of `aws login`', 'login_session = arn:aws:sts::1:x\n'],
    ['a credential_process', 'credential_process = exit 1\n'],
    ['a session of SSO', 'sso_session = none\nsso_account_id = 1\n'],
    ['a web identity', 'role_arn = arn:aws:iam::111122223333:role/r\nweb_identity_token_file = /none\n'],
    ['a role that nobody assumes', 'role_arn = arn:aws:iam::111122223333:role/r\n'],
  ])('count before %s', async (_, others) => {
    write('.aws/config', `[default]\n${KEYS}${others}`)
    expect(await read()).toBe('value')
    // Also where the two files have one each, and where the profile is chosen.
    write('.aws/config', `[profile p]\n${others}`)
    write('.aws/credentials', `[p]\n${KEYS}`)
    expect(await read({ AWS_PROFILE: 'p' })).toBe('value')
  })

  test.each([
    ['another one', 'source_profile = base\n[profile base]\nlogin_session = x\n'],
    ['itself', 'source_profile = default\nlogin_session = x\n'],
  ])('assume the role of a profile whose source is %s', async (_, source) => {
    write('.aws/config', `[default]\nrole_arn = arn:aws:iam::111122223333:role/r\n${source}${KEYS}`)
    const bases = new Set()
    const sts = await serving((request, answer) => {
      bases.add(/Credential=(\w+)/.exec(String(request.headers.authorization))?.[1])
      request.resume().on('end', () => answer.end(assumed('AssumeRole')))
    })
    expect(await read({ AWS_ENDPOINT_URL_STS: sts })).toBe('value')
    expect([...bases]).toEqual(['AKID'])
  })
})

/** @param {number} pid */
function hasEnded(pid) {
  try {
    process.kill(pid, 0)
  } catch {
    return true
  }
  // Where the first process of a container asks nobody how it ended.
  const stat = fs.existsSync(`/proc/${pid}/stat`) ? fs.readFileSync(`/proc/${pid}/stat`, 'utf8') : ''
  return /\) Z /.test(stat)
}

describe('an endpoint', () => {
  test('is found in the services of a profile', async () => {
    const services = `[services local]\nsecrets_manager =\n  endpoint_url = ${aws.url}\n`
    write('.aws/config', `[default]\nregion = eu-central-1\nservices = local\n${KEYS}${services}`)
    expect(await read({ AWS_ENDPOINT_URL_SECRETS_MANAGER: undefined, AWS_REGION: undefined })).toBe('value')
  })

  test.each([
    ['endpoint_url = nonsense\n'],
    ['services = local\n[services local]\nsecrets_manager =\n  endpoint_url = nonsense\n'],
  ])('of a profile that is no URL is named: %j', async (rest) => {
    write('.aws/config', `[default]\nregion = eu-central-1\n${KEYS}${rest}`)
    const told = await read({ AWS_ENDPOINT_URL_SECRETS_MANAGER: undefined })
    expect(told).toContain('endpoint_url of the profile default is no URL of an endpoint')
  })

  test('and other variables may have blanks and line ends around them', async () => {
    const variables = {
      AWS_REGION: ' eu-central-1\r',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: ` ${aws.url} \r\n`,
      AWS_ACCESS_KEY_ID: 'AKID\r',
      AWS_SECRET_ACCESS_KEY: 's\r',
      AWS_SESSION_TOKEN: ' ',
    }
    expect(await read(variables)).toBe('value')
  })
})

describe('a profile', () => {
  const ROLE = 'role_arn = arn:aws:iam::111122223333:role/r\n'
  test.each([
    ['a source that is not there', `${ROLE}source_profile = zz\n`, /source_profile = zz, and there is no such profile/],
    ['itself as its source, without keys', `${ROLE}source_profile = p\n`, /leads back to it/],
    ['a code of a device', `${ROLE}source_profile = q\nmfa_serial = m\n[profile q]\n${KEYS}`, /mfa_serial/],
    ['no source', ROLE, /no source_profile or credential_source/],
    ['a token that is not there', `${ROLE}web_identity_token_file = /no/such\n`, /\/no\/such, which cannot be read/],
    ['a session of SSO that is not there', 'sso_session = my\n', /no section \[sso-session my\]/],
    ['half of what SSO needs', 'sso_start_url = https://x\nsso_region = x\n', /no sso_account_id, sso_role_name/],
  ])('that has %s', async (_, content, words) => {
    write('.aws/config', `[profile p]\n${content}`)
    const told = await read({ AWS_PROFILE: 'p' })
    expect(told).toMatch(/^SOURCE_UNAVAILABLE: /)
    expect(told).toMatch(words)
  })
})

describe('what a header may not hold', () => {
  test.each([
    [
      'the access key',
      { accessKeyId: 'AKID\n', secretAccessKey: 's' },
      /the access key id is empty, or has a line end/,
    ],
    ['the token', { accessKeyId: 'AKID', secretAccessKey: 's', sessionToken: 't\r\nx: y' }, /the session token has a/],
  ])('is no panic: %s', async (_, given, words) => {
    const told = await read({}, { credentials: async () => given })
    expect(told).toMatch(/^SOURCE_UNAVAILABLE: /)
    expect(told).toMatch(words)
  })

  test("is taken off the container's token", async () => {
    const seen = []
    const url = await serving((request, answer) => {
      seen.push(request.headers.authorization)
      const Expiration = new Date(Date.now() + 3_600_000).toISOString()
      answer.setHeader('content-type', 'application/json')
      answer.end(JSON.stringify({ AccessKeyId: 'AKID', SecretAccessKey: 's', Token: 't', Expiration }))
    })
    const variables = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/c`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: write('token', 'fresh\n'),
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'old',
    }
    expect(await read(variables)).toBe('value')
    expect(seen).toEqual(['fresh'])
  })
})

test.each([
  ['names no profile', { AWS_PROFILE: 'nope' }, {}],
  ['is default, and there is no file', { AWS_PROFILE: 'default' }, {}],
  ['is an option', {}, { profile: 'nope' }],
])("a profile that is not there lets the container's role answer: it %s", async (_, variables, options) => {
  const url = await serving((_, answer) => {
    const Expiration = new Date(Date.now() + 3_600_000).toISOString()
    answer.setHeader('content-type', 'application/json')
    answer.end(JSON.stringify({ AccessKeyId: 'AKID', SecretAccessKey: 's', Token: 't', Expiration }))
  })
  expect(await read({ ...variables, AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/c` }, options)).toBe('value')
  expect(await read(variables, options)).toMatch(/there is no profile/)
})

test("what the container's service answers is told apart", async () => {
  const junk = await serving((_, answer) => answer.end('canary'))
  const told = await read({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${junk}/c` })
  expect(told).toMatch(/what it answered are no credentials/)
  expect(told).not.toContain('canary')
  expect(await read({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://192.0.2.1/c' })).toMatch(
    /its address may not be asked/,
  )
})

test('a login page in the place of AWS is named as what it may be', async () => {
  const page = await serving((_, answer) => answer.writeHead(302, { location: 'https://login.example/' }).end('canary'))
  const keys = { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 's' }
  const told = await read({ ...keys, AWS_ENDPOINT_URL_SECRETS_MANAGER: page })
  expect(told).toMatch(/HTTP 302.*a proxy or a login page may answer there/)
  expect(told).not.toContain('canary')
})

test('an STS that fails in passing is asked again within the read', async () => {
  let asked = 0
  const sts = await serving((_, answer) => {
    asked += 1
    if (asked === 1) {
      const code = 'IDPCommunicationError'
      answer.writeHead(400, { 'content-type': 'text/xml' })
      answer.end(
        `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>x</Message></Error></ErrorResponse>`,
      )
    } else if (asked === 2) answer.writeHead(500).end()
    else answer.end(assumed('AssumeRoleWithWebIdentity'))
  })
  const variables = {
    AWS_WEB_IDENTITY_TOKEN_FILE: write('token', 'x'),
    AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/r',
    AWS_ENDPOINT_URL_STS: sts,
  }
  expect(await read(variables)).toBe('value')
  expect(asked).toBe(3)
})
