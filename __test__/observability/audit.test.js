'use strict'

// The audit log as an auditor sees it: a record for each value that was delivered, whatever happened to the process.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { temporaryDirectory } = require('../support/files')
const { until } = require('../support/until')
const { overRedis } = require('../support/services')

const world = overRedis({ A_B_production: 'value', A_C_production: 'value-c' })

/** @type {string} */
let directory
/** @type {string} */
let log
beforeEach(() => {
  directory = temporaryDirectory()
  log = path.join(directory, 'audit.jsonl')
})
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }))

/** @param {object} [audit] @param {object} [options] */
const service = (audit, options) => world.deliver({}, { audit: { path: log, ...audit }, ...options })

/** The records of the log, but for its own. */
function records(file = log) {
  const all = fs.readFileSync(file, 'utf8').trimEnd().split('\n')
  const own = ['begin', 'end', 'open', 'close', 'checkpoint', 'recover', 'session', 'missed', 'expire']
  return all.map((line) => JSON.parse(line)).filter(({ event }) => !own.includes(event))
}

const shown = ({ event, tool, secret, source, cache, outcome, code }) =>
  [event, tool, secret, source, cache, outcome, code].map((part) => part ?? '').join(' ')

test('every value that is delivered, and every refusal, has its record', async () => {
  const delivery = service({ label: 'billing', hits: 'each' })
  for (let i = 0; i < 3; i++) await delivery.getSecret('A_B')
  await delivery.getToolSecret('a', 'nothing')
  await delivery.getSecretFromAWS('A_B')
  await delivery.getSecretFromAWS('A_B', 'staging')
  await delivery.getSecretFromRuntime('A_B')
  await delivery.getToolSecrets('a')
  await world.aws.deny({ actions: ['GetSecretValue'], secrets: ['A_D_production'] })
  await expect(delivery.getSecret('A_D')).rejects.toMatchObject({ code: 'SECRET_ACCESS_DENIED' })
  await world.aws.allow()
  await delivery.cache.set('A_E', 'by-hand')
  await delivery.cache.get('A_E')
  await delivery.cache.invalidate('A_E')
  await delivery.getSecretVersions('A_B')
  const { versionId } = await delivery.rotation.rotate('A_B')
  await delivery.cache.clear()
  await delivery.close()
  const all = records()
  const rows = all.map(shown)
  expect(rows).toEqual([
    'access A A_B aws miss ok ',
    // A copy from before the subscription stood may be looked up once more.
    expect.stringMatching(/^access A A_B (memory|redis) hit ok $/),
    expect.stringMatching(/^access A A_B (memory|redis) hit ok $/),
    'access A A_NOTHING   absent ',
    'access A A_B aws bypass ok ',
    'access A A_B aws bypass absent ',
    'access A A_B   absent ',
    expect.stringMatching(/^access A A_B (memory|redis|aws) (hit|miss) ok $/),
    expect.stringMatching(/^access A A_C aws miss ok $/),
    'access A A_D   denied SECRET_ACCESS_DENIED',
    'set A A_E   ok ',
    'access A A_E cache hit ok ',
    'invalidate A A_E   ok ',
    'access A A_B aws  ok ',
    'rotate A A_B finished  ok ',
    'clear     ok ',
  ])
  expect(all[5].environment).toBe('staging')
  expect(new Set(all.map(({ caller }) => caller))).toEqual(new Set(['billing']))
  expect(all[0]).toMatchObject({ environment: 'production', pid: process.pid, version: expect.any(String) })
  // AWS's id of the request, as CloudTrail has it; a cached read asked nothing.
  expect([all[0].request, all[1].request]).toEqual([expect.stringMatching(/^[0-9a-f-]{8,64}$/), undefined])
  expect(all.at(-2).version).toBe(versionId)
  expect(fs.readFileSync(log, 'utf8')).not.toMatch(/value|by-hand/)
  expect(fs.statSync(log).mode & 0o777).toBe(0o600)
  expect(await verifyAuditLog(log)).toMatchObject({
    valid: true,
    untampered: true,
    fault: null,
    endConfirmed: true,
    unrecoveredJournals: 0,
    outcomes: { denied: 1 },
  })
})

