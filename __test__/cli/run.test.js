'use strict'

// `tcs-secrets run`: the command has the secrets, its signals and its exit code; nobody else has.

const { spawnSync } = require('node:child_process')
const { createHash, randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { until } = require('../support/until')
const { Cli } = require('../support/cli')

const canary = `canary-${randomBytes(12).toString('hex')}`
const onLinux = process.platform === 'linux' ? test : test.skip
const sha256 = (text) => createHash('sha256').update(text).digest('hex')

/** The only child of a process. @param {number | undefined} pid */
const childOf = (pid) => Number(fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim())

/** @type {string} */
let directory
/** @type {Cli} */
let cli

beforeAll(() => {
  directory = fs.realpathSync(temporaryDirectory('tcs-run-'))
  cli = new Cli(directory, { AWS_ACCESS_KEY_ID: '' })
  fs.mkdirSync(path.join(directory, '.git'))
  fs.writeFileSync(
    path.join(directory, '.env.dev'),
    `GITHUB_API_TOKEN=${canary}\nSLACK_BOT=${canary}-slack\nOTHER_ONE=${canary}-other\n`,
  )
  const tools = { github: { secrets: { api_token: { required: true } } }, 'in-house': { secrets: { key: {} } } }
  const write = (name, config) => fs.writeFileSync(path.join(directory, name), JSON.stringify(config))
  write('tcs-secrets.config.json', { tools })
  write('no-file.json', { tools, envFile: false })
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

/** What runs a script in Node as the command. @param {string} script */
const node = (script) => ['--', process.execPath, '-e', script]
const passed = 'GITHUB_API_TOKEN SLACK_BOT OTHER_ONE IN_HOUSE_KEY'
const digests = `const { createHash } = require('node:crypto')
  const digest = (text) => text && createHash('sha256').update(text).digest('hex')
  console.log(JSON.stringify('${passed}'.split(' ').map((name) => digest(process.env[name]) ?? null)))`

test('the command has the secrets of the declared tools, or of those that are named', async () => {
  fs.appendFileSync(path.join(directory, '.env.dev'), `IN-HOUSE_KEY=${canary}-key\n`)
  const declared = await cli.run(['run', ...node(digests)])
  expect([declared.status, JSON.parse(declared.stdout)]).toEqual([
    0,
    [sha256(canary), null, null, sha256(`${canary}-key`)],
  ])
  const named = await cli.run(['run', '-t', 'slack', '--tool', 'other', ...node(digests)])
  expect(JSON.parse(named.stdout)).toEqual([null, sha256(`${canary}-slack`), sha256(`${canary}-other`), null])
})

onLinux('nobody else has: neither a command line nor this process shows a value', async () => {
  const script = `const fs = require('node:fs')
    const seen = ['cmdline', 'environ'].map((file) => fs.readFileSync('/proc/' + process.ppid + '/' + file, 'latin1'))
    seen.push(fs.readFileSync('/proc/self/cmdline', 'latin1'))
    console.log(seen.some((text) => text.includes(process.env.GITHUB_API_TOKEN)), process.env.GITHUB_API_TOKEN.length)`
  const { stdout } = await cli.run(['run', ...node(script)])
  expect(stdout).toBe(`false ${canary.length}\n`)
})

test("standard input, output and arguments are the command's", async () => {
  const script = `process.stdin.on('data', (text) => process.stdout.write(text)).on('end', () => console.error(process.argv.slice(1)))`
  const outcome = await cli.run(['run', ...node(script), '--', '--json', '--help'], { input: 'through\n' })
  expect(outcome).toMatchObject({ status: 0, stdout: 'through\n', stderr: "[ '--json', '--help' ]\n" })
})

test.each([0, 1, 42])('the exit code %j is passed on', async (code) => {
  expect(await cli.run(['run', ...node(`process.exit(${code})`)])).toMatchObject({
    status: code,
    signal: null,
    stderr: '',
  })
})

test.each(/** @type {const} */ (['SIGTERM', 'SIGKILL', 'SIGHUP']))(
  'a command that %s ended ends this in the same way',
  async (signal) => {
    expect(await cli.run(['run', ...node(`process.kill(process.pid, '${signal}')`)])).toMatchObject({
      status: null,
      signal,
      stderr: '',
    })
  },
)

test.each(/** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']))(
  '%s is passed on to the command, which may handle it',
  async (signal) => {
    const script = `process.on('${signal}', () => { console.log('got ${signal}'); process.exit(7) }); setInterval(() => {}, 1000); console.log('ready')`
    const { child, outcome, ended } = cli.start(['run', ...node(script)])
    await until('the command is ready', () => outcome.stdout.includes('ready'))
    child.kill(signal)
    expect(await ended).toMatchObject({ status: 7, signal: null, stdout: `ready\ngot ${signal}\n` })
  },
)

onLinux('Ctrl-C on a terminal reaches the command once', async () => {
  const script = `let count = 0; process.on('SIGINT', () => console.log('interrupted ' + ++count)); process.stdin.once('data', () => process.exit(count)); console.log('ready')`
  fs.writeFileSync(path.join(directory, 'count.js'), script)
  const { child, outcome, ended } = cli.start(
    [
      '-qec',
      `exec '${process.execPath}' '${require.resolve('../../cli')}' run -- '${process.execPath}' count.js`,
      '/dev/null',
    ],
    { command: ['script'] },
  )
  await until('the command is ready', () => outcome.stdout.includes('ready'))
  child.stdin.write('\u0003')
  await until('it was interrupted', () => outcome.stdout.includes('interrupted'))
  child.stdin.write('\n')
  expect((await ended).status).toBe(1)
})

test('a command that is not there, or cannot be executed, is told as shells do', async () => {
  fs.writeFileSync(path.join(directory, 'plain.txt'), '')
  const [absent, plain] = await Promise.all([cli.run('run --json -- no-such-command'), cli.run('run -- ./plain.txt')])
  const message = 'no-such-command: there is no such command'
  expect([absent.status, JSON.parse(absent.stdout)]).toEqual([127, { error: { code: 'COMMAND_NOT_STARTED', message } }])
  expect(plain).toMatchObject({
    status: 126,
    stdout: '',
    stderr: 'error: ./plain.txt: it cannot be executed (EACCES)\n',
  })
})

describe('without --, which package managers take away', () => {
  const print = 'print.js'
  beforeAll(() => {
    fs.writeFileSync(
      path.join(directory, print),
      `console.log(JSON.stringify([process.argv.slice(2), Boolean(process.env.GITHUB_API_TOKEN)]))`,
    )
  })

  test.each([
    [
      ['run', 'node', print, '--port', '80'],
      ['--port', '80'],
    ],
    [
      ['run', '-t', 'github', 'node', print, '--json', '--help'],
      ['--json', '--help'],
    ],
    [['run', '--tool=github', '--tool', 'in-house', 'node', print, 'x'], ['x']],
    [
      ['-e', 'dev', 'run', '--config', 'tcs-secrets.config.json', 'node', print, '-e', 'prod'],
      ['-e', 'prod'],
    ],
    [
      ['run', 'node', print, '--', '--x'],
      ['--', '--x'],
    ],
    [
      ['run', '-t', 'github', 'in-house', '--', 'node', print, '--', 'y'],
      ['--', 'y'],
    ],
  ])('%j', async (args, seen) => {
    const { status, stdout, stderr } = await cli.run(args)
    expect([status, stderr, stdout]).toEqual([0, '', `${JSON.stringify([seen, true])}\n`])
  })

  test('an unknown option before the command is an error, and so is no command', async () => {
    const [unknown, none] = await Promise.all([cli.run('run --port 80 node print.js'), cli.run('run --tool github')])
    expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining("unknown option '--port'")])
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining('missing required argument')])
  })

  test('other commands are left alone', async () => {
    expect(await cli.run('get run x')).toMatchObject({ status: 1, stderr: expect.stringContaining('RUN_X') })
  })
})

describe('which secrets', () => {
  const names = `console.log(Object.keys(process.env).filter((name) => /TOKEN|SLACK|OTHER|IN_HOUSE/.test(name)).sort().join())`

  test('--only and --prefix', async () => {
    const run = async (/** @type {string[]} */ ...args) =>
      (await cli.run(['run', ...args, ...node(names)])).stdout.trim()
    expect(await run('--only', 'GITHUB_*', '--prefix', 'APP_')).toBe('APP_GITHUB_API_TOKEN')
    expect(await run('--only', 'in-house_key')).toBe('IN_HOUSE_KEY')
    const wrong = await Promise.all([
      cli.run(['run', '--only', 'GITHUB_*', 'SLACK_*', ...node(names)]),
      cli.run(['run', '--prefix', '9-', ...node(names)]),
      cli.run(['run', '--signal', 'SIGHUP', ...node(names)]),
      cli.run(['run', '--watch=0', ...node(names)]),
    ])
    expect(wrong.map(({ status, stdout }) => [status, stdout])).toEqual([1, 2, 2, 2].map((status) => [status, '']))
    expect(wrong[0].stderr).toBe('error: --only SLACK_*: no secret that was read has this name\n')
  })

  onLinux('a value that no variable can hold is named with its size, and --files gives a file', async () => {
    const long = `${canary}${'x'.repeat(200_000)}`
    fs.writeFileSync(path.join(directory, 'long.env'), `GITHUB_API_TOKEN=${long}\n`)
    fs.writeFileSync(
      path.join(directory, 'long.json'),
      JSON.stringify({ tools: { github: { secrets: { api_token: {} } } }, envFile: { path: 'long.env' } }),
    )
    const refused = await cli.run(['run', '-c', 'long.json', ...node('')])
    expect([refused.status, refused.stderr]).toEqual([
      1,
      `error: GITHUB_API_TOKEN has ${long.length} bytes, and a variable at most 131054; --files gives files instead\n`,
    ])
    const script = `const fs = require('node:fs'); const file = process.env.GITHUB_API_TOKEN_FILE
      const { createHash } = require('node:crypto')
      const modes = [file, require('node:path').dirname(file)].map((name) => (fs.statSync(name).mode & 0o777).toString(8))
      console.log(JSON.stringify([createHash('sha256').update(fs.readFileSync(file)).digest('hex'), modes, process.env.GITHUB_API_TOKEN ?? null, file]))`
    const { stdout, status } = await cli.run(['run', '-c', 'long.json', '--files', ...node(script)])
    const [digest, modes, variable, file] = JSON.parse(stdout)
    expect([status, digest, modes, variable]).toEqual([0, sha256(long), ['600', '700'], null])
    expect(fs.existsSync(path.dirname(file))).toBe(false)
  })

  test.each(/** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP']))('--files are removed after %s', async (signal) => {
    const script = `console.log(process.env.GITHUB_API_TOKEN_FILE); setInterval(() => {}, 1000)`
    const { child, outcome, ended } = cli.start(['run', '--files', ...node(script)])
    await until('the command is ready', () => outcome.stdout.includes('\n'))
    child.kill(signal)
    expect(await ended).toMatchObject({ signal })
    expect(fs.existsSync(path.dirname(outcome.stdout.trim()))).toBe(false)
  })
})

describe('--watch', () => {
  const write = (/** @type {string} */ value) => {
    fs.writeFileSync(path.join(directory, 'watched.tmp'), `GITHUB_API_TOKEN=${value}\n`)
    fs.renameSync(path.join(directory, 'watched.tmp'), path.join(directory, 'watched.env'))
  }
  beforeAll(() => {
    fs.writeFileSync(
      path.join(directory, 'watched.json'),
      JSON.stringify({ tools: { github: { secrets: { api_token: {} } } }, envFile: { path: 'watched.env' } }),
    )
  })

  test('restarts the command with the new value, and ends with it', async () => {
    write(`${canary}-1`)
    const script = `console.log(process.env.GITHUB_API_TOKEN.slice(-1)); process.on('SIGTERM', () => process.exit(9)); process.on('SIGUSR2', () => process.exit(5)); setInterval(() => {}, 1000)`
    const { child, outcome, ended } = cli.start(['run', '-c', 'watched.json', '--watch', '1', ...node(script)])
    await until('it runs', () => outcome.stdout === '1\n')
    write(`${canary}-2`)
    await until('it runs again', () => outcome.stdout === '1\n2\n')
    expect(outcome.stderr).toBe('GITHUB_API_TOKEN: 1 secret changed, so the command is restarted\n')
    fs.renameSync(path.join(directory, 'watched.env'), path.join(directory, 'gone.env'))
    fs.mkdirSync(path.join(directory, 'watched.env'))
    await until('a source fails', () => outcome.stderr.includes('the command keeps its values'))
    fs.rmdirSync(path.join(directory, 'watched.env'))
    child.kill('SIGUSR2')
    expect(await ended).toMatchObject({ status: 5, stdout: '1\n2\n' })
  })

  test('--files and --signal: the files have the new value when the signal comes', async () => {
    write(`${canary}-1`)
    const script = `const fs = require('node:fs'); const show = () => console.log(fs.readFileSync(process.env.GITHUB_API_TOKEN_FILE, 'utf8').slice(-1)); show(); process.on('SIGHUP', show); setInterval(() => {}, 1000)`
    const { child, outcome, ended } = cli.start([
      'run',
      '-c',
      'watched.json',
      '--files',
      '--watch',
      '1',
      '--signal',
      'SIGHUP',
      ...node(script),
    ])
    await until('it runs', () => outcome.stdout === '1\n')
    write(`${canary}-2`)
    await until('it looked again', () => outcome.stdout === '1\n2\n')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ signal: 'SIGTERM' })
  })
})

