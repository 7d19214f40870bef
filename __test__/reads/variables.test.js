'use strict'

// Process variables as a source: read when they are needed, after AWS and the env file.

const fs = require('node:fs')
const path = require('node:path')
const { overAws } = require('../support/over-aws')

const world = overAws()
const { deliver } = world

describe('process variables', () => {
  afterEach(() => {
    delete process.env.TCS_PROBE_TOKEN
  })

  test('are read at the time of the call', async () => {
    const delivery = deliver({ environment: 'development', aws: { enabled: false }, runtime: {} })
    process.env.TCS_PROBE_TOKEN = 'one'
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('one')
    process.env.TCS_PROBE_TOKEN = 'two'
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('two')
    delete process.env.TCS_PROBE_TOKEN
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBeNull()
  })

  test.each([
    ['', () => {}],
    [', with the fake timers of Jest as well', () => jest.useFakeTimers()],
  ])('are found in a turn with many reads, and each turn sees what is set%s', async (_, fake) => {
    fake()
    const delivery = deliver({ environment: 'development', aws: { enabled: false }, runtime: {} })
    const all = () => {
      const names = [...Array(20)].map((_, index) => `TCS_UNSET_${index}`)
      names.push('TCS_PROBE_TOKEN', 'TCS-PROBE_TOKEN', 'TCS_PROBE_FILED')
      return Promise.all(names.map((name) => delivery.getSecret(name))).then((values) => values.slice(-3))
    }
    const file = path.join(world.directory, 'filed')
    fs.writeFileSync(file, 'from-file')
    try {
      expect(await all()).toEqual([null, null, null])
      process.env.TCS_PROBE_FILED_FILE = file
      process.env.TCS_PROBE_TOKEN = 'one'
      expect(await all()).toEqual(['one', 'one', 'from-file'])
      process.env.TCS_PROBE_TOKEN = 'two'
      expect(await all()).toEqual(['two', 'two', 'from-file'])
      delete process.env.TCS_PROBE_TOKEN
      delete process.env.TCS_PROBE_FILED_FILE
      expect(await all()).toEqual([null, null, null])
      process.env.TCS_PROBE_TOKEN = 'three'
      expect(await all()).toEqual(['three', 'three', null])
    } finally {
      jest.useRealTimers()
      delete process.env.TCS_PROBE_FILED_FILE
    }
  })

  test('are not looked at for what AWS or the env file has, and found after both', async () => {
    /** @type {string[]} */
    const asked = []
    const set = { TCS_PROBE_TOKEN: 'variable', A_B: 'not asked', C_D: 'not asked' }
    const variables = new Proxy(set, { get: (all, name) => (asked.push(String(name)), Reflect.get(all, name)) })
    await world.aws.put({ A_B_development: 'aws' })
    fs.writeFileSync(path.join(world.directory, '.env.dev'), 'C_D=file\n')
    const delivery = deliver({ environment: 'development', runtime: { variables, secretDirectories: [] } })
    asked.length = 0
    const names = ['A_B', 'C_D', 'TCS_PROBE_TOKEN', 'TCS-PROBE_TOKEN', 'E_F']
    expect(await Promise.all(names.map((name) => delivery.getSecret(name)))).toEqual([
      'aws',
      'file',
      'variable',
      'variable',
      null,
    ])
    expect(new Set(asked.map((name) => name.replace('_FILE', '').replace('-', '_')))).toEqual(
      new Set(['TCS_PROBE_TOKEN', 'E_F']),
    )
    // And of one alone.
    set.TCS_PROBE_TOKEN = 'another'
    expect(await delivery.getSecret('TCS_PROBE_TOKEN')).toBe('another')
  })

  test('that cannot be read are told to the read that needs them, and to no other', async () => {
    const variables = {
      get TCS_PROBE_TOKEN() {
        if (isReady) throw new Error('canary')
        return 'x'
      },
    }
    let isReady = false
    await world.aws.put({ A_B_production: 'aws' })
    const delivery = deliver({ runtime: { variables, secretDirectories: [] } })
    isReady = true
    const reads = ['TCS_PROBE_TOKEN', 'A_B', 'C_D'].map((name) => delivery.getSecret(name))
    const [failed, ...others] = await Promise.allSettled(reads)
    expect(others.map(({ value }) => value)).toEqual(['aws', null])
    const told = { code: 'SOURCE_UNAVAILABLE', message: expect.stringContaining('options.runtime.variables') }
    expect(failed.reason).toMatchObject(told)
    expect(failed.reason.message).not.toContain('canary')
    await expect(delivery.getSecret('TCS_PROBE_TOKEN')).rejects.toMatchObject(told)
  })

  test('override AWS when asked to, cached or not, and only while they are set', async () => {
    await world.aws.put({ TCS_PROBE_TOKEN_production: 'aws' })
    const delivery = deliver({ runtime: { precedence: 'override' } })
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('aws')
    process.env.TCS_PROBE_TOKEN = 'local'
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('local')
    delete process.env.TCS_PROBE_TOKEN
    expect(await delivery.getToolSecret('tcs_probe', 'token')).toBe('aws')
  })

  test('NAME_FILE names a file, whose last line end does not count', async () => {
    fs.writeFileSync(path.join(world.directory, 'token'), 'from-file\n')
    const variables = { A_B_FILE: path.join(world.directory, 'token') }
    const delivery = deliver({ runtime: { variables, secretDirectories: [] } })
    expect(await delivery.getToolSecret('a', 'b')).toBe('from-file')
    expect(await delivery.getToolSecrets('a')).toEqual({ b: 'from-file' })
  })
})
