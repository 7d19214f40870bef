'use strict'

// `audit compare`: CloudTrail's reads against the logs of all instances, with strangers planted by the generator.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const zlib = require('node:zlib')
const { event, generate } = require('../../tools/cloudtrail/generate')
const { Cli } = require('../support/cli')
const { temporaryDirectory } = require('../support/files')
const { until } = require('../support/until')

const directory = temporaryDirectory('tcs-compare-')
const cli = new Cli(directory, { TCS_ENVIRONMENT: 'production' })
const made = generate(directory, { events: 30_000, strangers: 40, others: 5, unseen: 4, perFile: 2_000, open: 5 })
const own = 'arn:aws:sts::111122223333:assumed-role/orders-reader/instance-0'
const request = (/** @type {string} */ end) => `11111111-2222-4333-a444-${end.padStart(12, '0')}`

beforeAll(() => {
  const tools = Object.fromEntries(made.names.map((name) => [name.split('_')[0], { secrets: { token: {} } }]))
  fs.writeFileSync(path.join(directory, 'tcs-secrets.config.json'), JSON.stringify({ tools }))
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

/** @param {string[]} args */
async function compared(...args) {
  const { status, stdout } = await cli.run(['audit', 'compare', ...args, '--json'])
  return { status, ...JSON.parse(stdout) }
}

/** Writes a file of a trail. @param {string} name @param {object[]} Records */
function trail(name, Records) {
  const file = path.join(directory, name)
  const text = JSON.stringify({ Records })
  fs.writeFileSync(file, name.endsWith('.gz') ? zlib.gzipSync(text) : text)
  return file
}

/** Writes a log of one record for each of these. @param {string} name @param {{ request: string, secret: string, time?: number }[]} calls */
function log(name, calls) {
  const file = path.join(directory, name)
  const lines = calls.map(({ request, secret, time = Date.UTC(2026, 0, 10) }, at) =>
    JSON.stringify({
      seq: at + 1,
      time: new Date(time).toISOString(),
      instance: 'a',
      event: 'access',
      secret,
      outcome: 'ok',
      request,
    }),
  )
  fs.writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
  return file
}

const read = (/** @type {string} */ end, /** @type {Partial<Parameters<typeof event>[0]>} */ more = {}) =>
  event({
    name: 'GetSecretValue',
    time: Date.UTC(2026, 0, 10),
    session: own,
    request: request(end),
    id: `id-${end}`,
    secret: 'TOOL1_TOKEN',
    ...more,
  })

test('what two threads read of one event counts once', async () => {
  const copy = path.join(directory, 'copied')
  fs.cpSync(made.trail, copy, { recursive: true })
  const args = [...made.logs, '--grace', '0', '--cloudtrail', made.trail]
  const [once, twice] = [await compared(...args), await compared(...args, '--cloudtrail', copy)]
  expect(twice.files).toBe(2 * once.files)
  expect(twice).toEqual({ ...once, files: 2 * once.files, events: 2 * once.events, repeated: once.events })
  fs.rmSync(copy, { recursive: true })
})

test('exactly the planted strangers are found, whoever they pose as, and every other difference', async () => {
  const out = path.join(directory, 'found.jsonl')
  const found = await compared(...made.logs, '--cloudtrail', made.trail, '--out', out, '--grace', '0')
  const listed = fs
    .readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const of = (/** @type {string} */ kind) => listed.filter((one) => one.kind === kind)
  expect(
    of('stranger')
      .map(({ eventId }) => eventId)
      .sort(),
  ).toEqual([...made.planted.strangers].sort())
  expect(
    of('other')
      .map(({ eventId }) => eventId)
      .sort(),
  ).toEqual([...made.planted.others].sort())
  expect(
    of('unseen')
      .map((one) => one.request)
      .sort(),
  ).toEqual([...made.planted.unseen].sort())
  expect(found).toMatchObject({
    status: 1,
    strangers: { count: 40 },
    others: { count: 5 },
    unseen: { count: 4 },
    problems: [],
  })
  expect(found.roles).toEqual(['arn:aws:iam::111122223333:role/orders-reader'])
  expect(found.strangers.items[0]).toMatchObject({ address: '203.0.113.66', agent: 'aws-cli/2.31.0' })
  const times = found.strangers.items.map(({ time }) => time)
  expect(times).toEqual([...times].sort())
})

test('a folder of logs is the same as its logs, and others may be allowed', async () => {
  const found = await compared(directory, '--cloudtrail', made.trail, '--allow', 'Terraform', '--grace', '0')
  expect(found).toMatchObject({ strangers: { count: 40 }, others: { count: 0 } })
})

test('who may read is a role or a user, and not whoever takes that name for a session or in another account', async () => {
  const logs = log('allowed.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const sessions = {
    allowed: 'arn:aws:sts::111122223333:assumed-role/Terraform/ci',
    user: 'arn:aws:iam::111122223333:user/Terraform',
    posing: 'arn:aws:sts::111122223333:assumed-role/mallory/Terraform',
    elsewhere: 'arn:aws:sts::999999999999:assumed-role/Terraform/ci',
  }
  const events = Object.entries(sessions).map(([id, session], at) => {
    const made = read(String(at + 2), { session, id })
    const issuer = made.userIdentity.sessionContext.sessionIssuer
    issuer.arn = session.includes(':user/') ? '' : `arn:aws:iam::${session.split(':')[4]}:role/${session.split('/')[1]}`
    return made
  })
  const found = await compared(
    logs,
    '--cloudtrail',
    trail('allowed.json', [read('1'), ...events]),
    '--allow',
    'Terraform',
  )
  expect(found.others.items.map(({ eventId }) => eventId).sort()).toEqual(['elsewhere', 'posing'])
})

test('a log that lacks an instance shows its reads as strangers', async () => {
  const found = await compared(...made.logs.slice(1), '--cloudtrail', made.trail)
  expect(found.strangers.count).toBeGreaterThan(1_000)
  // Of so many the newest are listed.
  const [first] = found.strangers.items
  expect(found.strangers.items).toHaveLength(100)
  expect(Date.parse(found.trailTo) - Date.parse(first.time)).toBeLessThan(300_000)
})

test('nothing to say is exit code 0', async () => {
  const logs = log('clean.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const found = await compared(logs, '--cloudtrail', trail('clean.json', [read('1')]))
  expect(found).toMatchObject({ status: 0, matched: 1, strangers: { count: 0 }, unseen: { count: 0 } })
})

test('many batches of one secret within seconds are joined one by one', async () => {
  const count = 20_000
  const time = Date.UTC(2026, 0, 10)
  const of = (/** @type {string} */ kind, /** @type {number} */ at) => request(`${kind}${at.toString(16)}`)
  const calls = Array.from({ length: count }, (_, at) => ({ request: of('a', at), secret: 'TOOL1_TOKEN', time }))
  const events = calls.flatMap(({ request }, at) => [
    read('', {
      name: 'BatchGetSecretValue',
      list: ['TOOL1_TOKEN'],
      request,
      id: of('c', at),
      time: time + (at % 3_000),
    }),
    read('', { request: of('b', at), id: of('d', at), time: time + ((at * 7) % 3_000) }),
  ])
  const stranger = read('', { request: of('e', 1), id: 'stranger', time: time + 1_000, address: '203.0.113.66' })
  const found = await compared(log('hot.jsonl', calls), '--cloudtrail', trail('hot.json.gz', [stranger, ...events]))
  expect(found).toMatchObject({ matched: 2 * count, strangers: { count: 1, items: [{ eventId: 'stranger' }] } })
})

test('another who names a secret by an ARN without its ending is found, also where the name looks as if it had one', async () => {
  const secrets = { MASTER: { aws: 'db-master' }, LONG: { aws: 'db-AbCdEf' } }
  const folder = fs.mkdtempSync(path.join(directory, 'arns-'))
  fs.writeFileSync(path.join(folder, 'tcs-secrets.config.json'), JSON.stringify({ secrets }))
  const arn = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:'
  const ids = [
    'db-master',
    `${arn}db-master`,
    `${arn}db-master-AbCdEf`,
    `${arn}db-AbCdEf`,
    `${arn}db-AbCdEf-GhIjKl`,
    `${arn}db`,
  ]
  const other = { session: 'arn:aws:iam::111122223333:user/mallory' }
  const events = ids.map((secretId, at) => ({ ...read(String(at), other), requestParameters: { secretId } }))
  const args = ['audit', 'compare', log('arns.jsonl', []), '--cloudtrail', trail('arns.json', events), '--json']
  const { stdout } = await cli.run(args, { cwd: folder })
  expect(JSON.parse(stdout)).toMatchObject({ others: { count: 5 }, otherSecrets: 1 })
})

test('files that repeat each other, unpacked and packed, count once', async () => {
  const logs = log('twice.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const places = [trail('a.json', [read('1'), read('2')]), trail('b.json.gz', [read('2'), read('1')])]
  const found = await compared(logs, '--cloudtrail', ...places)
  expect(found).toMatchObject({ status: 1, events: 4, repeated: 2, matched: 1, strangers: { count: 1 } })
})

test('what is refused or fails delivered nothing', async () => {
  const logs = log('refused.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const place = trail('refused.json', [
    read('1'),
    { ...read('2'), errorCode: 'AccessDenied' },
    { ...read('3', { secret: 'TCS_SECRET_DELIVERY_HEALTH_PROBE' }), errorCode: 'ResourceNotFoundException' },
  ])
  const found = await compared(logs, '--cloudtrail', place)
  expect(found).toMatchObject({ status: 0, failed: 1, refusals: { count: 1 }, strangers: { count: 0 } })
})

test('the output of lookup-events and events of one a line are read as well', async () => {
  const logs = log(
    'forms.jsonl',
    [1, 2].map((one) => ({ request: request(String(one)), secret: 'TOOL1_TOKEN' })),
  )
  const lookup = path.join(directory, 'lookup.json')
  fs.writeFileSync(
    lookup,
    JSON.stringify({ Events: [{ EventName: 'GetSecretValue', CloudTrailEvent: JSON.stringify(read('1')) }] }, null, 2),
  )
  const lines = path.join(directory, 'lines.jsonl')
  fs.writeFileSync(lines, `${JSON.stringify({ ...read('2'), userAgent: 'quoted "}]{" \\' })}\n`)
  expect(await compared(logs, '--cloudtrail', lookup, lines)).toMatchObject({ status: 0, matched: 2 })
})

test.each([
  ['cut', (/** @type {Buffer} */ text) => text.subarray(0, text.length - 200), 'it is cut'],
  ['cut while packed', (/** @type {Buffer} */ text) => zlib.gzipSync(text).subarray(0, -20), 'cut or damaged'],
  ['foreign', () => Buffer.from('{"a": [1, 2, {"b": "c"}]}'), 'no events of CloudTrail'],
  ['no JSON', () => Buffer.from('%PDF-1.7 ]]]} nothing'), 'no JSON'],
])('a file that is %s is named, and what is in it counts', async (name, made, problem) => {
  const logs = log('bad.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const file = path.join(directory, `${name}.json`)
  fs.writeFileSync(file, made(Buffer.from(JSON.stringify({ Records: [read('1'), read('2'), read('3')] }))))
  const found = await compared(logs, '--cloudtrail', file)
  expect(found.problems).toEqual([{ file, problem: expect.stringContaining(problem) }])
  expect(found.status).toBe(4)
})

test.each([
  [
    'UTF-16, as PowerShell writes it',
    (/** @type {string} */ text) => Buffer.from(`\uFEFF${text}`, 'utf16le'),
    /UTF-16/,
  ],
  ['no JSON', () => 'an error page', /no JSON/],
  ['zeros', () => Buffer.alloc(100_000), /no JSON/],
  ['nothing at all', () => '', /empty/],
])('in a folder, a file that is %s does not pass for one without reads', async (name, made, problem) => {
  const logs = log('one.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const folder = path.join(directory, `folder of ${name}`)
  fs.mkdirSync(folder)
  fs.writeFileSync(path.join(folder, 'a.json'), made(JSON.stringify({ Records: [read('2')] })))
  const found = await compared(logs, '--cloudtrail', folder)
  expect(found.problems).toEqual([{ file: path.join(folder, 'a.json'), problem: expect.stringMatching(problem) }])
  expect(found.status).toBe(4)
})

test('a folder without files of a trail is the wrong one', async () => {
  const logs = log('one.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const folder = path.join(directory, 'no trail')
  fs.mkdirSync(folder)
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "name": "x" }')
  for (const place of [folder, path.join(folder, 'package.json')]) {
    expect(await compared(logs, '--cloudtrail', place)).toMatchObject({ status: 4, events: 0, problems: [{}] })
  }
  // A day without reads has files all the same.
  const idle = { ...read('3'), eventSource: 's3.amazonaws.com', eventName: 'GetObject' }
  expect(await compared(logs, '--cloudtrail', trail('idle.json', [idle]))).toMatchObject({ status: 0, problems: [] })
  const none = path.join(directory, 'none.json')
  fs.writeFileSync(none, '{ "Events": [] }')
  expect(await compared(logs, '--cloudtrail', none)).toMatchObject({ status: 0, problems: [] })
})

test('a place or a log that does not exist is an error', async () => {
  const logs = log('there.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  expect(await compared(logs, '--cloudtrail', 'nowhere')).toMatchObject({ status: 4, error: { code: 'FILE_NOT_READ' } })
  expect(await compared('nowhere.jsonl', '--cloudtrail', made.trail)).toMatchObject({
    status: 4,
    error: { code: 'FILE_NOT_READ' },
  })
  expect((await cli.run('audit compare')).status).toBe(2)
})

test('on a terminal of 80 columns it says who, what and from where', async () => {
  const logs = log('shown.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])
  const place = trail('shown.json', [read('1'), read('2', { address: '203.0.113.66' })])
  const { stdout, status } = await cli.run(['audit', 'compare', logs, '--cloudtrail', place])
  expect(status).toBe(1)
  expect(stdout).toContain("1 by this service's own role, and not in the log: somebody uses its credentials")
  expect(stdout).toContain('203.0.113.66')
  expect(stdout).toContain('1 of 2 reads in CloudTrail have a record in the log')
})

describe('hostile files', () => {
  const logs = () => log('hostile.jsonl', [{ request: request('1'), secret: 'TOOL1_TOKEN' }])

  test.each([
    ['nobody', { userIdentity: null }],
    ['no parameters', { requestParameters: null }],
    ['a time that is none', { eventTime: 'soon' }],
    ['a name of another type', { requestParameters: { secretId: ['TOOL1_TOKEN_production'] } }],
    ['tabs and line ends', { requestID: 'a\tb\nc', userAgent: '\u001b[31mred\u001b[0m\tL\tfake' }],
    ['a very long agent', { userAgent: 'x'.repeat(200_000) }],
  ])('an event with %s stops nothing, and colours nothing', async (_, more) => {
    const place = trail('hostile.json', [read('1'), { ...read('2'), ...more }])
    const { status, stdout } = await cli.run(['audit', 'compare', logs(), '--cloudtrail', place])
    expect([0, 1]).toContain(status)
    expect(stdout).toContain('1 of ')
    expect(stdout).not.toContain('\u001b')
  })

  test('a log, or a file of the trail, is not written over', async () => {
    const [log, place] = [logs(), trail('kept.json', [read('1')])]
    const before = fs.readFileSync(log, 'utf8')
    const linked = path.join(directory, 'linked.jsonl')
    fs.linkSync(log, linked)
    for (const out of [log, place, linked]) {
      const found = await compared(log, '--cloudtrail', place, '--out', out)
      expect(found).toMatchObject({ status: 5, error: { code: 'REFUSED' } })
    }
    expect(fs.readFileSync(log, 'utf8')).toBe(before)
  })

  test('what an earlier comparison wrote beside the logs is no log', async () => {
    const folder = fs.mkdtempSync(path.join(directory, 'logs-'))
    fs.copyFileSync(logs(), path.join(folder, 'a.jsonl'))
    const stranger = { kind: 'unseen', request: request('2'), time: '2026-01-10T00:00:00Z', secrets: [], instance: 'a' }
    fs.writeFileSync(path.join(folder, 'found.jsonl'), `${JSON.stringify(stranger)}\n`)
    const found = await compared(folder, '--cloudtrail', trail('beside.json', [read('1'), read('2')]))
    expect(found).toMatchObject({ status: 1, strangers: { count: 1 } })
  })

  const onUnix = process.platform === 'win32' ? test.skip : test
  onUnix('a pipe is not waited for', async () => {
    const folder = fs.mkdtempSync(path.join(directory, 'pipes-'))
    spawnSync('mkfifo', [path.join(folder, 'a.json')])
    const found = await compared(logs(), '--cloudtrail', folder)
    expect(found).toMatchObject({ status: 4, problems: [{ problem: 'it is no regular file' }] })
  })

  onUnix('nothing is left in the temporary directory after a signal either', async () => {
    const place = fs.mkdtempSync(path.join(directory, 'tmp-'))
    const { child, ended } = cli.start(['audit', 'compare', ...made.logs, '--cloudtrail', made.trail], {
      env: { TMPDIR: place },
    })
    await until('files', () => fs.readdirSync(place).length > 0)
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ status: 143, stdout: '' })
    expect(fs.readdirSync(place)).toEqual([])
  })

  onUnix('a temporary directory that takes no files is named, with the way out', async () => {
    const { status, stdout } = await cli.run(
      ['audit', 'compare', logs(), '--cloudtrail', trail('full.json', [read('1')]), '--json'],
      { env: { TMPDIR: path.join(directory, 'not-there') } },
    )
    expect(status).toBe(4)
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'FILE_NOT_WRITTEN',
      message: expect.stringContaining('TMPDIR'),
    })
  })

  test('nothing is left in the temporary directory', async () => {
    const place = fs.mkdtempSync(path.join(directory, 'tmp-'))
    await cli.run(['audit', 'compare', logs(), '--cloudtrail', trail('left.json', [read('1')])], {
      env: { TMPDIR: place, TEMP: place },
    })
    expect(fs.readdirSync(place)).toEqual([])
  })
})
