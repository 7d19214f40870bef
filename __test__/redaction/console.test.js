'use strict'

// `redactor.console()` over everything that `console` shows in its own way, and `redact()` over everything that is no plain data.

const { spawnSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const path = require('node:path')
const { Writable } = require('node:stream')
const util = require('node:util')
const pino = require('pino')
const { root } = require('../support/files')
const { overAws } = require('../support/over-aws')

const world = overAws()
const NUMBER = `9${Date.now()}7`

/** A delivery that holds a token, a text with quotes, one with lines, and a number. */
async function watched() {
  const token = `ghp_${randomBytes(15).toString('hex')}`
  const odd = `p"a\\s/s+w'rd=&<x>$y\`z~!(q) ${randomBytes(4).toString('hex')}`
  const lines = Array.from({ length: 14 }, () => randomBytes(5).toString('hex')).join('\n')
  await world.aws.put({ A_TOKEN_production: token, A_ODD_production: odd, A_LINES_production: lines })
  await world.aws.put({ A_NUMBER_production: NUMBER })
  const delivery = world.deliver({ audit: false, logger: { warn() {} } })
  const redactor = delivery.redactor()
  await delivery.getToolSecrets('a')
  return { redactor, token, odd, lines }
}

/** Whether a text shows one of the values, in any of the ways of `console`. @param {string} text @param {string[]} values */
function leaked(text, values) {
  const without = text.replace(/\s+/g, '')
  return values.some((value) => {
    const bytes = Buffer.from(value)
    const forms = [
      value,
      inner(JSON.stringify(value)),
      inner(util.inspect(value)),
      bytes.toString('hex'),
      [...bytes].join(','),
    ]
    return forms.some((form) => text.includes(form) || without.includes(form.replace(/\s+/g, '')))
  })
}
/** What a console writes, with a redactor or without. @param {(own: Console) => void} write @param {any} [redactor] */
function captured(write, redactor) {
  let text = ''
  const sink = new Writable({ write: (chunk, _, done) => ((text += chunk), done()) })
  const own = new console.Console(sink, sink)
  redactor?.console(own)
  write(own)
  return text
}
const inner = (/** @type {string} */ text) => text.slice(1, -1)

/** @typedef {{ token: string, odd: string, lines: string, own: any }} World */
/** @type {Record<string, (own: Console, world: World) => unknown>} */
const CASES = {
  'a text with quotes in an object': (own, { odd }) => own.log({ a: odd }),
  'a text with quotes in an array': (own, { odd }) => own.log([odd]),
  'lines in an object': (own, { lines }) => own.log({ a: { lines } }),
  'lines by dir': (own, { lines }) => own.dir({ lines }),
  'a trace of an object': (own, { odd }) => own.trace({ odd }),
  'a Buffer': (own, { token }) => own.log(Buffer.from(token)),
  bytes: (own, { token }) => own.log(new Uint8Array(Buffer.from(token))),
  'bytes in an object': (own, { token }) => own.log({ a: { b: new Uint8Array(Buffer.from(token)) } }),
  'an ArrayBuffer': (own, { token }) => own.log(new Uint8Array(Buffer.from(token)).buffer),
  'a DataView': (own, { token }) => own.log(new DataView(new Uint8Array(Buffer.from(token)).buffer)),
  'bytes by dir': (own, { token }) => own.dir(new Uint8Array(Buffer.from(token)).buffer),
  'bytes by table': (own, { token }) => own.table([new Uint8Array(Buffer.from(token))]),
  'bytes by %o and %j': (own, { token }) => own.log('%o %j', Buffer.from(token), Buffer.from(token)),
  'an object that shows itself': (own, { own: shows }) => own.log(shows, '%s', shows),
  'an object that shows itself in a table': (own, { own: shows }) => own.table([{ a: shows }]),
  'a function with a member': (own, { token }) => own.dir(Object.assign(() => {}, { token })),
  'a class with a static member': (own, { token }) =>
    own.dir(
      class {
        static token = token
      },
    ),
  'a symbol': (own, { token }) => own.dir(Symbol(token)),
  'a key that is a symbol': (own, { token }) => own.dir({ [Symbol(token)]: 1 }),
  'a number': (own) => own.dir({ number: Number(NUMBER), big: BigInt(NUMBER) }),
  'numbers in a table': (own) => own.table([Number(NUMBER), BigInt(NUMBER)]),
  'a promise': (own, { token }) => own.dir(Promise.resolve(token)),
  'a proxy': (own, { token }) => own.dir(new Proxy({ token }, {})),
  'a proxy that throws': (own, { token }) => own.log(new Proxy({ token }, throwing), token),
  'a revoked proxy': (own, { token }) => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    own.dir({ proxy, token })
  },
  'a getter that throws': (own, { token }) => own.log({ broken, token }),
  'getters that are called': (own, { token }) =>
    own.dir(
      {
        get a() {
          return token
        },
      },
      { getters: true },
    ),
  'a pattern': (own, { token }) => own.dir(new RegExp(token)),
  'a date with a member': (own, { token }) => own.dir(Object.assign(new Date(), { token })),
  'an iterator': (own, { token }) => own.dir(new Map([[1, token]]).entries()),
  'a set that is weak': (own, { token }) => own.dir(new WeakSet([{ token }]), { showHidden: true }),
  boxed: (own, { token }) => own.dir([Object(token), Object(Symbol(token)), Object(BigInt(NUMBER))]),
  'errors in a circle': (own, { token }) => {
    const [first, second] = [new Error(token), new TypeError('second')]
    Object.assign(first, { cause: second })
    Object.assign(second, { cause: first })
    own.error(first)
    own.dir(new AggregateError([first, token], token))
  },
  collections: (own, { token }) => own.log(new Map([[{ token }, new Set([{ token }])]])),
  headers: (own, { token }) => own.log(new Headers({ authorization: `Bearer ${token}` })),
  'a long text and a long array': (own, { token }) =>
    own.log('x'.repeat(20_000) + token, [...Array(99).fill('x'), token]),
  labels: (own, { token, odd }) => {
    own.time(token)
    own.timeLog(token, { odd })
    own.timeEnd(token)
    own.count(token)
    own.group(token, { odd })
    own.groupEnd()
    own.assert(false, { odd })
    own.dirxml({ odd }, token)
  },
}
const throwing = {
  get() {
    throw new Error('no')
  },
  ownKeys() {
    throw new Error('no')
  },
}
const broken = {
  get text() {
    throw new Error('no')
  },
}

