'use strict'

// What `export` writes is read back by those who will read it: npm dotenv, sh, JSON.parse and a YAML parser;
// the Kubernetes Secret is validated against the schema of Kubernetes.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const dotenv = require('dotenv')
const { Secret } = require('kubernetes-models/v1/Secret')
const YAML = require('yaml')
const { SecretDelivery } = require('../..')
const { FORMATS, asVariables } = require('../../cli/formats')
const { temporaryDirectory } = require('../support/files')

const about = { app: 'shop', environment: /** @type {const} */ ('staging'), namespace: undefined }

const hostile = new Map(
  Object.entries({
    A_PLAIN: 'ghp_0123456789',
    A_SINGLE: "it's",
    A_DOUBLE: 'say "hi"',
    A_BACKTICK: '`id`',
    A_TWO_QUOTES: `'"`,
    A_DOLLAR: '$HOME ${HOME} $(id) $2b$10$x',
    A_HASH: 'a#b # c',
    A_SPACES: '  around  ',
    A_TAB: '\ttab\t',
    A_LINES: 'one\ntwo\n\nthree\n',
    A_CRLF: 'one\r\ntwo\r',
    A_PEM: '-----BEGIN KEY-----\nabc/+=\n-----END KEY-----\n',
    A_BACKSLASH: 'C:\\new\\r\\',
    A_BACKSLASH_QUOTE: "a\\'b",
    A_UNICODE: 'ünïcödé 🔑 \u2028',
    A_JSON: '{"user":"a","password":"b\'c"}',
    A_ASSIGN: 'A=1 export B=2',
    A_YAML: '- x: [1, 2] # {y}',
    A_NUMBER: '0123',
    A_TRUE: 'true',
    A_SHELL: '; rm -rf / & | > < ( ) * ? ~ !',
    A_QUOTED: '"quoted"',
    A_LONG: 'x'.repeat(20_000),
  }),
)

const unfit = { code: 'FORMAT_UNFIT', exit: 1 }

test('dotenv is read by npm dotenv, and by a delivery', async () => {
  const text = FORMATS.dotenv(hostile, about)
  expect(dotenv.parse(text)).toEqual(Object.fromEntries(hostile))
  const directory = temporaryDirectory()
  try {
    fs.writeFileSync(path.join(directory, 'written.env'), text)
    const options = { envFile: { path: 'written.env', directory }, aws: { enabled: false } }
    const delivery = new SecretDelivery({ environment: 'test', ...options })
    const read = Promise.all([...hostile.keys()].map(async (name) => [name, await delivery.getSecretFromEnvFile(name)]))
    expect(Object.fromEntries(await read)).toEqual(Object.fromEntries(hostile))
    await delivery.close()
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
})

test('dotenv is refused for what its grammar has no form for, and never wrong', () => {
  expect(() => FORMATS.dotenv(new Map([['A_B', `'"\`\n#`]]), about)).toThrow(expect.objectContaining(unfit))
  const pieces = [`'`, `"`, '`', '#', ' ', '\n', '\r', '\\', '\\n', '=', '$', 'a', 'B=', 'export ', "\\'", '\\"']
  let state = 7
  const next = (below) => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % below
  let written = 0
  for (let round = 0; round < 3000; round++) {
    const value = () => Array.from({ length: 1 + next(7) }, () => pieces[next(pieces.length)]).join('')
    const values = new Map([
      ['A_A', value()],
      ['B_B', value()],
      ['C_C', value()],
    ])
    let text
    try {
      text = FORMATS.dotenv(values, about)
    } catch (error) {
      expect(error).toMatchObject(unfit)
      continue
    }
    written++
    expect(dotenv.parse(text)).toEqual(Object.fromEntries(values))
  }
  expect(written).toBeGreaterThan(500)
})

test('shell is read by sh', () => {
  const print = [...hostile.keys()].map((name) => `printf '%s\\0' "$${name}"`).join('\n')
  const { stdout, stderr } = spawnSync('sh', ['-s'], { input: FORMATS.shell(hostile, about) + print, encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout.split('\0').slice(0, -1)).toEqual([...hostile.values()])
})

test('json is JSON', () => {
  expect(JSON.parse(FORMATS.json(hostile, about))).toEqual(Object.fromEntries(hostile))
})

test('k8s is the documented Secret', () => {
  const text = FORMATS.k8s(new Map([...hostile, ['DATABASE_URL', 'postgres://u:p@h/d']]), {
    ...about,
    namespace: 'shop-staging',
  })
  const { data, ...rest } = YAML.parse(text, { strict: true })
  expect(rest).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'shop-staging-secrets', namespace: 'shop-staging' },
    type: 'Opaque',
  })
  expect(Buffer.from(data['database-url'], 'base64').toString()).toBe('postgres://u:p@h/d')
  for (const [name, value] of hostile) {
    const key = name.toLowerCase().replaceAll('_', '-')
    expect([key, Buffer.from(data[key], 'base64').toString()]).toEqual([key, value])
  }
})

test('k8s keeps to the schema of Kubernetes', () => {
  const parsed = YAML.parse(FORMATS.k8s(hostile, { ...about, namespace: 'shop-staging' }))
  /** Throws what the schema of the API has against it. @param {any} manifest */
  const validate = (manifest) => new Secret(manifest).validate()
  validate(parsed)
  // It is no schema that accepts everything.
  expect(() => validate({ ...parsed, data: { 'a-b': 1 } })).toThrow('must be string')
  expect(() => validate({ ...parsed, data: { 'a-b': 'not base64' } })).toThrow('must match format "byte"')
  expect(() => validate({ ...parsed, metadata: 'shop' })).toThrow('must be object')
})

test('k8s data stays text where base64 looks like a number', () => {
  const number = Buffer.from('1234', 'base64').toString('latin1')
  const { data } = YAML.parse(
    FORMATS.k8s(
      new Map([
        ['A_B', 'ÿ'],
        ['C_D', number],
      ]),
      about,
    ),
  )
  expect(Object.values(data).map((value) => typeof value)).toEqual(['string', 'string'])
})

test.each([
  ['an application that is no name', { app: 'My Shop' }, '--name'],
  ['a namespace that is no name', { namespace: 'a\nb: c' }, '--namespace'],
])('k8s refuses %s', (_, changed, option) => {
  expect(() => FORMATS.k8s(new Map([['A_B', 'x']]), { ...about, ...changed })).toThrow(option)
})

test('names that would be one are refused, and so is what a variable cannot hold', () => {
  const twice = new Map([
    ['A_B', '1'],
    ['A-B', '2'],
  ])
  for (const format of [FORMATS.shell, FORMATS.k8s]) {
    expect(() => format(twice, about)).toThrow(expect.objectContaining(unfit))
  }
  expect(() => asVariables(new Map([['A_B', 'a\0b']]))).toThrow(expect.objectContaining(unfit))
  expect(() => asVariables(new Map([['1_B', 'x']]))).toThrow(expect.objectContaining(unfit))
})
