'use strict'

// The command line as processes of their own, over the in-repo AWS endpoint and a real Redis.

const { randomBytes } = require('node:crypto')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const Ajv = require('ajv').default
const { HtmlValidate } = require('html-validate')
const { SecretDelivery } = require('..')
const { clockFindings } = require('../cli/doctor/aws')
const { trafficOf } = require('../cli/report/traffic')
const { version } = require('../package.json')
const { AwsEndpoint, RedisServer, temporaryDirectory, until } = require('../scripts/servers')
const { Cli } = require('./support/cli')

const canary = `canary-${randomBytes(12).toString('hex')}`
const onLinux = process.platform === 'linux' ? test : test.skip

const config = {
  tools: {
    github: { secrets: { api_token: { required: true, minLength: 8, phase: 'critical' }, webhook_secret: {} } },
    database: { secrets: { password: { rotationType: 'database-credentials' } } },
  },
}

/** @type {AwsEndpoint} */
let aws
/** @type {RedisServer} */
let redis
/** @type {string} */
let directory
/** @type {string} */
let logs
/** @type {Cli} */
let cli

const file = (name) => path.join(directory, name)
const write = (name, content) =>
  fs.writeFileSync(file(name), typeof content === 'string' ? content : JSON.stringify(content))

beforeAll(async () => {
  ;[aws, redis] = await Promise.all([AwsEndpoint.start(), RedisServer.start()])
  directory = fs.realpathSync(temporaryDirectory('tcs-cli-'))
  fs.mkdirSync(file('.git'))
  logs = fs.realpathSync(temporaryDirectory('tcs-logs-'))
  cli = new Cli(directory, {
    TCS_ENVIRONMENT: 'staging',
    AWS_ENDPOINT_URL: aws.url,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: canary,
    TCS_AUDIT_LOG: path.join(logs, 'secret-audit.jsonl'),
  })
})
beforeEach(async () => {
  await aws.reset()
  await aws.put({
    GITHUB_API_TOKEN_staging: `${canary}-token`,
    GITHUB_API_TOKEN_production: `${canary}-production`,
    DATABASE_PASSWORD_staging: `${canary} 'quoted' $x`,
    SLACK_BOT_staging: `${canary}-slack`,
  })
  for (const name of fs.readdirSync(directory)) if (name !== '.git') fs.rmSync(file(name), { recursive: true })
  write('tcs-secrets.config.json', config)
})
afterAll(async () => {
  await Promise.all([aws?.stop(), redis?.stop()])
  for (const made of [directory, logs]) fs.rmSync(made, { recursive: true })
})

const error = (code, message = '') => ({ error: { code, message: expect.stringContaining(message) } })

