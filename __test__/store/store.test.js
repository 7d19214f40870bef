'use strict'

// `delivery.store` over three Secrets Managers: MiniStack and moto, which others wrote, and the one of this repository. What they have
// in the end is read with AWS's own client.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} = require('@aws-sdk/client-secrets-manager')
const { SecretDelivery } = require('../..')
const { pythonPrograms } = require('../../tools/setup')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { MiniStack } = require('../support/servers/ministack')
const { Moto } = require('../support/servers/moto')

const canary = `canary-${randomBytes(8).toString('hex')}`
const tools = {
  github: { secrets: { token: {}, key: {} } },
  jira: { aws: '{environment}/jira', secrets: { user: {}, api_token: {}, port: {} } },
}

/** moto is not installed everywhere (tools/setup.js). */
const hasMoto = Boolean(process.env.CI) || fs.existsSync(path.join(pythonPrograms, 'moto_server'))

describe.each([
  ['the endpoint of this repository', () => AwsEndpoint.start()],
  ['MiniStack', () => MiniStack.start()],
  ...(hasMoto ? [/** @type {const} */ (['moto', () => Moto.start()])] : []),
])('over %s', (_, start) => {
  /** @type {AwsEndpoint | MiniStack | Moto} */
  let server
  /** @type {SecretsManagerClient} */
  let client
  let directory = ''
  /** @type {SecretDelivery[]} */
  const open = []
  /** @type {string[]} */
  const seen = []

  const options = (more = {}) => ({
    environment: 'production',
    tools,
    aws: { endpoint: server.url, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } },
    runtime: { variables: {}, secretDirectories: [] },
    cache: { redis: false },
    audit: { path: path.join(directory, 'audit.jsonl') },
    ...more,
  })
  function deliver(more) {
    const delivery = new SecretDelivery(/** @type {any} */ (options(more)))
    open.push(delivery)
    return delivery
  }
  const held = async (SecretId) =>
    (await client.send(new GetSecretValueCommand({ SecretId, VersionStage: 'AWSCURRENT' }))).SecretString
  const describe_ = (SecretId) => client.send(new DescribeSecretCommand({ SecretId }))
  /** @template T @param {T} report @returns {T} */
  const see = (report) => {
    seen.push(JSON.stringify(report))
    return report
  }

  beforeAll(async () => {
    server = await start()
    directory = temporaryDirectory()
    client = new SecretsManagerClient(/** @type {any} */ (options()).aws)
  }, 60_000)
  afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
  afterAll(async () => {
    client.destroy()
    await server.stop()
    const log = fs.readFileSync(path.join(directory, 'audit.jsonl'), 'utf8')
    fs.rmSync(directory, { recursive: true })
    const events = log
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const writes = events.filter(({ event }) => event === 'write').map(({ source }) => source)
    expect(new Set(writes)).toEqual(
      new Set([
        'created',
        'updated',
        'kept',
        'put',
        'generate',
        'delete',
        'scheduled',
        'restored',
        'removed',
        'absent',
      ]),
    )
    expect([log, ...seen].filter((text) => text.includes(canary))).toEqual([])
  })

  test('a value is put as a new secret, as a new version, and not a second time', async () => {
    const delivery = deliver()
    const made = see(await delivery.store.put('GITHUB_TOKEN', `${canary} ä"\\\n$x`))
    expect(made).toMatchObject({
      outcome: 'created',
      awsId: 'GITHUB_TOKEN_production',
      field: null,
      previousVersionId: null,
    })
    expect(await held('GITHUB_TOKEN_production')).toBe(`${canary} ä"\\\n$x`)
    expect(await delivery.getToolSecret('github', 'token')).toBe(`${canary} ä"\\\n$x`)
    const changed = see(await delivery.store.put('GITHUB_TOKEN', `${canary}-2`))
    expect(changed).toMatchObject({ outcome: 'updated', previousVersionId: made.versionId })
    // The copy of this process is the new one: it follows as after a rotation.
    expect(await delivery.getToolSecret('github', 'token')).toBe(`${canary}-2`)
    expect(see(await delivery.store.put('GITHUB_TOKEN', `${canary}-2`))).toMatchObject({
      outcome: 'kept',
      versionId: changed.versionId,
      previousVersionId: null,
    })
    const { VersionIdsToStages = {} } = await describe_('GITHUB_TOKEN_production')
    expect(VersionIdsToStages[changed.versionId ?? '']).toEqual(['AWSCURRENT'])
    expect(VersionIdsToStages[made.versionId ?? '']).toEqual(['AWSPREVIOUS'])
  })

  test('a version that is not live any more is not overwritten', async () => {
    const delivery = deliver()
    const first = await delivery.store.put('GITHUB_KEY', `${canary}-1`)
    await expect(delivery.store.put('GITHUB_KEY', 'x', { ifVersionId: null })).rejects.toMatchObject({
      code: 'SECRET_CHANGED',
    })
    await delivery.store.put('GITHUB_KEY', `${canary}-2`, { ifVersionId: first.versionId })
    const late = await delivery.store.put('GITHUB_KEY', 'x', { ifVersionId: first.versionId }).catch((error) => error)
    expect(late).toMatchObject({ code: 'SECRET_CHANGED' })
    expect(late.message).toContain('nothing was written')
    expect(await held('GITHUB_KEY_production')).toBe(`${canary}-2`)
    // The same value was written, whoever did it.
    const again = await delivery.store.put('GITHUB_KEY', `${canary}-2`, { ifVersionId: first.versionId })
    expect(again.outcome).toBe('kept')
    // A new secret may be demanded to be new.
    expect(await delivery.store.put('OTHER', `${canary}`, { ifVersionId: null })).toMatchObject({ outcome: 'created' })
  })

  test('fields of a JSON secret are put, compared and taken out, and no other byte changes', async () => {
    const text = `{ "user": "app", "port": 5432.00,\n  "id": 12345678901234567890123, "api_token": "${canary}" }`
    await client.send(new CreateSecretCommand({ Name: 'production/jira', SecretString: text }))
    const delivery = deliver()
    const compared = see(
      await delivery.store.compare({ JIRA_USER: 'app', JIRA_API_TOKEN: `${canary}-2`, JIRA_PORT: '1' }),
    )
    expect(compared.map(({ name, change, field }) => [name, change, field])).toEqual([
      ['JIRA_USER', 'keep', 'user'],
      ['JIRA_API_TOKEN', 'update', 'api_token'],
      ['JIRA_PORT', 'update', 'port'],
    ])
    const put = see(
      await delivery.store.put('JIRA_API_TOKEN', `${canary}-"2"`, { ifVersionId: compared[1]?.versionId }),
    )
    expect(put).toMatchObject({ outcome: 'updated', awsId: 'production/jira', field: 'api_token' })
    const now = text.replace(`"${canary}"`, `"${canary}-\\"2\\""`)
    expect(await held('production/jira')).toBe(now)
    expect(await delivery.getToolSecret('jira', 'api_token')).toBe(`${canary}-"2"`)
    expect(see(await delivery.store.delete('JIRA_PORT', { ifVersionId: put.versionId }))).toMatchObject({
      outcome: 'removed',
    })
    expect(await held('production/jira')).toBe(now.replace('"port": 5432.00,\n  ', ''))
    expect(await delivery.getToolSecret('jira', 'port')).toBeNull()
    expect(see(await delivery.store.delete('JIRA_PORT'))).toMatchObject({ outcome: 'absent' })
    expect((await delivery.store.put('JIRA_PORT', '5433')).outcome).toBe('updated')
    expect(JSON.parse((await held('production/jira')) ?? '')).toMatchObject({ user: 'app', port: '5433' })
  })

  test('a comparison says which fields of a whole JSON secret change', async () => {
    const delivery = deliver()
    await delivery.store.put('WHOLE', JSON.stringify({ a: 1, b: canary, c: 'x' }))
    const [found] = see(await delivery.store.compare({ WHOLE: JSON.stringify({ b: canary, c: 'y', d: null }) }))
    expect(found).toMatchObject({ change: 'update', fields: { added: ['d'], changed: ['c'], removed: ['a'] } })
    expect(see(await delivery.store.compare({ WHOLE: 'text', NEW_ONE: canary }))).toMatchObject([
      { change: 'update', fields: null },
      { change: 'create', versionId: null, awsId: 'NEW_ONE_production' },
    ])
  })

  test('a random value is made, and takes the place of nothing that others issued', async () => {
    const delivery = deliver()
    const made = see(await delivery.store.generate('SESSION_KEY', { length: 48, alphabet: 'ab' }))
    expect(made.outcome).toBe('created')
    const first = await held('SESSION_KEY_production')
    expect(first).toMatch(/^[ab]{48}$/)
    await delivery.store.generate('SESSION_KEY', { ifVersionId: made.versionId })
    expect(await held('SESSION_KEY_production')).toMatch(/^[A-Za-z0-9]{32}$/)
    await delivery.store.put('DATABASE_URL', `postgres://app:${canary}@db/app`)
    const refused = await delivery.store.generate('DATABASE_URL').catch((error) => error)
    expect(refused).toMatchObject({ code: 'SOURCE_RESPONSE_INVALID' })
    expect(refused.message).toContain('a URL')
    expect(await held('DATABASE_URL_production')).toBe(`postgres://app:${canary}@db/app`)
  })

  test('bytes stay bytes: written, compared, read, and never taken for the text that stands for them', async () => {
    const delivery = deliver()
    const bytes = new Uint8Array([0xff, 0, 0xfe, 0x80, ...Buffer.from(canary)])
    const base64 = Buffer.from(bytes).toString('base64')
    const made = await delivery.store.put('PFX_FILE', bytes, { ifVersionId: null })
    expect(made.outcome).toBe('created')
    const raw = await client.send(new GetSecretValueCommand({ SecretId: 'PFX_FILE_production' }))
    expect(raw.SecretString).toBeUndefined()
    expect(Buffer.from(raw.SecretBinary ?? '').equals(Buffer.from(bytes))).toBe(true)
    expect(await delivery.store.read('PFX_FILE')).toEqual(bytes)
    expect(await delivery.getToolSecretBytes('pfx', 'file')).toEqual(bytes)
    const changes = async (/** @type {string | Uint8Array} */ value) =>
      (await delivery.store.compare({ PFX_FILE: value }))[0]?.change
    expect([await changes(bytes), await changes(base64)]).toEqual(['keep', 'update'])
    expect((await delivery.store.put('PFX_FILE', bytes)).outcome).toBe('kept')
    const changed = await delivery.store.put('PFX_FILE', bytes.subarray(1), { ifVersionId: made.versionId })
    expect(changed.outcome).toBe('updated')
    expect(await delivery.store.read('PFX_FILE')).toEqual(bytes.subarray(1))
    expect((await delivery.store.put('PFX_FILE', base64)).outcome).toBe('updated')
    expect(await delivery.store.read('PFX_FILE')).toBe(base64)
    await delivery.store.put('JIRA_USER', 'app')
    await expect(delivery.store.put('JIRA_USER', bytes)).rejects.toMatchObject({ code: 'SOURCE_RESPONSE_INVALID' })
    await expect(delivery.store.put('PFX_FILE', new Uint8Array(65_537))).rejects.toMatchObject({
      code: 'SOURCE_RESPONSE_INVALID',
    })
    expect((await delivery.store.put('PFX_LONG', new Uint8Array(65_536).fill(255))).outcome).toBe('created')
    await expect(delivery.store.put('PFX_FILE', new Uint8Array())).rejects.toMatchObject({
      code: 'SOURCE_RESPONSE_INVALID',
    })
  })

  test('a secret is marked for deletion, cannot be read, and comes back', async () => {
    const delivery = deliver()
    const { versionId } = await delivery.store.put('OLD_TOKEN', canary)
    expect(await delivery.getSecret('OLD_TOKEN')).toBe(canary)
    await expect(delivery.store.delete('OLD_TOKEN', { ifVersionId: 'another' })).rejects.toMatchObject({
      code: 'SECRET_CHANGED',
    })
    const marked = see(await delivery.store.delete('OLD_TOKEN', { recoveryDays: 7, ifVersionId: versionId }))
    const days = (Date.parse(marked.deletedAt ?? '') - Date.now()) / 86_400_000
    expect(marked.outcome).toBe('scheduled')
    expect(Math.round(days)).toBe(7)
    expect(await delivery.getSecret('OLD_TOKEN')).toBeNull()
    expect(await delivery.store.delete('OLD_TOKEN')).toMatchObject({ outcome: 'scheduled', deletedAt: null })
    // At once, and with the way out, whatever this Secrets Manager says of it.
    const begun = Date.now()
    for (const write of [() => delivery.store.put('OLD_TOKEN', 'x'), () => delivery.store.generate('OLD_TOKEN')]) {
      const { code, message } = await write().catch((error) => error)
      expect({ code, message }).toEqual({
        code: 'SOURCE_UNAVAILABLE',
        message: expect.stringMatching(/marked for deletion.*tcs-secrets undelete/),
      })
    }
    expect(Date.now() - begun).toBeLessThan(5_000)
    expect(see(await delivery.store.undelete('OLD_TOKEN'))).toMatchObject({ outcome: 'restored' })
    expect(await delivery.getSecret('OLD_TOKEN')).toBe(canary)
    expect(await delivery.store.undelete('OLD_TOKEN')).toMatchObject({ outcome: 'kept' })
    expect(await delivery.store.undelete('NEVER_THERE')).toMatchObject({ outcome: 'absent' })
    expect(await delivery.store.delete('NEVER_THERE')).toMatchObject({ outcome: 'absent' })
  })

  test('what cannot be a value is refused before anything is written', async () => {
    const { store } = deliver()
    const code = (/** @type {Promise<unknown>} */ promise) =>
      promise.then(
        () => 'done',
        (error) => error.code,
      )
    const wrong = /** @type {any} */ (store)
    expect(
      await Promise.all([
        code(store.put('EMPTY', '')),
        code(store.put('LONG', 'x'.repeat(65_537))),
        code(store.put('a b', 'x')),
        code(store.put('HALF', 'x\ud800')),
        code(wrong.put('X', 5)),
        code(wrong.put('X', 'x', { ifversionId: 'y' })),
        code(wrong.put('X', 'x', { ifVersionId: '' })),
        code(store.generate('X', { length: 7 })),
        code(store.generate('X', { alphabet: 'aaa' })),
        code(store.delete('X', { recoveryDays: 6 })),
        code(store.delete('X', { recoveryDays: 31 })),
        code(wrong.compare(null)),
        code(wrong.compare({ 'a b': 'x' })),
      ]),
    ).toEqual([
      'SOURCE_RESPONSE_INVALID',
      'SOURCE_RESPONSE_INVALID',
      'SECRET_NAME_INVALID',
      ...Array(8).fill('CONFIG_INVALID'),
      'CONFIG_INVALID',
      'SECRET_NAME_INVALID',
    ])
  })
})

