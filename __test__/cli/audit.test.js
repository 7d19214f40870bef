'use strict'

// `tcs-secrets audit` and `report` as processes of their own, over the in-repo AWS endpoint and a real Redis.

const { spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const { getEventListeners } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { HtmlValidate } = require('html-validate')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { follow } = require('../../cli/audit-questions')
const { trafficOf } = require('../../cli/report/traffic')
const { evaluated, inChromium: inChromiumIfThere } = require('../support/chromium')
const { temporaryDirectory } = require('../support/files')
const { RedisServer } = require('../support/servers/redis')
const { cliWorld } = require('../support/cli-world')
const { until } = require('../support/until')

const world = cliWorld()
const { canary, cli, file, write } = world

const inChromium = inChromiumIfThere()

/** @type {RedisServer} */
let redis
beforeAll(async () => {
  redis = await RedisServer.start()
})
afterAll(() => redis?.stop())

describe('audit', () => {
  test('verify says whether a log is as it was written, and tail shows its end', async () => {
    const log = path.join(world.logs, 'kept.jsonl')
    const env = { TCS_AUDIT_LOG: log }
    for (let i = 0; i < 2; i++) await cli.run('get DATABASE_PASSWORD', { env })
    const { status, document } = await cli.json('audit verify', { env })
    expect([status, document.valid, document.fault]).toEqual([0, true, null])
    const tail = await cli.json('audit tail --lines 1 --secret DATABASE_PASSWORD --outcome ok', { env })
    expect(tail.document.records).toEqual([
      expect.objectContaining({ event: 'access', secret: 'DATABASE_PASSWORD', caller: 'tcs-secrets' }),
    ])
    expect((await cli.run('audit tail', { env })).stdout).toMatch(
      /access +DATABASE_PASSWORD +aws miss +ok +tcs-secrets/,
    )
    fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"outcome":"ok"', '"outcome":"absent"'))
    const changed = await cli.run('audit verify', { env })
    expect([changed.status, changed.stdout]).toEqual([1, expect.stringContaining('changed at line')])
    const missing = await cli.json('audit verify none.jsonl', { env })
    expect([missing.status, missing.document.error.code]).toEqual([4, 'SOURCE_UNAVAILABLE'])
    expect((await cli.json('audit tail --lines 0', { env })).status).toBe(2)
  })

  test('query finds records by secret, tool, time, actor and outcome, and adds up deliveries', async () => {
    const log = path.join(world.logs, 'queried.jsonl')
    const env = { TCS_AUDIT_LOG: log }
    for (let i = 0; i < 2; i++) await cli.run('get DATABASE_PASSWORD', { env })
    await cli.run('explain GITHUB_API_TOKEN', { env })
    const found = async (question) => (await cli.json(`audit query ${question}`, { env })).document
    expect(await found('--secret DATABASE_PASSWORD --event access')).toMatchObject({ matched: 2, deliveries: 2 })
    const [record] = (await found('--tool database --outcome ok --since 1h --lines 1')).records
    expect(record.actor).toMatchObject({ program: 'tcs-secrets', command: 'get', uid: String(process.getuid?.()) })
    expect(await found('--event inspect --actor command=explain')).toMatchObject({ matched: 1, deliveries: 0 })
    expect(await found('--actor tcs-secrets --event access')).toMatchObject({ matched: 2 })
    expect(await found('--actor user=nobody-else')).toMatchObject({ matched: 0 })
    expect(await found('--until 2020-01-01')).toMatchObject({ matched: 0 })
    expect((await cli.run('audit query --secret DATABASE_PASSWORD --event access', { env })).stdout).toMatch(
      /2 records; 2 values were delivered/,
    )
    expect((await cli.json('audit query --since yesterday', { env })).document.error.code).toBe('USAGE')
  })

  test('query, unused and verify look at the older files as well', async () => {
    const log = path.join(world.logs, 'rotated.jsonl')
    const env = { TCS_AUDIT_LOG: log }
    await cli.run('get DATABASE_PASSWORD', { env })
    // As logrotate does: the log goes on in a new file.
    fs.renameSync(log, path.join(world.logs, 'rotated-20260101T000000Z-000001.jsonl'))
    await cli.run('get GITHUB_API_TOKEN', { env })
    expect((await cli.json('audit query --event access', { env })).document).toMatchObject({ matched: 2 })
    const { document } = await cli.json('audit unused --days 30', { env })
    expect(document.secrets.map(({ name }) => name)).toEqual(['GITHUB_WEBHOOK_SECRET'])
    expect(document.isComplete).toBe(false)
    expect((await cli.run('audit unused', { env })).stdout).toMatch(/never in this log[^]*so it does not say/)
    fs.rmSync(path.join(world.logs, 'rotated-20260101T000000Z-000001.jsonl'))
    const verified = (await cli.run('audit verify', { env })).stdout
    expect(verified).toMatch(/begins with record \d+, in file 2; file 1 is not here, and no record says why/)
    expect(verified).toContain('without a key this proves little')
  })

  test('lines that somebody wrote into the log stop no question', async () => {
    const log = path.join(world.logs, 'written-into.jsonl')
    const env = { TCS_AUDIT_LOG: log }
    await cli.run('get DATABASE_PASSWORD', { env })
    const of = (/** @type {object} */ record) =>
      JSON.stringify({ seq: 9, time: '2026-01-01T00:00:00Z', event: 'access', outcome: 'ok', secret: 'X', ...record })
    const lines = [
      ...['null', '[]', '"x"', '5', '{}', '{"__proto__":{"event":"access"}}', 'x'.repeat(100_000)],
      ...[{ time: null }, { time: 'never' }, { event: 5 }, { secret: { a: 1 } }, { count: '7' }, { count: -5 }].map(of),
      ...[{ last: 'never' }, { instance: {} }, { event: 'open', detail: 5 }, { caller: ['a'], detail: null }].map(of),
      of({ secret: '\u001b]0;title\u0007', count: 1e21 }),
    ]
    fs.appendFileSync(log, `${lines.join('\n')}\n`)
    const { document } = await cli.json('audit query --event access', { env })
    expect(document.deliveries).toBe(document.matched)
    for (const command of ['audit query', 'audit query --actor user=a=b', 'audit tail', 'audit unused', 'report']) {
      const { status, stdout, stderr } = await cli.run(command, { env })
      expect([command, status, stderr.includes('defect')]).toEqual([command, expect.any(Number), false])
      expect(stdout).not.toContain('\u001b]0;title')
    }
  })

  test.each(['--outcome deny', '--event acces', '--outcome ""'])(
    'query refuses a word that no record has: %s',
    async (words) => {
      const { document } = await cli.json(`audit query ${words}`, {
        env: { TCS_AUDIT_LOG: path.join(world.logs, 'x.jsonl') },
      })
      expect([document.error.code, document.error.message]).toEqual(['USAGE', expect.stringMatching(/must be one of/)])
    },
  )

  test.each(['short', 'not base64, but long enough', '0123456789abcdef0123456789abcdef!'])(
    'verify refuses the key %j',
    async (key) => {
      await expect(verifyAuditLog(path.join(world.logs, 'x.jsonl'), { key })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      })
    },
  )

  test('unused says nothing of secrets where it knows none', async () => {
    const log = path.join(world.logs, 'of-none.jsonl')
    const service = new SecretDelivery({ environment: 'test', aws: { enabled: false }, audit: { path: log } })
    await service.cache.clear()
    await service.close()
    const directory = temporaryDirectory()
    const { stdout } = await cli.run(`audit unused ${log}`, { cwd: directory, env: { TCS_ENVIRONMENT: 'test' } })
    fs.rmSync(directory, { recursive: true })
    expect(stdout).toBe('No secret is declared, and the log names none.\n')
  })

  test('verify takes expected records, and the key from TCS_AUDIT_KEY', async () => {
    const log = path.join(world.logs, 'expected.jsonl')
    const env = { TCS_AUDIT_LOG: log, TCS_AUDIT_KEY: Buffer.alloc(32, 9).toString('base64') }
    await cli.run('get DATABASE_PASSWORD', { env })
    const { stdout } = await cli.run('audit verify', { env })
    expect(stdout).not.toContain('proves little')
    const [, noted] = /--expect-last (\d+:[0-9a-f]{64})/.exec(stdout) ?? []
    await cli.run('get DATABASE_PASSWORD', { env })
    expect((await cli.run(`audit verify --expect-first 1 --expect-last ${noted}`, { env })).status).toBe(0)
    const other = noted.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
    expect((await cli.run(`audit verify --expect-last ${other}`, { env })).status).toBe(1)
    expect((await cli.run('audit verify --expect-last 1000', { env })).status).toBe(1)
    expect((await cli.run('audit verify', { env: { ...env, TCS_AUDIT_KEY: '' } })).status).toBe(4)
  })

  test('a log that was begun without a key: the command line leaves it so, and verify says what the key proves', async () => {
    const log = path.join(world.logs, 'begun-without.jsonl')
    const key = Buffer.alloc(32, 9).toString('base64')
    const [without, keyed] = [
      { TCS_AUDIT_LOG: log, TCS_AUDIT_KEY: '' },
      { TCS_AUDIT_LOG: log, TCS_AUDIT_KEY: key },
    ]
    await cli.run('get DATABASE_PASSWORD', { env: without })
    // A service that runs without the key would be refused its own log.
    expect((await cli.run('get DATABASE_PASSWORD', { env: keyed })).status).toBe(0)
    expect((await cli.run('audit verify', { env: without })).stdout).toContain('2 values were delivered')
    const never = await cli.run('audit verify', { env: keyed })
    expect([never.status, never.stderr]).toEqual([4, expect.stringContaining('no record of')])

    const service = new SecretDelivery({
      environment: 'production',
      aws: { enabled: false },
      audit: { path: log, key },
      compliance: false,
      logger: { warn() {} },
    })
    await service.cache.set('A', 'value')
    await service.close()
    const { keyedSequence } = (await cli.json('audit verify', { env: keyed })).document
    const { status, stdout } = await cli.run('audit verify', { env: keyed })
    expect(status).toBe(0)
    expect(stdout).toContain(`records 1 to ${keyedSequence - 1} have no key and prove little`)
    expect((await cli.run(`audit verify --expect-keyed ${keyedSequence}`, { env: keyed })).status).toBe(0)
    const always = await cli.run('audit verify --expect-keyed 1', { env: keyed })
    expect([always.status, always.stdout]).toEqual([1, expect.stringContaining('have no key')])
    expect((await cli.run('audit verify', { env: without })).status).toBe(4)
    // Nor does anything write to it without the key.
    const refused = await cli.run('get DATABASE_PASSWORD', { env: { ...without, TCS_ENVIRONMENT: 'production' } })
    expect(refused.stderr).toMatch(/has a key.*TCS_AUDIT_KEY/)
  })

  test('follow prints what is written later, over a new file, and ends on a signal', async () => {
    const log = path.join(world.logs, 'followed.jsonl')
    const seen = []
    const stop = new AbortController()
    const following = follow(log, ({ event, secret }) => seen.push(`${event} ${secret ?? ''}`), stop.signal)
    const env = { TCS_AUDIT_LOG: log }
    await cli.run('get DATABASE_PASSWORD', { env })
    await until('the first read', () => seen.includes('access DATABASE_PASSWORD'))
    fs.renameSync(log, path.join(world.logs, 'followed-20260101T000000Z-000001.jsonl'))
    await cli.run('get GITHUB_API_TOKEN', { env })
    await until('the second read', () => seen.includes('access GITHUB_API_TOKEN'))
    // A listener for each look at the file would cost a warning after two seconds, and memory for ever.
    expect(getEventListeners(stop.signal, 'abort').length).toBeLessThanOrEqual(1)
    stop.abort()
    await following
    expect(seen.filter((line) => line === 'access DATABASE_PASSWORD')).toHaveLength(1)
  })

  const asRoot = process.getuid?.() === 0 ? test : test.skip
  asRoot("run by root, it leaves the files of a service's log to the service", async () => {
    const directory = path.join(world.logs, 'of-nobody')
    fs.mkdirSync(directory)
    fs.chownSync(directory, 65534, 65534)
    const log = path.join(directory, 'audit.jsonl')
    expect((await cli.run('get DATABASE_PASSWORD', { env: { TCS_AUDIT_LOG: log } })).status).toBe(0)
    const owners = fs.readdirSync(directory).map((name) => [name, fs.statSync(path.join(directory, name)).uid])
    expect(owners).toEqual([
      ['audit.jsonl', 65534],
      ['audit.jsonl.state', 65534],
    ])
    fs.rmSync(directory, { recursive: true })
  })

  test('a rotation that is refused because it could not be recorded ends with 1', async () => {
    const env = { TCS_AUDIT_LOG: path.join(world.logs, 'none', 'audit.jsonl') }
    const { status, document } = await cli.json('rotate DATABASE_PASSWORD --yes', { env })
    expect([status, document.error.code]).toEqual([1, 'AUDIT_WRITE_FAILED'])
    expect(document.error.message).toMatch(/none.*TCS_AUDIT_LOG.*audit\.onFailure.*audit: false/)
  })
})

