'use strict'

// `init --from-aws`: a declaration of the secrets that AWS has.

const fs = require('node:fs')
const Ajv = require('ajv').default
const { SecretDelivery } = require('../..')
const { declarationOfAws } = require('../../cli/found-in-aws')
const { cliWorld } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, file, write } = world
const CONFIG = 'tcs-secrets.config.json'
const written = () => JSON.parse(fs.readFileSync(file(CONFIG), 'utf8'))
const rds = (/** @type {string} */ password) =>
  JSON.stringify({ username: 'app', password, engine: 'postgres', host: 'h', port: 5432, dbname: null, empty: '' })

beforeEach(async () => {
  await world.aws.reset()
  fs.rmSync(file(CONFIG), { force: true })
})

const validate = () => new Ajv().validate(require('../../tcs-secrets.schema.json'), written())

test('declares what AWS has: the template that fits most, references for the rest', async () => {
  await world.aws.put({
    'production/github/token': `${canary}1`,
    'production/slack/bot_token': `${canary}2`,
    'staging/slack/bot_token': `${canary}3`,
    'prod/jira': JSON.stringify({ user: 'u', 'api.token': canary }),
    'stage/jira': JSON.stringify({ user: 'u' }),
    'rds!db-1111': rds(canary),
    SENDGRID: canary,
  })
  await world.aws.keeper('rds!db-1111', { owningService: 'rds' })
  const { status, stdout, stderr } = await cli.run('init --from-aws --yes')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('Names in AWS: {environment}/{tool}/{type}')
  // Nobody said which secret jira is in the other environments.
  expect(stdout).toMatch(/^REFUSED IN +UNTIL.*\ndevelopment +prod\/jira, stage\/jira\ntest +prod\/jira, stage\/jira\n/m)
  expect(stdout).not.toMatch(/^staging +prod/m)
  expect(written()).toMatchObject({
    aws: { secretIdTemplate: '{environment}/{tool}/{type}' },
    tools: {
      github: { secrets: { token: {} } },
      slack: { secrets: { bot_token: {} } },
      jira: {
        aws: { production: 'prod/jira', staging: 'stage/jira' },
        secrets: {
          user: {},
          api_token: { aws: { production: 'prod/jira#api.token', staging: 'stage/jira#api.token' } },
        },
      },
      'rds_db-1111': { aws: 'rds!db-1111', secrets: { username: {}, password: {}, engine: {}, host: {}, port: {} } },
    },
    secrets: { SENDGRID: { aws: 'SENDGRID' } },
  })
  expect(Object.keys(written().tools['rds_db-1111'].secrets)).not.toContain('dbname')
  expect(validate()).toBe(true)
  expect(await cli.run('get jira api_token --reveal -e production', { reveals: true })).toMatchObject({
    stdout: canary,
  })
  expect(await cli.run('get slack bot_token --reveal', { reveals: true })).toMatchObject({ stdout: `${canary}3` })
})

test('500 secrets cost 30 calls at most, and what was written reads each of them', async () => {
  const secrets = Object.fromEntries(
    Array.from({ length: 500 }, (_, i) => {
      if (i % 5 === 0) return [`staging/tool${i}`, JSON.stringify({ user: `u${i}`, password: `${canary}${i}` })]
      if (i % 5 === 1) return [`legacy.${i}+x@y=z`, `${canary}${i}`]
      return [`staging/shop/tool${i % 7}/type_${i}`, `${canary}${i}`]
    }),
  )
  await world.aws.put(secrets)
  await world.aws.resetCalls()
  const { status } = await cli.run('init --from-aws --yes')
  expect(status).toBe(0)
  const { total, byOperation } = await world.aws.calls()
  expect(byOperation).toEqual({ ListSecrets: 5, BatchGetSecretValue: 25 })
  expect(total).toBeLessThanOrEqual(30)
  const { aws, tools, secrets: alone = {} } = written()
  expect(aws).toEqual({ secretIdTemplate: 'staging/shop/{tool}/{type}'.replace('staging', '{environment}') })
  const delivery = new SecretDelivery({
    environment: 'staging',
    audit: false,
    aws: { ...world.aws.options, ...aws },
    tools,
    secrets: alone,
    cache: { encryptionKeys: [] },
  })
  try {
    const values = []
    for (const tool of Object.keys(tools)) values.push(...Object.values(await delivery.getToolSecrets(tool)))
    for (const name of Object.keys(alone)) values.push(await delivery.getSecret(name))
    const expected = Object.values(secrets).flatMap((value) =>
      value.startsWith('{') ? Object.values(JSON.parse(value)) : [value],
    )
    expect(values.sort()).toEqual(expected.sort())
  } finally {
    await delivery.close()
  }
}, 60_000)

