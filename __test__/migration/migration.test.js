'use strict'

// Secrets on their way from the env file to AWS, with faults and kills on the way. Values are canaries: none of them may be
// in a report, an error, a warning, an output or the audit log.

const { spawn } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const util = require('node:util')
const { SecretsManagerClient, DescribeSecretCommand } = require('@aws-sdk/client-secrets-manager')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { until } = require('../support/until')

const canary = `canary-${randomBytes(8).toString('hex')}`
/** Everything that anyone could print. @type {string[]} */
const seen = []
const see = (what) => {
  seen.push(typeof what === 'string' ? what : util.inspect(what, { depth: 10, showHidden: true }))
  return what
}

/** @type {AwsEndpoint} */
let aws
/** @type {string} */
let directory
/** @type {string} */
let file
/** @type {SecretDelivery[]} */
const open = []

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  await aws.reset()
  directory = fs.realpathSync(temporaryDirectory())
  file = path.join(directory, '.env.staging')
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  const log = path.join(directory, 'audit.jsonl')
  if (fs.existsSync(log)) see(fs.readFileSync(log, 'utf8'))
  fs.rmSync(directory, { recursive: true })
})
afterAll(async () => {
  await aws.stop()
  expect(seen.length).toBeGreaterThan(20)
  expect(seen.filter((text) => text.includes(canary))).toEqual([])
})

const secretsOf = (...types) => Object.fromEntries(types.map((type) => [type, {}]))
const tools = {
  db: { secrets: { url: {}, note: { phase: 'other' } } },
  git: { secrets: secretsOf('token', 'key') },
}

const optionsOf = (more = {}) => ({
  environment: 'staging',
  envFile: { directory },
  runtime: { variables: {}, secretDirectories: [] },
  cache: { redis: false },
  audit: { path: path.join(directory, 'audit.jsonl') },
  tools,
  ...more,
  aws: { ...aws.options, maxAttempts: 1, .../** @type {any} */ (more).aws },
})

/** @param {object} [more] */
function deliver(more) {
  const delivery = new SecretDelivery({ .../** @type {any} */ (optionsOf(more)), logger: { warn: see } })
  open.push(delivery)
  return delivery
}

