'use strict'

// A value is found however a program writes it: each way is made by the program itself, or as its documentation says.

const { spawnSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const querystring = require('node:querystring')
const util = require('node:util')
const mysql = require('mysql2')
const pg = require('pg')
const { overAws } = require('../support/over-aws')

const world = overAws()

const values = () => ({
  A_TOKEN: `ghp_${randomBytes(15).toString('hex')}`,
  A_ODD: `p"a\\s/s+w'rd=&<x>$y\`z~!(q) ${randomBytes(4).toString('hex')}`,
  A_TILDE: `abc~def~${randomBytes(4).toString('hex')}`,
  A_LETTERS: `schlüssel漢😀${randomBytes(4).toString('hex')}`,
  A_PLUS: `Zx+/Q==${randomBytes(6).toString('base64')}`,
  A_CONTROL: `ctl\u0001\u001b[31m\u007f\t${randomBytes(4).toString('hex')}`,
})

const inner = (/** @type {string} */ text) => text.slice(1, -1)
/** @param {string} value @param {RegExp} which @param {boolean} [upper] */
const unicode = (value, which, upper) =>
  inner(JSON.stringify(value)).replace(which, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${upper ? code.toUpperCase() : code}`
  })
/** @param {string} value @param {Record<string, string>} table */
const replaced = (value, table) => value.replace(/[&<>"'`=/]/g, (character) => table[character] ?? character)
const AMP = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
/** @param {string} value @param {RegExp} which */
const percent = (value, which) =>
  encodeURIComponent(value).replace(which, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** @param {string} value @param {string} [before] */
const hexOf = (value, before = '') => [...Buffer.from(value)].map((byte) => before + byte.toString(16).padStart(2, '0'))

/** @type {Record<string, (value: string) => string>} */
const ways = {
  JSON: (value) => inner(JSON.stringify(value)),
  'JSON in JSON in JSON': (value) => inner(JSON.stringify(inner(JSON.stringify(inner(JSON.stringify(value)))))),
  'JSON of Go': (value) => unicode(value, /[<>&]/g),
  'JSON of Gson': (value) => unicode(value, /[<>&='\u007f]/g).replaceAll('\\u007f', '\u007f'),
  'JSON in ASCII, upper case': (value) =>
    unicode(value, /[^\x00-\x7e]/g, true).replace(/\\u.{4}/g, (code) => `\\u${code.slice(2).toUpperCase()}`),
  encodeURI: (value) => encodeURI(value),
  URLSearchParams: (value) => new URLSearchParams({ a: value }).toString().slice(2),
  querystring: (value) => querystring.escape(value),
  'Python quote': (value) => percent(value, /[!'()*]/g).replaceAll('%2F', '/'),
  'Go PathEscape': (value) =>
    percent(value, /[!'()*]/g).replace(/%(24|26|2B|3D|3A|40)/g, (code) => decodeURIComponent(code)),
  'encoded twice': (value) => encodeURIComponent(encodeURIComponent(value)),
  hex: (value) => Buffer.from(value).toString('hex'),
  HEX: (value) => Buffer.from(value).toString('hex').toUpperCase(),
  'a Buffer shown': (value) => util.inspect(Buffer.from(value)),
  'a Buffer in JSON': (value) => JSON.stringify(Buffer.from(value)),
  'HTML text': (value) => replaced(value, AMP),
  HTML: (value) => replaced(value, { ...AMP, '"': '&quot;', "'": '&#39;' }),
  'HTML of React': (value) => replaced(value, { ...AMP, '"': '&quot;', "'": '&#x27;' }),
  'HTML of Go': (value) => replaced(value, { ...AMP, '"': '&#34;', "'": '&#39;' }),
  'HTML of Handlebars': (value) =>
    replaced(value, { ...AMP, '"': '&quot;', "'": '&#x27;', '`': '&#x60;', '=': '&#x3D;' }),
  XML: (value) => replaced(value, { ...AMP, '"': '&quot;', "'": '&apos;' }),
  'single quotes of a shell': (value) => value.replaceAll("'", `'\\''`),
  'double quotes of a shell': (value) => value.replace(/[\\"$`]/g, '\\$&'),
  'util.inspect': (value) => inner(util.inspect(value)),
  'util.inspect of an object': (value) => util.inspect({ a: [{ value }] }, { depth: 9 }),
  'hex of OpenSSL': (value) => hexOf(value).join(':'),
  'hex of .NET': (value) => hexOf(value).join('-').toUpperCase(),
  'hex of source code': (value) => hexOf(value, '0x').join(', '),
  'hex of C strings': (value) => hexOf(value, '\\x').join(''),
  'all percent-encoded': (value) => hexOf(value, '%').join(''),
  'ALL PERCENT-ENCODED': (value) => hexOf(value, '%').join('').toUpperCase(),
  'numbers of Go': (value) => `[${Buffer.from(value).join(' ')}]`,
  'numbers of Python': (value) => `[${[...Buffer.from(value)].join(', ')}]`,
  'numbers of characters': (value) =>
    value
      .split('')
      .map((unit) => unit.charCodeAt(0))
      .join(','),
  'a Buffer in JSON with an indent': (value) => JSON.stringify({ data: Buffer.from(value) }, null, 2),
  'a Uint8Array in JSON': (value) => JSON.stringify(new Uint8Array(Buffer.from(value))),
  "PowerShell's encoded command": (value) => Buffer.from(`$p = "${value}"`, 'utf16le').toString('base64'),
  SQL: (value) => value.replaceAll("'", "''"),
  CSV: (value) => value.replaceAll('"', '""'),
  // Drivers put the statement into their errors, and loggers write that as JSON.
  mysql2: (value) => inner(mysql.escape(value)),
  'mysql2 in JSON': (value) => JSON.stringify({ sql: `ALTER USER app IDENTIFIED BY ${mysql.escape(value)}` }),
  pg: (value) => pg.escapeLiteral(value),
  'pg in JSON': (value) => JSON.stringify({ query: pg.escapeLiteral(value) }),
  'a shell in JSON': (value) => JSON.stringify({ cmd: `curl -u 'u:${value.replaceAll("'", `'\\''`)}'` }),
}
/** Programs that write texts, where this machine has them. @type {Record<string, [string, ...string[]]>} */
const programs = {
  'bash printf %q': ['bash', '-c', 'printf %q "$1"', '-'],
  'bash ${@Q}': ['bash', '-c', 'echo "${1@Q}"', '-'],
  'bash set -x': ['bash', '-xc', ': "$1"', '-'],
  'Python repr': ['python3', '-c', 'import sys; print(repr(sys.argv[1]))'],
  'Python json': ['python3', '-c', 'import sys, json; print(json.dumps(json.dumps(sys.argv[1])))'],
  'Python shlex': ['python3', '-c', 'import sys, shlex; print(shlex.quote(sys.argv[1]))'],
}

/** @param {Record<string, string>} secrets */
async function watched(secrets) {
  await world.aws.put(Object.fromEntries(Object.entries(secrets).map(([name, value]) => [`${name}_production`, value])))
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor()
  for (const name of Object.keys(secrets)) await delivery.getSecret(name)
  return redactor
}

test('a value is found in every way in which programs write it', async () => {
  const secrets = values()
  const redactor = await watched(secrets)
  /** @type {string[]} */
  const missed = []
  const look = (/** @type {string} */ way, /** @type {string} */ name, /** @type {string} */ text) => {
    const shown = redactor.redact(`before ${text} after`)
    // Beside the name nothing is left but what stood around the value.
    const rest = shown.replace(/\[secret \w+\]/g, '')
    if (!shown.includes(`[secret ${name}]`) || rest.length > text.length / 2 + 40) missed.push(`${way}: ${name}`)
  }
  for (const [name, value] of Object.entries(secrets)) {
    for (const [way, write] of Object.entries(ways)) look(way, name, write(value))
    for (const [way, [command, ...args]] of Object.entries(programs)) {
      const env = { ...process.env, PYTHONUTF8: '1', LC_ALL: 'C.UTF-8' }
      const { error, stdout, stderr } = spawnSync(command, [...args, value], { encoding: 'utf8', env })
      if (error === undefined) look(way, name, stdout || stderr)
    }
  }
  expect(missed).toEqual([])
})

test('a long value in base64 with line ends, as command lines write it', async () => {
  const value = randomBytes(400).toString('hex')
  const redactor = await watched({ A_LONG: value })
  for (const length of [64, 76]) {
    const text = Buffer.from(value)
      .toString('base64')
      .replace(new RegExp(`.{${length}}`, 'g'), '$&\n')
    expect(
      redactor
        .redact(text)
        .replace(/\[secret A_LONG\]/g, '')
        .trim().length,
    ).toBeLessThan(16)
  }
})

test('a value behind a prefix in base64 with line ends', async () => {
  const value = randomBytes(32).toString('hex')
  const redactor = await watched({ A_LOGIN: value })
  for (const before of ['user:', 'a-user-with-a-long-name@example.com:', `${'x'.repeat(52)}:`]) {
    const text = Buffer.from(before + value)
      .toString('base64')
      .replace(/.{76}/g, '$&\n')
    for (const written of [text, JSON.stringify({ output: text })]) {
      const left = redactor.redact(written).replace('[secret A_LOGIN]', '')
      expect(left.length).toBeLessThan(written.length - text.length + (before.length * 4) / 3 + 8)
    }
  }
})

test('bytes of AWS are found as bytes, and as the text that they are', async () => {
  const bytes = randomBytes(48)
  const text = `text-${randomBytes(12).toString('hex')}`
  for (const [name, content] of Object.entries({ A_BYTES: bytes, A_TEXT: Buffer.from(text) })) {
    await world.aws.ask('CreateSecret', { Name: `${name}_production`, SecretBinary: content.toString('base64') })
  }
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor()
  await delivery.getToolSecretBytes('a', 'bytes')
  await delivery.getToolSecretBytes('a', 'text')
  for (const shown of [
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    JSON.stringify(bytes),
  ]) {
    expect(redactor.redact(`<${shown}>`)).toContain('[secret A_BYTES]')
  }
  expect(redactor.redact(`<${text}>`)).toBe('<[secret A_TEXT]>')
  expect(Buffer.from(redactor.redact(Buffer.concat([Buffer.from('<'), bytes]))).toString()).toBe('<[secret A_BYTES]')
})

test('what is a secret in a secret is found alone: nested fields, passwords of URLs and of connection strings', async () => {
  const [nested, ofUrl, ofString] = [1, 2, 3].map(() => `s/${randomBytes(9).toString('base64url')}`)
  const redactor = await watched({
    A_JSON: JSON.stringify({ host: 'db.example.com', main: { user: 'service_user', password: nested } }),
    A_URL: `postgres://app:${encodeURIComponent(ofUrl)}@db.example.com:5432/orders`,
    A_STRING: `Server=db.example.com;Password=${ofString};Encrypt=true`,
  })
  expect(redactor.redact(`${nested} ${ofUrl} ${ofString} db.example.com service_user`)).toBe(
    '[secret A_JSON#main.password] [secret A_URL#password] [secret A_STRING#Password] db.example.com service_user',
  )
})

test('what is a secret in a secret stays where the secret does', async () => {
  const secrets = {
    A_URL: 'amqps://svc:ur%2Fl-p%40ss-998877@host/v',
    A_JSON: '{"user":"service","password":"json-password-4455","db":{"token":"inner-token-6677"}}',
    A_OTHER: 'json-password-8899',
  }
  await world.aws.put(Object.fromEntries(Object.entries(secrets).map(([name, value]) => [`${name}_production`, value])))
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor({ except: ['A_URL', 'A_JSON'] })
  for (const name of Object.keys(secrets)) await delivery.getSecret(name)
  for (const text of [secrets.A_URL, 'ur/l-p@ss-998877', secrets.A_JSON, 'json-password-4455', 'inner-token-6677']) {
    expect(redactor.redact(text)).toBe(text)
  }
  expect(redactor.redact(secrets.A_OTHER)).toBe('[secret A_OTHER]')
  expect(delivery.redactor().redact('json-password-4455')).toBe('[secret A_JSON#password]')
})

test('a secret that is left out hides no other value', async () => {
  const value = randomBytes(12).toString('hex')
  await world.aws.put({
    A_FIRST_production: value,
    B_SECOND_production: value,
    C_NEXT_production: `${value.slice(12)}-next`,
  })
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor({ except: ['A_FIRST'] })
  for (const name of ['A_FIRST', 'B_SECOND', 'C_NEXT']) await delivery.getSecret(name)
  expect(redactor.redact(`<${value}>`)).toBe('<[secret B_SECOND]>')
  const both = delivery.redactor({ except: ['A_FIRST', 'B_SECOND'] })
  expect(both.redact(`<${value}-next>`)).toBe(`<${value.slice(0, 12)}[secret C_NEXT]>`)
})

test('lists of the bytes or characters of a value are told by their name, and JSON stays JSON', async () => {
  const value = `tok_${randomBytes(12).toString('hex')}`
  const redactor = await watched({ A_TOKEN: value })
  const bytes = Buffer.from(value)
  const lists = {
    array: [...bytes],
    characters: [...value],
    u16: Uint16Array.from(bytes),
    f64: Float64Array.from(bytes),
    big: BigUint64Array.from([...bytes].map(BigInt)),
  }
  for (const list of Object.values(lists)) expect(redactor.redact(list)).toMatch(/^\d+ \w+ with \[secret A_TOKEN\]$/)
  expect(redactor.redact({ a: [1, 2, 3, 4, 5, 6, 7, 8] })).toEqual({ a: [1, 2, 3, 4, 5, 6, 7, 8] })
  for (const text of [
    JSON.stringify({ b: bytes, m: 'a "[x' }),
    JSON.stringify([[...bytes]], null, 2),
    JSON.stringify({ b: new Uint8Array(bytes) }),
  ]) {
    expect(JSON.stringify(JSON.parse(redactor.redact(text)))).toContain('"[secret A_TOKEN]"')
  }
  expect(redactor.redact(`{ a: '${value}' }`)).toBe("{ a: '[secret A_TOKEN]' }")
})

test('what only util.inspect looks into is looked into', async () => {
  const value = `tok_${randomBytes(12).toString('hex')}`
  const redactor = await watched({ A_TOKEN: value })
  const opaque = [
    new Headers({ authorization: `Bearer ${value}` }),
    Promise.resolve({ value }),
    new Map([[1, value]]).values(),
  ]
  for (const object of opaque) expect(util.inspect(redactor.redact(object))).not.toContain(value)
  const harmless = new Headers({ accept: '*/*' })
  expect(redactor.redact(harmless)).toBe(harmless)
})