test('with a prefix, and with what may not be read or has no value named', async () => {
  await world.aws.put({
    'shop/production/GITHUB_TOKEN': canary,
    'shop/production/SLACK_URL': canary,
    'bank/key': canary,
  })
  await world.aws.ask('CreateSecret', { Name: 'shop/production/NOTHING' })
  await world.aws.put({ 'shop/denied': canary })
  await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['shop/denied'] })
  const { status, document } = await cli.json('init --from-aws --prefix shop/ --yes')
  expect({ status, error: document.error }).toEqual({ status: 0 })
  expect(document).toMatchObject({
    template: 'shop/{environment}/{name}',
    left: [
      { awsId: 'shop/denied', why: 'denied: it may not be read' },
      { awsId: 'shop/production/NOTHING', why: 'it has no value' },
    ],
  })
  expect(written()).toMatchObject({ tools: { github: { secrets: { token: {} } }, slack: { secrets: { url: {} } } } })
  expect(JSON.stringify(written())).not.toMatch(/bank|denied|NOTHING/)
})

test('without batches it reads one by one; without a listing it says what is missing', async () => {
  await world.aws.put({ A_TOKEN_staging: canary, B_TOKEN_staging: canary })
  await world.aws.deny({ actions: ['BatchGetSecretValue'] })
  const { status, document, stderr } = await cli.json('init --from-aws --yes')
  expect([status, document.template]).toEqual([0, '{name}_{environment}'])
  expect(document.config).toEqual({
    $schema: expect.any(String),
    tools: { a: { secrets: { token: {} } }, b: { secrets: { token: {} } } },
  })
  expect(stderr).toContain('secretsmanager:BatchGetSecretValue is not granted')
  fs.rmSync(file(CONFIG))
  await world.aws.deny({ actions: ['ListSecrets'] })
  const refused = await cli.json('init --from-aws --yes')
  expect(refused).toMatchObject({ status: 4, document: { error: { code: 'SECRET_ACCESS_DENIED' } } })
  expect(refused.document.error.message).toContain('secretsmanager:ListSecrets')
  expect(fs.existsSync(file(CONFIG))).toBe(false)
})

test('shows it, and writes nothing, until somebody agrees; a configuration that is there stays', async () => {
  await world.aws.put({ 'x/y': canary })
  const { status, stderr } = await cli.run('init --from-aws')
  expect(status).toBe(2)
  expect(stderr).toMatch(/SECRET IN AWS[^]*x\/y[^]*add --yes to go on/)
  expect(fs.existsSync(file(CONFIG))).toBe(false)
  write(CONFIG, '{}')
  expect(await cli.json('init --from-aws')).toMatchObject({
    status: 0,
    document: { files: [{ file: CONFIG, done: 'kept' }] },
  })
  expect(fs.readFileSync(file(CONFIG), 'utf8')).toBe('{}')
})

test('AWS without secrets, and options that do not go together', async () => {
  expect(await cli.run('init --from-aws --yes')).toMatchObject({ status: 1 })
  for (const wrong of ['init --from-aws --from .env', 'init --prefix x', 'init --from-aws --prefix']) {
    expect((await cli.run(wrong)).status).toBe(2)
  }
  expect(fs.existsSync(file(CONFIG))).toBe(false)
})

