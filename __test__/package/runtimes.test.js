'use strict'

// The same service on every supported runtime: by itself, in a worker thread, and under `cluster`. Real servers answer it.
// The runtimes come from tools/runtimes, whose packages hold the programs themselves.

const { spawn } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { root, temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')
const { installed } = require('../../tools/runtimes')

const smoke = path.join(__dirname, '..', 'fixtures', 'smoke.cjs')

/** @type {[AwsEndpoint, RedisServer]} */
let servers
beforeAll(async () => {
  servers = await Promise.all([AwsEndpoint.start(), RedisServer.start()])
})
afterAll(() => Promise.all(servers?.map((server) => server.stop()) ?? []))

/** @type {string} */
let directory
beforeEach(async () => {
  const [aws, redis] = servers
  await aws.reset()
  await redis.command('FLUSHALL')
  await aws.put({
    A_B_production: 'value',
    A_REFUSED_production: 'value',
    UNI_CODE_production: 'schön – 漢字 🔑',
    DENIED_X_production: 'value',
  })
  await aws.deny({ actions: ['GetSecretValue'], secrets: ['DENIED_X_production'] })
  await aws.deny({ actions: ['PutSecretValue'], secrets: ['A_REFUSED_production'] })
  directory = temporaryDirectory()
  fs.writeFileSync(path.join(directory, '.env.dev'), 'GITHUB_API_TOKEN=from-the-file\n')
})
afterEach(() => fs.rmSync(directory, { recursive: true }))

/** Runs the service; what it saw. */
async function run(command, args) {
  const [aws, redis] = servers
  const production = {
    environment: 'production',
    compliance: false,
    aws: { ...aws.options, maxAttempts: 1 },
    tools: { a: { secrets: { b: {} } } },
    audit: { path: path.join(directory, 'production.jsonl') },
    runtime: { secretDirectories: [] },
    cache: { redis: { url: redis.url }, encryptionKeys: [{ id: 'k', key: randomBytes(32).toString('base64') }] },
  }
  const env = { PATH: process.env.PATH, HOME: directory, TEST_OPTIONS: JSON.stringify(production), NO_COLOR: '1' }
  const child = spawn(command, args, { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 25_000 })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const status = await new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
  if (status !== 0 || stdout === '')
    throw new Error(`${path.basename(command)} ended with ${status}\n${stdout}${stderr}`)
  return { ...JSON.parse(stdout), stderr }
}

const expected = {
  esModule: true,
  envFile: 'from-the-file',
  variable: 'from-the-runtime',
  absent: null,
  audit: true,
  burst: ['value'],
  cached: 'value',
  calls: [['GetSecretValue', { ok: 1, denied: 0, failed: 0 }]],
  tool: { b: 'value' },
  unicode: 'schön – 漢字 🔑',
  answeredBy: 'memory',
  badName: [true, 'SECRET_NAME_INVALID'],
  badOption: 'CONFIG_INVALID',
  denied: [true, 'SECRET_ACCESS_DENIED'],
  rotated: true,
  strings: [],
  redacted: 'pw [secret UNI_CODE]!',
  hook: 'A_B',
  heard: ['a', 'b'],
  refusedRotation: false,
  warned: true,
  newValue: true,
  shared: 'schön – 漢字 🔑',
  sharedBy: 1,
  closed: [true, 'CLOSED'],
  stderr: '',
}

describe.each(installed())('$name', ({ name, command, flags, modes }) => {
  test.each(modes)('%s', async (mode) => {
    const args = mode === 'main' ? [] : [mode]
    const saw = await run(command, [...flags, smoke, root, ...args])
    expect(saw).toEqual({ ...expected, runtime: name, ...(mode === 'main' ? {} : { ended: 0 }) })
  })
})
