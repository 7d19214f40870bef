'use strict'

// What the validations find, by code.

const fs = require('node:fs')
const path = require('node:path')
const { overAws } = require('../support/over-aws')

const world = overAws()
const { deliver } = world

describe('validation', () => {
  const tools = {
    jira: { secrets: { api_token: { required: true, pattern: '^jt_', minLength: 8 }, config: { json: ['host'] } } },
  }

  test('finds what is missing and what looks wrong, by code', async () => {
    const delivery = deliver({ tools })
    const missing = await delivery.validateToolSecrets('jira')
    expect(missing.valid).toBe(false)
    expect(missing.secrets.find(({ name }) => name === 'JIRA_API_TOKEN').issues.map(({ code }) => code)).toEqual([
      'MISSING',
    ])
    await world.aws.put({ JIRA_API_TOKEN_production: 'canary', JIRA_CONFIG_production: '{"port":1}' })
    await delivery.cache.clear()
    const wrong = await delivery.validateToolSecrets('jira')
    expect(wrong.secrets.flatMap(({ issues }) => issues.map(({ code }) => code)).sort()).toEqual([
      'JSON_FIELD_MISSING',
      'PATTERN_MISMATCH',
      'TOO_SHORT',
    ])
    expect(JSON.stringify(wrong)).not.toContain('canary')
    await world.aws.put({ JIRA_API_TOKEN_production: 'jt_12345678', JIRA_CONFIG_production: '{"host":"h"}' })
    await delivery.cache.clear()
    expect(await delivery.validateToolSecrets('jira')).toMatchObject({
      valid: true,
      tool: 'jira',
      environment: 'production',
    })
    expect(await delivery.validateSecretAccess()).toMatchObject({ valid: true, tool: null })
    expect(await delivery.validateApplicationFunctionality()).toMatchObject({ valid: true })
  })

  test('consistency compares AWS with the env file', async () => {
    await world.aws.put({ JIRA_API_TOKEN_staging: 'jt_12345678' })
    fs.writeFileSync(path.join(world.directory, '.env.staging'), 'JIRA_API_TOKEN=jt_other\nJIRA_CONFIG={}\n')
    const delivery = deliver({ environment: 'staging', tools, logger: { warn() {} } })
    const { valid, secrets } = await delivery.validateSecretConsistency()
    expect(valid).toBe(false)
    const codes = Object.fromEntries(secrets.map(({ name, issues }) => [name, issues.map(({ code }) => code)]))
    expect(codes).toEqual({ JIRA_API_TOKEN: ['DIFFERENT'], JIRA_CONFIG: ['ONLY_IN_ENV_FILE'] })
  })

  test('the performance assessment measures the layers that were asked', async () => {
    await world.aws.put({ JIRA_API_TOKEN_production: 'jt_12345678', JIRA_CONFIG_production: '{"host":"h"}' })
    const { layers, thresholdMs, withinThreshold } = await deliver({ tools }).assessPerformanceImpact()
    expect([thresholdMs, withinThreshold]).toEqual([5000, true])
    expect(layers.find(({ layer }) => layer === 'aws').reads).toBeGreaterThan(0)
    for (const { p50Ms, p99Ms } of layers) expect(p99Ms).toBeGreaterThanOrEqual(p50Ms)
  })

  test('a secret that cannot be read is named, and the others are measured', async () => {
    await world.aws.put({ JIRA_API_TOKEN_production: 'jt_12345678', JIRA_CONFIG_production: '{"host":"h"}' })
    const denied = { error: { status: 400, code: 'AccessDeniedException' } }
    await world.aws.fault({ action: denied, match: { secret: 'JIRA_CONFIG_production' } })
    const { layers, withinThreshold } = await deliver({ tools }).assessPerformanceImpact()
    const { reads, failures } = layers.find(({ layer }) => layer === 'aws')
    expect([reads, withinThreshold]).toEqual([10, true])
    expect(failures).toEqual([
      { name: 'JIRA_CONFIG', code: 'SECRET_ACCESS_DENIED', message: expect.stringContaining('JIRA_CONFIG_production') },
    ])
  })

  test('a layer that gives none of the secrets is an error', async () => {
    await world.aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException' } } })
    await expect(deliver({ tools }).assessPerformanceImpact()).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
  })

  test('what may be the name of a user or a host is a warning, where the secret may be one', async () => {
    const own = { db: { secrets: { username: {}, host: {}, password: {} } } }
    await world.aws.put({
      DB_USERNAME_production: 'oracle',
      DB_HOST_production: 'local',
      DB_PASSWORD_production: 'dev',
    })
    const { valid, secrets } = await deliver({ tools: own }).validateToolSecrets('db')
    expect(valid).toBe(false)
    const found = secrets.map(({ name, issues }) => [
      name,
      ...issues.map(({ code, severity }) => `${code} ${severity}`),
    ])
    expect(found.sort()).toEqual([
      ['DB_HOST', 'PLACEHOLDER warning'],
      ['DB_PASSWORD', 'PLACEHOLDER error'],
      ['DB_USERNAME', 'PLACEHOLDER warning'],
    ])
  })
})
