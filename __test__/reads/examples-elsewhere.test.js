'use strict'

// The examples of docs/references.md against the in-repo endpoint, and against two stand-ins that others wrote.

const {
  CreateSecretCommand,
  DescribeSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} = require('@aws-sdk/client-secrets-manager')
const { SecretDelivery } = require('../..')
const { read } = require('../support/pages')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { MiniStack } = require('../support/servers/ministack')
const { Moto } = require('../support/servers/moto')

/** The declaration of the page: what stands in its first block between `new SecretDelivery(` and `)`. */
const [, block = ''] = /```ts\n([^]*?)```/.exec(read('docs', 'references.md')) ?? []
const [, text = ''] = /new SecretDelivery\(([^]*)\)\s*$/.exec(block) ?? []
const declaration = new Function(`return ${text}`)

describe.each([
  ['the in-repo endpoint', () => AwsEndpoint.start()],
  ['MiniStack', () => MiniStack.start()],
  ['moto', () => Moto.start()],
])('%s', (_, start) => {
  /** @type {{ url: string, stop(): Promise<unknown> }} */
  let server
  /** @type {SecretsManagerClient} */
  let client
  /** @type {any} */
  let aws
  /** @type {SecretDelivery<any>[]} */
  const open = []
  const create = (/** @type {string} */ Name, /** @type {unknown} */ value) =>
    client.send(
      new CreateSecretCommand({ Name, SecretString: typeof value === 'string' ? value : JSON.stringify(value) }),
    )
  const deliver = (/** @type {any} */ options, environment = 'production') => {
    const delivery = new SecretDelivery({
      environment,
      audit: false,
      runtime: { variables: {}, secretDirectories: [] },
      cache: { encryptionKeys: [] },
      ...options,
      aws: { ...aws, ...options.aws },
    })
    open.push(delivery)
    return delivery
  }
  const totals = (/** @type {SecretDelivery<any>} */ delivery) =>
    Object.values(delivery.metrics.snapshot().awsCalls).reduce((sum, { ok }) => sum + ok, 0)

  beforeAll(async () => {
    server = await start()
    const options = () => ({
      endpoint: server.url,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    })
    aws = options()
    client = new SecretsManagerClient(options())
    await create('GITHUB_API_TOKEN_production', 'g')
    await create('GITHUB_WEBHOOK_SECRET_production', 'w')
    for (const environment of ['production', 'staging']) {
      await create(`${environment}/jira`, { user: `u-${environment}`, api_token: 't', other: 'o' })
    }
    await create('rds-db-1111', { username: 'app', password: 'p1', id: 1 })
    await create('rds-db-3333', { username: 'app', password: 'p3' })
    await create('shared/db', { 'connection.url': 'postgres://x', connection: { url: 'not this' } })
    await create('prod/sendgrid', 's')
  }, 60_000)
  afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
  afterAll(async () => {
    client?.destroy()
    await server?.stop()
  })

  /** What the page declares. The stand-ins take no `!` in a name, and give ARNs of their own. */
  async function declared() {
    const { ARN } = await client.send(new DescribeSecretCommand({ SecretId: 'shared/db' }))
    const options = JSON.parse(
      JSON.stringify(declaration())
        .replaceAll('rds!db-', 'rds-db-')
        .replaceAll('arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db-AbCdEf', `${ARN}`),
    )
    expect(options.tools.database.secrets.url.aws).toBe(`${ARN}#connection.url`)
    return options
  }

  test('gives the secrets of the page', async () => {
    const delivery = deliver(await declared())
    expect(await delivery.getToolSecrets('github')).toEqual({ api_token: 'g', webhook_secret: 'w' })
    expect(await delivery.getToolSecrets('jira')).toEqual({ user: 'u-production', api_token: 't', other: 'o' })
    expect(await delivery.getToolSecrets('database')).toEqual({ password: 'p1', url: 'postgres://x' })
    expect(await delivery.getSecret('SENDGRID')).toBe('s')
    const staging = deliver(await declared(), 'staging')
    expect(await staging.getToolSecret('database', 'password')).toBe('p3')
    expect(await staging.getToolSecret('jira', 'user')).toBe('u-staging')
  })

  test('a JSON secret for a tool is one call, cold and by refresh', async () => {
    const delivery = deliver(await declared())
    expect(await delivery.getToolSecrets('jira')).toMatchObject({ user: 'u-production' })
    expect(totals(delivery)).toBe(1)
    expect(await delivery.getToolSecret('jira', 'api_token')).toBe('t')
    expect(totals(delivery)).toBe(1)
    await client.send(
      new PutSecretValueCommand({ SecretId: 'production/jira', SecretString: '{"user":"new","api_token":"t2"}' }),
    )
    expect(await delivery.refresh('JIRA_USER')).toBe('new')
    expect(await delivery.getToolSecret('jira', 'api_token')).toBe('t2')
    expect(totals(delivery)).toBe(2)
    await client.send(
      new PutSecretValueCommand({
        SecretId: 'production/jira',
        SecretString: '{"user":"u-production","api_token":"t","other":"o"}',
      }),
    )
  })

  test('one rule for all: a template of tool and type', async () => {
    const delivery = deliver({
      aws: { secretIdTemplate: '{environment}/{tool}#{type}' },
      tools: { jira: { secrets: { user: {}, api_token: {} } } },
    })
    expect(await delivery.getToolSecrets('jira')).toEqual({ user: 'u-production', api_token: 't', other: 'o' })
  })

  test('a field is rotated, and the rest of the secret stays', async () => {
    const delivery = deliver({ tools: { db: { aws: 'rds-db-1111', secrets: { username: {}, password: {} } } } })
    expect(await delivery.rotateSecret('DB_PASSWORD', 'production')).toBe(true)
    const value = await delivery.getToolSecret('db', 'password')
    expect(value).toMatch(/^[A-Za-z0-9]{32}$/)
    expect(await delivery.getToolSecrets('db')).toEqual({ username: 'app', password: value, id: '1' })
    await client.send(
      new PutSecretValueCommand({
        SecretId: 'rds-db-1111',
        SecretString: '{"username":"app","password":"p1","id":1}',
      }),
    )
  })
})