describe('the program', () => {
  test('prints its version and its help', async () => {
    const [shown, help] = await Promise.all([cli.run('--version'), cli.run('--help')])
    expect(shown).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' })
    expect(help).toMatchObject({ status: 0, stdout: expect.stringContaining('Exit codes:'), stderr: '' })
  })

  test('ends with 2 after wrong usage, and says in one line what was wrong', async () => {
    const wrong = [
      '',
      'gett',
      'get',
      'get A_B C D',
      'list --nope',
      '--environment qa list',
      'export github',
      'run env',
      'report',
    ]
    const outcomes = await Promise.all(wrong.map((args) => cli.run(args === '' ? [] : args)))
    expect(outcomes.map(({ status, stdout }) => [status, stdout])).toEqual(wrong.map(() => [2, '']))
    expect(outcomes[1].stderr).toBe("error: unknown command 'gett' (Did you mean get?); see tcs-secrets --help\n")
    expect(outcomes[4].stderr).toBe("error: unknown option '--nope'; see tcs-secrets list --help\n")
    for (const { stderr } of outcomes.slice(1)) expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(await cli.json('get')).toMatchObject({ status: 2, document: error('USAGE', 'missing required argument') })
    expect(await cli.json('get a/b')).toMatchObject({ status: 2, document: error('SECRET_NAME_INVALID') })
  })

  test('ends with 3 when the configuration is wrong', async () => {
    write('wrong.json', { cache: { ttl: 5 } })
    const { status, document } = await cli.json('list --config wrong.json')
    expect([status, document]).toEqual([3, error('CONFIG_INVALID', `'ttlSeconds'? (in ${file('wrong.json')})`)])
    write('none.json', {})
    expect(await cli.json('validate -c none.json')).toMatchObject({ status: 3, document: error('NO_TOOLS_DECLARED') })
    const broken = { NAPI_RS_NATIVE_LIBRARY_PATH: '/no/such/file.node' }
    expect(await cli.json('list', { env: broken })).toMatchObject({ status: 3, document: error('ADDON_MISSING') })
  })

  test('ends with 4 when a source fails', async () => {
    await aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
    const { status, document } = await cli.json('get github api_token -e production')
    expect([status, document]).toEqual([4, error('SECRET_ACCESS_DENIED')])
  })

  test('uses the configuration of a directory above, with its relative paths', async () => {
    fs.mkdirSync(file('below'))
    write('.env.staging', 'LEGACY_KEY=from-the-file\n')
    const { status, document } = await cli.json('get LEGACY_KEY', { cwd: file('below') })
    expect([status, document.place]).toEqual([0, file('.env.staging')])
  })

  onLinux('has colours on a terminal only, and never with NO_COLOR', async () => {
    const [terminal, plain, piped] = await Promise.all([
      cli.terminal('list'),
      cli.terminal('list', { env: { NO_COLOR: '1' } }),
      cli.run('list'),
    ])
    expect(terminal.stdout).toContain('\u001b[')
    for (const { stdout } of [plain, piped]) expect(stdout).not.toContain('\u001b')
  })

  onLinux('bears that its reader goes away', async () => {
    const { stderr, status } = await cli.run(
      ['-c', `"$0" "$1" list --json | true`, process.execPath, require.resolve('../cli')],
      {
        command: ['sh'],
      },
    )
    expect([status, stderr]).toEqual([0, ''])
  })
})

describe('init', () => {
  test('gives a first secret in an empty directory, and overwrites nothing', async () => {
    const fresh = temporaryDirectory('tcs-init-')
    const options = {
      cwd: fresh,
      env: { TCS_ENVIRONMENT: '', AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_ENDPOINT_URL: '' },
    }
    const at = (name) => path.join(fresh, name)
    try {
      execFileSync('git', ['init', '--quiet', '.'], { cwd: fresh })
      const first = await cli.run('init', options)
      expect(first).toMatchObject({ status: 0, stderr: '' })
      expect(first.stdout).toMatch(/Next:\n {2}1\. .*\n {2}2\. npx tcs-secrets get/)
      expect(fs.statSync(at('.env.dev')).mode & 0o777).toBe(0o600)
      expect(fs.readFileSync(at('.gitignore'), 'utf8')).toContain('.env.*\n')
      const written = JSON.parse(fs.readFileSync(at('tcs-secrets.config.json'), 'utf8'))
      expect(new Ajv().validate(require('../tcs-secrets.schema.json'), written)).toBe(true)
      const line = /tcs-secrets (get .*)/.exec(first.stdout)?.[1] ?? ''
      const { stdout } = await cli.run(line, { ...options, reveals: true })
      expect(fs.readFileSync(at('.env.dev'), 'utf8')).toContain(`\nGITHUB_API_TOKEN=${stdout}\n`)
      const before = ['.env.dev', '.gitignore', 'tcs-secrets.config.json'].map((name) =>
        fs.readFileSync(at(name), 'utf8'),
      )
      const { status, document } = await cli.json('init', options)
      expect([status, document.files]).toEqual([
        0,
        [
          { file: 'tcs-secrets.config.json', done: 'kept' },
          { file: '.env.dev', done: 'kept' },
        ],
      ])
      expect(
        ['.env.dev', '.gitignore', 'tcs-secrets.config.json'].map((name) => fs.readFileSync(at(name), 'utf8')),
      ).toEqual(before)
    } finally {
      fs.rmSync(fresh, { recursive: true })
    }
  })
})

