'use strict'

// A redactor on the built addon: pino, winston and console write no value of a secret, in whatever form and shape it comes.

const { spawnSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { Writable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const util = require('node:util')
const pino = require('pino')
const winston = require('winston')
const { root } = require('../support/files')
const { overAws } = require('../support/over-aws')
const { until } = require('../support/until')

const world = overAws()

/** Values as they come: tokens, passwords with every kind of character, keys of several lines, JSON, other languages. */
const values = () => ({
  A_TOKEN: `ghp_${randomBytes(20).toString('hex')}`,
  A_ODD: `p"a\\s/s+w'ö rd=${randomBytes(6).toString('base64')}&x`,
  A_KEY: `-----BEGIN PRIVATE KEY-----\n${randomBytes(48).toString('base64')}\n${randomBytes(30).toString('base64')}\n-----END PRIVATE KEY-----\n`,
  A_BINARY: randomBytes(64).toString('base64'),
  A_WORDS: `schlüssel für ${randomBytes(8).toString('hex')}`,
  A_JSON: JSON.stringify({ username: 'service', password: randomBytes(12).toString('base64url') }),
})

/** The ways in which a service comes to write a value. */
const ways = {
  plain: (value) => value,
  'in a text': (value) => `connecting with ${value} now`,
  JSON: (value) => JSON.stringify({ value }),
  'JSON in JSON': (value) => JSON.stringify({ body: JSON.stringify({ value }) }),
  'a URL': (value) => `https://user:${encodeURIComponent(value)}@host/x`,
  'a URL object': (value) => Object.assign(new URL('https://host'), { username: 'u', password: value }).href,
  'a form': (value) => new URLSearchParams({ value }).toString(),
  'basic authentication': (value) => Buffer.from(`user:${value}`).toString('base64'),
  base64: (value) => Buffer.from(value).toString('base64'),
  'base64, one byte on': (value) => Buffer.from(`x${value}`).toString('base64url'),
}

/** Pieces of a value that must not be seen; all of its lines, where it has several. */
const pieces = (value) => {
  const text = value.startsWith('{') ? JSON.parse(value).password : value
  return text
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('-----'))
}

async function watched(secrets = values()) {
  await world.aws.put(Object.fromEntries(Object.entries(secrets).map(([name, value]) => [`${name}_production`, value])))
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor()
  for (const name of Object.keys(secrets)) await delivery.getSecret(name)
  return { delivery, redactor, secrets }
}

/** What was written, for all values and ways. */
function expectNothing(written, secrets) {
  for (const [name, value] of Object.entries(secrets)) {
    for (const piece of pieces(value)) {
      for (const way of Object.values(ways)) {
        // The characters at the ends of base64 text depend on what stands beside the value.
        const shown = way(piece)
        expect(written.includes(shown) && `${name}: ${shown}`).toBe(false)
      }
      expect(written.includes(piece) && name).toBe(false)
    }
  }
}

test('a text has no value, in whatever way it is written', async () => {
  const { redactor, secrets } = await watched()
  for (const [name, value] of Object.entries(secrets)) {
    for (const [way, write] of Object.entries(ways)) {
      const shown = redactor.redact(`before ${write(value)} after`)
      expect(`${way}: ${shown}`).toContain(`[secret ${name}`)
      expect(shown.startsWith('before ') && shown.endsWith(' after')).toBe(true)
    }
  }
  expect(redactor.redact('nothing to see')).toBe('nothing to see')
  expect(redactor.redact('')).toBe('')
})

test('pino, winston and console write no value', async () => {
  const { redactor, secrets } = await watched()
  let written = ''
  const sink = () => new Writable({ write: (chunk, _, done) => ((written += chunk), done()) })
  const own = new console.Console(sink(), sink())
  const undo = redactor.console(own)
  const logger = pino(redactor.pino({ level: 'trace' }), sink())
  const { combine, errors, json, splat, simple } = winston.format
  const loggers = [
    winston.createLogger({
      format: combine(errors({ stack: true }), json(), redactor.winston()),
      transports: [new winston.transports.Stream({ stream: sink() })],
    }),
    winston.createLogger({
      format: combine(redactor.winston(), splat(), simple()),
      transports: [new winston.transports.Stream({ stream: sink() })],
    }),
  ]
  for (const value of Object.values(secrets)) {
    for (const write of Object.values(ways)) {
      const text = write(value)
      const error = new Error(`failed with ${text}`, { cause: new TypeError(text, { cause: { text } }) })
      const all = new AggregateError([error], text)
      const circle = { text, list: [text, { [text]: text }], map: new Map([[text, new Set([text])]]) }
      circle.circle = circle
      logger.info({ err: error, text, deep: { a: [text] } }, text)
      logger.child({ text }).error(all)
      for (const one of loggers) {
        one.info(text, { text, deep: { text } })
        one.error(error)
        one.info('%s and %o', text, { text })
      }
      own.log(text)
      own.error('%s', text, error)
      own.warn(circle)
      own.info(all, Buffer.from(text).toString('latin1'))
      own.debug({ a: { b: { c: { d: text } } } })
      own.dir(circle, { depth: 0 })
      own.dir({ a: { b: { c: { d: text } } } }, { depth: 9 })
      own.table([{ text }])
      own.assert(false, text, error)
      own.trace(text)
      own.group(text)
      own.groupEnd()
      own.count(text)
      own.log(Object.assign(new (class Session {})(), { text }))
    }
  }
  await until('all is written', () => written.includes('Session'))
  expectNothing(written, secrets)
  for (const name of Object.keys(secrets)) expect(written).toContain(`[secret ${name}`)
  undo()
  own.log(Object.values(secrets)[0])
  expect(written).toContain(Object.values(secrets)[0])
})

test('what has no value is logged as without a redactor', async () => {
  const { redactor } = await watched()
  const seen = []
  const target = { log: (...words) => seen.push(words), assert: (...words) => seen.push(words) }
  redactor.console(target)
  const odd = Object.freeze({ date: new Date(), text: 'x' })
  target.log('%s', odd, 1, null, undefined)
  target.assert(true)
  expect(seen).toEqual([['%s', odd, 1, null, undefined], [true]])
  expect(seen[0][1]).toBe(odd)
  expect(redactor.redact(odd)).toBe(odd)
  /** @type {any} */
  const circle = new (class Node {
    text = 'x'
  })()
  circle.self = circle
  expect(redactor.redact(circle)).toBe(circle)
  target.log(circle)
  expect(seen[2]).toEqual([circle])
  expect(redactor.redact(7)).toBe(7)
  expect(redactor.redact(null)).toBe(null)
})

test('copies keep what they are, and what cannot be read is not shown', async () => {
  const { redactor, secrets } = await watched()
  const token = secrets.A_TOKEN
  const error = Object.assign(new RangeError(token), { code: 'E_X', config: { headers: { authorization: token } } })
  const shown = redactor.redact(error)
  expect(shown).toBeInstanceOf(RangeError)
  expect(shown).toMatchObject({
    code: 'E_X',
    message: '[secret A_TOKEN]',
    config: { headers: { authorization: '[secret A_TOKEN]' } },
  })
  expect(error.message).toBe(token)
  expect(shown.stack).toContain('RangeError: [secret A_TOKEN]')
  const broken = {
    get text() {
      throw new Error('no')
    },
  }
  expect(redactor.redact({ broken }).broken.text).toMatch(/cannot be read/)
  let deep = token
  for (let at = 0; at < 200; at++) deep = { deep }
  expect(JSON.stringify(redactor.redact(deep))).toMatch(/nested too deeply/)
  expect(redactor.redact(Buffer.from(`<${token}>`)).toString()).toBe('<[secret A_TOKEN]>')
  expect(redactor.redact(Object.assign(new URL('http://h'), { password: token })).toString()).toContain(
    '[secret A_TOKEN]',
  )
  expect(util.inspect(redactor)).toBe('Redactor {}')
})

test('a stream finds what its chunks cut, and shows nothing of a value in which it ends', async () => {
  const { redactor, secrets } = await watched()
  const text = Object.values(secrets)
    .map((value) => `${value}|${JSON.stringify(value)}|`)
    .join('ß')
  const expected = redactor.redact(text)
  for (const size of [1, 2, 7, 64, 1000]) {
    /** @type {Buffer[]} */
    const written = []
    const bytes = Buffer.from(text)
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    )
    const sink = new Writable({ write: (chunk, _, done) => (written.push(chunk), done()) })
    await pipeline(chunks, redactor.stream(), sink)
    expect(Buffer.concat(written).toString()).toBe(expected)
  }
  const stream = redactor.stream()
  stream.end(`cut: ${secrets.A_TOKEN.slice(0, 20)}`)
  expect(String(stream.read())).toBe('cut: [secret A_TOKEN]')
})

