'use strict'

// What each environment reads, and the warnings about its files.

const fs = require('node:fs')
const path = require('node:path')
const { SecretError, environmentDefaults } = require('../..')
const { overAws } = require('../support/over-aws')
const { until } = require('../support/until')

const world = overAws()
const { deliver } = world

describe('environments', () => {
  test('their presets are readable', () => {
    expect(environmentDefaults('prod')).toEqual({
      environment: 'production',
      source: 'aws-secrets-manager',
      fallback: null,
      fallbackDeprecated: false,
      cache: true,
      cacheTtlSeconds: 300,
      maxStaleSeconds: 3600,
      audit: true,
      rotation: 'weekly',
      rotationIntervalDays: 7,
      encryption: true,
      compliance: 'soc2',
      monitoring: true,
      alerting: true,
      onAwsFailure: 'reject',
    })
    expect(environmentDefaults('development')).toMatchObject({
      fallback: '.env.dev',
      cache: false,
      onAwsFailure: 'next-source',
    })
    expect(() => environmentDefaults('qa')).toThrow(SecretError)
  })

  test('each reads its own env file and its own AWS ids', async () => {
    await world.aws.put({ A_B_test: 'test', A_B_staging: 'staging' })
    fs.writeFileSync(path.join(world.directory, '.env.dev'), 'A_B=dev\n')
    fs.writeFileSync(path.join(world.directory, '.env.test'), 'A_B=never asked\nA_C=file\n')
    expect(await deliver({ environment: 'dev' }).getSecret('A_B')).toBe('dev')
    const testing = deliver({ environment: 'test' })
    expect([await testing.getSecret('A_B'), await testing.getSecret('A_C')]).toEqual(['test', 'file'])
    expect(await testing.getSecretFromAWS('A_B', 'staging')).toBe('staging')
    expect(await deliver({ environment: 'production' }).getSecret('A_C')).toBeNull()
  })

  test('an env file that changes is read again; skipped lines are reported once, by number', async () => {
    const file = path.join(world.directory, '.env.dev')
    fs.writeFileSync(file, 'A_B=one\nnot a line of it canary\n')
    const warnings = []
    const delivery = deliver({ environment: 'dev', logger: { warn: (message) => warnings.push(message) } })
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('one')
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('one')
    await until('the warning arrived', () => warnings.length > 0)
    fs.writeFileSync(file, 'A_B=second value\n')
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('second value')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/\.env\.dev.*2/)
    expect(warnings[0]).not.toContain('canary')
  })

  test('staging warns that its env file is deprecated', async () => {
    fs.writeFileSync(path.join(world.directory, '.env.staging'), 'A_B=one\n')
    const warnings = []
    const delivery = deliver({ environment: 'staging', logger: { warn: (message) => warnings.push(message) } })
    expect(await delivery.getSecret('A_B')).toBe('one')
    await until('the warning arrived', () => warnings.some((warning) => /^ENV_FILE_DEPRECATED: /.test(warning)))
  })

  const onUnix = process.platform === 'win32' ? test.skip : test

  onUnix.each([
    ['staging', '.env.staging', 0o644, true],
    ['staging', '.env.staging', 0o660, true],
    ['staging', '.env.staging', 0o600, false],
    ['production', 'named.env', 0o604, true],
    ['dev', '.env.dev', 0o644, false],
    ['test', '.env.test', 0o666, false],
  ])('%s, %s with mode %i: is it told once that others may read it? %p', async (environment, name, mode, told) => {
    const file = path.join(world.directory, name)
    fs.writeFileSync(file, 'A_B=one\n')
    fs.chmodSync(file, mode)
    const warnings = []
    const logger = { warn: (message) => warnings.push(message) }
    const delivery = deliver({ environment, envFile: { path: file }, logger })
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('one')
    fs.writeFileSync(file, 'A_B=longer\nnot a line\n')
    expect(await delivery.getSecretFromEnvFile('A_B')).toBe('longer')
    await until('the other warning arrived', () => warnings.some((text) => text.startsWith('ENV_FILE_LINE_SKIPPED')))
    const modes = warnings.filter((text) => text.startsWith('ENV_FILE_MODE'))
    expect(modes).toHaveLength(told ? 1 : 0)
    if (told) expect(modes[0]).toContain(`mode 0${mode.toString(8)}`)
  })

  onUnix('an audit log and a snapshot that others may read are told once, and a private one is not', async () => {
    const [log, snapshot] = [path.join(world.directory, 'audit.jsonl'), path.join(world.directory, 'snapshot')]
    const codes = async () => {
      const warnings = []
      const delivery = deliver({
        environment: 'production',
        audit: { path: log },
        cache: { snapshotPath: snapshot, encryptionKeys: [{ id: 'k', key: Buffer.alloc(32, 1) }] },
        logger: { warn: (message) => warnings.push(message) },
      })
      await delivery.getSecret('A_B').catch(() => {})
      await delivery.cache.invalidate('A_B')
      await delivery.close()
      return warnings.map((text) => text.split(':')[0]).filter((code) => code.endsWith('_MODE'))
    }
    expect(await codes()).toEqual([])
    for (const file of [log, `${log}.state`, snapshot]) fs.chmodSync(file, 0o640)
    expect((await codes()).sort()).toEqual(['AUDIT_LOG_MODE', 'AUDIT_LOG_MODE', 'SNAPSHOT_MODE'])
  })
})
