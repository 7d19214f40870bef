'use strict'

// Every option that is declared may be `null` or `undefined`, and then has its default; and what a configuration object may
// be: frozen, an instance of a class, something that only looks like an object.

const { SecretDelivery } = require('../..')
const { TestDelivery } = require('../../testing')
const { options: declaredOptions } = require('../support/declared')

const KEY = Buffer.alloc(32, 7).toString('base64')
const base = {
  environment: 'development',
  aws: { enabled: false },
  envFile: false,
  runtime: { variables: { A_B: 'value' }, secretDirectories: [] },
}
/** Options around which others are set: what a member needs beside itself. */
const NEEDED = {
  'aws.failoverRegions[]': { region: 'eu-west-1' },
  'aws.assumeRole': { roleArn: 'arn:aws:iam::123456789012:role/a' },
  'migration.replicaRegions[]': { region: 'eu-west-1' },
  'aws.credentials': { accessKeyId: 'a', secretAccessKey: 'b' },
  'rotation.policies[]': { secretType: 'a', rotationInterval: 7 },
  'cache.encryptionKeys[]': { id: 'a', key: KEY },
  'environments.*': { like: 'test' },
}
const REQUIRED = Object.entries(NEEDED).flatMap(([place, members]) =>
  Object.keys(members).map((name) => `${place}.${name}`),
)

