'use strict'

// Bad input about secrets as they stand in AWS: refused with the option's path before anything is asked, or with the secret's name
// when only AWS's answer shows it. Never with a value.

const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

/** @type {AwsEndpoint} */
let aws
/** @type {SecretDelivery<any>[]} */
const open = []
beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(() => aws.reset())
afterEach(() => Promise.all(open.splice(0).map((delivery) => delivery.close())))
afterAll(() => aws.stop())

/** @param {any} options */
function deliver(options) {
  const delivery = new SecretDelivery({
    environment: 'production',
    audit: false,
    runtime: { variables: {}, secretDirectories: [] },
    cache: { encryptionKeys: [] },
    ...options,
    aws: { ...aws.options, ...options.aws },
  })
  open.push(delivery)
  return delivery
}

const ofA = (/** @type {unknown} */ reference) => ({ tools: { t: { secrets: { a: { aws: reference } } } } })
const A = 'options.tools.t.secrets.a.aws'
const arn = (/** @type {string} */ text) => `arn:${text}:secret:x-AbCdEf`

describe('refused by the constructor', () => {
  test.each([
    ['no id', ofA(''), A],
    ['a field only', ofA('#x'), A],
    ['no field after #', ofA('id#'), A],
    ['two #', ofA('id##x'), A],
    ['a control character in a field', ofA('id#a\nb'), A],
    ['a blank in an id', ofA('a b'), A],
    ['an id of 513 characters', ofA('x'.repeat(513)), A],
    ['a field of 3,000 characters', ofA(`id#${'x'.repeat(3000)}`), A],
    ['a number', ofA(5), A],
    ['a list', ofA(['x']), A],
    ['an object without an id', ofA({ field: 'x' }), A],
    ['an id that is a number', ofA({ id: 5 }), A],
    ['a field in both places', ofA({ id: 'x#a', field: 'b' }), A],
    ['an unknown member', ofA({ id: 'x', felid: 'b' }), A],
    ['no label', ofA({ id: 'x', versionStage: '' }), A],
    ['an unknown placeholder', ofA('{name}/x'), A],
    ['an ARN of another service', ofA('arn:aws:ssm:eu-west-1:123456789012:parameter/x'), A],
    ['an ARN of a bucket', ofA('arn:aws:s3:::bucket'), A],
    ['an ARN of no partition of AWS’s', ofA(arn('azure:secretsmanager:eu-west-1:123456789012')), A],
    ['an ARN without a region', ofA(arn('aws:secretsmanager::123456789012')), A],
    ['an ARN of a short account', ofA(arn('aws:secretsmanager:eu-west-1:12')), A],
    ['an environment that is none', ofA({ qa: 'x' }), A],
    ['no entry for this environment', ofA({ staging: 'x' }), A],
    [
      'two names for one field',
      { tools: { t: { secrets: { a: { aws: 'x#f' }, b: { aws: 'x#f' } } } } },
      'secrets.b.aws',
    ],
    [
      'a name of the template and a reference to it',
      { tools: { t: { secrets: { a: {}, b: { aws: 'T_A_production' } } } } },
      'secrets',
    ],
    [
      'a template that maps two names to one secret',
      {
        aws: { secretIdTemplate: '{environment}/{tool}-{type}' },
        tools: { 'a-b': { secrets: { c: {} } }, a: { secrets: { 'b-c': {} } } },
      },
      'options.',
    ],
    [
      'a template of a tool alone',
      { aws: { secretIdTemplate: '{environment}/{tool}' } },
      'options.aws.secretIdTemplate',
    ],
    ['a template with an empty field', { aws: { secretIdTemplate: '{name}#' } }, 'options.aws.secretIdTemplate'],
    ['a name with a slash', { secrets: { 'a/b': {} } }, 'options.secrets'],
    [
      'a name that a tool has as well',
      { tools: { a: { secrets: { b: {} } } }, secrets: { A_B: {} } },
      'options.secrets.A_B',
    ],
  ])('%s', async (_, options, path) => {
    expect(() => deliver(options)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(path) }),
    )
    expect((await aws.calls()).total).toBe(0)
  })

  test.each([
    ['an id of 512 characters', ofA('x'.repeat(512))],
    ['China', ofA(arn('aws-cn:secretsmanager:cn-north-1:123456789012'))],
    ['a government', ofA(arn('aws-us-gov:secretsmanager:us-gov-west-1:123456789012'))],
    ['a field with # and blanks', ofA('id#a b#c')],
    ['two names that are meant to be one secret', { tools: { t: { secrets: { a: { aws: 'x' }, b: { aws: 'x' } } } } }],
    ['every character of names', ofA('aZ0/_+=.@-!')],
  ])('not refused: %s', (_, options) => {
    expect(() => deliver(options)).not.toThrow()
  })
})