test('console writes no value, in whatever it is', async () => {
  const { redactor, token, odd, lines } = await watched()
  class Own {
    #token = token;
    [util.inspect.custom]() {
      return this.#token
    }
    toString() {
      return this.#token
    }
  }
  /** @type {string[]} */
  const wrong = []
  for (const [name, write] of Object.entries(CASES)) {
    let text = ''
    const sink = new Writable({ write: (chunk, _, done) => ((text += chunk), done()) })
    const own = new console.Console(sink, sink)
    redactor.console(own)
    await write(own, { token, odd, lines, own: new Own() })
    if (leaked(text, [token, odd, ...lines.split('\n'), NUMBER])) wrong.push(name)
    if (!text.includes('[secret A_')) wrong.push(`${name}: nothing is written`)
  }
  expect(wrong).toEqual([])
})

test('pino shows no value in bytes, which JSON numbers one by one', async () => {
  const { redactor, token } = await watched()
  let text = ''
  const sink = new Writable({ write: (chunk, _, done) => ((text += chunk), done()) })
  const formatters = { log: (/** @type {object} */ object) => ({ ...object, own: 1 }) }
  const logger = pino(redactor.pino({ formatters }), sink)
  const bytes = new Uint8Array(Buffer.from(token))
  logger.info({ bytes, nested: { list: [bytes] }, buffer: Buffer.from(token), other: new Uint8Array(2) }, 'x')
  const { nested, buffer, other, own, ...shown } = JSON.parse(text)
  expect([shown.bytes, nested.list]).toEqual([expect.stringContaining('[secret A_TOKEN]'), [shown.bytes]])
  expect(buffer).toBe(shown.bytes)
  expect([other, own]).toEqual([{ 0: 0, 1: 0 }, 1])
})

test('what has no value is written as without a redactor', async () => {
  const { redactor } = await watched()
  class Session {
    id = 1
    get now() {
      throw new Error('a getter must not be called')
    }
  }
  const objects = [
    new Session(),
    new Map([[1, new Session()]]),
    Buffer.from('abc'),
    new Date(0),
    /x/g,
    Symbol('x'),
    () => 1,
    new Error('x'),
  ]
  const written = [redactor, undefined].map((one) => {
    let text = ''
    const sink = new Writable({ write: (chunk, _, done) => ((text += chunk), done()) })
    const own = new console.Console(sink, sink)
    one?.console(own)
    for (const object of objects) {
      own.log(object)
      own.log('%s %o', object, object)
      own.dir(object, { depth: 0 })
    }
    own.table([{ a: 1 }, { a: 2 }], ['a'])
    return text
  })
  expect(written[0]).toBe(written[1])
})

