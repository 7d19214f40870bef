'use strict'

// `tcs-secrets scan`: values in files, in the index and in history are found, named, and never printed. `run --mask`.

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { root } = require('../support/files')
const { cliWorld } = require('../support/cli-world')

const world = cliWorld()
const { canary, file } = world
const entry = path.join(root, 'cli', 'index.js')
const token = () => `${canary}-token`
const onUnix = process.platform === 'win32' ? test.skip : test

/** @param {string[]} args */
const git = (...args) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'commit.gpgsign=false', ...args], {
    cwd: world.directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })

beforeEach(() => {
  fs.rmSync(file('.git'), { recursive: true, force: true })
})
afterAll(() => fs.mkdirSync(file('.git'), { recursive: true }))

/** @param {string} args */
async function scan(args = '') {
  const { status, document, stderr } = await world.cli.json(`scan ${args}`.trim())
  const found = (document.findings ?? []).map(
    ({ secret, path, line, column, form }) => `${path}:${line}:${column} ${secret} ${form}`,
  )
  return { status, found, document, stderr }
}

test('files are searched for values in every form, and what git ignores is not', async () => {
  git('init', '-q')
  world.write('.gitignore', 'ignored.txt\nnode_modules\n')
  world.write('ignored.txt', token())
  world.write('tracked.js', `one\nconst token = '${token()}'\n`)
  world.write('form.txt', new URLSearchParams({ p: `${canary} 'quoted' $x` }).toString())
  world.write('basic.txt', Buffer.from(`user:${token()}`).toString('base64'))
  world.write('clean.txt', 'nothing')
  git('add', 'tracked.js')
  const { status, found, document } = await scan()
  expect(found).toEqual([
    expect.stringMatching(/^basic\.txt:1:\d+ GITHUB_API_TOKEN base64$/),
    'form.txt:1:3 DATABASE_PASSWORD url',
    'tracked.js:2:16 GITHUB_API_TOKEN plain',
  ])
  expect([status, document.values, document.unread]).toEqual([1, 2, []])
  const text = await world.cli.run('scan')
  expect(text.stdout).toMatch(/tracked\.js:2:16: GITHUB_API_TOKEN \(staging\), plain\n[^]*3 places found/)
})

test('nothing found is 0, and a folder outside of a checkout is searched as a whole', async () => {
  world.write('a.txt', 'nothing')
  fs.mkdirSync(file('sub'))
  expect(await scan()).toMatchObject({ status: 0, found: [] })
  world.write('sub/b.bin', Buffer.concat([Buffer.from([0, 255, 10]), Buffer.from(token())]).toString('latin1'))
  fs.symlinkSync('..', file('sub/circle'))
  expect(await scan('sub')).toMatchObject({ status: 1, found: ['sub/b.bin:2:1 GITHUB_API_TOKEN plain'] })
  expect(await scan('sub/b.bin')).toMatchObject({ status: 1 })
  expect(await scan('missing')).toMatchObject({ status: 2, document: { error: { code: 'USAGE' } } })
})

test('the index and the history are searched; a repository without commits has none', async () => {
  git('init', '-q', '-b', 'main')
  expect(await scan('--history')).toMatchObject({ status: 0, found: [] })
  world.write('with space.txt', `x ${token()}`)
  git('add', '.')
  world.write('with space.txt', 'clean in the folder')
  expect(await scan()).toMatchObject({ status: 0, found: [] })
  expect(await scan('--staged')).toMatchObject({ status: 1, found: ['with space.txt:1:3 GITHUB_API_TOKEN plain'] })
  git('commit', '-qm', 'first')
  git('add', '.')
  git('commit', '-qm', `message with ${token()}`)
  expect(await scan('--staged')).toMatchObject({ status: 0, found: [] })
  const { status, found, document } = await scan('--history')
  expect(status).toBe(1)
  expect(found.filter((line) => line.startsWith('with space.txt'))).toEqual([
    'with space.txt:1:3 GITHUB_API_TOKEN plain',
  ])
  expect(found).toHaveLength(2)
  const first = git('log', '--reverse', '--format=%h').split('\n')[0]
  expect(document.findings.map(({ commit }) => commit)).toContain(first)
})

