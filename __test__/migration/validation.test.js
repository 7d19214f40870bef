'use strict'

// What `validateToolSecrets` finds. Values are canaries: none of them may be in a result.

const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { request } = require('../support/request')
const { overRedis } = require('../support/services')

const world = overRedis({
  APP_GOOD_staging: 'canary-1-Zk3vQ9',
  APP_LATER_staging: '<canary token>',
  APP_COPIED_staging: '"canary-3-Zk3vQ9"\n',
  APP_OLD_staging: 'canary-4-Zk3vQ9',
  APP_OLD_production: 'canary-4-Zk3vQ9',
  APP_SHORT_staging: 'canary',
})
/** @type {string} */
let directory
beforeAll(() => {
  directory = temporaryDirectory()
  fs.writeFileSync(path.join(directory, '.env.staging'), 'APP_EMPTY=\nAPP_FILE=canary-6-Zk3vQ9\n')
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

const secrets = {
  good: { required: true, minLength: 8 },
  later: {},
  copied: {},
  old: { rotationType: 'database-credentials' },
  short: { minLength: 10, pattern: '^ghp_' },
  empty: {},
  file: {},
  missing: { required: true },
  optional: {},
}

const deliver = () =>
  world.deliver(
    {},
    { environment: 'staging', envFile: { directory }, tools: { app: { secrets } }, logger: { warn() {} } },
  )

test('each problem has its code, and no result holds a value', async () => {
  const ago = Math.floor(Date.now() / 1000) - 100 * 86_400
  await request(`${world.aws.url}/_control/date`, 'POST', { secret: 'APP_OLD_staging', unixSeconds: ago })
  const result = await deliver().validateToolSecrets('app', { otherEnvironments: ['production', 'test'] })
  const found = Object.fromEntries(result.secrets.map((s) => [s.secretType, s.issues.map(({ code }) => code)]))
  expect(found).toEqual({
    good: [],
    later: ['PLACEHOLDER'],
    copied: ['SURROUNDING_WHITESPACE', 'SURROUNDING_QUOTES'],
    old: ['ROTATION_OVERDUE', 'SAME_IN_OTHER_ENVIRONMENT'],
    short: ['PATTERN_MISMATCH', 'TOO_SHORT'],
    empty: ['EMPTY'],
    file: ['NOT_IN_AWS'],
    missing: ['MISSING'],
    optional: ['MISSING'],
  })
  expect(result).toMatchObject({ valid: false, tool: 'app', environment: 'staging' })
  const old = result.secrets.find(({ secretType }) => secretType === 'old')
  expect(old).toMatchObject({ present: true, source: 'aws', versionId: expect.any(String) })
  expect(Math.abs((old?.ageSeconds ?? 0) - 100 * 86_400)).toBeLessThan(60)
  expect(JSON.stringify(result)).not.toMatch(/canary/)
})

test('other environments are compared only when asked for', async () => {
  const delivery = deliver()
  const { secrets: seen } = await delivery.validateToolSecrets('app')
  expect(seen.flatMap(({ issues }) => issues.map(({ code }) => code))).not.toContain('SAME_IN_OTHER_ENVIRONMENT')
  const wrong = [
    [{ otherEnvironments: ['qa'] }, 'CONFIG_INVALID'],
    [{ otherEnvironments: 'production' }, 'CONFIG_INVALID'],
    [{ otherEnvironmnets: ['production'] }, 'CONFIG_INVALID'],
    [null, 'CONFIG_INVALID'],
  ]
  for (const [options, code] of wrong) {
    await expect(delivery.validateToolSecrets('app', /** @type {any} */ (options))).rejects.toMatchObject({ code })
  }
  await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['APP_OLD_production'] })
  const denied = await delivery.validateToolSecrets('app', { otherEnvironments: ['production'] })
  const { issues } = /** @type {any} */ (denied.secrets.find(({ secretType }) => secretType === 'old'))
  const told = issues.find(({ code }) => code === 'NOT_COMPARED')
  expect([told.severity, told.message]).toEqual([
    'warning',
    expect.stringContaining('not compared with production: APP_OLD_production'),
  ])
  expect(delivery.metrics.snapshot().unauthorizedAccess).toBe(0)
})