/** Options that have a value at a path such as `tools.*.secrets.*.required` and nothing beside it. */
function withAt(place, value) {
  const [, ...steps] = place.split(/(?=\.|\[\])/).map((step) => step.replace('.', ''))
  const options = {}
  const first = place.split(/[.[]/)[0]
  const set = (into, name, rest, sofar) => {
    const [next, ...more] = rest
    if (next === undefined) into[name] = value
    else if (next === '[]') {
      const item = { ...NEEDED[`${sofar}[]`] }
      into[name] = [item]
      if (more.length === 0) into[name] = [value]
      else set(item, more[0], more.slice(1), `${sofar}[].${more[0]}`)
    } else {
      into[name] = { ...NEEDED[sofar] }
      set(into[name], next === '*' ? 'a' : next, more, `${sofar}.${next}`)
    }
  }
  set(options, first, steps, first)
  return options
}

const places = declaredOptions().map((option) => option.path)

test('the options that are required are those of which the declaration says so', () => {
  expect(places.length).toBeGreaterThan(60)
  expect(places).toEqual(expect.arrayContaining(REQUIRED))
})

describe.each([null, undefined])('%p', (unset) => {
  // The default of `cache.redis.url`.
  const before = process.env.REDIS_URL
  beforeAll(() => (process.env.REDIS_URL = 'rediss://127.0.0.1:1'))
  afterAll(() => {
    if (before === undefined) delete process.env.REDIS_URL
    else process.env.REDIS_URL = before
  })

  test.each(places.filter((place) => !REQUIRED.includes(place)))('as %s means its default', async (place) => {
    const given = withAt(place, unset)
    const merged = Object.fromEntries(
      [...new Set([...Object.keys(base), ...Object.keys(given)])].map((name) => {
        const [own, other] = [base[name], given[name]]
        const both = typeof own === 'object' && typeof other === 'object' && other !== null
        return [name, both ? { ...own, ...other } : name in given ? other : own]
      }),
    )
    const delivery = new SecretDelivery(merged)
    // Jest sets NODE_ENV.
    expect(delivery.environment).toBe(place === 'environment' ? 'test' : 'development')
    await delivery.close()
  })
})

test('each member of those options is tried, as the helper above builds them', () => {
  expect(withAt('tools.*.secrets.*.required', 1)).toEqual({ tools: { a: { secrets: { a: { required: 1 } } } } })
  expect(withAt('rotation.policies[].passwordLength', 1)).toEqual({
    rotation: { policies: [{ secretType: 'a', rotationInterval: 7, passwordLength: 1 }] },
  })
  expect(() => new SecretDelivery({ ...base, ...withAt('rotation.policies[].passwordLength', 'x') })).toThrow(
    'options.rotation.policies[0].passwordLength',
  )
})

test('options that are frozen at every depth work', async () => {
  const freeze = (value) => {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
    Object.values(value).forEach(freeze)
    return Object.freeze(value)
  }
  const delivery = new SecretDelivery(
    freeze({
      ...base,
      tools: { a: { secrets: { b: { json: ['username'] } } } },
      aws: { enabled: false, failoverRegions: ['eu-west-1', { region: 'eu-west-2' }] },
      cache: { encryptionKeys: [{ id: 'k', key: KEY }] },
      rotation: { policies: [{ secretType: 'a', rotationInterval: 7 }], hooks: { set() {} } },
      logger: { warn() {} },
    }),
  )
  expect(await delivery.getSecret('A_B')).toBe('value')
  expect((await delivery.validateToolSecrets('a')).valid).toBe(false)
  await delivery.close()
})

describe('a configuration that is an instance of a class', () => {
  class Aws {
    get enabled() {
      return false
    }
  }
  class Shared {
    #name = 'production'
    get environment() {
      return this.#name
    }
    aws = new Aws()
    envFile = false
    audit = false
  }
  class Configuration extends Shared {
    runtime = Object.create({ variables: { A_B: 'value' }, secretDirectories: [] })
    validate() {
      throw new Error('a method of the configuration is no option, and is not called')
    }
  }

  test('is read with its getters and inherited members, at every depth', async () => {
    const delivery = new SecretDelivery(/** @type {any} */ (new Configuration()))
    expect(delivery.environment).toBe('production')
    expect(await delivery.getSecret('A_B')).toBe('value')
    expect((await delivery.health()).checks.aws.status).toBe('disabled')
    await delivery.close()
  })

  test('may have its hooks and its sink as methods, which are called on it', async () => {
    const called = []
    class Hooks {
      target = 'database'
      set() {
        called.push(this.target)
      }
    }
    class Audit {
      lines = called
      sink(lines) {
        this.lines.push(lines.length > 0)
      }
    }
    const { options } = require('../../lib/options').checkedOptions({
      rotation: { hooks: new Hooks() },
      audit: new Audit(),
    })
    const { set } = options.rotation.hooks
    const { sink } = options.audit
    set()
    sink('a line')
    expect(called).toEqual(['database', true])
  })

  test('from another realm, or with a `__proto__` member, changes nothing else', () => {
    const { runInNewContext } = require('node:vm')
    const { checkedOptions } = require('../../lib/options')
    const foreign = runInNewContext(`({ environment: 'test', aws: Object.create({ enabled: false }) })`)
    expect(checkedOptions(foreign).options).toMatchObject({ environment: 'test', aws: { enabled: false } })
    const polluting = JSON.parse('{ "__proto__": { "environment": "production" } }')
    expect(() => new SecretDelivery(polluting)).toThrow('options.__proto__')
    expect(/** @type {any} */ ({}).environment).toBeUndefined()
  })
})

describe('what cannot be read is refused, and never taken for no options:', () => {
  class Empty {}
  class Service {
    get() {}
  }
  /** @type {[string, any, string][]} */
  const cases = [
    [
      'a Map',
      new Map([['environment', 'production']]),
      'options must be an object, got a Map: pass a plain object, such as Object.fromEntries(map)',
    ],
    ['a Set', new Set(), 'got a Set'],
    ['a promise', Promise.resolve({}), 'got a Promise'],
    ['a date', new Date(), 'got a Date'],
    ['an error', new Error('x'), 'got an error'],
    [
      'a service with nothing but methods',
      new Service(),
      'options is an instance of Service that has no option as a member',
    ],
    ['an instance without members', new Empty(), 'an instance of Empty'],
    ['a Map inside', { aws: new Map() }, 'options.aws must be an object, got a Map'],
    ['a Map of tools', { tools: new Map([['a', {}]]) }, 'options.tools must be an object, got a Map'],
    [
      'a Map of secrets',
      { tools: { a: { secrets: new Map() } } },
      'options.tools.a.secrets must be an object, got a Map',
    ],
    [
      'a Map of variables',
      { runtime: { variables: new Map() } },
      'options.runtime.variables must be an object, got a Map',
    ],
    ['a Map as a hook set', { rotation: { hooks: new Map() } }, 'options.rotation.hooks must be an object, got a Map'],
    [
      'a Map in a list',
      { rotation: { policies: [new Map()] } },
      'options.rotation.policies[0] must be an object, got a Map',
    ],
    [
      'a getter that fails',
      {
        get aws() {
          throw new Error('hunter2')
        },
      },
      'options.aws could not be read: its getter failed',
    ],
    [
      'an unknown getter',
      new (class {
        get colour() {
          return 1
        }
      })(),
      'options.colour',
    ],
  ]
  test.each(cases)('%s', (_, options, message) => {
    const create = () => new SecretDelivery(options)
    expect(create).toThrow(message)
    expect(create).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(create).not.toThrow('hunter2')
  })

  test('also by the other calls that take options', async () => {
    const delivery = new TestDelivery({ secrets: { a: { b: 'value' } } })
    const map = /** @type {any} */ (new Map([['timeoutMs', 1]]))
    const refused = { code: 'CONFIG_INVALID', message: expect.stringContaining('got a Map') }
    await expect(delivery.withSecret('a', 'b', async () => 1, map)).rejects.toMatchObject(refused)
    await expect(delivery.validateApplicationFunctionality(map)).rejects.toMatchObject(refused)
    await expect(delivery.migration.plan(map)).rejects.toMatchObject(refused)
    expect(() => new TestDelivery(map)).toThrow('got a Map')
    await delivery.close()
  })
})
