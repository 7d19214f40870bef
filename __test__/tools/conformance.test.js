'use strict'

// The conformance suite against the stand-ins: what docs/conformance.md says about them is what they do, and nothing stays behind.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { ListSecretsCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
const { PAGE, PLACES, asked, filled, known, part, withRules } = require('../../tools/conformance/docs')
const { RULES } = require('../../tools/conformance/run')
const { pythonPrograms } = require('../../tools/setup')
const { root, temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

const page = fs.readFileSync(PAGE, 'utf8')
/** The programs of what the set-up may not have installed. */
const PROGRAMS = { moto: 'moto_server', ministack: 'ministack' }
const isThere = (/** @type {string} */ name) =>
  !(name in PROGRAMS) || Boolean(process.env.CI) || fs.existsSync(path.join(pythonPrograms, PROGRAMS[name]))

describe('docs/conformance.md', () => {
  test('has every rule with its source', () => {
    expect(withRules(page)).toBe(page)
    expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length)
    expect(RULES.length).toBeGreaterThan(90)
  })

  for (const name of /** @type {(keyof typeof PLACES)[]} */ (Object.keys(PLACES))) {
    const run = isThere(name) ? test : test.skip
    run(
      `has what ${name} does (node tools/conformance/docs.js writes it)`,
      async () => {
        const { rows, left } = await asked(name)
        expect(left).toEqual([])
        expect(filled(page, name, part(name, rows))).toBe(page)
        const differing = rows.filter(({ result }) => result === 'differs').map(({ id }) => id)
        expect(Object.keys(known(name)).sort()).toEqual(differing.sort())
      },
      120_000,
    )
  }
})