const write = (text, mode = 0o600) => fs.writeFileSync(file, text, { mode })
const read = (name = file) => fs.readFileSync(name, 'utf8')
const copies = (ending) => fs.readdirSync(directory).filter((name) => name.endsWith(ending))
const outcomes = ({ secrets }) => Object.fromEntries(secrets.map(({ name, outcome }) => [name, outcome]))
const codes = ({ secrets }) => Object.fromEntries(secrets.map(({ name, error }) => [name, error?.code]))
const live = async (name) => (await aws.versions(name)).find(({ labels }) => labels.includes('AWSCURRENT'))?.value
const audited = () =>
  read(path.join(directory, 'audit.jsonl'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'migrate')
    .map(({ source, secret, outcome }) => [source, secret, outcome].filter(Boolean).join(' '))

describe('plan', () => {
  test('groups every secret by phase, says what is to be done, and changes nothing', async () => {
    write(`DB_URL=${canary}-1\nGIT_TOKEN=${canary}-2\nPORT=${canary}-3\nGIT_EMPTY=\nA.B=${canary}\nDB_NOTE=${canary}\n`)
    await aws.put({ GIT_TOKEN_staging: `${canary}-old`, PORT_staging: `${canary}-3`, GIT_KEY_staging: canary })
    await aws.deny({ actions: ['GetSecretValue'], secrets: ['DB_NOTE_staging'] })
    await aws.resetCalls()
    const plan = see(await deliver().migration.plan())
    const shown = Object.fromEntries(
      Object.entries(plan.phases).map(([phase, all]) => [phase, all.map(({ name, action }) => `${name} ${action}`)]),
    )
    expect(shown).toEqual({
      critical: ['DB_URL create'],
      tool: ['GIT_KEY only-in-aws', 'GIT_TOKEN update'],
      other: ['DB_NOTE unknown', 'GIT_EMPTY missing', 'PORT keep'],
    })
    expect(plan).toMatchObject({ environment: 'staging', file, complete: false, skippedNames: ['A.B'] })
    expect(plan.phases.other[0].error?.code).toBe('SECRET_ACCESS_DENIED')
    expect(Object.keys((await aws.calls()).byOperation)).toEqual(['BatchGetSecretValue'])
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
    const client = new SecretsManagerClient(aws.options)
    const { Tags } = await client.send(new DescribeSecretCommand({ SecretId: 'GIT_TOKEN_staging' }))
    client.destroy()
    expect(Object.fromEntries((Tags ?? []).map(({ Key, Value }) => [Key, Value]))).toEqual({
      'managed-by': 'tcs-secret-delivery',
      environment: 'staging',
      tool: 'GIT',
    })
    await aws.resetCalls()
    expect(outcomes(await delivery.migration.apply())).toEqual({ DB_URL: 'kept', GIT_TOKEN: 'kept', PORT: 'kept' })
    expect((await aws.calls()).byOperation).toEqual({ BatchGetSecretValue: 1 })
    expect(delivery.metrics.snapshot().awsCalls.CreateSecret).toEqual({ ok: 3, denied: 0, failed: 0 })
    await delivery.close()
    expect(audited().sort()).toEqual(['create DB_URL ok', 'create GIT_TOKEN ok', 'create PORT ok'])
  })

  test('overwrites only when told, and never what somebody else manages', async () => {
    write(`GIT_TOKEN=${canary}-new\nGIT_KEY=${canary}-new\n`)
    await aws.put({ GIT_TOKEN_staging: `${canary}-old` })
    const client = new SecretsManagerClient(aws.options)
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
    expect(await aws.versions('GIT_TOKEN_staging')).toHaveLength(2)
  })

  test('tells of each secret that fails, does the others, and goes on from there', async () => {
    write(`A_OK=${canary}\nA_DENIED=${canary}\nA_THROTTLED=${canary}\nA_LOST=${canary}\nA_LONG=${'x'.repeat(65_537)}\n`)
    await aws.deny({ actions: ['CreateSecret'], secrets: ['A_DENIED_staging'] })
    const match = (secret) => ({ match: { operation: 'CreateSecret', secret } })
    const throttled = { error: { status: 400, code: 'ThrottlingException', message: canary } }
    await aws.fault({ action: throttled, ...match('A_THROTTLED_staging') })
    await aws.fault({ action: { lose: true }, times: 1, ...match('A_LOST_staging') })
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
    await Promise.all([aws.allow(), aws.clearFaults()])
    const names = ['A_OK', 'A_DENIED', 'A_THROTTLED', 'A_LOST']
    expect(outcomes(await migration.apply({ names }))).toEqual({
      A_DENIED: 'created',
      A_LOST: 'kept',
      A_OK: 'kept',
      A_THROTTLED: 'created',
    })
    for (const name of names) expect(await aws.versions(`${name}_staging`)).toHaveLength(1)
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
    fs.mkdirSync(file)
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

describe('retire', () => {
  const text = () =>
    `# head\r\n\r\nDB_URL="${canary}\r\nsecond # line"\r\nGIT_TOKEN=${canary}-2 # why\r\nnonsense\r\nGIT_KEY=mine\r\nPORT=3000\r\n`
  const inAws = () => ({
    DB_URL_staging: `${canary}\nsecond # line`,
    GIT_TOKEN_staging: `${canary}-2`,
    GIT_KEY_staging: 'another',
  })

  test('takes out what AWS has with the same value, leaves every other byte, and goes back', async () => {
    write(text(), 0o640)
    fs.chmodSync(file, 0o640)
    await aws.put(inAws())
    const delivery = deliver()
    const report = see(await delivery.migration.retire())
    expect(outcomes(report)).toEqual({
      DB_URL: 'retired',
      GIT_KEY: 'different',
      GIT_TOKEN: 'retired',
      PORT: 'not-in-aws',
    })
    expect(read()).toBe(
      '# head\r\n\r\n# moved to AWS: DB_URL\r\n# moved to AWS: GIT_TOKEN\r\nnonsense\r\nGIT_KEY=mine\r\nPORT=3000\r\n',
    )
    const backup = /** @type {string} */ (report.backup)
    expect(path.basename(backup)).toMatch(/^\.env\.staging\.\d{8}T\d{6}\.\d{3}Z\.bak$/)
    expect(read(backup)).toBe(text())
    const mode = (name) => fs.statSync(name).mode & 0o777
    expect([mode(file), mode(backup)]).toEqual([0o640, 0o600])
    expect(await delivery.getSecretFromEnvFile('DB_URL')).toBeNull()
    // Again: nothing to do, no further backup.
    expect((await delivery.migration.retire()).backup).toBeNull()
    expect(copies('.bak')).toHaveLength(1)
    fs.appendFileSync(file, 'LATER=1\n')
    const rollback = see(await delivery.migration.rollback())
    expect([rollback.backup, read()]).toEqual([backup, text()])
    expect(read(/** @type {string} */ (rollback.replaced))).toMatch(/LATER=1\n$/)
    expect((await delivery.migration.rollback({ backup: path.basename(backup) })).replaced).toBeNull()
    await delivery.migration.retire({ names: ['GIT_TOKEN', 'NOWHERE'], mode: 'remove' })
    expect(read()).toBe(text().replace(/GIT_TOKEN.*\r\n/, ''))
    await delivery.close()
    const retired = ['retire DB_URL ok', 'retire GIT_TOKEN ok']
    expect(audited()).toEqual([...retired, 'rollback ok', 'rollback ok', 'retire GIT_TOKEN ok'])
  })

  test('says where a retired value still stands', async () => {
    write(`# GIT_TOKEN was ${canary}\nGIT_TOKEN=${canary}\n`)
    await aws.put({ GIT_TOKEN_staging: canary })
    const { secrets } = see(await deliver().migration.retire())
    expect(secrets).toMatchObject([{ outcome: 'retired', stillInLines: [1] }])
  })

  test('follows a symbolic link, and keeps what AWS does not confirm', async () => {
    const real = path.join(directory, 'real.env')
    fs.writeFileSync(real, `GIT_TOKEN=${canary}\nGIT_KEY=${canary}\n`)
    fs.symlinkSync(real, file)
    await aws.put({ GIT_TOKEN_staging: canary, GIT_KEY_staging: canary })
    await aws.deny({ actions: ['GetSecretValue'], secrets: ['GIT_KEY_staging'] })
    const report = see(await deliver().migration.retire({ mode: 'remove' }))
    expect([outcomes(report), codes(report).GIT_KEY]).toEqual([
      { GIT_TOKEN: 'retired', GIT_KEY: 'failed' },
      'SECRET_ACCESS_DENIED',
    ])
    expect(fs.lstatSync(file).isSymbolicLink()).toBe(true)
    expect(read(real)).toBe(`GIT_KEY=${canary}\n`)
  })

  test('leaves a file alone that changes while AWS is asked', async () => {
    write(`GIT_TOKEN=${canary}\n`)
    await aws.put({ GIT_TOKEN_staging: canary })
    await aws.fault({ action: { delayMs: 1_000 } })
    const retiring = deliver().migration.retire()
    await until('AWS was asked', async () => (await aws.calls()).total > 0)
    fs.appendFileSync(file, 'ADDED=1\n')
    const error = see(await retiring.catch((error) => error))
    expect(error).toMatchObject({ code: 'ENV_FILE_INVALID', message: expect.stringContaining('changed meanwhile') })
    expect(read()).toBe(`GIT_TOKEN=${canary}\nADDED=1\n`)
    expect(copies('.tmp')).toEqual([])
  })

  test('refuses other syntaxes, wrong options, strange backups and a rollback without one', async () => {
    write(`GIT_TOKEN=${canary}\n`)
    const { migration } = deliver()
    await expect(migration.rollback()).rejects.toMatchObject({ code: 'ENV_FILE_INVALID' })
    await expect(migration.rollback({ backup: file })).rejects.toMatchObject({ code: 'ENV_FILE_INVALID' })
    await expect(migration.rollback({ backup: '' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const wrong = /** @type {any} */ ({ mode: 'shred' })
    await expect(migration.retire(wrong)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const dotenvy = deliver({ envFile: { directory, syntax: 'dotenvy' } })
    await expect(dotenvy.migration.retire()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('leaves the file alone when nothing can be written beside it', async () => {
    write(`GIT_TOKEN=${canary}\n`)
    await aws.put({ GIT_TOKEN_staging: canary })
    fs.mkdirSync(`${file}.migration.tmp`)
    const error = see(
      await deliver()
        .migration.retire()
        .catch((error) => error),
    )
    expect(error).toMatchObject({ code: 'ENV_FILE_INVALID', message: expect.stringContaining('cannot be written') })
    expect([read(), copies('.bak')]).toEqual([`GIT_TOKEN=${canary}\n`, []])
  })

  // Root writes wherever it wants.
  const asUser = process.getuid?.() === 0 ? test.skip : test
  asUser('refuses a directory that cannot be written', async () => {
    write(`GIT_TOKEN=${canary}\n`)
    await aws.put({ GIT_TOKEN_staging: canary })
    const { migration } = deliver({ audit: false })
    fs.chmodSync(directory, 0o500)
    const error = await migration.retire().catch((error) => error)
    fs.chmodSync(directory, 0o700)
    expect(error).toMatchObject({ code: 'ENV_FILE_INVALID' })
  })
})

describe('after kill -9', () => {
  /** Starts a migration, kills it once it said `enough`, and sees what it printed. */
  async function killed(command, more, enough) {
    const migration = JSON.stringify({ command, options: optionsOf(more) })
    const child = spawn(process.execPath, [path.join(__dirname, '..', 'fixtures', 'migrating.js')], {
      env: { ...process.env, TEST_MIGRATION: migration, REDIS_URL: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
    const ended = new Promise((resolve) => child.once('close', resolve))
    await until('it is under way', () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${output}`)
      return (output.match(/^done /gm) ?? []).length >= enough
    })
    child.kill('SIGKILL')
    await ended
    return see(output)
  }

  test('apply goes on where it was, and writes nothing twice', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `K_N${i}`)
    write(names.map((name, i) => `${name}=${canary}-${i}\n`).join(''))
    await aws.fault({ action: { delayMs: 20 }, match: { operation: 'CreateSecret' } })
    for (const enough of [5, 10]) expect(await killed('apply', { tools: {} }, enough)).not.toMatch(/^ended/m)
    await aws.clearFaults()
    const delivery = deliver({ tools: {} })
    const report = see(await delivery.migration.apply())
    expect(report.complete).toBe(true)
    const counts = Object.values(outcomes(report))
    expect(counts.filter((outcome) => outcome === 'kept').length).toBeGreaterThanOrEqual(5)
    expect(counts.filter((outcome) => outcome === 'created').length).toBeGreaterThan(0)
    for (const [i, name] of names.entries()) {
      expect(await aws.versions(`${name}_staging`)).toMatchObject([{ value: `${canary}-${i}` }])
    }
    await delivery.close()
    expect((await verifyAuditLog(path.join(directory, 'audit.jsonl'))).valid).toBe(true)
  }, 60_000)

  test('retire has left the file whole, old or new, and nothing is lost', async () => {
    const rest = '# a comment\nPORT=3000\n'
    const secrets = Array.from({ length: 50 }, (_, i) => [`K_N${i}`, `${canary}-${i}`])
    const text = `${secrets.map(([name, value]) => `${name}=${value}\n`).join('')}${rest}`
    write(text)
    await aws.put(Object.fromEntries(secrets.map(([name, value]) => [`${name}_staging`, value])))
    const commented = `${secrets.map(([name]) => `# moved to AWS: ${name}\n`).join('')}${rest}`
    for (let round = 1; round <= 5; round++) {
      await killed('retire', { tools: {} }, round)
      expect([text, commented, rest]).toContain(read())
      for (const name of copies('.bak')) expect(read(path.join(directory, name))).toBe(text)
      for (const name of copies('.tmp')) expect(fs.statSync(path.join(directory, name)).mode & 0o777).toBe(0o600)
    }
    const { migration } = deliver({ tools: {} })
    await migration.rollback()
    expect(read()).toBe(text)
    await migration.retire()
    expect(read()).toBe(commented)
    expect(copies('.tmp')).toEqual([])
  }, 60_000)
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