test('it is on where the document says so, and a hook is handed no value without a record', async () => {
  const delivery = service({}, { rotation: { hooks: { set: (context) => void context.newValue() } } })
  await delivery.rotation.rotate('A_B')
  await delivery.close()
  expect(records().map(shown)).toEqual([
    'access A A_B hook  ok ',
    'access A A_B hook  ok ',
    'rotate A A_B finished  ok ',
  ])
  const cwd = process.cwd()
  const { TCS_AUDIT_LOG, TMPDIR } = process.env
  const temporary = path.join(directory, 'tmp')
  fs.mkdirSync(temporary)
  try {
    process.chdir(directory)
    delete process.env.TCS_AUDIT_LOG
    process.env.TMPDIR = temporary
    for (const [environment, expected] of [
      ['development', []],
      ['test', ['secret-audit-test-*.jsonl', 'secret-audit-test-*.jsonl.state']],
    ]) {
      const quiet = new SecretDelivery({ environment, aws: { enabled: false }, runtime: { variables: { X_Y: 'v' } } })
      expect(await quiet.getSecret('X_Y')).toBe('v')
      await quiet.close()
      const made = fs.readdirSync(temporary).map((name) => name.replace(/[0-9a-f]{16}/, '*'))
      expect([environment, fs.existsSync('secret-audit.jsonl'), made.sort()]).toEqual([environment, false, expected])
    }
  } finally {
    process.chdir(cwd)
    process.env.TCS_AUDIT_LOG = TCS_AUDIT_LOG
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  }
})

describe('a log that cannot be written', () => {
  /** @type {[string, () => string][]} */
  const places = [
    ['a directory', () => directory],
    ['a directory that does not exist', () => path.join(directory, 'none', 'audit.jsonl')],
    [
      'a symbolic link',
      () => {
        fs.symlinkSync(path.join(directory, 'elsewhere'), log)
        return log
      },
    ],
    ['no audit log', () => (fs.writeFileSync(log, 'something else\n'), log)],
  ]
  test.each(places)('%s: nothing is delivered, and the reason is told', async (_, place) => {
    const warnings = []
    const delivery = service({ path: place() }, { logger: { warn: (message) => warnings.push(message) } })
    for (const read of [
      () => delivery.getSecret('A_B'),
      () => delivery.getToolSecrets('a'),
      () => delivery.getSecretFromAWS('A_B'),
      () => delivery.rotation.rotate('A_B'),
      () => delivery.cache.clear(),
    ]) {
      await expect(read()).rejects.toMatchObject({ code: 'AUDIT_WRITE_FAILED' })
    }
    expect((await world.aws.calls()).byOperation.PutSecretValue).toBeUndefined()
    const { status, checks } = await delivery.health()
    expect([status, checks.audit.status]).toEqual(['down', 'down'])
    expect(checks.audit.reason).toContain('audit.path')
    await until('one warning', () => warnings.length > 0)
    expect(warnings).toEqual([expect.stringMatching(/^AUDIT_FAILING: /)])
  })

  test("with onFailure 'warn': secrets are delivered, and the warning comes once", async () => {
    const warnings = []
    const delivery = service(
      { path: directory, onFailure: 'warn' },
      { logger: { warn: (message) => warnings.push(message) } },
    )
    for (let i = 0; i < 5; i++) expect(await delivery.getSecret('A_B')).toBe('value')
    expect((await delivery.health()).status).toBe('degraded')
    expect(warnings).toHaveLength(1)
  })

  test('is written again as soon as that is possible', async () => {
    const place = path.join(directory, 'later', 'audit.jsonl')
    const delivery = service({ path: place }, { logger: { warn() {} } })
    await expect(delivery.getSecret('A_B')).rejects.toMatchObject({ code: 'AUDIT_WRITE_FAILED' })
    fs.mkdirSync(path.dirname(place))
    await until('it is delivered', async () => (await delivery.getSecret('A_B').catch(() => null)) === 'value')
    await delivery.close()
    expect(records(place).map(shown)).toContain('access A A_B aws miss ok ')
  })
})