describe('get', () => {
  test('shows where a secret comes from, and not the value', async () => {
    const { status, stdout, stderr } = await cli.run('get github api_token')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(
      /^GITHUB_API_TOKEN in staging\n {2}source {3}aws \(GITHUB_API_TOKEN_staging\)\n {2}version {2}[\w-]{36}\n {2}length {3}37 characters\n/,
    )
    const { document } = await cli.json('get GITHUB_API_TOKEN --environment prod')
    expect(document).toEqual({
      name: 'GITHUB_API_TOKEN',
      environment: 'production',
      source: 'aws',
      place: 'GITHUB_API_TOKEN_production',
      stale: false,
      versionId: expect.any(String),
      length: `${canary}-production`.length,
    })
  })

  test('with --reveal prints the value and nothing else', async () => {
    const plain = await cli.run('get github api_token --reveal', { reveals: true })
    expect(plain).toMatchObject({ status: 0, stdout: `${canary}-token`, stderr: '' })
    const { document } = await cli.json('get github api_token --reveal', { reveals: true })
    expect(document.value).toBe(`${canary}-token`)
  })

  onLinux('with --reveal on a terminal ends the line', async () => {
    const { stdout } = await cli.terminal('get github api_token --reveal', { reveals: true })
    expect(stdout).toBe(`${canary}-token\r\n`)
  })

  test('ends with 1 when no source has it', async () => {
    expect(await cli.json('get github none')).toMatchObject({
      status: 1,
      document: error('SECRET_NOT_FOUND', 'GITHUB_NONE'),
    })
    const { status, stdout, stderr } = await cli.run('get github none --reveal')
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^error: GITHUB_NONE: no source has it in staging; .*explain.*\n$/)
  })
})

describe('list, explain and validate', () => {
  test('list shows declared and discovered secrets', async () => {
    write('.env.staging', `LEGACY_KEY=${canary}\nGITHUB_EXTRA=${canary}\n`)
    const { status, document } = await cli.json('list')
    expect([status, document.tool, document.environment]).toEqual([0, null, 'staging'])
    expect(
      document.secrets.map(({ name, declared, required, source, state }) => [name, declared, required, source, state]),
    ).toEqual([
      ['DATABASE_PASSWORD', true, false, 'aws', 'present'],
      ['GITHUB_API_TOKEN', true, true, 'aws', 'present'],
      ['GITHUB_WEBHOOK_SECRET', true, false, null, 'absent'],
      ['LEGACY_KEY', false, false, 'env-file', 'present'],
      ['GITHUB_EXTRA', false, false, 'env-file', 'present'],
    ])
    const { stdout, stderr } = await cli.run('list github')
    expect(stdout).toBe(
      'NAME                   SOURCE    STATE\n' +
        'GITHUB_API_TOKEN       aws       ok\n' +
        'GITHUB_WEBHOOK_SECRET  –         missing\n' +
        'GITHUB_EXTRA           env-file  ok (not declared)\n',
    )
    expect(stderr).toMatch(/^warning: ENV_FILE_DEPRECATED: /)
    const found = await cli.json('list slack')
    expect(found.document.secrets).toMatchObject([
      { name: 'SLACK_BOT', declared: false, source: 'aws', state: 'present' },
    ])
  })

  test('explain walks the layers', async () => {
    const { status, document } = await cli.json('explain github api_token')
    expect([status, document.answeredBy, document.layers.map(({ layer }) => layer)]).toEqual([
      0,
      'aws',
      ['memory', 'redis', 'aws', 'env-file', 'runtime'],
    ])
    await aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
    const { stdout } = await cli.run('explain GITHUB_API_TOKEN -e production')
    expect(stdout).toContain('GITHUB_API_TOKEN in production: a read fails with SECRET_ACCESS_DENIED\n')
    expect(stdout).toMatch(/^aws +error +GITHUB_API_TOKEN_production /m)
  })

  test('validate ends with 1 when there are errors', async () => {
    const good = await cli.json('validate')
    expect([good.status, good.document.valid, good.document.secrets.length]).toEqual([0, true, 3])
    await aws.put({ GITHUB_API_TOKEN_staging: 'short' })
    const { status, stdout } = await cli.run('validate github')
    expect(status).toBe(1)
    expect(stdout).toMatch(/^error +GITHUB_API_TOKEN +aws +TOO_SHORT: /m)
    expect(stdout).toMatch(/\n2 secrets in staging: 1 error, 1 warning\n$/)
  })

  test('validate compares with other environments when asked to', async () => {
    await aws.put({ DATABASE_PASSWORD_production: `${canary} 'quoted' $x` })
    await aws.deny({ actions: ['GetSecretValue'], secrets: ['GITHUB_API_TOKEN_production'] })
    const codes = async (args) => {
      const { status, document } = await cli.json(args)
      return [
        status,
        Object.fromEntries(document.secrets.map(({ name, issues }) => [name, issues.map(({ code }) => code)])),
      ]
    }
    const github = { GITHUB_API_TOKEN: ['NOT_COMPARED'], GITHUB_WEBHOOK_SECRET: ['MISSING'] }
    expect(await codes('validate --other-environments prod test')).toEqual([
      0,
      { ...github, DATABASE_PASSWORD: ['SAME_IN_OTHER_ENVIRONMENT'] },
    ])
    expect(await codes('validate github --other-environments production')).toEqual([0, github])
    expect(await cli.json('validate --other-environments qa')).toMatchObject({
      status: 2,
      document: error('USAGE', 'qa'),
    })
  })
})