test('a rotated value is looked for as well as the one that replaced it', async () => {
  const { delivery, redactor, secrets } = await watched()
  const next = randomBytes(16).toString('hex')
  await world.aws.put({ A_TOKEN_production: next })
  await delivery.refresh('A_TOKEN')
  expect(redactor.redact(`${secrets.A_TOKEN} ${next}`)).toBe('[secret A_TOKEN] [secret A_TOKEN]')
})

test('values from every way out are known: tools, versions, put by hand, other sources, what was cached before', async () => {
  const [cached, byHand, variable] = [1, 2, 3].map(() => randomBytes(12).toString('hex'))
  await world.aws.put({ B_CACHED_production: cached, B_OTHER_production: `${cached}-other` })
  const delivery = world.deliver({ audit: false, runtime: { variables: { C_VARIABLE: variable } } })
  await delivery.getSecret('B_CACHED')
  const redactor = delivery.redactor()
  expect(redactor.redact(cached)).toBe('[secret B_CACHED]')
  await delivery.getToolSecrets('b')
  expect(redactor.redact(`${cached}-other`)).toBe('[secret B_OTHER]')
  await delivery.cache.set('D_HAND', byHand)
  expect(redactor.redact(byHand)).toBe('[secret D_HAND]')
  await delivery.getSecretFromRuntime('C_VARIABLE')
  expect(redactor.redact(variable)).toBe('[secret C_VARIABLE]')
  await delivery.close()
  expect(redactor.redact(cached)).toBe('[secret B_CACHED]')
})

