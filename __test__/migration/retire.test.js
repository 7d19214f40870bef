'use strict'

// Secrets that are in AWS leave the env file; and migrations that are killed go on.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { verifyAuditLog } = require('../..')
const { codes, migrationWorld, outcomes } = require('../support/migration-world')
const { until } = require('../support/until')

const world = migrationWorld()
const { audited, canary, copies, deliver, optionsOf, read, see, write } = world

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
    fs.chmodSync(world.file, 0o640)
    await world.aws.put(inAws())
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
    expect([mode(world.file), mode(backup)]).toEqual([0o640, 0o600])
    expect(await delivery.getSecretFromEnvFile('DB_URL')).toBeNull()
    // Again: nothing to do, no further backup.
    expect((await delivery.migration.retire()).backup).toBeNull()
    expect(copies('.bak')).toHaveLength(1)
    fs.appendFileSync(world.file, 'LATER=1\n')
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
    await world.aws.put({ GIT_TOKEN_staging: canary })
    const { secrets } = see(await deliver().migration.retire())
    expect(secrets).toMatchObject([{ outcome: 'retired', stillInLines: [1] }])
  })

  test('follows a symbolic link, and keeps what AWS does not confirm', async () => {
    const real = path.join(world.directory, 'real.env')
    fs.writeFileSync(real, `GIT_TOKEN=${canary}\nGIT_KEY=${canary}\n`)
    fs.symlinkSync(real, world.file)
    await world.aws.put({ GIT_TOKEN_staging: canary, GIT_KEY_staging: canary })
    await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['GIT_KEY_staging'] })
    const report = see(await deliver().migration.retire({ mode: 'remove' }))
    expect([outcomes(report), codes(report).GIT_KEY]).toEqual([
      { GIT_TOKEN: 'retired', GIT_KEY: 'failed' },
      'SECRET_ACCESS_DENIED',
    ])
    expect(fs.lstatSync(world.file).isSymbolicLink()).toBe(true)
    expect(read(real)).toBe(`GIT_KEY=${canary}\n`)
  })

  test('leaves a file alone that changes while AWS is asked', async () => {
    write(`GIT_TOKEN=${canary}\n`)
    await world.aws.put({ GIT_TOKEN_staging: canary })
    await world.aws.fault({ action: { delayMs: 1_000 } })
    const retiring = deliver().migration.retire()
    await until('AWS was asked', async () => (await world.aws.calls()).total > 0)
    fs.appendFileSync(world.file, 'ADDED=1\n')
    const error = see(await retiring.catch((error) => error))
    expect(error).toMatchObject({ code: 'ENV_FILE_INVALID', message: expect.stringContaining('changed meanwhile') })
    expect(read()).toBe(`GIT_TOKEN=${canary}\nADDED=1\n`)
    expect(copies('.tmp')).toEqual([])
  })

  test('refuses other syntaxes, wrong options, strange backups and a rollback without one', async () => {
    write(`GIT_TOKEN=${canary}\n`)
    const { migration } = deliver()
    await expect(migration.rollback()).rejects.toMatchObject({ code: 'ENV_FILE_INVALID' })
    await expect(migration.rollback({ backup: world.file })).rejects.toMatchObject({ code: 'ENV_FILE_INVALID' })
    await expect(migration.rollback({ backup: '' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const wrong = /** @type {any} */ ({ mode: 'shred' })
    await expect(migration.retire(wrong)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const dotenvy = deliver({ envFile: { directory: world.directory, syntax: 'dotenvy' } })
    await expect(dotenvy.migration.retire()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('leaves the file alone when nothing can be written beside it', async () => {
    write(`GIT_TOKEN=${canary}\n`)
    await world.aws.put({ GIT_TOKEN_staging: canary })
    fs.mkdirSync(`${world.file}.migration.tmp`)
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
    await world.aws.put({ GIT_TOKEN_staging: canary })
    const { migration } = deliver({ audit: false })
    fs.chmodSync(world.directory, 0o500)
    const error = await migration.retire().catch((error) => error)
    fs.chmodSync(world.directory, 0o700)
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
    await world.aws.fault({ action: { delayMs: 20 }, match: { operation: 'CreateSecret' } })
    for (const enough of [5, 10]) expect(await killed('apply', { tools: {} }, enough)).not.toMatch(/^ended/m)
    await world.aws.clearFaults()
    const delivery = deliver({ tools: {} })
    const report = see(await delivery.migration.apply())
    expect(report.complete).toBe(true)
    const counts = Object.values(outcomes(report))
    expect(counts.filter((outcome) => outcome === 'kept').length).toBeGreaterThanOrEqual(5)
    expect(counts.filter((outcome) => outcome === 'created').length).toBeGreaterThan(0)
    for (const [i, name] of names.entries()) {
      expect(await world.aws.versions(`${name}_staging`)).toMatchObject([{ value: `${canary}-${i}` }])
    }
    await delivery.close()
    expect((await verifyAuditLog(path.join(world.directory, 'audit.jsonl'))).valid).toBe(true)
  }, 60_000)

  test('retire has left the file whole, old or new, and nothing is lost', async () => {
    const rest = '# a comment\nPORT=3000\n'
    const secrets = Array.from({ length: 50 }, (_, i) => [`K_N${i}`, `${canary}-${i}`])
    const text = `${secrets.map(([name, value]) => `${name}=${value}\n`).join('')}${rest}`
    write(text)
    await world.aws.put(Object.fromEntries(secrets.map(([name, value]) => [`${name}_staging`, value])))
    const commented = `${secrets.map(([name]) => `# moved to AWS: ${name}\n`).join('')}${rest}`
    for (let round = 1; round <= 5; round++) {
      await killed('retire', { tools: {} }, round)
      expect([text, commented, rest]).toContain(read())
      for (const name of copies('.bak')) expect(read(path.join(world.directory, name))).toBe(text)
      for (const name of copies('.tmp')) expect(fs.statSync(path.join(world.directory, name)).mode & 0o777).toBe(0o600)
    }
    const { migration } = deliver({ tools: {} })
    await migration.rollback()
    expect(read()).toBe(text)
    await migration.retire()
    expect(read()).toBe(commented)
    expect(copies('.tmp')).toEqual([])
  }, 60_000)
})
