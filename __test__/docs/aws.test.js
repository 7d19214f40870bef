'use strict'

// docs/aws.md is executed: its commands of tcs-secrets are run, and those of the AWS CLI become calls of a stand-in (MiniStack), as
// far as that plays the resources. docs/compliance.md has a row for each sentence of the specification, and the tests it names.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { PutSecretValueCommand } = require('@aws-sdk/client-secrets-manager')
const { stack } = require('../support/aws-lint')
const { temporaryDirectory } = require('../support/files')
const { read, root, table } = require('../support/pages')
const { MiniStack } = require('../support/servers/ministack')
const { event } = require('../../tools/cloudtrail/generate')

jest.setTimeout(120_000)

const PLAYED_NOT = ['AWS::CloudTrail::Trail', 'AWS::SecretsManager::ResourcePolicy']
const entry = path.join(root, 'cli', 'index.js')

describe('docs/aws.md', () => {
  const folder = temporaryDirectory('tcs-aws-page-')
  /** @type {MiniStack} */
  let aws
  /** @type {Record<string, string>} */
  let env
  /** What was deployed. @type {any} */
  let deployed
  beforeAll(async () => {
    aws = await MiniStack.start()
    const { PATH = '' } = process.env
    env = {
      PATH,
      HOME: folder,
      AWS_ENDPOINT_URL: aws.url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_EC2_METADATA_DISABLED: 'true',
    }
  })
  afterAll(async () => {
    await aws.stop()
    fs.rmSync(folder, { recursive: true })
  })

  /** @param {string} command @param {number} expected */
  function shell(command, expected) {
    const { status, stdout, stderr } = spawnSync(command, { cwd: folder, env, encoding: 'utf8', shell: true })
    if (status !== expected) expect({ command, status, stdout, stderr }).toEqual({ status: expected })
    return stdout
  }

  /** @param {string} file */
  function deploy(file) {
    const template = JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'))
    const left = Object.entries(/** @type {Record<string, any>} */ (template.Resources)).filter(
      ([, { Type, Properties }]) => !PLAYED_NOT.includes(Type) && Properties.Metrics === undefined,
    )
    const played = { ...template, Resources: Object.fromEntries(left) }
    deployed = stack({ endpoint: aws.url, region: 'us-east-1', template: played, update: played, parameters: {} })
    expect(deployed).toMatchObject({ status: 'CREATE_COMPLETE', failed: [] })
  }

  /** @param {string} line */
  async function run(line) {
    const [, command = '', comment = ''] = /^(.*?)(?: +# (.*))?$/.exec(line) ?? []
    const expected = Number(/^exit code (\d+)/.exec(comment)?.[1] ?? 0)
    const [program, service, action] = command.split(' ')
    if (program === 'export') {
      for (const assignment of command.split(' ').slice(1)) {
        const [name = '', given = ''] = assignment.split(/=(.*)/s)
        const file = /^\$\(<(.+)\)$/.exec(given)?.[1]
        env[name] = file === undefined ? given : fs.readFileSync(path.join(folder, file), 'utf8').trim()
      }
      return
    }
    if (program !== 'aws') {
      const own = command.replace('npx tcs-secrets', `"${process.execPath}" "${entry}"`)
      // On a line that no longer is supported, a control is not met.
      shell(own, command.includes('--compliance') ? (isSupported() ? 0 : 1) : expected)
      return
    }
    if (action === 'deploy') return deploy(/--template-file (\S+)/.exec(command)?.[1] ?? '')
    if (action === 'put-secret-value') {
      const [, SecretId, SecretString] = /--secret-id (\S+) --secret-string (\S+)/.exec(command) ?? []
      const client = aws.client()
      await client.send(new PutSecretValueCommand({ SecretId, SecretString }))
      client.destroy()
      return
    }
    if (service === 's3') {
      // What CloudTrail would have written of the reads that the log has.
      const log = fs.readFileSync(path.join(folder, 'secret-audit.jsonl'), 'utf8').trim().split('\n')
      const calls = log.map((one) => JSON.parse(one)).filter(({ request }) => request !== undefined)
      expect(calls.length).toBeGreaterThan(0)
      const Records = calls.map(({ request, secret, time }, at) =>
        event({
          name: 'GetSecretValue',
          time: Date.parse(time),
          session: 'arn:aws:sts::111122223333:assumed-role/task/1',
          request,
          id: `event-${at}`,
          secret,
        }),
      )
      fs.mkdirSync(path.join(folder, 'trail'))
      fs.writeFileSync(path.join(folder, 'trail', 'a.json'), JSON.stringify({ Records }))
      return
    }
    // What only shows something: the deployment has read it back.
    expect([`${service} ${action}`, deployed.status]).toEqual([
      expect.stringMatching(/^(cloudformation describe-stacks|cloudwatch describe-alarms)$/),
      'CREATE_COMPLETE',
    ])
  }

  const isSupported = () => [22, 24, 26].includes(Number(process.versions.node.split('.')[0]))

  test('gets from an empty account to a first read and the audit', async () => {
    const written = []
    // The first block is one of what follows.
    const blocks = [...read('docs', 'aws.md').matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language, text = '']) => ({
      language,
      text,
    }))
    for (const { language, text } of blocks.slice(1)) {
      if (language === 'json') {
        fs.writeFileSync(path.join(folder, 'tcs-secrets.config.json'), text)
        written.push('config')
      } else {
        expect(language).toBe('sh')
        for (const line of text.trim().split('\n')) await run(line)
      }
    }
    expect(written).toEqual(['config'])
    expect(deployed.made).toMatchObject({
      secrets: ['DATABASE_PASSWORD_production', 'GITHUB_API_TOKEN_production'],
      tags: { application: 'orders', environment: 'production', 'managed-by': 'tcs-secret-delivery' },
      filters: 5,
    })
    expect(fs.readdirSync(folder)).toEqual(expect.arrayContaining(['production.json', 'production.tf.json']))
    const all = fs.readdirSync(folder).filter((name) => name.endsWith('.json') || name.endsWith('.jsonl'))
    for (const name of all) {
      expect(fs.readFileSync(path.join(folder, name), 'utf8')).not.toMatch(/a-production-(token|password)/)
    }
  })
})