describe('report', () => {
  /** What is no HTML. @param {string} page */
  async function mistakes(page) {
    // Prettier writes the templates its own way.
    const style = { 'doctype-style': 'off', 'void-style': 'off', 'no-trailing-whitespace': 'off' }
    const validator = new HtmlValidate({ root: true, extends: ['html-validate:recommended'], rules: style })
    const { results } = await validator.validateString(page)
    return results.flatMap(({ messages }) => messages.map(({ message, line }) => `${line}: ${message}`))
  }

  test('writes one page that needs nothing else, with all that is known', async () => {
    const env = { REDIS_URL: redis.url, TCS_CACHE_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` }
    const { status, document } = await cli.json('report --out report.html', { env })
    expect([status, document.environment, document.secrets.length, document.rotation.length]).toEqual([
      0,
      'staging',
      3,
      3,
    ])
    expect(document.aws.region).toBe('eu-central-1')
    const page = fs.readFileSync(file('report.html'), 'utf8')
    expect(page).toMatch(/AWS was asked in eu-central-1\s+as/)
    // As `grep -v page-hash report.html | sha256sum` does.
    const [, hash] = /id="page-hash">.*<code>([\da-f]{64})<\/code>/.exec(page) ?? []
    const others = page.split('\n').filter((line) => !line.includes('page-hash'))
    expect(createHash('sha256').update(others.join('\n')).digest('hex')).toBe(hash)
    for (const name of ['GITHUB_API_TOKEN', 'GITHUB_WEBHOOK_SECRET', 'DATABASE_PASSWORD'])
      expect(page).toContain(name.replaceAll('_', '_<wbr />'))
    for (const { layer } of document.performance.layers)
      expect([layer, page.includes(`>${layer}</text`)]).toEqual([layer, true])
    expect(page).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/)
    expect(page).not.toContain(canary)
    expect(await mistakes(page)).toEqual([])
  })

  test('shows the reads of the service and verifies its audit log', async () => {
    const log = file('secret-audit.jsonl')
    const service = new SecretDelivery({
      environment: 'staging',
      aws: world.aws.options,
      cache: { redis: false },
      envFile: false,
      audit: { path: log },
    })
    for (let i = 0; i < 10; i++) await service.getSecret('GITHUB_API_TOKEN')
    await service.close()
    const env = { TCS_AUDIT_LOG: '' }
    const { status, document } = await cli.json('report --out report.html', { env })
    const { verification, traffic } = document.audit
    expect([status, document.audit.log, verification.valid, verification.endConfirmed]).toEqual([0, log, true, true])
    // Those of this program are not among them.
    expect(traffic).toMatchObject({ by: 'hour', reads: 10, lookups: 10, hits: 9, spans: [{ reads: 10, hits: 9 }] })
    expect(traffic.spans[0].p99Ms).toBeGreaterThan(traffic.spans[0].p50Ms)
    const page = fs.readFileSync(file('report.html'), 'utf8')
    expect(page).toMatch(/10 reads since .*, and a cache answered 90\.0 % of 10\s+lookups/)
    expect(page).toMatch(/<title>\S+ \S+: 90 % of 10<\/title>/)
    expect(await mistakes(page)).toEqual([])
    fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"cache":"hit"', '"cache":"hot"'))
    await cli.run('report --out report.html', { env })
    expect(fs.readFileSync(file('report.html'), 'utf8')).toMatch(
      /It was tampered with; the\s+first fault: <code>changed<\/code> at line 5 of/,
    )
    const none = await cli.json('report --audit-log none.jsonl', { env })
    expect([none.status, none.document.audit.error.code]).toEqual([0, 'SOURCE_UNAVAILABLE'])
  })

  inChromium.each([390, 600, 1400])('fits a window of %i pixels and draws every chart', async (width) => {
    const log = file('secret-audit.jsonl')
    // A long name must not take the room of the other columns.
    const long = { secrets: { bot_token_for_the_very_long_named_incident_channel_integration: { required: true } } }
    write('tcs-secrets.config.json', { ...world.config, tools: { ...world.config.tools, slack: long } })
    const service = new SecretDelivery({ environment: 'staging', aws: world.aws.options, audit: { path: log } })
    for (let i = 0; i < 10; i++) await service.getSecret('GITHUB_API_TOKEN')
    await service.close()
    await cli.run('report --out report.html', { env: { TCS_AUDIT_LOG: '' } })
    // What the page's own policy forbids: a script, which measures it.
    const page = fs
      .readFileSync(file('report.html'), 'utf8')
      .replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '')
    const measured = evaluated(
      page,
      { width, height: 900 },
      `{
        width: innerWidth,
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        charts: [...document.querySelectorAll('svg')].map((svg) => {
          const outer = svg.getBoundingClientRect()
          const inside = [...svg.querySelectorAll('rect, circle, line, text')].map((shape) => shape.getBoundingClientRect())
          return outer.width > 550 && inside.length > 0 && inside.every((at) => at.top >= outer.top - 1 && at.bottom <= outer.bottom + 1)
        }),
        tables: [...document.querySelectorAll('section')].filter((section) => section.scrollWidth > section.clientWidth).length,
        text: Math.min(...[...document.querySelectorAll('svg text')].map((text) => text.getBoundingClientRect().height)),
        headings: getComputedStyle(document.querySelector('td'), '::before').content,
        fetched: performance.getEntriesByType('resource').length,
      }`,
    )
    expect(measured).toMatchObject({ width, overflow: 0, fetched: 0 })
    expect(measured.tables).toBe(0)
    // Text that can be read, at every width.
    expect(measured.text).toBeGreaterThan(8)
    expect(measured.headings.includes('Required')).toBe(width < 640)
    expect(measured.charts.length).toBeGreaterThanOrEqual(3)
    expect(measured.charts).not.toContain(false)
  })

  test('counts a long log by the day', async () => {
    const record = (hour, more) => ({
      time: new Date(Date.UTC(2026, 0, 1, hour)).toISOString(),
      environment: 'staging',
      event: 'access',
      cache: 'hit',
      latency_us: 100,
      ...more,
    })
    const kept = Array.from({ length: 24 * 100 }, (_, hour) => record(hour))
    const others = [{ caller: 'tcs-secrets' }, { environment: 'production' }, { event: 'rotate' }, { time: 'never' }]
    const late = record(24 * 99, { cache: 'miss', latency_us: 5_000 })
    const lines = [...kept, late, record(24 * 99, { cache: 'bypass' }), ...others.map((more) => record(5, more))]
    write('long.jsonl', `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"torn`)
    const traffic = await trafficOf(file('long.jsonl'), 'staging')
    expect([traffic.by, traffic.spans.length, traffic.reads]).toEqual(['day', 72, 71 * 24 + 26])
    const last = traffic.spans[71]
    expect(last).toMatchObject({ from: '2026-04-10T00:00:00.000Z', reads: 26, lookups: 25, hits: 24 })
    // Within a tenth.
    expect(last?.p50Ms).toBeGreaterThanOrEqual(0.1)
    expect(last?.p50Ms).toBeLessThan(0.111)
    expect(last?.p99Ms).toBeGreaterThanOrEqual(5)
    expect(last?.p99Ms).toBeLessThan(5.51)
    const who = (/** @type {object} */ more) => JSON.stringify(record(1, { secret: 'A_B', ...more }))
    const told = [{ outcome: 'ok', caller: 'billing' }, { outcome: 'ok', caller: 'billing' }, { outcome: 'ok' }]
    const refused = [
      { outcome: 'denied', caller: 'shop' },
      { outcome: 'denied', secret: 'C_D' },
    ]
    write('who.jsonl', [...told, ...refused, { outcome: 'ok', caller: 'tcs-secrets' }].map(who).join('\n'))
    const at = '2026-01-01T01:00:00.000Z'
    expect((await trafficOf(file('who.jsonl'), 'staging')).secrets).toEqual({
      A_B: {
        lastReadAt: at,
        callers: ['billing', 'without a label'],
        denied: 1,
        lastDeniedAt: at,
        deniedCallers: ['shop'],
      },
      C_D: { lastReadAt: null, callers: [], denied: 1, lastDeniedAt: at, deniedCallers: ['without a label'] },
    })
    write('empty.jsonl', '')
    expect(await trafficOf(file('empty.jsonl'), 'staging')).toMatchObject({ spans: [], reads: 0 })
  })

  const onUnix = process.platform === 'win32' ? test.skip : test
  onUnix('replaces files only: what a pipe or a device is stays, and a link stays a link', async () => {
    const pipe = file('pipe')
    spawnSync('mkfifo', [pipe])
    const refused = await cli.json('report --out pipe')
    expect(refused).toMatchObject({ status: 5, document: { error: { code: 'REFUSED' } } })
    expect(fs.lstatSync(pipe).isFIFO()).toBe(true)
    write('page.html', 'old')
    fs.symlinkSync('page.html', file('link.html'))
    expect((await cli.run('report --out link.html')).status).toBe(0)
    expect(fs.lstatSync(file('link.html')).isSymbolicLink()).toBe(true)
    expect(fs.readFileSync(file('page.html'), 'utf8')).toContain('page-hash')
  })

  const onLinux = process.platform === 'linux' ? test : test.skip
  onLinux.each(['list', 'list --json', '--help', 'export github --format json --reveal', 'completion bash'])(
    'a disk that is full is no result, and no stack: %s',
    (args) => {
      const full = fs.openSync('/dev/full', 'w')
      try {
        const command = [require.resolve('../../cli'), ...args.split(' ')]
        const { status, stderr } = spawnSync(process.execPath, command, {
          cwd: world.directory,
          env: cli.env,
          stdio: ['ignore', full, 'pipe'],
          encoding: 'utf8',
        })
        expect([status, stderr.trim().split('\n').at(-1)]).toEqual([
          4,
          'error: standard output could not be written (ENOSPC)',
        ])
      } finally {
        fs.closeSync(full)
      }
    },
  )

  test('is written while AWS fails, and says so', async () => {
    await world.aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException', message: '<b>bold</b>' } } })
    const { status, stdout } = await cli.run('report --out report.html -e production')
    expect([status, stdout]).toEqual([0, `${file('report.html')}\n`])
    const page = fs.readFileSync(file('report.html'), 'utf8')
    expect(page.replaceAll('<wbr />', '')).toContain('SECRET_ACCESS_DENIED')
    expect(page).not.toContain('<b>')
  })
})

test('the audit log names this program, and standard output stays the result where the log goes there', async () => {
  const log = path.join(world.logs, 'named.jsonl')
  await cli.run('get github api_token', { env: { TCS_AUDIT_LOG: log } })
  const records = fs
    .readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const read = records.filter(({ secret }) => secret === 'GITHUB_API_TOKEN')
  expect(read).toEqual(expect.arrayContaining([expect.objectContaining({ caller: 'tcs-secrets', outcome: 'ok' })]))
  // Also by the names that containers know for it.
  for (const TCS_AUDIT_LOG of ['stdout', '/dev/stdout', '/proc/self/fd/1']) {
    const { document, stderr } = await cli.json('get github api_token', { env: { TCS_AUDIT_LOG } })
    expect([document.source, stderr.includes('"secret":"GITHUB_API_TOKEN"')]).toEqual(['aws', true])
  }
})
