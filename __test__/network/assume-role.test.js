'use strict'

// Roles: one for a delivery, one for a reference. Whose secrets they read, how they are renewed, and what is said when STS refuses.

const { SecretDelivery } = require('../..')
const { refusal } = require('../support/refusal')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Moto } = require('../support/servers/moto')
const { RedisServer } = require('../support/servers/redis')
const { MiniStack } = require('../support/servers/ministack')
const { temporaryDirectory } = require('../support/files')
const { until } = require('../support/until')
const { withVariables } = require('../support/with-variables')
const path = require('node:path')

const OTHER = '111122223333'
const reader = `arn:aws:iam::${OTHER}:role/teams/reader`
const writer = 'arn:aws:iam::444455556666:role/writer'

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery<any>[]} */
const open = []

/** @param {object} [options] */
function deliver(options = {}) {
  const delivery = new SecretDelivery({
    environment: 'production',
    audit: false,
    alerts: false,
    logger: { warn() {} },
    ...options,
    aws: { ...aws.options, ...options.aws },
    cache: options.cache === false ? false : { encryptionKeys: [], ...options.cache },
  })
  open.push(delivery)
  return delivery
}

const assumed = async () => (await aws.calls()).byOperation.AssumeRole ?? 0

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  await aws.reset()
  await aws.put({ A_B_production: 'own', 'shared/db': '{"password":"own"}' })
  await aws.putIn(OTHER, { A_B_production: "the role's", 'shared/db': '{"password":"theirs"}' })
  await aws.role(reader, { externalId: 'ticket/42' })
})
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(() => aws.stop())

