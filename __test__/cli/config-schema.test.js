'use strict'

// tcs-secrets.schema.json is a valid JSON Schema and agrees with the options that index.d.ts declares.

const Ajv = require('ajv').default
const schema = require('../../tcs-secrets.schema.json')
const { options: declaredOptions } = require('../support/declared')

/** What JSON cannot hold. */
const FUNCTIONS = ['rotation.hooks', 'audit.sink', 'logger']
/** What only the file has, and the delivery is not given. */
const OF_THE_FILE = ['$schema', 'checks']

const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(schema)

/** The schema's forms of one value: the branches of an `anyOf`, or itself. */
const forms = (node) => node.anyOf ?? [node]

/** Every property that the schema knows, by its path as index.d.ts has them. */
function propertiesOf(node, prefix = '') {
  return forms(node).flatMap((form) => {
    if (form.type === 'array') return propertiesOf(form.items, `${prefix.slice(0, -1)}[].`)
    const any =
      typeof form.additionalProperties === 'object' ? propertiesOf(form.additionalProperties, `${prefix}*.`) : []
    const named = Object.entries(form.properties ?? {}).flatMap(([name, property]) => [
      { path: prefix + name, property },
      ...propertiesOf(property, `${prefix}${name}.`),
    ])
    return [...named, ...any]
  })
}

/** The words of index.d.ts for what the schema accepts. */
function wordsOf(node) {
  return forms(node).flatMap((form) => {
    if (form.allOf) return form.allOf.map(({ $ref }) => $ref.replace('#/definitions/', ''))
    if ('const' in form) return [JSON.stringify(form.const)]
    if (form.enum) return form.enum.map((value) => `'${value}'`)
    return [form.type]
  })
}

/** The same for a type of index.d.ts. */
function wordsFor(type) {
  if (type in schema.definitions) return [type]
  if (type.startsWith('{') || type.startsWith('Record<')) return ['object']
  if (type.endsWith('[]') && !type.startsWith('string | ')) return ['array']
  return type
    .replace('Environment', "'development' | 'test' | 'staging' | 'production'")
    .split(' | ')
    .filter((part) => !['Uint8Array', 'Date'].includes(part) && !part.includes('=>'))
    .map((part) => (part.endsWith('[]') ? 'array' : /^[A-Z]/.test(part) ? 'object' : part))
}

const options = declaredOptions().filter(({ path }) => !FUNCTIONS.some((name) => path.startsWith(name)))
const properties = propertiesOf(schema).filter(({ path }) => !OF_THE_FILE.includes(path))

test('the schema has every option that JSON can hold, in the order of index.d.ts, and nothing else', () => {
  expect(options.length).toBeGreaterThan(60)
  expect(properties.map(({ path }) => path)).toEqual(options.map(({ path }) => path))
})

test('each has the type that index.d.ts gives it, and a description', () => {
  const types = (list) => Object.fromEntries(list)
  expect(types(properties.map(({ path, property }) => [path, wordsOf(property)]))).toEqual(
    types(options.map(({ path, type }) => [path, wordsFor(type)])),
  )
  const undescribed = properties.filter(({ property }) => property.description === undefined)
  expect(undescribed.map(({ path }) => path)).toEqual([])
})

test('a whole configuration is accepted', () => {
  const config = {
    $schema: './node_modules/tcs-secret-delivery/tcs-secrets.schema.json',
    environment: 'prod',
    tools: { github: { secrets: { api_token: { required: true, minLength: 8, json: ['a'], phase: 'critical' } } } },
    aws: { region: 'eu-central-1', failoverRegions: ['eu-west-1', { region: 'us-east-1' }] },
    envFile: false,
    cache: { ttlSeconds: 60, redis: { url: 'rediss://cache', tls: { ca: 'PEM' } } },
    rotation: { policies: [{ secretType: 'api-tokens', rotationInterval: 30 }] },
    alerts: { minHitRate: false },
    audit: { path: 'stdout', onFailure: 'deny', label: 'orders' },
    secrets: {
      A: { aws: 'x#y' },
      B: { aws: { id: 'x', field: 'y' } },
      C: { aws: { production: 'x', staging: { id: 'y' } } },
    },
  }
  expect([validate(config), validate.errors]).toEqual([true, null])
})

test.each([
  ['an unknown option', { colour: 'red' }],
  ['an environment that is no text', { environment: 5 }],
  ['a reference without an id', { secrets: { A: { aws: { field: 'x' } } } }],
  ['an unknown environment of a reference', { secrets: { A: { aws: { qa: 'x' } } } }],
  ['an unknown rule', { tools: { github: { secrets: { api_token: { requird: true } } } } }],
  ['an unknown phase', { tools: { github: { secrets: { api_token: { phase: 'later' } } } } }],
  ['a name that no source accepts', { tools: { 'git hub': {} } }],
  ['a number out of range', { aws: { maxAttempts: 0 } }],
  ['hooks', { rotation: { hooks: {} } }],
  ['a policy without interval', { rotation: { policies: [{ secretType: 'x' }] } }],
])('%s is refused', (_, config) => {
  expect(validate(config)).toBe(false)
})
