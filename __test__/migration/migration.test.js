'use strict'

// Secrets on their way from the env file to AWS, with faults on the way.

const fs = require('node:fs')
const path = require('node:path')
const { DescribeSecretCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
const { codes, migrationWorld, outcomes } = require('../support/migration-world')

const world = migrationWorld()
const { audited, canary, deliver, read, see, write } = world

const live = async (name) => (await world.aws.versions(name)).find(({ labels }) => labels.includes('AWSCURRENT'))?.value
describe('plan', () => {
  test('groups every secret by phase, says what is to be done, and changes nothing', async () => {
    write(`DB_URL=${canary}-1\nGIT_TOKEN=${canary}-2\nPORT=${canary}-3\nGIT_EMPTY=\nA.B=${canary}\nDB_NOTE=${canary}\n`)
    await world.aws.put({ GIT_TOKEN_staging: `${canary}-old`, PORT_staging: `${canary}-3`, GIT_KEY_staging: canary })
    await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['DB_NOTE_staging'] })
    await world.aws.resetCalls()
    const plan = see(await deliver().migration.plan())
    const shown = Object.fromEntries(
      Object.entries(plan.phases).map(([phase, all]) => [phase, all.map(({ name, action }) => `${name} ${action}`)]),
    )
    expect(shown).toEqual({
      critical: ['DB_URL create'],
      tool: ['GIT_KEY only-in-aws', 'GIT_TOKEN update'],
      other: ['DB_NOTE unknown', 'GIT_EMPTY missing', 'PORT keep'],
    })
    expect(plan).toMatchObject({ environment: 'staging', file: world.file, complete: false, skippedNames: ['A.B'] })
    expect(plan.phases.other[0].error?.code).toBe('SECRET_ACCESS_DENIED')
    // What is denied in a batch is asked for alone: it may be granted there.
    expect(Object.keys((await world.aws.calls()).byOperation)).toEqual(['BatchGetSecretValue', 'GetSecretValue'])
  })

  test('is limited to a phase or to names, and refuses what it does not know', async () => {
    write(`DB_URL=${canary}\nGIT_TOKEN=${canary}\n`)
    const { migration } = deliver()
    const { phases } = await migration.plan({ phase: 'critical' })
    expect(Object.values(phases).flat()).toMatchObject([{ name: 'DB_URL' }])
    const named = await migration.plan({ names: ['NOWHERE_ELSE'] })
    expect(named.phases.other).toMatchObject([{ name: 'NOWHERE_ELSE', action: 'missing' }])
    for (const [options, code] of [
      [{ phase: 'late' }, 'CONFIG_INVALID'],
      [{ phase: 1 }, 'CONFIG_INVALID'],
      [{ name: ['DB_URL'] }, 'CONFIG_INVALID'],
      [{ names: 'DB_URL' }, 'CONFIG_INVALID'],
      [{ names: ['no name'] }, 'SECRET_NAME_INVALID'],
      [{ names: [1] }, 'SECRET_NAME_INVALID'],
      [[], 'CONFIG_INVALID'],
    ]) {
      await expect(migration.plan(/** @type {any} */ (options))).rejects.toMatchObject({ code })
    }
    const withoutAws = deliver({ aws: { enabled: false } })
    await expect(withoutAws.migration.plan()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe('apply', () => {
  test('creates with tags, reads back, records, and a second run does nothing', async () => {
    write(`DB_URL=${canary}-1\nGIT_TOKEN=${canary}-2\nPORT=3000\n`)
    const delivery = deliver()
    expect(await delivery.getSecret('PORT')).toBe('3000')
    const told = []
    const report = see(await delivery.migration.apply({ onProgress: (progress) => told.push(see(progress)) }))
    expect(outcomes(report)).toEqual({ DB_URL: 'created', GIT_TOKEN: 'created', PORT: 'created' })
    expect(report.complete).toBe(true)
    expect(told.map(({ done, total }) => [done, total])).toEqual([1, 2, 3].map((done) => [done, 3]))
    expect(await live('DB_URL_staging')).toBe(`${canary}-1`)
    expect((await delivery.explain('PORT')).layers.find(({ layer }) => layer === 'memory')?.state).not.toBe('hit')
    expect(await delivery.getSecretFromAWS('GIT_TOKEN')).toBe(`${canary}-2`)
    const client = new SecretsManagerClient(world.aws.options)
    const { Tags } = await client.send(new DescribeSecretCommand({ SecretId: 'GIT_TOKEN_staging' }))
    client.destroy()
    expect(Object.fromEntries((Tags ?? []).map(({ Key, Value }) => [Key, Value]))).toEqual({
      'managed-by': 'tcs-secret-delivery',
      environment: 'staging',
      tool: 'GIT',
    })
    await world.aws.resetCalls()
    expect(outcomes(await delivery.migration.apply())).toEqual({ DB_URL: 'kept', GIT_TOKEN: 'kept', PORT: 'kept' })
    expect((await world.aws.calls()).byOperation).toEqual({ BatchGetSecretValue: 1 })
    expect(delivery.metrics.snapshot().awsCalls.CreateSecret).toEqual({ ok: 3, denied: 0, failed: 0 })
    await delivery.close()
    expect(audited().sort()).toEqual(['create DB_URL ok', 'create GIT_TOKEN ok', 'create PORT ok'])
  })

  test('overwrites only when told, and never what somebody else manages', async () => {
    write(`GIT_TOKEN=${canary}-new\nGIT_KEY=${canary}-new\n`)
    await world.aws.put({ GIT_TOKEN_staging: `${canary}-old` })
    const client = new SecretsManagerClient(world.aws.options)
    const { CreateSecretCommand } = require('@aws-sdk/client-secrets-manager')
    const Tags = [{ Key: 'managed-by', Value: 'terraform' }]
    await client.send(new CreateSecretCommand({ Name: 'GIT_KEY_staging', SecretString: 'theirs', Tags }))
    client.destroy()
    const { migration } = deliver()
    const report = see(await migration.apply())
    expect([outcomes(report), report.complete]).toEqual([{ GIT_KEY: 'different', GIT_TOKEN: 'different' }, false])
    expect(await live('GIT_TOKEN_staging')).toBe(`${canary}-old`)
    const overwritten = see(await migration.apply({ overwrite: true }))
    expect(outcomes(overwritten)).toEqual({ GIT_KEY: 'failed', GIT_TOKEN: 'updated' })
    expect(codes(overwritten).GIT_KEY).toBe('SECRET_ACCESS_DENIED')
    expect([await live('GIT_TOKEN_staging'), await live('GIT_KEY_staging')]).toEqual([`${canary}-new`, 'theirs'])
    expect(await world.aws.versions('GIT_TOKEN_staging')).toHaveLength(2)
  })

  test('tells of each secret that fails, does the others, and goes on from there', async () => {
    write(`A_OK=${canary}\nA_DENIED=${canary}\nA_THROTTLED=${canary}\nA_LOST=${canary}\nA_LONG=${'x'.repeat(65_537)}\n`)
    await world.aws.deny({ actions: ['CreateSecret'], secrets: ['A_DENIED_staging'] })
    const match = (secret) => ({ match: { operation: 'CreateSecret', secret } })
    const throttled = { error: { status: 400, code: 'ThrottlingException', message: canary } }
    await world.aws.fault({ action: throttled, ...match('A_THROTTLED_staging') })
    await world.aws.fault({ action: { lose: true }, times: 1, ...match('A_LOST_staging') })
    const { migration } = deliver({ tools: {} })
    const report = see(await migration.apply())
    expect(codes(report)).toEqual({
      A_DENIED: 'SECRET_ACCESS_DENIED',
      A_LONG: 'SOURCE_RESPONSE_INVALID',
      A_LOST: undefined,
      A_OK: undefined,
      A_THROTTLED: 'SOURCE_UNAVAILABLE',
    })
    // The answer was lost, the secret was not.
    expect(outcomes(report)).toMatchObject({ A_OK: 'created', A_LOST: 'created', A_LONG: 'failed' })
    await Promise.all([world.aws.allow(), world.aws.clearFaults()])
    const names = ['A_OK', 'A_DENIED', 'A_THROTTLED', 'A_LOST']
    expect(outcomes(await migration.apply({ names }))).toEqual({
      A_DENIED: 'created',
      A_LOST: 'kept',
      A_OK: 'kept',
      A_THROTTLED: 'created',
    })
    for (const name of names) expect(await world.aws.versions(`${name}_staging`)).toHaveLength(1)
  })

  test('waits for the rate limit and is not refused by it', async () => {
    const names = Array.from({ length: 15 }, (_, i) => `R_N${i}`)
    write(names.map((name) => `${name}=${canary}\n`).join(''))
    const { migration } = deliver({ aws: { requestsPerSecond: 10, timeoutMs: 400 }, tools: {} })
    expect(new Set(Object.values(outcomes(await migration.apply())))).toEqual(new Set(['created']))
    const many = Array.from({ length: 250 }, (_, i) => `R_M${i}`)
    const slow = deliver({ aws: { requestsPerSecond: 5, timeoutMs: 400 }, tools: {} })
    const { phases } = await slow.migration.plan({ names: many })
    expect(phases.other.filter(({ action }) => action !== 'missing')).toEqual([])
  })

  test('refuses a file that is not there or cannot be read', async () => {
    const { migration } = deliver()
    await expect(migration.apply()).rejects.toMatchObject({ code: 'ENV_FILE_INVALID' })
    fs.mkdirSync(world.file)
    for (const command of ['plan', 'apply', 'retire']) {
      await expect(migration[command]()).rejects.toMatchObject({ code: 'ENV_FILE_INVALID' })
    }
    const none = deliver({ envFile: false })
    await expect(none.migration.apply()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(migration.apply(/** @type {any} */ ({ overwrite: 'yes' }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  })
})

describe("the service's own checks", () => {
  test('run after the validation, each with a deadline, and say little of what they threw', async () => {
    write(`DB_URL=${canary}\n`)
    const delivery = deliver({ tools: { db: { secrets: { url: {} } } } })
    const checks = {
      works: async () => expect(await delivery.getSecret('DB_URL')).toBe(canary),
      throws: () => {
        throw Object.assign(new TypeError(canary), { code: '28P01' })
      },
      rejects: async () =>
        Promise.reject(Object.assign(new Error(canary), { name: `x ${canary}`, code: `${canary}!` })),
      throwsText: () => Promise.reject(canary),
      hangs: () => new Promise(() => {}),
      says: async () => /** @type {any} */ (false),
    }
    const result = see(await delivery.validateApplicationFunctionality({ checks, timeoutMs: 100 }))
    expect(result.valid).toBe(false)
    const issue = (name, why) => ({
      name,
      passed: false,
      issue: { code: 'CHECK_FAILED', severity: 'error', message: `the check '${name}' failed: ${why}` },
    })
    expect(result.checks).toEqual([
      { name: 'works', passed: true, issue: null },
      issue('throws', 'TypeError 28P01'),
      issue('rejects', 'Error'),
      issue('throwsText', 'Error'),
      issue('hangs', 'it did not end within 100 ms'),
      issue('says', 'it returned false'),
    ])
    const { works } = checks
    expect((await delivery.validateApplicationFunctionality({ checks: { works } })).valid).toBe(true)
    expect((await delivery.validateApplicationFunctionality()).checks).toBeUndefined()
    for (const wrong of [{ checks: [1] }, { checks: null }, { timeoutMs: 0 }, null]) {
      const call = delivery.validateApplicationFunctionality(/** @type {any} */ (wrong))
      await expect(call).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    }
  })
})