describe('npm run conformance', () => {
  /** @type {AwsEndpoint} */
  let aws
  /** @type {string} */
  let directory
  beforeAll(async () => {
    aws = await AwsEndpoint.start()
    directory = temporaryDirectory()
  })
  afterAll(async () => {
    fs.rmSync(directory, { recursive: true })
    await aws.stop()
  })

  const file = (/** @type {string} */ name) => path.join(directory, name)

  /** @param {string[]} args @param {(child: import('node:child_process').ChildProcess, output: () => string) => void} [meanwhile] */
  async function run(args, meanwhile, env = {}) {
    const child = spawn(process.execPath, [path.join(root, 'tools', 'conformance'), ...args], {
      env: { ...process.env, NODE_NO_WARNINGS: '1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', ...env },
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk) => {
      stdout += chunk
      meanwhile?.(child, () => stdout)
    })
    child.stderr.on('data', (chunk) => (stderr += chunk))
    const status = await new Promise((resolve) => child.once('close', resolve))
    return { status, stdout, stderr }
  }

  /** What is there, also of what is marked for deletion. */
  async function names() {
    const client = new SecretsManagerClient({ ...aws.options, endpoint: aws.url })
    const { SecretList = [] } = await client.send(new ListSecretsCommand({ IncludePlannedDeletion: true }))
    client.destroy()
    return SecretList.map(({ Name }) => Name)
  }

  test('exits with 1 where something differs, and with 0 where the difference is known', async () => {
    const args = ['--endpoint', aws.url, '--only', 'signature.clock', '--only', 'batch.limit']
    const unknown = await run([...args, '--json'])
    expect(unknown.status).toBe(1)
    const { rules, unexpected } = JSON.parse(unknown.stdout)
    expect(unexpected).toEqual(['signature.clock'])
    expect(rules.map(({ id, result }) => [id, result])).toEqual([
      ['batch.limit', 'agrees'],
      ['signature.clock', 'differs'],
    ])
    const file = path.join(directory, 'known.json')
    fs.writeFileSync(file, '{ "signature.clock": "it does not mind" }')
    const expected = await run([...args, '--known', file])
    expect([expected.status, expected.stdout]).toEqual([0, expect.stringContaining('1 differ (1 of them known)')])
  })

  test('a permission that the identity lacks is no difference of AWS, and a throttled call is tried again', async () => {
    await aws.deny({ actions: ['GetRandomPassword', 'UpdateSecretVersionStage'] })
    await aws.fault({
      action: { error: { status: 400, code: 'ThrottlingException' } },
      match: { operation: 'DescribeSecret' },
      times: 2,
    })
    const only = ['rotate.random-password', 'stage.needs-from', 'write.staged-beside-live'].flatMap((id) => [
      '--only',
      id,
    ])
    const { status, stdout } = await run(['--endpoint', aws.url, '--json', ...only])
    await aws.allow()
    await aws.clearFaults()
    expect(status).toBe(0)
    expect(JSON.parse(stdout).rules.map(({ id, result, seen }) => [id, result, seen])).toEqual([
      ['write.staged-beside-live', 'agrees', 'live: AWSCURRENT, staged: AWSPENDING'],
      ['stage.needs-from', 'could not be asked', 'AccessDeniedException: this identity may not'],
      ['rotate.random-password', 'could not be asked', 'GetRandomPassword: AccessDeniedException'],
    ])
  })

  test('refuses what it does not understand, before it asks', async () => {
    const file = path.join(directory, 'strange.json')
    fs.writeFileSync(file, '{ "no.such-rule": "x" }')
    for (const args of [['--endpoint', 'nowhere'], ['--remove', 'prod/'], ['--known', file], ['--what']]) {
      const { status, stdout, stderr } = await run(args)
      expect([status, stdout]).toEqual([2, ''])
      expect(stderr).toContain('npm run conformance')
    }
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('removes its secrets when it is ended by %s', async (signal, status) => {
    await aws.put({ 'somebody-elses': 'v' })
    let sent = false
    const ended = await run(['--endpoint', aws.url], (child, output) => {
      if (sent || !output().includes('write.pending-moves')) return
      sent = true
      child.kill(/** @type {NodeJS.Signals} */ (signal))
    })
    expect(ended.status).toBe(status)
    expect(ended.stdout).not.toContain('event.request-id')
    expect(await names()).toEqual(['somebody-elses'])
  })

  test('removes its secrets when nobody reads the table any more', async () => {
    let rows = 0
    const { status } = await run(['--endpoint', aws.url], (child) => {
      if (++rows === 3) child.stdout?.destroy()
    })
    expect(status).toBe(1)
    expect((await names()).filter((name) => name?.startsWith('tcs-conformance/'))).toEqual([])
  })

  test('removes its secrets when the server stops answering questions', async () => {
    // Answers once more for what is removed: an error in the middle of the run.
    await aws.fault({ action: { close: true }, match: { operation: 'GetRandomPassword' } })
    const { status, stderr } = await run(['--endpoint', aws.url])
    await aws.clearFaults()
    expect([status, stderr]).toEqual([1, expect.stringContaining('GetRandomPassword: no answer')])
    expect((await names()).filter((name) => name?.startsWith('tcs-conformance/'))).toEqual([])
  })

  test('--remove removes what a killed run left, and nothing else', async () => {
    const prefix = 'tcs-conformance/0123456789ab/'
    await aws.put({ [`${prefix}a`]: 'v', [`${prefix}b/c`]: 'v', 'tcs-conformance/ba9876543210/a': 'v' })
    const { status } = await run(['--endpoint', aws.url, '--remove', prefix])
    expect(status).toBe(0)
    const left = await names()
    expect(left.filter((name) => name?.startsWith('tcs-conformance/'))).toEqual(['tcs-conformance/ba9876543210/a'])
  })

  test('says what is missing to sign with, before it makes anything', async () => {
    const nowhere = { AWS_CONFIG_FILE: file('none'), AWS_SHARED_CREDENTIALS_FILE: file('none') }
    const unset = { AWS_REGION: '', AWS_DEFAULT_REGION: '', AWS_PROFILE: '', AWS_EC2_METADATA_DISABLED: 'true' }
    const env = { ...nowhere, ...unset, AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }
    expect(await run([], undefined, env)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^there is no region/),
    })
    const { status, stderr } = await run(['--region', 'eu-central-1'], undefined, env)
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^there are no credentials: [^\n]+\n$/)])
  })

  test('says that a place which cannot be reached was not asked', async () => {
    const server = http.createServer()
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    await new Promise((resolve) => server.close(resolve))
    const { status, stderr } = await run(['--endpoint', `http://127.0.0.1:${port}`])
    expect([status, stderr]).toEqual([1, expect.stringContaining('CreateSecret: no answer')])
    expect(stderr).toMatch(/--remove tcs-conformance\/[0-9a-f]{12}\/\n/)
  })
})
