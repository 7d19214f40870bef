'use strict'

// What `export` writes is read back by those who will read it: npm dotenv, python-dotenv, shells, Docker's and Compose's written
// rules, JSON.parse and a YAML parser; the Kubernetes Secret is validated against the schema of Kubernetes.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const dotenv = require('dotenv')
const { Secret } = require('kubernetes-models/v1/Secret')
const YAML = require('yaml')
const { SecretDelivery } = require('../..')
const { FORMATS, asVariables, externalSecret, maskLines } = require('../../cli/formats')
const { readByPython } = require('../support/python-dotenv')
const { temporaryDirectory } = require('../support/files')

const about = {
  app: 'shop',
  environment: /** @type {const} */ ('staging'),
  namespace: undefined,
  keys: /** @type {'variable' | 'kebab'} */ ('variable'),
}
const silent = () => {}

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

/** Secrets that no env file can hold so that everybody reads it, and no shell runs it. */
const IN_NO_ENV_FILE = ['A_TWO_QUOTES', 'A_JSON', 'A_BACKSLASH']
const inEnvFile = new Map([...hostile].filter(([name]) => !IN_NO_ENV_FILE.includes(name)))

test('dotenv is read by npm dotenv, and by a delivery', async () => {
  const text = FORMATS.dotenv(inEnvFile, about, silent)
  expect(dotenv.parse(text)).toEqual(Object.fromEntries(inEnvFile))
  const directory = temporaryDirectory()
  try {
    fs.writeFileSync(path.join(directory, 'written.env'), text)
    const options = { envFile: { path: 'written.env', directory }, aws: { enabled: false } }
    const delivery = new SecretDelivery({ environment: 'test', ...options })
    const names = [...inEnvFile.keys()]
    const read = Promise.all(names.map(async (name) => [name, await delivery.getSecretFromEnvFile(name)]))
    expect(Object.fromEntries(await read)).toEqual(Object.fromEntries(inEnvFile))
    await delivery.close()
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
})

/** How Docker Compose says that it reads one assignment: quotes, escapes in them, no interpolation where there is no `$`. @param {string} text */
function readByCompose(text) {
  const [, quote, inner] = /^\w+=(?:(['"])((?:\\[^]|(?!\1)[^])*)\1\n|)/.exec(text) ?? []
  if (quote === undefined) return /^\w+=([^\s'"#$]*)\n$/.exec(text)?.[1]
  if (quote === "'") return inner?.replaceAll("\\'", "'")
  return inner?.replace(/\\([nrt\\"])/g, (_, escaped) => ({ n: '\n', r: '\r', t: '\t' })[escaped] ?? escaped)
}

/** What each shell has in the variable A_A after reading each file of a folder. @param {string} shell @param {string} directory @param {string[]} names */
function readByShell(shell, directory, names) {
  const lines = names.map((name) => `unset A_A; . ./${name}; printf '%s\\0' "$A_A"`)
  const { stdout, stderr } = spawnSync(shell, ['-s'], {
    cwd: directory,
    input: lines.join('\n'),
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  return { values: stdout.split('\0').slice(0, -1), stderr }
}

/** The warning that there has to be for each reader who reads another value. */
const READERS = { npm: null, python: 'Python', compose: 'Docker Compose', sh: 'a shell', bash: 'a shell' }

test('dotenv is read alike by everybody, or a warning names who does not; no shell runs any of it', () => {
  const pieces = [
    `'`,
    `"`,
    '`',
    '#',
    ' ',
    '\n',
    '\r',
    '\\',
    '\\n',
    '=',
    '$',
    '${',
    'a',
    'B=',
    'export ',
    "\\'",
    '\\"',
    '\\\\',
  ]
  pieces.push('$(touch pwned)', '`touch pwned`', ';touch pwned', '&', '|', '!', '~', '\t', 'é', '漢')
  let state = 7
  const next = (/** @type {number} */ below) => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % below
  const random = Array.from({ length: 1500 }, () =>
    Array.from({ length: 1 + next(5) }, () => pieces[next(pieces.length)]).join(''),
  )
  const directory = temporaryDirectory('tcs-dotenv-')
  try {
    /** @type {{ value: string, name: string, text: string, warned: string }[]} */
    const written = []
    let refused = 0
    for (const value of [...hostile.values(), ...random]) {
      let warned = ''
      try {
        const text = FORMATS.dotenv(new Map([['A_A', value]]), about, (message) => (warned += message))
        const name = `${written.length}.env`
        fs.writeFileSync(path.join(directory, name), text)
        written.push({ value, name, text, warned })
      } catch (error) {
        expect(error).toMatchObject(unfit)
        expect(error.message).toContain('A_A')
        refused++
      }
    }
    const names = written.map(({ name }) => name)
    const shells = ['sh', 'bash'].map((shell) => readByShell(shell, directory, names))
    expect(shells.map(({ stderr }) => stderr)).toEqual(['', ''])
    expect(fs.readdirSync(directory)).toHaveLength(written.length)
    const python = readByPython(directory, names)
    const wrong = written.flatMap(({ value, text, warned }, i) => {
      const read = {
        npm: dotenv.parse(text).A_A,
        compose: readByCompose(text),
        sh: shells[0].values[i],
        bash: shells[1].values[i],
        ...(python && { python: python[i] }),
      }
      return Object.entries(read)
        .filter(([reader, got]) => got !== value && !(READERS[reader] && warned.includes(READERS[reader])))
        .map(([reader, got]) => ({ reader, value, got, text, warned }))
    })
    expect(wrong).toEqual([])
    // It is no format that refuses everything, or warns of everything.
    expect(written.length).toBeGreaterThan(600)
    expect(written.filter(({ warned }) => warned === '').length).toBeGreaterThan(400)
    expect(refused).toBeGreaterThan(200)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
})

test('dotenv: several values in one file stay apart, and a `-` in a name becomes `_`', () => {
  const values = new Map([
    ['A_A', "O'Reilly"],
    ['IN-HOUSE_KEY', "it's"],
    ['C_C', 'a "quoted" one'],
  ])
  const text = FORMATS.dotenv(values, about, silent)
  expect(text).toBe(`A_A="O'Reilly"\nIN_HOUSE_KEY="it's"\nC_C='a "quoted" one'\n`)
  const print = `set -a\n. ./all.env\n${process.execPath} -p 'JSON.stringify([process.env.A_A, process.env.IN_HOUSE_KEY, process.env.C_C])'`
  const directory = temporaryDirectory()
  try {
    fs.writeFileSync(path.join(directory, 'all.env'), text)
    const { stdout } = spawnSync('sh', ['-s'], { cwd: directory, input: print, encoding: 'utf8' })
    expect(JSON.parse(stdout)).toEqual([...values.values()])
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
})

describe('docker', () => {
  /** As docker/cli reads it: lines without their end, left blanks off, everything after the first `=`. @param {string} text */
  const read = (text) =>
    Object.fromEntries(
      text
        .split('\n')
        .map((line) => line.replace(/\r$/, '').trimStart())
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )

  test('takes every value without line ends as it is, and warns that nobody else should read it', () => {
    const fitting = new Map([...hostile].filter(([, value]) => !/[\r\n]/.test(value)))
    /** @type {string[]} */
    const warnings = []
    expect(read(FORMATS.docker(fitting, about, (message) => warnings.push(message)))).toEqual(
      Object.fromEntries(fitting),
    )
    expect(warnings).toEqual([expect.stringContaining('docker run --env-file only')])
    expect(warnings[0]).not.toContain('A_PLAIN')
    for (const value of ['a\nb', 'a\r', 'x'.repeat(70_000)]) {
      expect(() => FORMATS.docker(new Map([['A_A', value]]), about, silent)).toThrow(expect.objectContaining(unfit))
    }
  })
})

describe('github-actions', () => {
  /** As the runner reads GITHUB_ENV. @param {string} text */
  function read(text) {
    /** @type {Record<string, string>} */
    const found = {}
    const lines = [...text.matchAll(/([^\r\n]*)(\r\n|\n|\r)/g)].map(([, line, end]) => ({ line, end }))
    for (let i = 0; i < lines.length; i++) {
      const [name, delimiter] = lines[i].line.split('<<')
      let value = ''
      for (let newline = ''; lines[++i].line !== delimiter; newline = lines[i].end) value += newline + lines[i].line
      found[name] = value
    }
    return found
  }

  test('is read by the rules of the runner', () => {
    const fitting = new Map([...hostile].filter(([, value]) => !value.endsWith('\r')))
    expect(read(FORMATS['github-actions'](fitting, about, silent))).toEqual(Object.fromEntries(fitting))
    expect(() => FORMATS['github-actions'](new Map([['A_A', 'x\r']]), about, silent)).toThrow(
      expect.objectContaining(unfit),
    )
  })

  test('masks every line of every value', () => {
    expect(maskLines(['a', 'one\r\ntwo\n\n', '100%0A', 'a'])).toBe(
      '::add-mask::a\n::add-mask::one\n::add-mask::two\n::add-mask::100%250A\n',
    )
  })
})

test('external-secret names the places in AWS, and no value', () => {
  const places = new Map([
    ['GITHUB_API_TOKEN', 'GITHUB_API_TOKEN_staging'],
    ['DATABASE_PASSWORD', 'prod/db!x"y#password'],
  ])
  const text = externalSecret(places, { ...about, namespace: 'shop', store: 'aws', storeKind: 'ClusterSecretStore' })
  expect(YAML.parse(text, { strict: true })).toEqual({
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: 'shop-staging-secrets', namespace: 'shop' },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { kind: 'ClusterSecretStore', name: 'aws' },
      target: { name: 'shop-staging-secrets' },
      data: [
        { secretKey: 'GITHUB_API_TOKEN', remoteRef: { key: 'GITHUB_API_TOKEN_staging' } },
        { secretKey: 'DATABASE_PASSWORD', remoteRef: { key: 'prod/db!x"y', property: 'password' } },
      ],
    },
  })
})

test('shell is read by sh', () => {
  const print = [...hostile.keys()].map((name) => `printf '%s\\0' "$${name}"`).join('\n')
  const { stdout, stderr } = spawnSync('sh', ['-s'], {
    input: FORMATS.shell(hostile, about, silent) + print,
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(stdout.split('\0').slice(0, -1)).toEqual([...hostile.values()])
})

test('json is JSON', () => {
  expect(JSON.parse(FORMATS.json(hostile, about, silent))).toEqual(Object.fromEntries(hostile))
})

test('k8s is the documented Secret', () => {
  const values = new Map([...hostile, ['DATABASE_URL', 'postgres://u:p@h/d']])
  const text = FORMATS.k8s(values, { ...about, namespace: 'shop-staging', keys: 'kebab' }, silent)
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

test('k8s keys are found by a delivery as mounted files and as variables', async () => {
  const values = new Map([
    ['GITHUB_API_TOKEN', 'token'],
    ['IN-HOUSE_KEY', 'key'],
  ])
  const { data } = YAML.parse(FORMATS.k8s(values, about, silent))
  const decoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()])
  const mount = temporaryDirectory()
  try {
    for (const [key, value] of decoded) fs.writeFileSync(path.join(mount, key), value)
    const others = {
      environment: /** @type {const} */ ('test'),
      aws: { enabled: false },
      envFile: /** @type {const} */ (false),
    }
    const mounted = new SecretDelivery({ ...others, runtime: { secretDirectories: [mount], variables: {} } })
    const variables = Object.fromEntries(decoded)
    const from = new SecretDelivery({ ...others, runtime: { secretDirectories: [], variables } })
    for (const delivery of [mounted, from]) {
      const found = await Promise.all([...values.keys()].map((name) => delivery.getSecret(name)))
      expect(found).toEqual([...values.values()])
      await delivery.close()
    }
  } finally {
    fs.rmSync(mount, { recursive: true })
  }
})

test('k8s keeps to the schema of Kubernetes', () => {
  const parsed = YAML.parse(FORMATS.k8s(hostile, { ...about, namespace: 'shop-staging' }, silent))
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
      silent,
    ),
  )
  expect(Object.values(data).map((value) => typeof value)).toEqual(['string', 'string'])
})

test.each([
  ['an application that is no name', { app: 'My Shop' }, '--name'],
  ['a namespace that is no name', { namespace: 'a\nb: c' }, '--namespace'],
])('k8s refuses %s', (_, changed, option) => {
  expect(() => FORMATS.k8s(new Map([['A_B', 'x']]), { ...about, ...changed }, silent)).toThrow(option)
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