describe('an answer that does not change is not asked for again and again', () => {
  /** @type {AwsEndpoint} */
  let aws
  beforeAll(async () => {
    aws = await AwsEndpoint.start()
  })
  afterAll(() => aws.stop())

  const refusal = (/** @type {string} */ operation, /** @type {string} */ code) =>
    aws.fault({ action: { error: { status: 400, code, message: 'no' } }, match: { operation } })

  test.each([
    // A Secrets Manager that hides a secret which is marked for deletion, and does not say why.
    ['a secret that exists and cannot be read', 'GetSecretValue', 'ResourceNotFoundException', /undelete/],
    [
      'a label that cannot be moved',
      'UpdateSecretVersionStage',
      'InvalidParameterException',
      /UpdateSecretVersionStage/,
    ],
  ])('%s', async (_, operation, code, message) => {
    await aws.reset()
    await aws.put({ OLD_TOKEN_production: 'before' })
    await refusal(operation, code)
    const delivery = new SecretDelivery({
      environment: 'production',
      compliance: false,
      aws: aws.options,
      runtime: { variables: {}, secretDirectories: [] },
      cache: { redis: false },
      audit: false,
    })
    try {
      const begun = Date.now()
      const refused = await delivery.store.put('OLD_TOKEN', 'after').catch((error) => error)
      expect(refused).toMatchObject({ code: 'SOURCE_UNAVAILABLE', message: expect.stringMatching(message) })
      // Reads may lag behind writes for seconds; it was a minute.
      expect(Date.now() - begun).toBeLessThan(30_000)
    } finally {
      await delivery.close()
    }
  })
})