test('short and well-known values are left out and counted, and so is what the service excepts', async () => {
  await world.aws.put({
    E_SHORT_production: 'abc',
    E_WORD_production: 'Postgres',
    E_HOST_production: 'db.internal.example',
  })
  const delivery = world.deliver({ audit: false })
  const redactor = delivery.redactor({ except: ['E_HOST'] })
  for (const name of ['E_SHORT', 'E_WORD', 'E_HOST']) await delivery.getSecret(name)
  expect(redactor.redact('abc postgres db.internal.example')).toBe('abc postgres db.internal.example')
  expect(redactor.watching()).toEqual({
    values: 1,
    leftOut: [
      { secret: 'E_SHORT', reason: 'short' },
      { secret: 'E_WORD', reason: 'well-known' },
    ],
  })
  expect(() => delivery.redactor(/** @type {any} */ ({ names: [] }))).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  )
  expect(() => delivery.redactor(/** @type {any} */ ({ except: 'E_HOST' }))).toThrow(/except/)
})

test('what is replaced is counted, and an alert names the secret once', async () => {
  const { delivery, redactor, secrets } = await watched()
  /** @type {any[]} */
  const alerts = []
  delivery.onAlert((alert) => alerts.push(alert))
  for (let at = 0; at < 5; at++) redactor.redact(`x ${secrets.A_TOKEN}`)
  redactor.redact(secrets.A_WORDS)
  await until('both are reported', () => alerts.length === 2)
  expect(alerts.map(({ metric, secret, state }) => [metric, secret, state])).toEqual([
    ['secret-in-text', 'A_TOKEN', 'firing'],
    ['secret-in-text', 'A_WORDS', 'firing'],
  ])
  expect(delivery.metrics.snapshot().valuesRedacted).toBe(6)
  expect(delivery.metrics.prometheus()).toMatch(/^secret_delivery_values_redacted_total(\{.*\})? 6$/m)
})

