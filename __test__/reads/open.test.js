'use strict'

// `SecretDelivery.open`: the configuration file, and a start that fails early.

const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { until } = require('../support/until')

/** @type {AwsEndpoint} */
let aws
const before = process.cwd()

/** A working directory with these files. */
function within(files) {
  const directory = temporaryDirectory()
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(directory, name), text)
  process.chdir(directory)
  return directory
}

const production = () => ({ environment: 'production', audit: false, aws: aws.options })

beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(() => aws.reset())
afterEach(() => process.chdir(before))
afterAll(() => aws.stop())

test('reads the configuration file, and what is declared in one call', async () => {
  const types = Array.from({ length: 20 }, (_, i) => `s${i}`)
  await aws.put(Object.fromEntries(types.map((type) => [`T_${type.toUpperCase()}_production`, type])))
  const secrets = Object.fromEntries(types.map((type) => [type, { required: true }]))
  within({ 'tcs-secrets.config.json': JSON.stringify({ tools: { t: { secrets } }, aws: { region: 'eu-west-1' } }) })
  await aws.resetCalls()
  const delivery = await SecretDelivery.open(production())
  expect(await Promise.all(types.map((type) => delivery.getToolSecret('t', type)))).toEqual(types)
  expect((await aws.calls()).total).toBe(1)
  await delivery.close()
})

test.each([
  ['tcs-secrets.config.cjs', "module.exports = { secrets: { A: { required: true, aws: 'x/a' } } }"],
  ['tcs-secrets.config.json', '{ "secrets": { "A": { "required": true, "aws": "x/a" } } }'],
  ['package.json', '{ "tcs-secrets": { "secrets": { "A": { "required": true, "aws": "x/a" } } } }'],
])('%s', async (name, text) => {
  await aws.put({ 'x/a': 'v' })
  within({ [name]: text })
  const delivery = await SecretDelivery.open(production())
  expect(await delivery.getSecret('A')).toBe('v')
  await delivery.close()
})

test.each([
  ['throws a text', "throw 'x'", /throws string, and no error/],
  ['throws null', 'throw null', /could not be loaded/],
  ['exports a Map', 'module.exports = new Map()', /got a Map: pass a plain object/],
  ['exports a function', 'module.exports = () => ({})', /must export an object/],
  ['exports an object without members of its own', 'module.exports = new (class Config {})()', /an instance of Config/],
  [
    'has a getter that fails',
    "module.exports = { get tools() { throw new Error('x') } }",
    /options\.tools could not be read/,
  ],
])('a file that %s is refused, and not taken for an empty one', async (_, text, message) => {
  const directory = within({ 'tcs-secrets.config.cjs': text })
  const error = await SecretDelivery.open(production()).catch((error) => error)
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) })
  expect(error.message).toContain(path.basename(directory))
})

test('members that a file has from its class are options', async () => {
  const text =
    'class Base { get secrets() { return { A: { required: true } } } }\nmodule.exports = new (class extends Base {})()'
  within({ 'tcs-secrets.config.cjs': text })
  await expect(SecretDelivery.open(production())).rejects.toMatchObject({ code: 'SECRET_MISSING' })
})

test('names every required secret that no source has, and where it was looked for', async () => {
  await aws.put({ T_B_production: 'v' })
  within({})
  const tools = { t: { secrets: { a: { required: true }, b: { required: true }, c: {}, d: { required: true } } } }
  const error = await SecretDelivery.open({ ...production(), tools }).catch((error) => error)
  expect(error).toMatchObject({ name: 'SecretError', code: 'SECRET_MISSING' })
  expect(error.message).toMatch(/T_A .*T_A_production.*; T_D .*T_D_production/)
  expect(error.message).not.toMatch(/T_[BC]/)
})

test('rejects with the failure of a required secret, and not with that of another', async () => {
  await aws.put({ T_B_production: 'v' })
  await aws.deny({ actions: ['GetSecretValue'], secrets: ['T_A_production'] })
  within({})
  const open = (required) =>
    SecretDelivery.open({ ...production(), tools: { t: { secrets: { a: { required }, b: {} } } } })
  await expect(open(true)).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
  await (await open(false)).close()
})

test('a file that is wrong is refused as by the command line', async () => {
  within({ 'tcs-secrets.config.json': '{ "tools": 5, ' })
  await expect(SecretDelivery.open()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/not valid JSON/),
  })
  within({ 'tcs-secrets.config.json': '{}', 'tcs-secrets.config.cjs': 'module.exports = {}' })
  await expect(SecretDelivery.open()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  within({ 'tcs-secrets.config.json': '{ "tulls": {} }' })
  await expect(SecretDelivery.open()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('tulls'),
  })
})