onLinux('as the first process of a container it passes signals on from the first moment', async () => {
  const allowed = spawnSync('unshare', ['--pid', '--fork', '--kill-child', 'true']).status === 0
  if (!allowed) {
    if (process.env.CI) throw new Error('this kernel does not let a test have a process namespace')
    return console.warn('skipped: this kernel does not let a test have a process namespace')
  }
  const space = ['--pid', '--fork', '--kill-child', process.execPath, require.resolve('../../cli')]
  const script = `process.on('SIGTERM', () => { console.log('got it'); process.exit(7) }); setInterval(() => {}, 1000); console.log('ready')`
  const running = cli.start([...space, 'run', ...node(script)], { command: ['unshare'] })
  await until('the command is ready', () => running.outcome.stdout.includes('ready'))
  const first = childOf(running.child.pid)
  process.kill(first, 'SIGTERM')
  expect(await running.ended).toMatchObject({ status: 7, stdout: 'ready\ngot it\n' })
  // Before the command was started: the configuration takes its time.
  fs.writeFileSync(
    path.join(directory, 'slow.mjs'),
    `console.error('reading'); await new Promise((resolve) => setTimeout(resolve, 20_000)); export default {}`,
  )
  const early = cli.start([...space, 'run', '-c', 'slow.mjs', ...node(script)], { command: ['unshare'] })
  await until('it reads', () => early.outcome.stderr.includes('reading'))
  process.kill(childOf(early.child.pid), 'SIGTERM')
  expect(await early.ended).toMatchObject({ status: 143, stdout: '' })
})

test('nothing is started when a required secret is missing', async () => {
  const { status, stdout, stderr } = await cli.run(['run', '-c', 'no-file.json', ...node("console.log('started')")])
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^error: .*GITHUB_API_TOKEN.*is required/)
})

test('no value was printed', () => {
  expect(cli.printed.length).toBeGreaterThan(20)
  expect(cli.printed.filter((text) => text.includes(canary))).toEqual([])
})