describe('doctor', () => {
  const findings = (document, check) => document.findings.filter((finding) => finding.check === check)

  test('finds nothing wrong where nothing is', async () => {
    const env = { REDIS_URL: redis.url, TCS_CACHE_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` }
    // Redis has 250 ms to answer, which a busy machine may not keep at the first try.
    const { status, document } = await until('nothing is wrong', async () => {
      const run = await cli.json('doctor', { env })
      return run.document.healthy && run
    })
    expect(document.findings.filter(({ status: state }) => state !== 'ok' && state !== 'note')).toEqual([])
    expect(status).toBe(0)
    expect(findings(document, 'environment')[0].message).toBe('staging, from TCS_ENVIRONMENT')
    expect(findings(document, 'cache keys')[0].message).toBe('k1 from TCS_CACHE_KEYS; the first encrypts')
    expect(document.findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining(['Node', 'package', 'AWS', 'clock', 'Redis', 'permissions']),
    )
  })

  test('has a fix for each thing that is wrong', async () => {
    await aws.deny({
      actions: ['GetSecretValue', 'BatchGetSecretValue'],
      secrets: ['GITHUB_API_TOKEN_staging'],
    })
    write('tcs-secrets.config.json', {
      ...config,
      aws: { credentials: { accessKeyId: 'AKIA', secretAccessKey: canary } },
      cache: {
        snapshotPath: 'snapshot',
        redis: { url: 'redis://127.0.0.1:1' },
        encryptionKeys: [{ id: 'k9', key: Buffer.alloc(32, 2).toString('base64') }],
      },
    })
    write('.env.staging', `LEGACY_KEY=${canary}\n`)
    write('snapshot', '')
    fs.chmodSync(file('.env.staging'), 0o644)
    fs.chmodSync(file('snapshot'), 0o640)
    const { status, document } = await cli.json('doctor')
    expect([status, document.healthy]).toEqual([1, false])
    const wrong = document.findings.filter(({ status: state }) => state === 'warning' || state === 'error')
    expect(wrong.filter(({ fix }) => fix === null)).toEqual([])
    const told = wrong.map(({ check, status: state, fix }) => `${state} ${check}: ${fix}`).join('\n')
    expect(told).toContain(`warning env file: chmod 600 ${file('.env.staging')}`)
    expect(told).toContain(`warning snapshot: chmod 600 ${file('snapshot')}`)
    expect(told).toContain('warning configuration: use the AWS_* variables')
    expect(told).toMatch(/Redis: check cache\.redis\.url/)
    expect(told).toContain('error permissions: grant the identity secretsmanager:GetSecretValue')
  })

  test('says what is wrong with the configuration, and how to make a key', async () => {
    const { status, document } = await cli.json('doctor', { env: { REDIS_URL: redis.url } })
    expect([status, findings(document, 'configuration')]).toEqual([
      1,
      [
        expect.objectContaining({
          status: 'error',
          message: expect.stringContaining('ENCRYPTION_KEY_INVALID'),
          fix: expect.stringContaining('TCS_CACHE_KEYS'),
        }),
      ],
    ])
    const { stdout } = await cli.run('doctor', { env: { REDIS_URL: redis.url } })
    expect(stdout).toMatch(/^error +configuration .*\n +→ make a key: /m)
  })

  test.each([
    [0, 'ok', 'agrees'],
    [-90, 'warning', '90 seconds ahead of'],
    [400, 'error', '400 seconds behind'],
  ])('compares the clock with an answer that is %j seconds off', async (off, status, message) => {
    const now = Date.now()
    const server = http.createServer((_, answer) =>
      answer.writeHead(404, { date: new Date(now + off * 1000).toUTCString() }).end(),
    )
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    // The header has whole seconds: at the start of one.
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Math.floor(now / 1000) * 1000)
    try {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
      const [finding] = await clockFindings(`http://127.0.0.1:${port}`)
      expect([finding.status, finding.message]).toEqual([status, expect.stringContaining(message)])
    } finally {
      clock.mockRestore()
      server.close()
    }
  })

  test('sees an AWS that does not answer', async () => {
    const { status, document } = await cli.json('doctor -e production', {
      env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    })
    expect([status, findings(document, 'AWS')]).toEqual([
      1,
      [expect.objectContaining({ status: 'error', fix: expect.stringContaining('network') })],
    ])
  })
})

