'use strict'

// `rotateSecret`, which answers with true or false.

const { overAws } = require('../support/over-aws')
const { until } = require('../support/until')

const world = overAws()
const { deliver } = world

describe('rotateSecret', () => {
  test('makes a new value live only by moving AWSCURRENT', async () => {
    await world.aws.put({ A_B_production: 'before' })
    const delivery = deliver()
    expect(await delivery.getSecret('A_B')).toBe('before')
    expect(await delivery.rotateSecret('A_B', 'production')).toBe(true)
    const after = await delivery.getSecret('A_B')
    expect(after).not.toBe('before')
    expect(after.length).toBeGreaterThanOrEqual(32)
    const { byOperation } = await world.aws.calls()
    // AWSCURRENT is moved, then AWSPENDING taken away (decision 94).
    expect(byOperation).toMatchObject({ UpdateSecretVersionStage: 2 })
    expect(byOperation).not.toHaveProperty('UpdateSecret')
  })

  test('answers false, warns and leaves the old value live when AWS refuses', async () => {
    await world.aws.put({ A_B_production: 'before' })
    await world.aws.deny({ actions: ['UpdateSecretVersionStage'] })
    const warnings = []
    const delivery = deliver({ logger: { warn: (message) => warnings.push(message) } })
    expect(await delivery.rotateSecret('A_B', 'production')).toBe(false)
    expect(await delivery.getSecret('A_B')).toBe('before')
    await until('the warning arrived', () => warnings.length > 0)
    expect(warnings).toEqual([expect.stringMatching(/^ROTATION_FAILED: .*A_B/)])
  })
})
