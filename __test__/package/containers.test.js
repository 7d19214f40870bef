'use strict'

// What docs/containers.md says, in a process with a file system of its own: distroless layout (Node.js, libraries, the service), a
// read-only root, no /tmp, no HOME, no /etc, user 65532, process number 1.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { verifyAuditLog } = require('../..')
const { NONROOT, contained, inContainer, installed } = require('../support/contained')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { freePort } = require('../support/servers/server')
const { until } = require('../support/until')

const inside = inContainer()
const MOST_MB = 128
const VALUE = 'ghp_0123456789'

/** @type {AwsEndpoint} */
let aws
/** @type {string} */
let app
/** The variables of a service in a container. @type {Record<string, string>} */
let env
/** What the image of docs/containers.md sets. @type {Record<string, string>} */
let image
beforeAll(async () => {
  aws = await AwsEndpoint.start()
  app = installed()
  const page = fs.readFileSync(path.join(__dirname, '..', '..', 'docs', 'containers.md'), 'utf8')
  const [, set = ''] = /^ENV (.*)$/m.exec(page) ?? []
  image = Object.fromEntries(set.split(' ').map((text) => text.split('=')))
  expect([image, page]).toEqual([
    { NODE_ENV: 'production', TCS_AUDIT_LOG: 'stdout' },
    expect.stringContaining(`runAsUser: ${NONROOT}`),
  ])
  env = {
    NODE_ENV: 'production',
    // Without it production says so, once.
    TCS_AUDIT_KEY: randomBytes(32).toString('base64'),
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL: aws.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  }
  write(
    'read.js',
    `const { SecretDelivery } = require('tcs-secret-delivery')
     const logger = { warn: (message) => console.error('warning', message) }
     const delivery = new SecretDelivery({ ...JSON.parse(process.env.OPTIONS ?? '{}'), logger })
     delivery.getToolSecret('github', 'api_token').then(
       (value) => console.error(JSON.stringify({ value, pid: process.pid, uid: process.getuid() })),
       ({ code, message }) => console.error(JSON.stringify({ code, message })),
     ).finally(() => delivery.close())`,
  )
})
beforeEach(async () => {
  await aws.reset()
  await aws.put({ GITHUB_API_TOKEN_production: VALUE })
})
afterAll(async () => {
  await aws?.stop()
  fs.rmSync(app, { recursive: true })
})

/** @param {string} name @param {string} text */
const write = (name, text) => fs.writeFileSync(path.join(app, name), text)
/** The last line of data. @param {string} text */
const last = (text) => records(text).at(-1)
/** @param {string} text */
const records = (text) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))

inside(
  'a root that is read-only, without /tmp, HOME and /etc: with the audit log on standard output nothing is missing',
  async () => {
    // Every container runtime has /dev/shm.
    const { stdout, stderr, status } = await contained({
      app,
      args: ['/app/read.js'],
      env: { ...env, ...image },
      writable: ['/dev/shm'],
    }).ended
    expect([status, last(stderr)]).toEqual([0, { value: VALUE, pid: 1, uid: NONROOT }])
    expect(stderr).not.toContain('warning')
    expect(records(stdout).map(({ event, secret, outcome }) => [event, secret, outcome])).toContainEqual([
      'access',
      'GITHUB_API_TOKEN',
      'ok',
    ])
  },
)

inside('without any place to write, the error says what to set, and audit: false delivers', async () => {
  const run = (/** @type {object} */ options) =>
    contained({ app, args: ['/app/read.js'], env: { ...env, OPTIONS: JSON.stringify(options) } }).ended
  const [byDefault, off] = await Promise.all([run({}), run({ audit: false })])
  expect(last(byDefault.stderr)).toEqual({
    code: 'AUDIT_WRITE_FAILED',
    message: expect.stringMatching(/Read-only file system.*TCS_AUDIT_LOG.*stdout/),
  })
  expect(last(off.stderr)).toMatchObject({ value: VALUE })
})