describe('rotate and due', () => {
  test('rotate gives a new value, when nobody has to be asked', async () => {
    const refused = await cli.json('rotate database password')
    expect([refused.status, refused.document]).toEqual([2, error('CONFIRMATION_NEEDED', '--yes')])
    const { status, document } = await cli.json('rotate database password --yes')
    expect([status, document.name, document.outcome]).toEqual([0, 'DATABASE_PASSWORD', 'finished'])
    const { stdout } = await cli.run('get database password --reveal', { reveals: true })
    expect(stdout).toMatch(/^[A-Za-z0-9]{32}$/)
  })

  test('rotate ends with 1 when it did not succeed', async () => {
    const { status, document } = await cli.json('rotate NOT_THERE --yes')
    expect([status, document.outcome, document.error.code]).toEqual([1, 'failed', 'ROTATION_FAILED'])
  })

  test('the hooks of a configuration in JavaScript are called', async () => {
    write(
      'hooks.cjs',
      `module.exports = { ...${JSON.stringify(config).replace(',"phase":"critical"', '')}, rotation: { hooks: { set() { throw new Error('no') } } } }`,
    )
    const { status, document } = await cli.json('rotate DATABASE_PASSWORD --yes --config hooks.cjs')
    expect([status, document.outcome, document.steps.map(({ step }) => step)]).toEqual([1, 'failed', ['create', 'set']])
  })

  onLinux('rotate asks on a terminal', async () => {
    for (const [answer, status, said] of [
      ['n', 1, 'was not rotated'],
      ['y', 0, 'the new value is live'],
    ]) {
      const { child, outcome, ended } = cli.start(
        ['-qec', `'${process.execPath}' '${require.resolve('../cli')}' rotate DATABASE_PASSWORD`, '/dev/null'],
        {
          command: ['script'],
        },
      )
      await until('the question is asked', () => outcome.stdout.includes('[y/N]'))
      child.stdin.write(`${answer}\n`)
      expect(await ended).toMatchObject({ status, stdout: expect.stringContaining(said) })
    }
  })

  test('due shows when', async () => {
    const { status, document } = await cli.json('due')
    expect([status, document.secrets.map(({ name, state }) => [name, state])]).toEqual([
      0,
      [
        ['GITHUB_API_TOKEN', 'later'],
        ['DATABASE_PASSWORD', 'later'],
        ['GITHUB_WEBHOOK_SECRET', 'unknown'],
      ],
    ])
    const { stdout } = await cli.run('due')
    expect(stdout).toMatch(/^DATABASE_PASSWORD +later +\d{4}-\d\d-\d\d 02:00 UTC \(in \d+ days\)/m)
  })
})