describe('docs/compliance.md', () => {
  const page = read('docs', 'compliance.md')

  /** @param {string} heading @returns {string[][]} */
  const rowsBelow = (heading) => {
    const part = page.split(`### ${heading}\n`)[1]?.split(/^##/m)[0] ?? ''
    const rows = part.split('\n').filter((line) => /^\| (?!sentence|metric|-)/.test(line) && !line.startsWith('|-'))
    return rows.map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  }

  // The sentences of the specification, as it has them.
  test.each([
    [
      'Security Measures',
      [
        'Encryption: All secrets encrypted at rest and in transit',
        'Network Isolation: VPC endpoints for Secrets Manager',
        'Access Logging: CloudTrail integration for all access',
        'Rotation: Automatic rotation with zero downtime',
      ],
    ],
    [
      'Key Metrics',
      [
        'Secret retrieval latency, All, >5 seconds, Alert DevOps',
        'Cache hit rate, Prod, <80%, Optimize cache config',
        'Rotation failures, All, >0 per day, Immediate alert',
        'Unauthorized access, All, >0 events, Security incident',
        'Secrets not in AWS, All, >0 secrets, Migration alert',
      ],
    ],
    [
      'Migration Phase 1',
      ['Deploy AWS Secrets Manager infrastructure', 'Create IAM roles and policies', 'Set up monitoring and alerting'],
    ],
    [
      'Success Metrics',
      [
        'Latency: <5 seconds for 99th percentile secret retrieval',
        'Availability: 99.9% secret delivery availability',
        'Cache Efficiency: >80% cache hit rate in production',
        'Zero Secrets in .env Files: 100% secrets in AWS Secrets Manager',
        'Audit Coverage: 100% secret access logged',
        'Rotation Success: >99% successful rotations',
        'Zero Downtime Rotations: All rotations without service interruption',
        'Fast Recovery: <5 minutes to recover from AWS outage',
        'Developer Experience: <1 minute local development setup',
      ],
    ],
  ])('%s: a row for each sentence, with what serves it and tests that exist', (heading, sentences) => {
    const rows = rowsBelow(heading)
    expect(rows.map(([sentence]) => sentence)).toEqual(sentences)
    for (const [, served, shown = ''] of rows) {
      expect(served).not.toBe('')
      const tests = [...shown.matchAll(/`([^`]+)`/g)].map(([, file]) => file)
      expect(tests.length).toBeGreaterThan(0)
      expect(tests.filter((file) => !fs.existsSync(path.join(root, file)))).toEqual([])
    }
  })

  test('has the controls that the package has, with their criteria', async () => {
    const { SecretDelivery } = require('../..')
    const delivery = new SecretDelivery({
      environment: 'production',
      audit: false,
      aws: { enabled: false },
      logger: { warn() {} },
    })
    const { controls } = await delivery.compliance()
    await delivery.close()
    const rows = table('docs/compliance.md', 'control').map(([control = '', criteria]) => [
      control.replaceAll('`', ''),
      criteria,
    ])
    expect(rows).toEqual(controls.map(({ control, criteria }) => [control, criteria.join(', ')]))
  })
})
