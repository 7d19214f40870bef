'use strict'

// `tcs-secrets export` as a process of its own, over the in-repo AWS endpoint.

const fs = require('node:fs')
const { until } = require('../support/until')
const { cliWorld, error } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, config, file, write } = world

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

  test('ends with 1 when a required secret is missing, or nothing is found', async () => {
    await world.aws.remove('GITHUB_API_TOKEN_staging')
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
