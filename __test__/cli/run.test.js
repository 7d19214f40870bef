'use strict'

// `tcs-secrets run`: the command has the secrets, its signals and its exit code; nobody else has.

const { createHash, randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { until } = require('../support/until')
const { Cli } = require('../support/cli')

const canary = `canary-${randomBytes(12).toString('hex')}`
const onLinux = process.platform === 'linux' ? test : test.skip
const sha256 = (text) => createHash('sha256').update(text).digest('hex')

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
const variables = 'GITHUB_API_TOKEN SLACK_BOT OTHER_ONE IN_HOUSE_KEY'
const digests = `const { createHash } = require('node:crypto')
  const digest = (text) => text && createHash('sha256').update(text).digest('hex')
  console.log(JSON.stringify('${variables}'.split(' ').map((name) => digest(process.env[name]) ?? null)))`

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

test('nothing is started when a required secret is missing', async () => {
  const { status, stdout, stderr } = await cli.run(['run', '-c', 'no-file.json', ...node("console.log('started')")])
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^error: no source has GITHUB_API_TOKEN in development, which is required/)
})

test('no value was printed', () => {
  expect(cli.printed.length).toBeGreaterThan(20)
  expect(cli.printed.filter((text) => text.includes(canary))).toEqual([])
})