describe('audit', () => {
  test('verify says whether a log is as it was written, and tail shows its end', async () => {
    const log = path.join(logs, 'kept.jsonl')
    const env = { TCS_AUDIT_LOG: log }
    for (let i = 0; i < 2; i++) await cli.run('get DATABASE_PASSWORD', { env })
    const { status, document } = await cli.json('audit verify', { env })
    expect([status, document.valid, document.fault]).toEqual([0, true, null])
    const tail = await cli.json('audit tail --lines 1 --secret DATABASE_PASSWORD --outcome ok', { env })
    expect(tail.document.records).toEqual([
      expect.objectContaining({ event: 'access', secret: 'DATABASE_PASSWORD', caller: 'tcs-secrets' }),
    ])
    expect((await cli.run('audit tail', { env })).stdout).toMatch(
      /access +DATABASE_PASSWORD +aws miss +ok +tcs-secrets/,
    )
    fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"outcome":"ok"', '"outcome":"absent"'))
    const changed = await cli.run('audit verify', { env })
    expect([changed.status, changed.stdout]).toEqual([1, expect.stringContaining('changed at line')])
    const missing = await cli.json('audit verify none.jsonl', { env })
    expect([missing.status, missing.document.error.code]).toEqual([4, 'SOURCE_UNAVAILABLE'])
    expect((await cli.json('audit tail --lines 0', { env })).status).toBe(2)
  })
})