test('on a terminal no line is longer than it', async () => {
  await world.aws.put({
    'production/a-company-with-a-long-name/payment-provider/live_secret_key': canary,
    'rds!cluster-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0': rds(canary),
    'production/jira': JSON.stringify(
      Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`field_number_${i}`, 'v'])),
    ),
  })
  const { stdout } = await cli.terminal('init --from-aws --yes', {
    columns: 80,
    env: { SHELL: '/bin/sh', TERM: 'xterm' },
  })
  const lines = stdout.split(/\r?\n/).map((line) => line.replace(/\u001b\[[0-9;]*m/g, ''))
  expect(lines.filter((line) => line.length > 80)).toEqual([])
  expect(stdout).toContain('payment-provider')
})

/** @param {[string, string[]?][]} all */
const found = (...all) =>
  /** @type {import('../..').FoundSecret[]} */ (
    all.map(([awsId, fields]) => ({
      awsId,
      form: fields === undefined ? 'text' : 'json',
      fields: fields ?? [],
      owningService: null,
      rotatedByAws: false,
      error: null,
    }))
  )

describe('a declaration', () => {
  test.each([
    [[['GITHUB_TOKEN_production'], ['SLACK_URL_staging']], '{name}_{environment}'],
    [[['production/GITHUB_TOKEN'], ['production/SLACK_URL']], '{environment}/{name}'],
    [[['github/production/token'], ['slack/production/url']], '{tool}/{environment}/{type}'],
    [[['github/token/production'], ['slack/url/production']], '{tool}/{type}/{environment}'],
    [[['shop-production/github/token'], ['shop-production/slack/url']], 'shop-{environment}/{tool}/{type}'],
    [
      [
        ['production/jira', ['user']],
        ['production/github', ['token']],
      ],
      '{environment}/{tool}#{type}',
    ],
    [
      [
        ['jira-production', ['user']],
        ['github-production', ['token']],
      ],
      '{tool}-{environment}#{type}',
    ],
    [[['jira/token'], ['github/token']], '{tool}/{type}'],
    [[['dev-portal/token'], ['dev-portal/other']], '{tool}/{type}'],
    [[['prod/a/b'], ['prod/c/d']], null],
    [[['x/y']], null],
  ])('of %j has the template %s', (ids, template) => {
    expect(declarationOfAws(found(.../** @type {any} */ (ids))).template).toBe(template)
  })

  test('is accepted by the package, whatever names and fields AWS has', () => {
    const odd = [
      '__proto__',
      'constructor',
      'toString',
      'a b',
      'é',
      'a.b',
      '#x',
      '',
      'A',
      'a',
      'a-b',
      'a_b',
      'x'.repeat(2000),
    ]
    const ids = [
      ...[
        '__proto__',
        'constructor',
        'a/b',
        'a_b',
        'A/B',
        'A_B',
        'a-b',
        'a.b',
        'a/b/c',
        '/',
        '//',
        '-',
        '!',
        '-a',
        'a/',
        '/a',
      ],
      ...['production', 'production/', 'prod', 'prod/x', 'production/x', 'x_prod', 'x_production', 'PROD_X', 'test'],
      ...[
        'a@b',
        'a=b',
        'a+b',
        'x-AbCdEf',
        'arn',
        'X'.repeat(512),
        `prod/${'y'.repeat(500)}`,
        'PASSWORD',
        '1',
        '_',
        'a__b',
      ],
    ]
    const all = [
      ...found(...ids.map((id) => /** @type {[string]} */ ([id]))),
      ...found(...ids.map((id) => /** @type {any} */ ([`${id}j`.slice(-512), odd]))),
    ]
    const { config, secrets } = declarationOfAws(all)
    expect(secrets.flatMap(({ awsIds }) => awsIds).sort()).toEqual(all.map(({ awsId }) => awsId).sort())
    // Where only production has a secret, the declaration of staging says so.
    for (const environment of ['production']) {
      const make = () =>
        new SecretDelivery({ ...JSON.parse(JSON.stringify(config)), environment, audit: false, cache: false })
      expect(make).not.toThrow()
    }
    expect(Object.keys(config.tools)).toContain('constructorj')
  })
})