describe('aws.assumeRole', () => {
  const assumeRole = { roleArn: reader, externalId: 'ticket/42', sessionName: 'orders', tags: { Team: 'shop' } }

  test('reads everything as the role, which is assumed once', async () => {
    const delivery = deliver({ aws: { assumeRole } })
    expect(await delivery.getSecret('A_B')).toBe("the role's")
    expect(await delivery.getSecretFromAWS('shared/db#password')).toBe('theirs')
    expect(await assumed()).toBe(1)
    expect(await delivery.identity()).toMatchObject({
      account: OTHER,
      arn: `arn:aws:sts::${OTHER}:assumed-role/reader/orders`,
    })
  })

  test('a refusal of STS is no denial of a secret, and nothing else answers', async () => {
    const delivery = deliver({
      aws: { assumeRole: { roleArn: reader } },
      runtime: { variables: { A_B: 'variable' } },
    })
    const error = await refusal(delivery.getSecret('A_B'))
    expect(error).toMatchObject({ code: 'ROLE_NOT_ASSUMED', cause: { code: 'AccessDenied' } })
    expect(error.message).toContain(`the role ${reader} could not be assumed: STS refused it (AccessDenied)`)
    expect(error.message).toContain('sts:AssumeRole')
    expect(error.message).toContain('without an externalId')
    expect(error.message).not.toContain('denied, or not there')
    expect((await aws.calls()).byOperation.GetSecretValue).toBeUndefined()
    const { status, reason } = (await delivery.health()).checks.aws
    expect([status, reason]).toEqual(['down', expect.stringContaining('could not be assumed')])
    expect(await delivery.ready()).toMatchObject({ ready: false })
    // Elsewhere the next source answers, as for every failure of AWS.
    const staging = deliver({
      environment: 'staging',
      aws: { assumeRole: { roleArn: reader } },
      runtime: { variables: { A_B: 'variable' } },
    })
    expect(await staging.getSecret('A_B')).toBe('variable')
  })

  test('is renewed before it ends, and no read fails or waits for it', async () => {
    await aws.role(reader, { externalId: 'ticket/42', lastsMs: 2000 })
    const delivery = deliver({ aws: { assumeRole }, cache: false })
    const end = Date.now() + 5000
    let reads = 0
    while (Date.now() < end) {
      expect(await delivery.getSecret('A_B')).toBe("the role's")
      reads++
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(reads).toBeGreaterThan(100)
    expect(await assumed()).toBeGreaterThanOrEqual(3)
    expect(await assumed()).toBeLessThan(8)
    expect((await delivery.health()).checks.aws.status).toBe('ok')
  })

  test('while STS fails, a stale copy answers; once STS refuses, none does', async () => {
    await aws.role(reader, { externalId: 'ticket/42', lastsMs: 300 })
    const delivery = deliver({ aws: { assumeRole, maxAttempts: 1 }, cache: { ttlSeconds: 1, refreshAhead: false } })
    expect(await delivery.getSecret('A_B')).toBe("the role's")
    await aws.fault({
      action: { error: { status: 503, code: 'ServiceUnavailable' } },
      match: { operation: 'AssumeRole' },
    })
    await until('the copy is stale', async () => (await delivery.explain('A_B')).stale === true)
    const failure = async () => (await delivery.health()).checks.aws.reason
    await until('its credentials have ended', async () => {
      expect(await delivery.getSecret('A_B')).toBe("the role's")
      return (await failure())?.includes('could not be assumed: STS failed')
    })
    expect(await delivery.getSecret('A_B')).toBe("the role's")
    await aws.clearFaults()
    await aws.removeRole(reader)
    await until(
      'the refusal counts',
      async () => (await delivery.getSecret('A_B').catch(({ code }) => code)) === 'ROLE_NOT_ASSUMED',
    )
    await aws.role(reader, { externalId: 'ticket/42' })
    await until('the role is back', async () => (await delivery.getSecret('A_B').catch(() => '')) === "the role's")
  })

  test.each([
    ['denied', { error: { status: 403, code: 'AccessDenied' } }, 'ROLE_NOT_ASSUMED', 'trust policy'],
    ['a session too long', { error: { status: 400, code: 'ValidationError' } }, 'ROLE_NOT_ASSUMED', 'durationSeconds'],
    [
      'a region that is off',
      { error: { status: 403, code: 'RegionDisabledException' } },
      'ROLE_NOT_ASSUMED',
      'aws.region',
    ],
    ['keys that ended', { error: { status: 403, code: 'ExpiredToken' } }, 'SOURCE_UNAVAILABLE', 'renew them'],
    ['a code that nobody knows', { error: { status: 400, code: 'SomethingNew' } }, 'SOURCE_UNAVAILABLE', 'STS failed'],
    ['throttled', { error: { status: 400, code: 'Throttling' } }, 'SOURCE_UNAVAILABLE', 'throttled'],
    ['an answer of somebody else', { body: { status: 200, text: '<html>' } }, 'SOURCE_UNAVAILABLE', 'not'],
    ['a closed connection', { close: true }, 'SOURCE_UNAVAILABLE', 'cannot be reached'],
    ['no answer', { hang: true }, 'SOURCE_TIMEOUT', 'could not be assumed'],
  ])('STS: %s', async (_, action, code, words) => {
    await aws.fault({ action, match: { operation: 'AssumeRole' } })
    const delivery = deliver({ aws: { assumeRole, timeoutMs: 2000, maxAttempts: 1 } })
    const error = await refusal(delivery.getSecret('A_B'))
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) })
    expect(error.message).toContain(reader)
    expect(error.message).not.toContain('ticket/42')
  })

  test('what STS would refuse is an invalid option', () => {
    for (const [wrong, at] of [
      [{}, 'roleArn'],
      [{ roleArn: 'reader' }, 'roleArn'],
      [{ roleArn: reader, externalId: 'a' }, 'externalId'],
      [{ roleArn: reader, sessionName: 'a b' }, 'sessionName'],
      [{ roleArn: reader, durationSeconds: 60 }, 'durationSeconds'],
      [{ roleArn: reader, tags: { 'a|b': 'c' } }, 'tags'],
      [{ roleArn: reader, role: 'x' }, 'role'],
    ]) {
      const make = (options) => () => deliver(options)
      expect(make({ aws: { assumeRole: wrong } })).toThrow(`options.aws.assumeRole.${at}`)
      const secrets = { A_B: { aws: { id: 'x', assumeRole: wrong } } }
      expect(make({ secrets })).toThrow(`options.secrets.A_B.aws.assumeRole.${at}`)
    }
  })
})