/** Starts the fixture, lets it deliver `enough` values, kills it, and gives what it told, by thread. */
async function killed(enough, env = {}) {
  const child = spawn(process.execPath, [path.join(__dirname, '..', 'fixtures', 'audited.js')], {
    env: {
      ...process.env,
      NODE_NO_WARNINGS: '1',
      TEST_AWS: JSON.stringify(world.aws.options),
      TEST_AUDIT: log,
      REDIS_URL: '',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  const told = () => {
    const last = new Map()
    for (const [, thread, count] of output.matchAll(/(thread-\d+) (\d+)\n/g)) last.set(thread, Number(count))
    return last
  }
  const ended = new Promise((resolve) => child.once('close', resolve))
  if (enough === undefined) {
    await ended
    return told()
  }
  await until('enough values were delivered', () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    return [...told().values()].reduce((a, b) => a + b, 0) >= enough
  })
  child.kill('SIGKILL')
  await ended
  return told()
}

/** How many deliveries records stand for. */
const sum = (all) => all.reduce((total, { count = 1 }) => total + count, 0)

test.each([
  ['one thread, counted', {}],
  ['one thread, each', { TEST_HITS: 'each' }],
  ['four worker threads, counted', { TEST_THREADS: '4' }],
  ['four worker threads, each', { TEST_THREADS: '4', TEST_HITS: 'each' }],
])(
  'after SIGKILL every delivered value is accounted for, and none twice: %s',
  async (_, env) => {
    let expected = 0
    for (let round = 0; round < 2; round++) {
      // Taking over records takes a while on a busy machine: fewer of them, where each read has one.
      const told = await killed(env.TEST_HITS === 'each' ? 5_000 : 20_000, env)
      expected += [...told.values()].reduce((a, b) => a + b, 0)
    }
    // The next process that opens the log takes over what the dead ones left.
    const next = service({ label: 'next' })
    await next.getSecret('A_B')
    await next.close()
    const verification = await verifyAuditLog(log)
    expect([verification.fault, verification.unrecoveredJournals]).toEqual([null, 0])
    const all = records()
    expect(verification.deliveries).toBe(sum(all))
    expect(sum(all) - 1).toBeGreaterThanOrEqual(expected)
    // Told every 500, so each thread of each round may have delivered a few more, and written one more.
    expect(sum(all) - 1).toBeLessThanOrEqual(expected + 2 * Math.max(1, Number(env.TEST_THREADS ?? 1)) * 501)
    expect(new Set(all.map(({ seq }) => seq)).size).toBe(all.length)
  },
  60_000,
)

test('a process that ends without close() loses nothing', async () => {
  const told = await killed(undefined, { TEST_READS: '3000' })
  expect([...told]).toEqual([['thread-0', 3000]])
  const next = service({ label: 'next' })
  await next.getSecret('A_B')
  await next.close()
  expect(sum(records().filter(({ caller }) => caller === 'thread-0'))).toBe(3000)
  expect(await verifyAuditLog(log)).toMatchObject({ valid: true, deliveries: 3001, missedDeliveries: 0 })
})

test('cached reads of one version are one record a second, with their number and the last time', async () => {
  const delivery = service()
  await delivery.getSecret('A_B')
  for (let i = 0; i < 1000; i++) await delivery.getToolSecret('a', 'b')
  await delivery.close()
  const hits = records().filter(({ cache }) => cache === 'hit')
  expect(sum(hits)).toBe(1000)
  expect(hits.length).toBeLessThan(20)
  const { time, last, version, secret } = hits.find(({ count }) => count > 1)
  expect([typeof version, secret]).toEqual(['string', 'A_B'])
  expect(last === undefined || Date.parse(last) >= Date.parse(time)).toBe(true)
})

test('a closed delivery gives back its journal and its descriptors at once', async () => {
  const descriptors = () => fs.readdirSync('/proc/self/fd').length
  const mapped = () =>
    fs
      .readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .filter((line) => line.includes(directory))
  const once = async () => {
    const delivery = service({ path: path.join(directory, 'often.jsonl') })
    await delivery.getSecret('A_B')
    await delivery.close()
    return delivery
  }
  const kept = [await once()]
  const before = descriptors()
  // They are kept: nothing depends on the garbage collector.
  for (let i = 0; i < 20; i++) kept.push(await once())
  expect(descriptors()).toBeLessThanOrEqual(before + 5)
  expect(mapped()).toEqual([])
  await expect(kept[0].getSecret('A_B')).rejects.toMatchObject({ code: 'CLOSED' })
}, 30_000)

test('a function of the service takes the lines in order, and again when it failed', async () => {
  const batches = []
  let failures = 2
  const journals = path.join(directory, 'journals')
  fs.mkdirSync(journals)
  const delivery = service(
    {
      path: undefined,
      hits: 'each',
      journalDirectory: journals,
      sink: async (lines) => {
        if (failures-- > 0) throw new Error('the shipper is down')
        batches.push(lines)
      },
    },
    { logger: { warn() {} } },
  )
  const refused = await delivery.getSecret('A_B').catch((error) => error)
  expect(refused).toMatchObject({ code: 'AUDIT_WRITE_FAILED', message: expect.stringContaining('audit.sink') })
  // There is no path to change.
  expect(refused.message).not.toMatch(/writable|audit\.path/)
  await until('it is delivered', () => delivery.getSecret('A_B').catch(() => null))
  for (let i = 0; i < 1000; i++) await delivery.getSecret('A_B')
  await delivery.close()
  const lines = batches.join('').trimEnd().split('\n')
  const taken = lines.map((line) => JSON.parse(line))
  expect(taken.map(({ seq }) => seq)).toEqual(taken.map((_, i) => i + 1))
  expect(taken.filter(({ event, outcome }) => event === 'access' && outcome === 'ok').length).toBeGreaterThanOrEqual(
    1000,
  )
  expect(taken.at(-1).event).toBe('close')
  expect(fs.readdirSync(journals)).toEqual([])
})

test('without a directory for the journal it is in memory, with one warning', async () => {
  const batches = []
  const warnings = []
  const audit = {
    path: undefined,
    journalDirectory: path.join(directory, 'none'),
    sink: (lines) => void batches.push(lines),
  }
  const delivery = service(audit, { logger: { warn: (message) => warnings.push(message) } })
  for (let i = 0; i < 10; i++) expect(await delivery.getSecret('A_B')).toBe('value')
  await delivery.close()
  const lines = batches.join('').trimEnd().split('\n')
  expect(sum(lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'access'))).toBe(10)
  expect(warnings).toEqual([expect.stringMatching(/^AUDIT_JOURNAL_IN_MEMORY: .*none.*audit\.journalDirectory/)])
})

test('verification says what is missing at both ends, and what the log adds up to', async () => {
  const delivery = service()
  for (let i = 0; i < 5; i++) await delivery.getSecret('A_B')
  await delivery.close()
  const found = await verifyAuditLog(log)
  expect(found).toMatchObject({ valid: true, firstFile: 1, expiredFiles: 0, deliveries: 5, missedDeliveries: 0 })
  const { lastSequence, lastLink } = found
  expect(await verifyAuditLog(log, { firstSequence: 1, lastSequence, lastLink })).toMatchObject({ valid: true })
  for (const expected of [
    { firstSequence: 0 },
    { lastSequence: lastSequence + 1 },
    { lastSequence, lastLink: 'a'.repeat(64) },
  ]) {
    expect((await verifyAuditLog(log, expected)).untampered).toBe(false)
  }
  await expect(verifyAuditLog(log, { lastLink })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('verification names what was done to a log', async () => {
  const delivery = service({ hits: 'each' })
  for (let i = 0; i < 20; i++) await delivery.getSecret('A_B')
  await delivery.close()
  const original = fs.readFileSync(log, 'utf8')
  const lines = original.trimEnd().split('\n')
  const put = (changed) => fs.writeFileSync(log, changed.join('\n') + '\n')
  const swapped = [...lines]
  ;[swapped[5], swapped[6]] = [swapped[6], swapped[5]]
  const rows = [
    [lines.map((line, i) => (i === 7 ? line.replace('A_B', 'A_X') : line)), 'changed', 8],
    [lines.filter((_, i) => i !== 7), 'removed', 8],
    [[...lines.slice(0, 7), lines[3], ...lines.slice(7)], 'inserted', 8],
    [swapped, 'reordered', 6],
    [lines.slice(0, -3), 'removed', undefined],
  ]
  for (const [changed, kind, line] of rows) {
    put(changed)
    const { valid, untampered, fault } = await verifyAuditLog(log)
    expect([kind, valid, untampered, fault?.kind]).toEqual([kind, false, false, kind])
    if (line !== undefined) expect([kind, fault?.line]).toEqual([kind, line])
  }
  fs.writeFileSync(log, original)
  expect((await verifyAuditLog(log)).valid).toBe(true)
  await expect(verifyAuditLog(path.join(directory, 'none'))).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  await expect(verifyAuditLog(/** @type {any} */ (7))).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('a keyed chain is verified with its key only', async () => {
  const key = Buffer.alloc(32, 7)
  const delivery = service({ key })
  await delivery.getSecret('A_B')
  await delivery.close()
  expect((await verifyAuditLog(log, { key })).valid).toBe(true)
  expect((await verifyAuditLog(log, { key: key.toString('base64') })).valid).toBe(true)
  for (const wrong of [undefined, Buffer.alloc(32, 8)]) {
    await expect(verifyAuditLog(log, { key: wrong })).rejects.toMatchObject({ message: expect.stringContaining('key') })
  }
})