const deep = (/** @type {number} */ depth) => `${'{"a":'.repeat(depth)}"canary-4711"${'}'.repeat(depth)}`

describe('found in AWS’s answer', () => {
  test.each([
    ['a text', 'canary-4711'],
    ['a number', '4711'],
    ['an array', '["canary-4711"]'],
    ['a JSON text', '"canary-4711"'],
    ['null', 'null'],
    ['JSON that ends early', '{"a":"canary-4711"'],
    ['JSON with a comma too many', '{"a":"canary-4711",}'],
    ['text after JSON', '{"a":"canary-4711"} x'],
    ['a byte order mark', '\uFEFF{"a":"canary-4711"}'],
  ])('%s has no fields', async (_, text) => {
    await aws.put({ x: text })
    const error = await deliver(ofA('x#a'))
      .getToolSecret('t', 'a')
      .catch((error) => error)
    expect(error).toMatchObject({ code: 'SOURCE_RESPONSE_INVALID', message: expect.stringMatching(/T_A.*'a'.*x/) })
    expect(error.message).not.toContain('canary')
    expect(JSON.stringify(error)).not.toContain('canary')
  })

  test('a field that is no text comes as its JSON, and half a character is an error of this field alone', async () => {
    const text = '{"a":{"deep":[1,2]},"b":1.50e+3,"c":true,"d":null,"e":"\\ud800","f":"fine"}'
    await aws.put({ x: text })
    const types = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((type) => [type, { aws: `x#${type}` }]))
    const delivery = deliver({ tools: { t: { secrets: types } } })
    const read = (/** @type {string} */ type) => delivery.getToolSecret('t', type).catch(({ code }) => code)
    expect(await Promise.all(['a', 'b', 'c', 'd', 'f'].map(read))).toEqual([
      '{"deep":[1,2]}',
      '1.50e+3',
      'true',
      null,
      'fine',
    ])
    // It is there, so it is not missing: no other source answers for it.
    expect(await read('e')).toBe('SOURCE_RESPONSE_INVALID')
    expect(await delivery.getToolSecret('t', 'e').catch(({ message }) => message)).toMatch(
      /^T_E: the field 'e'.* half /,
    )
  })

  test('objects nested 10,000 deep and with 5,000 keys are read at once', async () => {
    const keys = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i]))
    await aws.put({ deep: deep(10_000), wide: JSON.stringify(keys) })
    const delivery = deliver({
      tools: {
        t: { secrets: { a: { aws: 'deep#a.a.a' }, b: { aws: 'wide#k4999' }, c: { aws: `deep#${'a.'.repeat(40)}a` } } },
      },
    })
    const begun = performance.now()
    expect(await delivery.getToolSecret('t', 'b')).toBe('4999')
    expect(await delivery.getToolSecret('t', 'a')).toBe(deep(9_997))
    expect(await delivery.getToolSecret('t', 'c')).toBe(deep(10_000 - 41))
    expect(performance.now() - begun).toBeLessThan(10_000)
  })
})