inside('audit log and snapshot on a volume: the log is whole, and the next container starts without AWS', async () => {
  const volume = fs.realpathSync(temporaryDirectory('tcs-volume-'))
  fs.chownSync(volume, NONROOT, NONROOT)
  try {
    const options = {
      audit: { path: '/data/secret-audit.jsonl' },
      cache: {
        snapshotPath: '/data/snapshot',
        encryptionKeys: [{ id: 'k1', key: Buffer.alloc(32, 7).toString('base64') }],
      },
      aws: { timeoutMs: 1500 },
    }
    const run = () =>
      contained({
        app,
        args: ['/app/read.js'],
        env: { ...env, OPTIONS: JSON.stringify(options) },
        writable: [`/data=${volume}`],
      }).ended
    const first = await run()
    expect(last(first.stderr)).toEqual({ value: VALUE, pid: 1, uid: NONROOT })
    await aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } })
    const second = await run()
    expect(last(second.stderr)).toMatchObject({ value: VALUE })
    const found = await verifyAuditLog(path.join(volume, 'secret-audit.jsonl'), { key: env.TCS_AUDIT_KEY })
    expect(found).toMatchObject({ valid: true, unrecoveredJournals: 0 })
    expect(fs.readdirSync(volume).filter((name) => name.endsWith('.journal'))).toEqual([])
  } finally {
    fs.rmSync(volume, { recursive: true })
  }
})

inside('as process number 1 it ends on SIGTERM as docs/containers.md shows, with every record', async () => {
  const page = fs.readFileSync(path.join(__dirname, '..', '..', 'docs', 'containers.md'), 'utf8')
  const shown = /```js\n\/\/ server\.mjs\n([^]*?)```/.exec(page)?.[1] ?? ''
  expect(shown).toContain('SIGTERM')
  const port = await freePort()
  write('server.mjs', shown.replace('8080', String(port)))
  write(
    'first.mjs',
    `import './server.mjs'
     import http from 'node:http'
     http.get({ host: '127.0.0.1', port: ${port} }, (answer) => answer.resume().on('end', () => {
       console.error('served', answer.statusCode)
       process.kill(process.pid, 'SIGTERM')
     }))`,
  )
  const { stdout, stderr, status } = await contained({
    app,
    args: ['/app/first.mjs'],
    env: { ...env, ...image },
    writable: ['/dev/shm'],
  }).ended
  expect([status, stderr]).toEqual([0, 'served 200\n'])
  expect(records(stdout).map(({ event }) => event)).toEqual(expect.arrayContaining(['access', 'close']))
})

inside(`200 secrets, read and read again, fit ${MOST_MB} MB`, async () => {
  const names = Array.from({ length: 200 }, (_, index) => `BULK_${index}`)
  await aws.put(Object.fromEntries(names.map((name) => [`${name}_production`, 'x'.repeat(1024)])))
  write(
    'bulk.js',
    `const { SecretDelivery } = require('tcs-secret-delivery')
     const delivery = new SecretDelivery({ audit: { path: 'stdout' } })
     const names = ${JSON.stringify(names)}
     ;(async () => {
       for (let round = 0; round < 50; round++) await Promise.all(names.map((name) => delivery.getSecret(name)))
       await delivery.close()
       console.error(JSON.stringify({ mb: process.resourceUsage().maxRSS / 1024 }))
     })()`,
  )
  const { child, ended } = contained({
    app,
    args: ['--max-old-space-size=64', '/app/bulk.js'],
    env: { ...env, ...image },
    writable: ['/dev/shm'],
  })
  expect(child.pid).toBeGreaterThan(0)
  const { stderr, status } = await ended
  expect([status, last(stderr).mb < MOST_MB]).toEqual([0, true])
})

inside('the command line works there, and run hands the secrets on', async () => {
  write('tcs-secrets.config.json', JSON.stringify({ tools: { github: { secrets: { api_token: {} } } } }))
  const cli = ['/app/node_modules/tcs-secret-delivery/cli/index.js', '--config', '/app/tcs-secrets.config.json']
  const script =
    'console.log(process.env.GITHUB_API_TOKEN, process.getuid()); process.stdin.resume().on("end", () => process.exit(3))'
  const { child, outcome, ended } = contained({
    app,
    args: [...cli, 'run', '--', '/nodejs/bin/node', '-e', script],
    env: { ...env, ...image },
    writable: ['/dev/shm'],
  })
  await until('the command runs', () => outcome.stdout.includes(`${VALUE} ${NONROOT}\n`))
  child.stdin.end()
  expect((await ended).status).toBe(3)
  const doctor = await contained({
    app,
    args: [...cli, 'doctor'],
    env: { ...env, ...image },
    writable: ['/dev/shm'],
  }).ended
  expect([doctor.status, doctor.stdout]).toEqual([0, expect.stringContaining('0 errors')])
})