test('several environments, SARIF, and wrong usage', async () => {
  git('init', '-q')
  world.write('p.txt', `${canary}-production`)
  expect(await scan()).toMatchObject({ status: 0 })
  const { status, document } = await scan('--env staging production')
  expect([status, document.findings.map(({ environment }) => environment)]).toEqual([1, ['production']])
  const sarif = await world.cli.run('scan --env production --sarif')
  expect(JSON.parse(sarif.stdout)).toMatchObject({
    version: '2.1.0',
    runs: [
      {
        results: [
          {
            ruleId: 'secret-value',
            locations: [{ physicalLocation: { artifactLocation: { uri: 'p.txt' }, region: { startLine: 1 } } }],
          },
        ],
      },
    ],
  })
  expect(await scan('--staged src')).toMatchObject({ status: 2 })
  expect(await scan('--env nowhere')).toMatchObject({ status: 2 })
  fs.rmSync(file('.git'), { recursive: true })
  expect(await scan('--history')).toMatchObject({ status: 2, document: { error: { code: 'NO_REPOSITORY' } } })
})

test('what could not be read is said, and is no success', async () => {
  await world.aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'], secrets: ['DATABASE_PASSWORD_staging'] })
  world.write('a.txt', 'nothing')
  const { status, document, stderr } = await scan()
  expect(document.unwatched).toEqual([expect.objectContaining({ secret: 'DATABASE_PASSWORD' })])
  expect(stderr).toContain('DATABASE_PASSWORD')
  expect(status).toBe(4)
})

onUnix('the pre-commit recipe of the documentation stops a commit', () => {
  git('init', '-q')
  const page = fs.readFileSync(path.join(root, 'docs', 'redaction.md'), 'utf8')
  const recipe = /```sh\n(#!\/bin\/sh\n[^`]+)```/.exec(page)?.[1] ?? ''
  expect(recipe).toContain('scan --staged')
  const hook = recipe.replace('npx --no-install tcs-secrets', `'${process.execPath}' '${entry}'`)
  fs.writeFileSync(file('.git/hooks/pre-commit'), hook, { mode: 0o755 })
  const commit = () => {
    git('add', '.')
    const args = ['-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '-m', 'x']
    return spawnSync('git', args, { cwd: world.directory, env: world.cli.env, encoding: 'utf8' })
  }
  world.write('a.txt', token())
  const stopped = commit()
  world.cli.printed.push(stopped.stdout, stopped.stderr)
  expect([stopped.status, stopped.stderr]).toEqual([1, expect.stringContaining('a.txt:1:1: GITHUB_API_TOKEN')])
  world.write('a.txt', 'clean')
  expect(commit().status).toBe(0)
})

test('the CI recipe of the documentation finds values and writes SARIF', async () => {
  const page = fs.readFileSync(path.join(root, 'docs', 'redaction.md'), 'utf8')
  const args = /run: npx --no-install tcs-secrets (scan .*) > secrets\.sarif/.exec(page)?.[1] ?? ''
  git('init', '-q')
  world.write('a.txt', token())
  git('add', '.')
  git('commit', '-qm', 'x')
  const { status, stdout } = await world.cli.run(args)
  expect([status, JSON.parse(stdout).runs[0].results.length]).toEqual([1, 1])
})

onUnix('run --mask takes values out of what a command writes, and ends as it ends', async () => {
  const script = `process.stdout.write('a ' + process.env.GITHUB_API_TOKEN.slice(0, 9))
    setTimeout(() => {
      process.stdout.write(process.env.GITHUB_API_TOKEN.slice(9) + ' b')
      console.error(JSON.stringify(process.env.DATABASE_PASSWORD))
      process.exitCode = 3
    }, 50)`
  const { status, stdout, stderr } = await world.cli.run(['run', '--mask', '--', process.execPath, '-e', script])
  expect([status, stdout]).toEqual([3, 'a [secret GITHUB_API_TOKEN] b'])
  expect(stderr).toContain('"[secret DATABASE_PASSWORD]"')
  // What was found is what was asked for.
  expect(stderr).not.toContain('ALERT')
})
