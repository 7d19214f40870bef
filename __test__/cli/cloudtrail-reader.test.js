'use strict'

// The reader of events takes members out of the text. It must find what a parser finds, whatever the text looks like.

const fs = require('node:fs')
const path = require('node:path')
const zlib = require('node:zlib')
const { readsIn, whoOf } = require('../../cli/cloudtrail/events')
const { scan } = require('../../cli/cloudtrail/scan')
const { Words } = require('../../cli/cloudtrail/words')
const { event } = require('../../tools/cloudtrail/generate')
const { temporaryDirectory } = require('../support/files')

const directory = temporaryDirectory('tcs-reader-')
afterAll(() => fs.rmSync(directory, { recursive: true }))

/**
 * What both ways find in a file.
 *
 * @param {string} file
 */
async function read(file) {
  const words = new Words()
  /** @type {any[]} */
  const fast = []
  /** @type {any[]} */
  const parsed = []
  let odd = 0
  const { problem } = await scan(file, (found) => {
    const told = (/** @type {any[]} */ list) => (/** @type {any} */ read) =>
      list.push({
        ...read,
        ...whoOf(words.text(read.who)),
        secret: words.text(read.secret),
        error: words.text(read.error),
      })
    if (found.isOdd) odd++
    readsIn(found, words, told(fast))
    found.isOdd = true
    readsIn(found, words, told(parsed))
  })
  return { problem, fast, parsed, odd }
}

/** Numbers from 0 to 1 that a seed decides. @param {number} seed */
function randomOf(seed) {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}

const DECOYS = [
  { eventSource: 'ec2.amazonaws.com', eventName: 'GetSecretValue', secretId: 'DECOY' },
  {
    arn: 'arn:aws:iam::1:role/decoy',
    sessionIssuer: { arn: 'decoy' },
    sessionContext: { sessionIssuer: { arn: 'd' } },
  },
  [{ requestID: 'decoy', eventID: 'decoy', errorCode: 'AccessDenied' }, [['"}]{['], '\\"']],
  'a text with "eventName":"GetSecretValue" and \\ and }{][ in it',
  '',
  null,
  -1.5e3,
  true,
]
const TEXTS = [
  'plain',
  'with "quotes"',
  'back\\slash\\',
  'ümläut',
  '日本',
  '😀',
  'tab\tline\n',
  '\u0000',
  '\u001b[31m',
  '',
]

/** @param {number} seed */
function mixed(seed) {
  const random = randomOf(seed)
  const pick = (/** @type {any[]} */ list) => list[Math.floor(random() * list.length)]
  const session = pick([
    'arn:aws:sts::111122223333:assumed-role/reader/pod',
    'arn:aws:iam::1:user/x',
    `arn:${pick(TEXTS)}`,
  ])
  /** @type {any} */
  const made = event({
    name: pick(['GetSecretValue', 'GetSecretValue', 'BatchGetSecretValue', 'DescribeSecret']),
    time: Date.UTC(2026, 0, 10) + Math.floor(random() * 1e6) * 1000,
    session,
    request: `r-${seed}-${pick(TEXTS)}`,
    id: `e-${seed}`,
    secret: `NAME_${pick(TEXTS)}`,
    address: pick(['198.51.100.7', 'AWS Internal', pick(TEXTS)]),
    agent: pick(['aws-sdk-rust/1', 'x'.repeat(3_000), pick(TEXTS)]),
  })
  for (const place of [made, made.userIdentity, made.userIdentity.sessionContext, made.requestParameters]) {
    if (random() < 0.3)
      place[pick(['more', 'additionalEventData', 'webIdFederationData', 'arn', 'detail2'])] = pick(DECOYS)
  }
  if (random() < 0.1) made[pick(['errorCode', 'requestID', 'eventID', 'userAgent', 'eventTime'])] = pick(DECOYS)
  if (random() < 0.05)
    made.userIdentity = pick([null, { type: 'AWSService', invokedBy: 'x.amazonaws.com' }, { arn: 5 }, []])
  if (random() < 0.05) made.requestParameters = pick([null, 'text', [], { secretId: ['a'] }, { SecretId: 'b' }])
  if (random() < 0.1) made.errorCode = 'AccessDenied'
  // Another order of the members.
  const entries = Object.entries(made)
  if (random() < 0.3) entries.sort(() => random() - 0.5)
  const text = JSON.stringify(Object.fromEntries(entries), null, random() < 0.2 ? 2 : 0)
  const chance = random()
  if (chance < 0.03) return text.replace('"eventName"', '"event\\u004eame"')
  if (chance < 0.06)
    return text.replace(/\}$/, ',"eventName":"GetSecretValue","requestParameters":{"secretId":"SECOND"}}')
  if (chance < 0.09) return text.replace(/\}$/, ',"userIdentity":{"arn":"arn:second"}}')
  return text
}

test.each(['records.json', 'records.json.gz', 'lines.jsonl', 'list.json'])(
  '%s: both ways find the same',
  async (name) => {
    const events = Array.from({ length: 3_000 }, (_, at) => mixed(at + 1))
    const file = path.join(directory, name)
    const joined = events.join(name.startsWith('lines') ? '\n' : ', ')
    const around = { 'lines.jsonl': ['', '\n'], 'list.json': ['\ufeff [', ']'] }[name] ?? ['{"Records": [', ']}']
    const text = `${around[0]}${joined}${around[1]}`
    fs.writeFileSync(file, name.endsWith('.gz') ? zlib.gzipSync(text) : text)
    const { problem, fast, parsed, odd } = await read(file)
    expect(problem).toBeNull()
    expect(parsed.length).toBeGreaterThan(2_000)
    expect(odd).toBeLessThan(600)
    expect(fast).toEqual(parsed)
  },
)

test('what EventBridge hands on counts', async () => {
  const file = path.join(directory, 'events.jsonl')
  const one = event({ name: 'GetSecretValue', time: 1e12, session: 'arn:x', request: 'r', id: 'e', secret: 'X' })
  fs.writeFileSync(file, `${JSON.stringify({ 'detail-type': 'AWS API Call via CloudTrail', detail: one })}\n`)
  expect((await read(file)).fast).toMatchObject([{ request: 'r', secret: 'X_production', session: 'arn:x' }])
})
