'use strict'

// The env file's grammar is npm dotenv's, value for value (decision D8): compared with dotenv itself.

const fs = require('node:fs')
const path = require('node:path')
const dotenv = require('dotenv')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../support/files')

const NAMES = ['A_A', 'B_B', 'C_C', 'D_D']

const lines = [
  'A_A=plain',
  'A_A = spaced ',
  'A_A=',
  'A_A=""',
  "A_A=''",
  'A_A: yaml style',
  'A_A:no',
  'export A_A=exported',
  'A_A="double \\n escaped \\t not \\" quote"',
  "A_A='single \\n kept'",
  'A_A=`back "tick" \'quote\'`',
  'A_A="multi\nline\nvalue"\nB_B=after',
  "A_A='multi\nline'\nB_B=after",
  'A_A="unclosed\nB_B=next',
  'A_A=abc#def',
  'A_A=abc #def',
  'A_A="abc#def" # comment',
  '#A_A=comment',
  ' # A_A=comment\nB_B=1',
  'A_A=$2b$10$abcdef',
  'A_A=pa$$word',
  'A_A=${B_B}\nB_B=x',
  'A_A=one two three',
  'A_A=x=y=z',
  'A_A=="x"',
  'A_A=1\nA_A=2',
  'A_A=1\r\nB_B=2\r\n',
  'A_A=1\rB_B=2',
  'A_A="cr\r\nlf"',
  'A_A=ünïcödé 🔑',
  'A_A=a\tb',
  '\tA_A=tab',
  'A_A',
  'A_A=1\n\n\n  \nB_B=2',
  'A_A={"json":"value","n":1}',
  'A_A="-----BEGIN KEY-----\\nabc\\n-----END KEY-----"',
  "A_A=it's",
  'A_A=say "hi"',
  'A_A="a" b',
  "A_A='a' 'b'",
  'A_A=\\n',
  'A_A="\\\\n"',
  'export\tA_A=1',
  'exportA_A=1',
  'A_A=1 B_B=2',
  '=value\nB_B=1',
  'A_A=\nB_B=1',
  'A_A= \nB_B=1',
  'A_A="a\\r\\nb"',
]

/** A small generator with a fixed seed: a failure can be repeated. */
function* random(seed) {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state >>> 8
  }
}

const before = ['', '', '', '', ' ', '\t', 'export ', 'export', '#', '\r', 'x ']
const between = ['=', '=', '=', ' = ', ': ', ':', ' ', '==', '= ']
const within = [
  '"',
  "'",
  '`',
  '#',
  ' #',
  '\\n',
  '\\"',
  '\\',
  '$',
  'x',
  'value',
  '1',
  ' ',
  '\n',
  '\t',
  '🔑',
  '=',
  '-',
  '"a b"',
  "'c'",
  'A_A=',
]
const after = ['\n', '\n', '\n', '\r\n', '\r', '\n\n', '"\n', '']

/** Up to six lines that are nearly right. */
function fuzzed(next) {
  const pick = (from) => from[next() % from.length]
  let text = ''
  for (let lines = 1 + (next() % 6); lines > 0; lines--) {
    text += pick(before) + pick(NAMES) + pick(between)
    for (let count = next() % 6; count > 0; count--) text += pick(within)
    text += pick(after)
  }
  return text
}

const directory = temporaryDirectory()
const file = path.join(directory, '.env.dev')
const delivery = new SecretDelivery({
  environment: 'development',
  aws: { enabled: false },
  envFile: { path: file },
  logger: { warn() {} },
})
afterAll(async () => {
  await delivery.close()
  fs.rmSync(directory, { recursive: true })
})

/** What dotenv and this package read from `text`; an empty string counts as absent (decision D4). */
async function both(text) {
  // Another size than the file before, whatever the clock's resolution.
  let padding = '\n#'
  if (Buffer.byteLength(text + padding) === both.size) padding += '.'
  both.size = Buffer.byteLength(text + padding)
  fs.writeFileSync(file, text + padding)
  const parsed = dotenv.parse(text + padding)
  const expected = Object.fromEntries(NAMES.map((name) => [name, parsed[name] || null]))
  const read = await Promise.all(NAMES.map((name) => delivery.getSecretFromEnvFile(name)))
  return [Object.fromEntries(NAMES.map((name, i) => [name, read[i]])), expected]
}

test.each(lines)('%j', async (text) => {
  const [read, expected] = await both(text)
  expect(read).toEqual(expected)
})

test('2,000 random files', async () => {
  const source = random(20_261_124)
  const next = () => /** @type {number} */ (source.next().value)
  let withValues = 0
  for (let i = 0; i < 2000; i++) {
    const text = fuzzed(next)
    const [read, expected] = await both(text)
    if (Object.values(expected).some((value) => value !== null)) withValues++
    try {
      expect(read).toEqual(expected)
    } catch (error) {
      throw new Error(`${JSON.stringify(text)}: ${/** @type {Error} */ (error).message}`)
    }
  }
  expect(withValues).toBeGreaterThan(1500)
})

test('a byte order mark before the first name', async () => {
  fs.writeFileSync(file, '\ufeffA_A=after the mark\n')
  expect(await delivery.getSecretFromEnvFile('A_A')).toBe('after the mark')
})

test('a file of 1 MiB', async () => {
  const many = Array.from({ length: 26_000 }, (_, i) => `NAME_${i}="value number ${i}, ${'x'.repeat(10)}"`).join('\n')
  expect(many.length).toBeGreaterThan(1 << 20)
  fs.writeFileSync(file, many)
  expect(await delivery.getSecretFromEnvFile('NAME_25999')).toBe(`value number 25999, ${'x'.repeat(10)}`)
  expect(await delivery.getSecretFromEnvFile('NAME_0')).toBe(`value number 0, ${'x'.repeat(10)}`)
})

test("syntax 'dotenvy' substitutes, as the Rust crate does", async () => {
  fs.writeFileSync(file, 'A_A=base\nB_B=${A_A}/more\n')
  const rust = new SecretDelivery({
    environment: 'dev',
    aws: { enabled: false },
    envFile: { path: file, syntax: 'dotenvy' },
  })
  expect(await rust.getSecretFromEnvFile('B_B')).toBe('base/more')
  await rust.close()
})
