'use strict'

// The cache in memory, as `delivery.cache` and `refresh` show it.

const { SecretDelivery } = require('../..')
const { overAws } = require('../support/over-aws')
const { until } = require('../support/until')

const world = overAws()
const { deliver } = world

describe('cache', () => {
  test.each([
    ['high', '\ud800x'],
    ['low', 'x\udc00'],
    ['swapped', '\udc00\ud800'],
  ])('cache.set refuses half of a surrogate pair: %s', async (_, value) => {
    const delivery = new SecretDelivery({ environment: 'test', aws: { enabled: false }, audit: false })
    await expect(delivery.cache.set('A_B', value)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect(await delivery.cache.get('A_B')).toBeNull()
    await delivery.cache.set('A_B', '\u{1f511}')
    expect(await delivery.cache.get('A_B')).toBe('\u{1f511}')
    await delivery.close()
  })

  test('set, get, invalidate and clear are the documented ones', async () => {
    const delivery = deliver()
    expect(await delivery.cache.get('A_B')).toBeNull()
    await delivery.cache.set('A_B', 'by hand', 60)
    expect(await delivery.cache.get('A_B')).toBe('by hand')
    expect(await delivery.getToolSecret('a', 'b')).toBe('by hand')
    await delivery.cache.invalidate('A_B')
    expect(await delivery.cache.get('A_B')).toBeNull()
    await delivery.cache.set('A_B', 'x')
    await delivery.cache.set('C_D', 'y')
    await delivery.cache.clear()
    expect([await delivery.cache.get('A_B'), await delivery.cache.get('C_D')]).toEqual([null, null])
  })

  test('a reader after an invalidation never joins a read begun before it', async () => {
    await world.aws.put({ A_B_production: 'old' })
    await world.aws.fault({ action: { delayMs: 300 }, times: 1 })
    const delivery = deliver()
    const early = delivery.getToolSecret('a', 'b')
    await until('the first read is on its way', async () => (await world.aws.calls()).total === 1)
    await world.aws.put({ A_B_production: 'new' })
    await delivery.cache.invalidate('A_B')
    expect(await delivery.getToolSecret('a', 'b')).toBe('new')
    await early
    expect(await delivery.getToolSecret('a', 'b')).toBe('new')
  })

  test('refresh replaces the cached value and onSecretRotated hears of it once', async () => {
    await world.aws.put({ A_B_production: 'one' })
    const delivery = deliver({ tools: { a: { secrets: { b: {} } } } })
    const heard = []
    const unsubscribe = delivery.onSecretRotated((tool, type) => heard.push(`${tool}/${type}`))
    expect(await delivery.getToolSecret('a', 'b')).toBe('one')
    await world.aws.put({ A_B_production: 'two' })
    expect(await delivery.getToolSecret('a', 'b')).toBe('one')
    expect(await delivery.refresh('A_B')).toBe('two')
    expect(await delivery.getToolSecret('a', 'b')).toBe('two')
    await until('the callback was called', () => heard.length > 0)
    expect(heard).toEqual(['a/b'])
    unsubscribe()
  })

  test('development caches nothing unless asked', async () => {
    await world.aws.put({ A_B_development: 'one' })
    const delivery = deliver({ environment: 'development' })
    expect(await delivery.getToolSecret('a', 'b')).toBe('one')
    await world.aws.put({ A_B_development: 'two' })
    expect(await delivery.getToolSecret('a', 'b')).toBe('two')
  })
})
