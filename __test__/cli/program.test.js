'use strict'

// The command line as processes of their own, over the in-repo AWS endpoint: the program, and the reading commands.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const Ajv = require('ajv').default
const { closest } = require('../../lib/suggest')
const { version } = require('../../package.json')
const { temporaryDirectory } = require('../support/files')
const { cliWorld, error } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, config, file, write } = world

const onLinux = process.platform === 'linux' ? test : test.skip

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
      'run',
      'run --nope env',
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
    const broken = { TCS_SECRET_DELIVERY_BINARY: '/no/such/file.node' }
    expect(await cli.json('list', { env: broken })).toMatchObject({ status: 3, document: error('ADDON_MISSING') })
  })

  test('ends with 4 when a source fails', async () => {
    await world.aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
    const { status, document } = await cli.json('get github api_token -e production')
    expect([status, document]).toEqual([4, error('SECRET_ACCESS_DENIED')])
  })

  test('uses the configuration of a directory above, with its relative paths', async () => {
    fs.mkdirSync(file('below'))
    write('.env.staging', 'LEGACY_KEY=from-the-file\n')
    const { status, document } = await cli.json('get LEGACY_KEY', { cwd: file('below') })
    expect([status, document.place]).toEqual([0, file('.env.staging')])
  })

  test('--verbose shows what happens inside, without values, and logLevel does the same', async () => {
    const throttled = { times: 1, action: { error: { status: 400, code: 'ThrottlingException' } } }
    const get = async (/** @type {string} */ more) => {
      await world.aws.fault(throttled)
      const { status, stdout, stderr } = await cli.run(`get github api_token${more}`)
      expect([status, stdout]).toEqual([0, expect.stringContaining('GITHUB_API_TOKEN_staging')])
      return stderr
    }
    write('loud.json', { ...config, logLevel: 'debug' })
    expect(await get('')).toBe('')
    for (const more of [' --verbose', ' -c loud.json']) expect(await get(more)).toMatch(/Throttling|throttl/i)
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
      ['-c', `"$0" "$1" list --json | true`, process.execPath, require.resolve('../../cli')],
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
      expect(new Ajv().validate(require('../../tcs-secrets.schema.json'), written)).toBe(true)
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

describe('suggestions', () => {
  test('a misspelt name, type or tool is suggested, and nothing for a name that is like none', async () => {
    write('.env.staging', 'LEGACY_PASSPHRASE=x\n')
    const said = async (/** @type {string} */ args) => {
      const { status, stderr } = await cli.run(args)
      return [status, /did you mean (\S+)\?/.exec(stderr)?.[1]]
    }
    expect(await said('get github webhook_secrte')).toEqual([1, 'GITHUB_WEBHOOK_SECRET'])
    expect(await said('get DATABSE_PASSWORD')).toEqual([1, 'DATABASE_PASSWORD'])
    expect(await said('get LEGACY_PASPHRASE')).toEqual([1, 'LEGACY_PASSPHRASE'])
    expect(await said('get paypal client')).toEqual([1, undefined])
    expect(await said('get A_B')).toEqual([1, undefined])
    expect(await said('export githb -f json -o out.json')).toEqual([1, 'github'])
    expect(await said('run -t databse -- true')).toEqual([1, 'database'])
    expect((await cli.run('list githb')).stdout).toBe(
      'No secrets of githb are declared or found in staging; did you mean github?\n',
    )
    expect(await cli.json('get github api_tokn')).toMatchObject({
      status: 1,
      document: error('SECRET_NOT_FOUND', 'did you mean GITHUB_API_TOKEN?'),
    })
  })

  test('a misspelt tool is not valid, and names in other letters are suggested', async () => {
    write('tcs-secrets.config.json', { ...config, secrets: { SENDGRID: { required: true } } })
    expect(await cli.json('validate githb')).toMatchObject({
      status: 1,
      document: error('SECRET_NOT_FOUND', 'no source has a secret of githb in staging; did you mean github?'),
    })
    const { document } = await cli.json('validate --other-environments production')
    expect(document.secrets.find(({ name }) => name === 'SENDGRID')).toMatchObject({ source: null })
    expect(document.valid).toBe(false)
    expect((await cli.run('explain GITHUB_API_TOKN')).stdout).toContain('; did you mean GITHUB_API_TOKEN?')
    expect((await cli.run('get github_api_token')).stderr).toContain('; did you mean GITHUB_API_TOKEN?')
    expect((await cli.run('get sendgrid')).stderr).toContain('; did you mean SENDGRID?')
    expect((await cli.run('rotate DATABSE_PASSWORD --yes')).stderr).toContain('did you mean DATABASE_PASSWORD?')
  })

  test('a tool without a type is no secret: nothing of its name is read or made', async () => {
    const which = 'github is a tool: name one of its secrets as well (api_token, webhook_secret)'
    expect((await cli.run('get github')).stderr).toContain(which)
    expect((await cli.run('explain github')).stdout).toContain(which)
    for (const command of ['put', 'generate', 'rotate', 'delete', 'restore', 'edit']) {
      const { status, document } = await cli.json(`${command} github --yes`, { input: 'a-value' })
      expect([command, status, document]).toEqual([command, 2, error('USAGE', which)])
    }
    expect(await world.aws.versions('github_staging').catch(() => [])).toEqual([])
  })

  test('the help of the command that was used is named', async () => {
    for (const [args, help] of [
      ['audit compare', 'audit compare'],
      ['get list extra more', 'get'],
      ['migrate aply', 'migrate'],
      ['-e staging validate --requird', 'validate'],
    ]) {
      expect((await cli.run(String(args))).stderr).toContain(`see tcs-secrets ${help} --help`)
    }
  })

  test('swapped letters are one change, and names of very different lengths are not compared', () => {
    expect(closest('API_TOKNE', ['API_TOKEN', 'APE_TAKEN'])).toBe('API_TOKEN')
    expect(closest('api_tokn', ['API_TOKEN'])).toBe('API_TOKEN')
    expect(closest('ABC', ['ABD'])).toBeUndefined()
    expect(closest('x'.repeat(100_000), ['y'.repeat(100_000)])).toBeUndefined()
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
    await world.aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
    const { stdout } = await cli.run('explain GITHUB_API_TOKEN -e production')
    expect(stdout).toContain('GITHUB_API_TOKEN in production: a read fails with SECRET_ACCESS_DENIED\n')
    expect(stdout).toMatch(/^aws +error +GITHUB_API_TOKEN_production /m)
  })

  test('validate ends with 1 when there are errors', async () => {
    const good = await cli.json('validate')
    expect([good.status, good.document.valid, good.document.secrets.length]).toEqual([0, true, 3])
    await world.aws.put({ GITHUB_API_TOKEN_staging: 'short' })
    const { status, stdout } = await cli.run('validate github')
    expect(status).toBe(1)
    expect(stdout).toMatch(/^error +GITHUB_API_TOKEN +aws +TOO_SHORT: /m)
    expect(stdout).toMatch(/\n2 secrets in staging: 1 error, 1 warning\n$/)
  })

  test('validate compares with other environments when asked to', async () => {
    await world.aws.put({ DATABASE_PASSWORD_production: `${canary} 'quoted' $x` })
    await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['GITHUB_API_TOKEN_production'] })
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