describe('assumeRole of a reference', () => {
  const assumeRole = { roleArn: reader, externalId: 'ticket/42' }

  test('is for this reference alone, beside the own secret of that name', async () => {
    const delivery = deliver({
      tools: {
        db: {
          secrets: {
            own: { aws: 'shared/db#password' },
            theirs: { aws: { id: 'shared/db', field: 'password', assumeRole } },
          },
        },
      },
    })
    for (let i = 0; i < 2; i++) {
      expect(await delivery.getToolSecrets('db')).toEqual({ own: 'own', theirs: 'theirs' })
      await delivery.cache.clear()
    }
    expect(await delivery.getSecretFromAWS({ id: 'shared/db', field: 'password', assumeRole })).toBe('theirs')
    expect(await assumed()).toBe(1)
  })

  test('is assumed by aws.assumeRole, where there is one', async () => {
    await aws.role(writer, { trusts: ['test'] })
    await aws.role(reader, { trusts: [writer] })
    const secrets = { A_B: { aws: { id: 'A_B_production', assumeRole: { roleArn: reader } } } }
    expect(await deliver({ secrets, aws: { assumeRole: { roleArn: writer } } }).getSecret('A_B')).toBe("the role's")
    expect(await refusal(deliver({ secrets }).getSecret('A_B'))).toMatchObject({ code: 'ROLE_NOT_ASSUMED' })
  })

  test('refused, it concerns no other secret', async () => {
    const secrets = { C_D: { aws: { id: 'A_B_production', assumeRole: { roleArn: reader } } } }
    const delivery = deliver({ secrets })
    const [theirs, own] = await Promise.allSettled([delivery.getSecret('C_D'), delivery.getSecret('A_B')])
    expect([theirs.reason?.code, own.value]).toEqual(['ROLE_NOT_ASSUMED', 'own'])
    expect(theirs.reason.message).toMatch(/^A_B_production as arn:aws:iam::/)
    expect((await delivery.health()).checks.aws.status).toBe('ok')
  })

  test('a wrong reference is refused without asking', async () => {
    const delivery = deliver()
    const wrong = { id: 'shared/db', assumeRole: { roleArn: 'x' } }
    const error = await refusal(delivery.getSecretFromAWS(wrong))
    expect(error).toMatchObject({ code: 'SECRET_NAME_INVALID', message: expect.stringContaining('assumeRole.roleArn') })
    expect((await aws.calls()).total).toBe(0)
  })
})

describe('copies', () => {
  test('of another role are never taken for own ones: memory, Redis, last-known-good file', async () => {
    const redis = await RedisServer.start()
    const directory = temporaryDirectory()
    try {
      const cache = {
        redis: { url: redis.url },
        encryptionKeys: [{ id: 'k', key: Buffer.alloc(32, 7).toString('base64') }],
        snapshotPath: path.join(directory, 'copies'),
      }
      await aws.role(reader)
      const roles = { own: undefined, theirs: { roleArn: reader } }
      const values = { own: 'own', theirs: "the role's" }
      for (const [who, assumeRole] of Object.entries(roles)) {
        const delivery = deliver({ aws: { assumeRole }, cache })
        expect(await delivery.getSecret('A_B')).toBe(values[who])
        await delivery.close()
      }
      // A start while AWS is down: copies answer, each to its own identity.
      await aws.fault({ action: { error: { status: 503, code: 'ServiceUnavailable' } } })
      for (const [who, assumeRole] of Object.entries(roles)) {
        const delivery = deliver({ aws: { assumeRole }, cache })
        expect(await delivery.getSecret('A_B')).toBe(values[who])
      }
      const none = deliver({ aws: { assumeRole: { roleArn: writer } }, cache })
      expect(await refusal(none.getSecret('A_B'))).toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
    } finally {
      await redis.stop()
    }
  })
})

describe.each([
  ['moto', () => Moto.start()],
  ['MiniStack', () => MiniStack.start()],
])('%s', (_, start) => {
  /** @type {Moto | MiniStack} */
  let server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.stop())

  test('gives a session, and the secrets of the role', async () => {
    const own = {
      endpoint: server.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    }
    const { CreateSecretCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    const { AssumeRoleCommand, STSClient } = require('@aws-sdk/client-sts')
    const { Credentials } = await new STSClient(own).send(
      new AssumeRoleCommand({ RoleArn: reader, RoleSessionName: 'test' }),
    )
    const credentials = {
      accessKeyId: Credentials.AccessKeyId,
      secretAccessKey: Credentials.SecretAccessKey,
      sessionToken: Credentials.SessionToken,
    }
    for (const [client, value] of [
      [own, 'own'],
      [{ ...own, credentials }, "the role's"],
    ]) {
      const create = new CreateSecretCommand({ Name: 'A_B_production', SecretString: value })
      // A stand-in without accounts has the secret by then.
      await new SecretsManagerClient(client).send(create).catch(() => undefined)
    }
    const delivery = withVariables({ AWS_EC2_METADATA_DISABLED: 'true' }, () =>
      deliver({ aws: { ...own, assumeRole: { roleArn: reader, externalId: 'ticket/42', tags: { Team: 'shop' } } } }),
    )
    const { account, arn } = /** @type {any} */ (await delivery.identity())
    expect(arn).toContain('assumed-role/')
    expect(await delivery.getSecret('A_B')).toBe(
      account === OTHER ? "the role's" : expect.stringMatching(/^(own|the role's)$/),
    )
  })
})
