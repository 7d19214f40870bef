'use strict'

// Methods that are called on a proxy of a delivery work. Without the delivery, they say what is missing.

const { SecretDelivery } = require('../..')
const { TestDelivery } = require('../../testing')

const real = () =>
  new SecretDelivery({
    environment: 'test',
    aws: { enabled: false },
    envFile: false,
    runtime: { variables: { A_B: 'value' }, secretDirectories: [] },
    audit: false,
  })
const fake = () => new TestDelivery({ secrets: { a: { b: 'value' } } })

/** Calls that need the delivery itself, of each of its parts. */
const CALLS = [
  ['getToolSecret', (d) => d.getToolSecret('a', 'b'), 'value'],
  ['getSecret', (d) => d.getSecret('A_B'), 'value'],
  ['getToolSecrets', (d) => d.getToolSecrets('a'), { b: 'value' }],
  ['withSecret', (d) => d.withSecret('a', 'b', async (secret) => secret), 'value'],
  ['refresh', (d) => d.refresh('A_B'), 'value'],
  ['explain', async (d) => (await d.explain('A_B')).answeredBy, 'runtime'],
  ['cache.get', (d) => d.cache.get('A_X'), null],
  ['metrics.prometheus', (d) => d.metrics.prometheus().includes('secret_delivery'), true],
  ['rotation.stop', (d) => d.rotation.stop(), undefined],
  ['onSecretRotated', (d) => typeof d.onSecretRotated(() => {}), 'function'],
]

describe.each([
  ['a SecretDelivery', real],
  ['a TestDelivery', fake],
])('%s', (_, create) => {
  const proxies = [
    ['a proxy without traps', (target) => new Proxy(target, {})],
    [
      'a proxy that hands itself on',
      (target) => new Proxy(target, { get: (object, key, proxy) => Reflect.get(object, key, proxy) }),
    ],
    ['a proxy of a proxy', (target) => new Proxy(new Proxy(target, {}), {})],
    [
      'a proxy that replaces a method',
      (target) =>
        new Proxy(target, { get: (object, key) => (key === 'health' ? () => 'replaced' : Reflect.get(object, key)) }),
    ],
    ['an object that inherits from it', (target) => Object.create(target)],
  ]
  test.each(proxies)('works behind %s', async (_name, wrap) => {
    const delivery = create()
    const outside = wrap(delivery)
    for (const [name, call, expected] of CALLS) expect([name, await call(outside)]).toEqual([name, expected])
    expect(outside).toBeInstanceOf(SecretDelivery)
    expect(outside.environment).toBe('test')
    await outside.close()
    await expect(delivery.getSecret('A_C')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('works behind a proxy of its parts', async () => {
    const delivery = create()
    const outside = new Proxy(delivery.cache, {})
    expect(await outside.get('A_X')).toBeNull()
    expect(new Proxy(delivery.metrics, {}).snapshot().absent).toBe(0)
    await delivery.close()
  })

  test('can be spied on and replaced, as test doubles do', async () => {
    const delivery = create()
    const spy = jest.spyOn(delivery, 'getSecret').mockResolvedValueOnce('mocked')
    expect([await delivery.getSecret('A_B'), await delivery.getSecret('A_B')]).toEqual(['mocked', 'value'])
    spy.mockRestore()
    const ofAll = jest.spyOn(SecretDelivery.prototype, 'explain').mockResolvedValue(/** @type {any} */ ('all'))
    expect(await delivery.explain('A_B')).toBe('all')
    ofAll.mockRestore()
    await delivery.close()
  })

  test('a destructured method rejects, and says how to call it', async () => {
    const delivery = create()
    const { getToolSecret, getSecret, withSecret, close } = delivery
    const { get } = delivery.cache
    const says = (name) => ({
      name: 'SecretError',
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(
        `${name.split('.').at(-1)} was called without its object: call it as ${name}(…)`,
      ),
    })
    await expect(getToolSecret('a', 'b')).rejects.toMatchObject(says('delivery.getToolSecret'))
    await expect(getSecret('A_B')).rejects.toMatchObject(says('delivery.getSecret'))
    await expect(withSecret('a', 'b', async () => 1)).rejects.toMatchObject(says('delivery.withSecret'))
    await expect(close()).rejects.toMatchObject(says('delivery.close'))
    await expect(get('A_B')).rejects.toMatchObject(says('delivery.cache.get'))
    await expect(getSecret.call({}, 'A_B')).rejects.toMatchObject(says('delivery.getSecret'))
    // Those that do not answer with a promise throw.
    const { onSecretRotated } = delivery
    const { snapshot } = delivery.metrics
    expect(() => onSecretRotated(() => {})).toThrow(expect.objectContaining(says('delivery.onSecretRotated')))
    expect(() => snapshot()).toThrow(expect.objectContaining(says('delivery.metrics.snapshot')))
    // Bound, it works.
    expect(await getSecret.bind(delivery)('A_B')).toBe('value')
    await delivery.close()
  })
})

test('a subclass may override a method, and call the one above it', async () => {
  class Counting extends SecretDelivery {
    count = 0
    getSecret(name) {
      this.count++
      return super.getSecret(name)
    }
  }
  const delivery = new Counting({
    environment: 'test',
    aws: { enabled: false },
    envFile: false,
    runtime: { variables: { A_B: 'value' } },
    audit: false,
  })
  expect(await delivery.getSecret('A_B')).toBe('value')
  expect(delivery.count).toBe(1)
  await delivery.close()
})
