'use strict'

// `tcs-secrets audit` and `report` as processes of their own, over the in-repo AWS endpoint and a real Redis.

const fs = require('node:fs')
const path = require('node:path')
const { HtmlValidate } = require('html-validate')
const { SecretDelivery } = require('../..')
const { trafficOf } = require('../../cli/report/traffic')
const { evaluated, inChromium: inChromiumIfThere } = require('../support/chromium')
const { RedisServer } = require('../support/servers/redis')
const { cliWorld } = require('../support/cli-world')

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
    const page = fs.readFileSync(file('report.html'), 'utf8')
    for (const name of ['GITHUB_API_TOKEN', 'GITHUB_WEBHOOK_SECRET', 'DATABASE_PASSWORD']) expect(page).toContain(name)
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
      /It was tampered with; the\s+first fault: <code>changed<\/code> at line 4 of/,
    )
    const none = await cli.json('report --audit-log none.jsonl', { env })
    expect([none.status, none.document.audit.error.code]).toEqual([0, 'SOURCE_UNAVAILABLE'])
  })

  inChromium.each([600, 1400])('fits a window of %i pixels and draws every chart', async (width) => {
    const log = file('secret-audit.jsonl')
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
          return outer.width > 100 && inside.length > 0 && inside.every((at) => at.top >= outer.top - 1 && at.bottom <= outer.bottom + 1)
        }),
        fetched: performance.getEntriesByType('resource').length,
      }`,
    )
    expect(measured).toMatchObject({ width, overflow: 0, fetched: 0 })
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
    write('empty.jsonl', '')
    expect(await trafficOf(file('empty.jsonl'), 'staging')).toMatchObject({ spans: [], reads: 0 })
  })

  test('is written while AWS fails, and says so', async () => {
    await world.aws.fault({ action: { error: { status: 400, code: 'AccessDeniedException', message: '<b>bold</b>' } } })
    const { status, stdout } = await cli.run('report --out report.html -e production')
    expect([status, stdout]).toEqual([0, `${file('report.html')}\n`])
    const page = fs.readFileSync(file('report.html'), 'utf8')
    expect(page).toContain('SECRET_ACCESS_DENIED')
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
  const { document, stderr } = await cli.json('get github api_token', { env: { TCS_AUDIT_LOG: 'stdout' } })
  expect([document.source, stderr.includes('"secret":"GITHUB_API_TOKEN"')]).toEqual(['aws', true])
})
