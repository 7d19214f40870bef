'use strict'

// `tcs-secrets export` as a process of its own, over the in-repo AWS endpoint.

const fs = require('node:fs')
const { until } = require('../support/until')
const { cliWorld, error } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, config, file, write } = world

/** That no source has a required secret. @param {string} name */
const missingOf = (name) => ({
  code: expect.stringMatching(/^SECRET_(NOT_FOUND|MISSING)$/),
  message: expect.stringContaining(name),
})

describe('export', () => {
  const left = () => fs.readdirSync(world.directory).sort()

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
    await world.aws.resetCalls()
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

  test('exports all declared tools when none is named', async () => {
    const { status, document } = await cli.json('export -f json -o out.json')
    expect([status, document.tool, document.secrets]).toEqual([0, null, ['GITHUB_API_TOKEN', 'DATABASE_PASSWORD']])
    expect(Object.keys(JSON.parse(fs.readFileSync(file('out.json'), 'utf8')))).toEqual(document.secrets)
    const unnamed = await cli.json('export -f k8s -o secret.yaml')
    expect([unnamed.status, unnamed.document]).toEqual([2, error('USAGE', '--name')])
  })

  test('names without a tool are exported, listed, and passed to a command', async () => {
    write('alone.json', { ...config, secrets: { SENDGRID: { required: true }, OTHER: {} } })
    await world.aws.put({ SENDGRID_staging: `${canary}-alone` })
    const { document } = await cli.json('export -c alone.json -f json -o out.json')
    expect(document.secrets).toEqual(['GITHUB_API_TOKEN', 'DATABASE_PASSWORD', 'SENDGRID'])
    expect(JSON.parse(fs.readFileSync(file('out.json'), 'utf8')).SENDGRID).toBe(`${canary}-alone`)
    const listed = await cli.json('list -c alone.json')
    expect(listed.document.secrets).toContainEqual(
      expect.objectContaining({ name: 'SENDGRID', declared: true, required: true, state: 'present' }),
    )
    const passed = await cli.run(
      ['run', '-c', 'alone.json', '--only', 'SENDGRID', '--', 'sh', '-c', 'printf %s "$SENDGRID"'],
      {
        reveals: true,
      },
    )
    expect(passed.stdout).toBe(`${canary}-alone`)
    await world.aws.remove('SENDGRID_staging')
    const missing = await cli.json('export -c alone.json -f json -o out.json')
    expect([missing.status, missing.document]).toEqual([1, { error: missingOf('SENDGRID') }])
  })

  test('warns of values that not everybody reads alike, without them', async () => {
    await world.aws.put({ GITHUB_API_TOKEN_staging: `${canary}\\\\ x` })
    const { status, stderr } = await cli.run('export github -f dotenv -o out.env')
    expect([status, stderr]).toEqual([
      0,
      'warning: GITHUB_API_TOKEN: npm dotenv reads the value, Python would read another one from this file\n',
    ])
    await world.aws.put({ GITHUB_API_TOKEN_staging: `${canary}'$(id)` })
    const refused = await cli.json('export github -f dotenv -o out.env')
    expect([refused.status, refused.document]).toEqual([1, error('FORMAT_UNFIT', 'GITHUB_API_TOKEN')])
  })

  test('github-actions masks the values, then hands them to the further steps', async () => {
    write('github.env', 'BEFORE=1\n')
    const env = { GITHUB_ACTIONS: 'true', GITHUB_ENV: file('github.env') }
    const { status, stdout, stderr } = await cli.run('export github -f github-actions', { env, reveals: true })
    expect([status, stdout]).toEqual([0, `::add-mask::${canary}-token\n`])
    expect(stderr).toBe('GITHUB_API_TOKEN: variables of the further steps\n')
    expect(fs.readFileSync(file('github.env'), 'utf8')).toMatch(
      new RegExp(`^BEFORE=1\nGITHUB_API_TOKEN<<(\\w+)\n${canary}-token\n\\1\n$`),
    )
    const elsewhere = await cli.json('export github -f github-actions')
    expect([elsewhere.status, elsewhere.document]).toEqual([5, error('REFUSED', 'GitHub Actions')])
  })

  test('external-secret names the places in AWS', async () => {
    const { status, stdout } = await cli.run('export github -f external-secret --store aws')
    expect([status, stdout]).toEqual([0, expect.stringContaining('key: "GITHUB_API_TOKEN_staging"')])
    expect(stdout).toContain('key: "GITHUB_WEBHOOK_SECRET_staging"')
    expect((await cli.json('export github -f external-secret -o x.yaml')).document).toEqual(error('USAGE', '--store'))
  })

  test('ends with 1 when a required secret is missing, or nothing is found', async () => {
    await world.aws.remove('GITHUB_API_TOKEN_staging')
    const missing = await cli.json('export github -f json -o out.json')
    expect([missing.status, missing.document]).toEqual([1, { error: missingOf('GITHUB_API_TOKEN') }])
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
      await world.aws.reset()
      await world.aws.fault({ action: { delayMs: 10_000 } })
      const { child, ended } = cli.start(['export', 'github', '-f', 'dotenv', '-o', 'out.env'])
      await until('AWS is asked', async () => (await world.aws.calls()).total > 0)
      child.kill(signal)
      expect(await ended).toMatchObject({ signal, stdout: '' })
      expect(fs.readFileSync(file('out.env'), 'utf8')).toBe('OLD=1\n')
      expect(left()).toEqual(['.git', 'out.env', 'tcs-secrets.config.json'])
    }
  })
})