test('a label that console does not know, or knows already, is no way out: Node puts it into a warning of the process', () => {
  // In a process of its own: Jest's `process` does not see Node's warnings.
  const script = `
    const { redactorOf } = require(${JSON.stringify(path.join(root, 'lib', 'redactor.js'))})
    const token = 'correct-horse'
    const text = () => (given) => (given.includes(token) ? given.replaceAll(token, '[secret A_TOKEN]') : undefined)
    const own = new console.Console(process.stdout, process.stderr)
    redactorOf({ redactor: () => ({ text }) }, undefined).console(own)
    for (const name of ['countReset', 'timeEnd', 'timeLog', 'time', 'time', 'timeLog', 'timeEnd']) own[name](token)
    for (const name of ['count', 'count', 'countReset', 'count']) own[name](token)
    own.count()`
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' })
  expect(stdout + stderr).not.toContain('correct-horse')
  expect(stderr.match(/Warning: .*\[secret A_TOKEN\]/g)).toHaveLength(4)
  const counted = stdout.split('\n').filter((line) => /: \d+$/.test(line))
  expect(counted).toEqual(['[secret A_TOKEN]: 1', '[secret A_TOKEN]: 2', '[secret A_TOKEN]: 1', 'default: 1'])
})

test('a copy of what is no plain data has no value', async () => {
  const { redactor, token } = await watched()
  class Private {
    #token = token
    toJSON() {
      return { token: this.#token }
    }
  }
  const given = {
    private: new Private(),
    number: Number(NUMBER),
    big: BigInt(NUMBER),
    [Symbol(token)]: Symbol(token),
    use: Object.assign(() => {}, { token }),
    view: new DataView(new Uint8Array(Buffer.from(token)).buffer),
    pattern: new RegExp(token),
    broken,
    kept: 'kept',
  }
  const shown = redactor.redact(given)
  expect(leaked(util.inspect(shown, { depth: 9, showHidden: true }), [token, NUMBER])).toBe(false)
  expect(leaked(JSON.stringify(shown), [token, NUMBER])).toBe(false)
  expect(shown).toMatchObject({ kept: 'kept', broken: { text: expect.stringMatching(/cannot be read/) } })
  const same = {
    number: 7,
    big: 7n,
    symbol: Symbol('x'),
    use: () => 1,
    json: { toJSON: () => 'x' },
    bytes: new ArrayBuffer(8),
  }
  expect(redactor.redact(same)).toBe(same)
})

test('an error whose members are getters of its class stays what it is: what fetch throws, and classes with private names', async () => {
  const { redactor, token } = await watched()
  class Named extends Error {
    #name = 'Named!'
    #details = { reason: 'why' }
    get name() {
      return this.#name
    }
    get details() {
      return this.#details
    }
  }
  const aborted = await fetch('http://127.0.0.1:9/', { signal: AbortSignal.abort() }).catch((error) => error)
  const timedOut = () => new DOMException('The operation timed out.', 'TimeoutError')
  const without = {
    aborted,
    timedOut: timedOut(),
    cause: new Error('wrapped', { cause: timedOut() }),
    signal: AbortSignal.abort(timedOut()),
    several: new AggregateError([timedOut(), new Named('x')], 'all'),
    named: new Named('plain'),
  }
  for (const [name, error] of Object.entries(without)) {
    const shown = captured((own) => own.error('failed', error, { error }))
    expect([name, captured((own) => own.error('failed', error, { error }), redactor)]).toEqual([name, shown])
    expect([name, redactor.redact(error) === error]).toEqual([name, true])
  }
  const secret = Object.assign(new DOMException(`no ${token}`, 'TimeoutError'), { host: 'db' })
  const shown = redactor.redact(secret)
  expect(shown).toBeInstanceOf(DOMException)
  expect(shown).toMatchObject({ name: 'TimeoutError', message: 'no [secret A_TOKEN]', code: 23, host: 'db' })
  expect(secret.message).toBe(`no ${token}`)
  expect(redactor.redact(new Error('x', { cause: secret })).cause).toMatchObject({ name: 'TimeoutError' })
  const named = redactor.redact(Object.assign(new Named(token), { code: 'E_NAMED' }))
  expect(named).toMatchObject({
    name: 'Named!',
    message: '[secret A_TOKEN]',
    code: 'E_NAMED',
    details: { reason: 'why' },
  })
  const signal = redactor.redact(AbortSignal.abort(secret))
  expect(util.inspect(signal, { showHidden: true, depth: 5 })).toContain('TimeoutError')
  expect(captured((own) => own.error(secret), redactor)).toMatch(/TimeoutError.*no \[secret A_TOKEN\]/)
})