test('paths in the file start at the file, and options go first key by key', async () => {
  const directory = within({
    '.env.own': 'A=1\nB=2',
    '.env.other': 'A=3',
    'tcs-secrets.config.json':
      '{ "environment": "development", "aws": { "enabled": false }, "envFile": { "path": ".env.own" } }',
  })
  fs.mkdirSync(path.join(directory, 'inside'))
  process.chdir(path.join(directory, 'inside'))
  const delivery = await SecretDelivery.open()
  expect(await delivery.getSecret('B')).toBe('2')
  await delivery.close()
  const other = await SecretDelivery.open({ envFile: { path: '../.env.other' } })
  expect([await other.getSecret('A'), await other.getSecret('B')]).toEqual(['3', null])
  await other.close()
})

test.each([
  [429, 'throttled (HTTP 429)'],
  [502, 'HTTP 502'],
  [503, 'HTTP 503'],
])('a gateway that answers with HTTP %d and no code of AWS is asked again', async (status, why) => {
  await aws.put({ A_production: 'v' })
  within({ 'tcs-secrets.config.json': JSON.stringify({ secrets: { A: { required: true } } }) })
  await aws.fault({ action: { body: { status, text: '<html>busy</html>' } } })
  const options = { ...production(), aws: { ...aws.options, timeoutMs: 500 } }
  const single = new SecretDelivery(options)
  const failed = await single.getSecret('A').catch((error) => error)
  expect(failed).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: `HTTP ${status}` } })
  expect(failed.message).toContain(why)
  await single.close()
  await aws.resetCalls()
  const opening = SecretDelivery.open(options)
  // More than one round: a read makes three calls at most, or as many as its deadline of half a second allows.
  await until('it is asked again', async () => (await aws.calls()).total > 4)
  await aws.clearFaults()
  const delivery = await opening
  expect(await delivery.getSecret('A')).toBe('v')
  await delivery.close()
})

describe('what stands for one thing is taken as a whole', () => {
  test('a reference', async () => {
    await aws.put({ 'in/file': '{"field":"of the file"}', 'in/call': 'of the call' })
    for (const inFile of [
      { id: 'in/file', field: 'field' },
      { production: 'in/file#field', staging: 'x' },
    ]) {
      within({ 'tcs-secrets.config.json': JSON.stringify({ secrets: { A: { aws: inFile, required: true } } }) })
      const delivery = await SecretDelivery.open({ ...production(), secrets: { A: { aws: { id: 'in/call' } } } })
      expect(await delivery.getSecret('A')).toBe('of the call')
      await delivery.close()
    }
    // A tool may be called `aws`; its members go key by key.
    within({ 'tcs-secrets.config.json': '{ "tools": { "aws": { "secrets": { "a": { "aws": "in/call" } } } } }' })
    const delivery = await SecretDelivery.open({ ...production(), tools: { aws: { secrets: { b: {} } } } })
    expect(await delivery.getToolSecret('aws', 'a')).toBe('of the call')
    await delivery.close()
  })

  test('credentials', async () => {
    /** @type {unknown[]} */
    const tokens = []
    const server = http.createServer((request, response) => {
      tokens.push(request.headers['x-amz-security-token'])
      response.writeHead(400).end('{"__type":"ResourceNotFoundException"}')
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    const inFile = { accessKeyId: 'ASIAFILE', secretAccessKey: 'f', sessionToken: 'of the file' }
    within({ 'tcs-secrets.config.json': JSON.stringify({ aws: { credentials: inFile }, secrets: { A: {} } }) })
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    const credentials = { accessKeyId: 'AKIACALL', secretAccessKey: 'c' }
    const own = { region: 'eu-central-1', endpoint: `http://127.0.0.1:${port}`, credentials }
    await (await SecretDelivery.open({ ...production(), aws: own })).close()
    server.close()
    expect(tokens).toEqual([undefined])
  })
})

test('a link to a configuration file that is not there is no missing configuration', async () => {
  const directory = within({})
  fs.symlinkSync(path.join(directory, 'gone'), path.join(directory, 'tcs-secrets.config.json'))
  await expect(SecretDelivery.open(production())).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('tcs-secrets.config.json'),
  })
})

test('the constructor reads no file', () => {
  within({ 'tcs-secrets.config.json': '{ "tulls": {} }' })
  return new SecretDelivery({ environment: 'development' }).close()
})