describe('export', () => {
  const left = () => fs.readdirSync(directory).sort()

  test('writes a file that only its owner can read, and replaces such a one', async () => {
    const { status, document } = await cli.json('export github --format dotenv --out out.env')
    expect([status, document]).toEqual([
      0,
      {
        tool: 'github',
        environment: 'staging',
        format: 'dotenv',
        file: file('out.env'),
        secrets: ['GITHUB_API_TOKEN'],
      },
    ])
    expect(fs.statSync(file('out.env')).mode & 0o777).toBe(0o600)
    expect(fs.readFileSync(file('out.env'), 'utf8')).toBe(`GITHUB_API_TOKEN=${canary}-token\n`)
    await cli.run('export database --format json --out out.env')
    expect(JSON.parse(fs.readFileSync(file('out.env'), 'utf8'))).toEqual({ DATABASE_PASSWORD: `${canary} 'quoted' $x` })
    await cli.run('export database -f k8s -o secret.yaml --name shop --namespace shop-staging')
    expect(fs.readFileSync(file('secret.yaml'), 'utf8')).toContain(
      'name: "shop-staging-secrets"\n  namespace: "shop-staging"',
    )
    expect(left()).toEqual(['.git', 'out.env', 'secret.yaml', 'tcs-secrets.config.json'])
  })

  test('refuses what would expose a value, before it reads one', async () => {
    write('open.env', 'old')
    fs.chmodSync(file('open.env'), 0o644)
    fs.symlinkSync(file('elsewhere'), file('link.env'))
    await aws.resetCalls()
    const outcomes = await Promise.all([
      cli.json('export github -f json'),
      cli.json('export github -f json -o open.env'),
      cli.json('export github -f json -o link.env'),
      cli.json('export github -f json -o .'),
      cli.json('export github -f json -o none/out.env'),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual([5, 5, 5, 5, 5])
    expect(outcomes.map(({ document }) => document.error.code)).toEqual([
      'REFUSED',
      'REFUSED',
      'REFUSED',
      'REFUSED',
      'FILE_NOT_WRITTEN',
    ])
    expect(outcomes[1].document.error.message).toContain(`chmod 600 ${file('open.env')}`)
    expect(fs.readFileSync(file('open.env'), 'utf8')).toBe('old')
    expect(left()).toEqual(['.git', 'link.env', 'open.env', 'tcs-secrets.config.json'])
  })

  test('with --reveal prints', async () => {
    const { stdout } = await cli.run('export database --format shell --reveal', { reveals: true })
    expect(stdout).toBe(`export DATABASE_PASSWORD='${canary} '\\''quoted'\\'' $x'\n`)
  })

  test('ends with 1 when a required secret is missing, or nothing is found', async () => {
    await aws.remove('GITHUB_API_TOKEN_staging')
    expect(await cli.json('export github -f json -o out.json')).toMatchObject({
      status: 1,
      document: error('SECRET_NOT_FOUND', 'GITHUB_API_TOKEN'),
    })
    expect(await cli.json('export nothing -f json -o out.json')).toMatchObject({
      status: 1,
      document: error('SECRET_NOT_FOUND'),
    })
    expect(left()).toEqual(['.git', 'tcs-secrets.config.json'])
  })

  test('leaves the old file when it is interrupted', async () => {
    write('out.env', 'OLD=1\n')
    fs.chmodSync(file('out.env'), 0o600)
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGKILL'])) {
      await aws.reset()
      await aws.fault({ action: { delayMs: 10_000 } })
      const { child, ended } = cli.start(['export', 'github', '-f', 'dotenv', '-o', 'out.env'])
      await until('AWS is asked', async () => (await aws.calls()).total > 0)
      child.kill(signal)
      expect(await ended).toMatchObject({ signal, stdout: '' })
      expect(fs.readFileSync(file('out.env'), 'utf8')).toBe('OLD=1\n')
      expect(left()).toEqual(['.git', 'out.env', 'tcs-secrets.config.json'])
    }
  })
})

describe('report', () => {
  /** What is no HTML. @param {string} page */
  async function mistakes(page) {
    // Prettier writes the templates its own way.
    const style = { 'doctype-style': 'off', 'void-style': 'off', 'no-trailing-whitespace': 'off' }
    const validator = new HtmlValidate({ root: true, extends: ['html-validate:recommended'], rules: style })
    const { results } = await validator.validateString(page)
    return results.flatMap(({ messages }) => messages.map(({ message, line }) => `${line}: ${message}`))
  }

  test('writes one page that needs nothing else, with all that is known', async () => {
    const env = { REDIS_URL: redis.url, TCS_CACHE_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` }
    const { status, document } = await cli.json('report --out report.html', { env })
    expect([status, document.environment, document.secrets.length, document.rotation.length]).toEqual([
      0,
      'staging',
      3,
      3,
    ])
    const page = fs.readFileSync(file('report.html'), 'utf8')
    for (const name of ['GITHUB_API_TOKEN', 'GITHUB_WEBHOOK_SECRET', 'DATABASE_PASSWORD']) expect(page).toContain(name)
    for (const { layer } of document.performance.layers)
      expect([layer, page.includes(`>${layer}</text`)]).toEqual([layer, true])
    expect(page).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/)
    expect(page).not.toContain(canary)
    expect(await mistakes(page)).toEqual([])
  })

  test('shows the reads of the service and verifies its audit log', async () => {
    const log = file('secret-audit.jsonl')
    const service = new SecretDelivery({
      environment: 'staging',
      aws: aws.options,
      cache: { redis: false },
      envFile: false,
      audit: { path: log },
    })
    for (let i = 0; i < 10; i++) await service.getSecret('GITHUB_API_TOKEN')
    await service.close()
    const env = { TCS_AUDIT_LOG: '' }
    const { status, document } = await cli.json('report --out report.html', { env })
    const { verification, traffic } = document.audit
    expect([status, document.audit.log, verification.valid, verification.endConfirmed]).toEqual([0, log, true, true])
    // Those of this program are not among them.
    expect(traffic).toMatchObject({ by: 'hour', reads: 10, lookups: 10, hits: 9, spans: [{ reads: 10, hits: 9 }] })
    expect(traffic.spans[0].p99Ms).toBeGreaterThan(traffic.spans[0].p50Ms)
    const page = fs.readFileSync(file('report.html'), 'utf8')
    expect(page).toMatch(/10 reads since .*, and a cache answered 90\.0 % of 10\s+lookups/)
    expect(page).toMatch(/<title>\S+ \S+: 90 % of 10<\/title>/)
    expect(await mistakes(page)).toEqual([])
    fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"cache":"hit"', '"cache":"hot"'))
    await cli.run('report --out report.html', { env })
    expect(fs.readFileSync(file('report.html'), 'utf8')).toMatch(
      /It was tampered with; the\s+first fault: <code>changed<\/code> at line 4 of/,
    )
    const none = await cli.json('report --audit-log none.jsonl', { env })
    expect([none.status, none.document.audit.error.code]).toEqual([0, 'SOURCE_UNAVAILABLE'])
  })

  test('counts a long log by the day', async () => {
    const record = (hour, more) => ({
      time: new Date(Date.UTC(2026, 0, 1, hour)).toISOString(),
      environment: 'staging',
      event: 'access',
      cache: 'hit',
      latency_us: 100,
      ...more,
    })
    const kept = Array.from({ length: 24 * 100 }, (_, hour) => record(hour))
    const others = [{ caller: 'tcs-secrets' }, { environment: 'production' }, { event: 'rotate' }, { time: 'never' }]
    const late = record(24 * 99, { cache: 'miss', latency_us: 5_000 })
    const lines = [...kept, late, record(24 * 99, { cache: 'bypass' }), ...others.map((more) => record(5, more))]
    write('long.jsonl', `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"torn`)
    const traffic = await trafficOf(file('long.jsonl'), 'staging')
    expect([traffic.by, traffic.spans.length, traffic.reads]).toEqual(['day', 72, 71 * 24 + 26])
    const last = traffic.spans[71]
    expect(last).toMatchObject({ from: '2026-04-10T00:00:00.000Z', reads: 26, lookups: 25, hits: 24 })
    // Within a tenth.
    expect(last?.p50Ms).toBeGreaterThanOrEqual(0.1)
    expect(last?.p50Ms).toBeLessThan(0.111)
    expect(last?.p99Ms).toBeGreaterThanOrEqual(5)
    expect(last?.p99Ms).toBeLessThan(5.51)
    write('empty.jsonl', '')
    expect(await trafficOf(file('empty.jsonl'), 'staging')).toMatchObject({ spans: [], reads: 0 })
  })

  test('is written while AWS fails, and says so', async () => {
    await aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException', message: '<b>bold</b>' } } })
    const { status, stdout } = await cli.run('report --out report.html -e production')
    expect([status, stdout]).toEqual([0, `${file('report.html')}\n`])
    const page = fs.readFileSync(file('report.html'), 'utf8')
    expect(page).toContain('SECRET_ACCESS_DENIED')
    expect(page).not.toContain('<b>')
  })
})

test('the audit log names this program, and standard output stays the result where the log goes there', async () => {
  const log = path.join(logs, 'named.jsonl')
  await cli.run('get github api_token', { env: { TCS_AUDIT_LOG: log } })
  const records = fs
    .readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const read = records.filter(({ secret }) => secret === 'GITHUB_API_TOKEN')
  expect(read).toEqual(expect.arrayContaining([expect.objectContaining({ caller: 'tcs-secrets', outcome: 'ok' })]))
  const { document, stderr } = await cli.json('get github api_token', { env: { TCS_AUDIT_LOG: 'stdout' } })
  expect([document.source, stderr.includes('"secret":"GITHUB_API_TOKEN"')]).toEqual(['aws', true])
})

test('no value was printed by any of these without --reveal', () => {
  const forms = [canary, Buffer.from(canary).toString('base64').slice(0, -4)]
  expect(cli.printed.length).toBeGreaterThan(100)
  const written = fs.readdirSync(logs).map((name) => fs.readFileSync(path.join(logs, name), 'latin1'))
  const seen = [...cli.printed, ...written]
  expect(seen.filter((text) => forms.some((form) => text.includes(form)))).toEqual([])
})