test('where alerts are switched off nothing is said of it, and it is counted all the same', async () => {
  const said = async (/** @type {object} */ options, hears = true) => {
    await world.aws.put({ A_TOKEN_production: values().A_TOKEN })
    /** @type {string[]} */
    const warnings = []
    const logger = { warn: (/** @type {string} */ text) => void warnings.push(text) }
    const delivery = world.deliver({ audit: false, logger, ...options })
    const callback = jest.fn()
    // Without one the logger is told.
    if (hears) delivery.onAlert(callback)
    const redactor = delivery.redactor()
    redactor.redact(`x ${await delivery.getSecret('A_TOKEN')}`)
    await until('it is counted', () => delivery.metrics.snapshot().valuesRedacted === 1)
    await delivery.close()
    return [warnings.filter((text) => text.includes('secret-in-text')).length, callback.mock.calls.length]
  }
  expect([await said({}), await said({}, false)]).toEqual([
    [0, 1],
    [1, 0],
  ])
  const alerts = /** @type {const} */ (false)
  expect([await said({ alerts }), await said({ alerts }, false)]).toEqual([
    [0, 0],
    [0, 0],
  ])
})

test('the example logs the name and not the value', () => {
  const value = randomBytes(20).toString('hex')
  fs.writeFileSync(path.join(world.directory, '.env.dev'), `GITHUB_API_TOKEN=${value}\n`)
  const service = path.join(root, 'examples', 'logging', 'service.js')
  // The examples use the package by its name, as services do.
  fs.mkdirSync(path.join(world.directory, 'node_modules'))
  fs.symlinkSync(root, path.join(world.directory, 'node_modules', 'tcs-secret-delivery'), 'junction')
  const run = `require('node:module').globalPaths.push(${JSON.stringify(path.join(world.directory, 'node_modules'))}); require(${JSON.stringify(service)})`
  const env = {
    PATH: process.env.PATH,
    HOME: world.directory,
    NODE_ENV: 'development',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', run], { cwd: world.directory, encoding: 'utf8', env })
  expect(`${stdout}${stderr}`).not.toContain(value)
  expect(stdout.match(/Bearer \[secret GITHUB_API_TOKEN\]/g)).toHaveLength(2)
})

test('values that contain one another, are equal, long or binary, and a line of 100 MB', async () => {
  const long = randomBytes(32_768).toString('hex')
  const part = randomBytes(6).toString('hex')
  const binary = randomBytes(300)
  await world.aws.put({
    F_LONG_production: long,
    F_PART_production: part,
    F_WHOLE_production: `${part}-and-more`,
    F_EQUAL_production: part,
  })
  await world.aws.put({ F_BINARY_production: binary.toString('base64') })
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor()
  for (const name of ['F_LONG', 'F_PART', 'F_WHOLE', 'F_EQUAL', 'F_BINARY']) await delivery.getSecret(name)
  expect(redactor.redact(`${part}-and-more ${part} ${part}-and`)).toBe(
    '[secret F_WHOLE] [secret F_EQUAL] [secret F_EQUAL]-and',
  )
  expect(redactor.redact(`<${long}>`)).toBe('<[secret F_LONG]>')
  expect(redactor.redact(`<${long.slice(0, 9000)}... more`)).toBe('<[secret F_LONG]... more')
  expect(redactor.redact(encodeURIComponent(binary.toString('base64')))).toBe('[secret F_BINARY]')
  const line = `${'0123456789 '.repeat(9_000_000)}${part}\n`
  const started = Date.now()
  const shown = redactor.redact(line)
  expect(shown.length).toBe(line.length - part.length + '[secret F_EQUAL]'.length)
  expect(shown.endsWith('[secret F_EQUAL]\n')).toBe(true)
  expect(Date.now() - started).toBeLessThan(60_000)
}, 120_000)

test('text that is full of beginnings of values takes no longer than it should', async () => {
  const value = 'abcabcabc-'.repeat(300)
  await world.aws.put({ G_PERIODIC_production: `${value}END` })
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor()
  await delivery.getSecret('G_PERIODIC')
  const started = Date.now()
  expect(redactor.redact('abcabcabc-'.repeat(20_000)).length).toBeLessThan(200_000)
  const stream = redactor.stream()
  stream.resume()
  for (let at = 0; at < 50; at++) stream.write('abcabcabc-'.repeat(100))
  stream.end()
  await new Promise((resolve) => stream.once('end', resolve))
  expect(Date.now() - started).toBeLessThan(60_000)
}, 120_000)
