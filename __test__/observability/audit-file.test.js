'use strict'

// The audit log as a file on every system: rotated, written by several processes, taken over from a killed one, mended, and
// verified. Needs no server, so the workflows run it on each platform.

const { spawn, spawnSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { addonVariable } = require('../support/addon')
const { temporaryDirectory } = require('../support/files')
const { until } = require('../support/until')

/** @type {string} */
let directory
/** @type {string} */
let log
beforeEach(() => {
  directory = temporaryDirectory()
  log = path.join(directory, 'audit.jsonl')
})
afterEach(() => fs.rmSync(directory, { recursive: true, maxRetries: 10 }))

/** @param {object} [audit] @param {object} [options] */
const service = (audit, options) =>
  new SecretDelivery({
    environment: 'production',
    compliance: false,
    aws: { enabled: false },
    runtime: { variables: {}, secretDirectories: [] },
    audit: { path: log, ...audit },
    ...options,
  })

/** One record for each. @param {SecretDelivery} delivery @param {number} count @param {string} [name] */
async function record(delivery, count, name = 'A') {
  for (let i = 0; i < count; i++) await delivery.cache.set(`${name}_${i}`, 'value')
}

/** The records that are not the log's own, of all its files. */
function records() {
  const files = fs.readdirSync(directory).filter((name) => name.endsWith('.jsonl'))
  const lines = files.flatMap((name) => fs.readFileSync(path.join(directory, name), 'utf8').trimEnd().split('\n'))
  return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'set')
}

/**
 * A process that writes `count` records, says so, and waits.
 *
 * @param {string} name
 * @param {number} count
 */
function writer(name, count) {
  const script = `
    const { SecretDelivery } = require(${JSON.stringify(path.resolve(__dirname, '..', '..'))})
    const delivery = new SecretDelivery({
      environment: 'production', aws: { enabled: false }, runtime: { variables: {}, secretDirectories: [] },
      audit: { path: ${JSON.stringify(log)}, maxMegabytes: 1 },
    })
    ;(async () => {
      for (let i = 0; i < ${count}; i++) await delivery.cache.set('${name}_' + i, 'value')
      console.log('written')
      process.stdin.resume().on('end', () => delivery.close())
    })()`
  const child = spawn(process.execPath, ['-e', script], { env: { ...process.env, ...addonVariable() } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  return {
    child,
    written: () =>
      until(`${name} has written`, () => {
        if (child.exitCode !== null) throw new Error(output)
        return output.includes('written')
      }),
    ended: new Promise((resolve) => child.once('close', resolve)),
  }
}

test('rotated files are one chain, and no journal stays', async () => {
  const delivery = service({ maxMegabytes: 1 })
  await record(delivery, 8_000)
  await delivery.close()
  const files = fs.readdirSync(directory)
  expect(files.filter((name) => name.endsWith('.jsonl')).length).toBeGreaterThan(1)
  expect(files.filter((name) => name.endsWith('.journal'))).toEqual([])
  const found = await verifyAuditLog(log)
  expect(found).toMatchObject({ valid: true, untampered: true, endConfirmed: true, unrecoveredJournals: 0 })
  expect(found.files).toBe(files.filter((name) => name.endsWith('.jsonl')).length)
  expect(new Set(records().map(({ secret }) => secret)).size).toBe(8_000)
})

test('processes that write and rotate at the same time make one chain', async () => {
  const writers = ['A', 'B', 'C'].map((name) => writer(name, 4_000))
  await Promise.all(writers.map(({ written }) => written()))
  for (const { child } of writers) child.stdin.end()
  expect(await Promise.all(writers.map(({ ended }) => ended))).toEqual([0, 0, 0])
  expect(await verifyAuditLog(log)).toMatchObject({ valid: true, endConfirmed: true, unrecoveredJournals: 0 })
  const secrets = records().map(({ secret }) => secret)
  expect([secrets.length, new Set(secrets).size]).toEqual([12_000, 12_000])
})

test('the next instance takes over what a killed process left, once', async () => {
  const { child, written, ended } = writer('K', 3_000)
  await written()
  child.kill('SIGKILL')
  await ended
  const next = service()
  await record(next, 1)
  await until('the journal is taken over', () => records().length === 3_001)
  await next.close()
  expect(await verifyAuditLog(log)).toMatchObject({ valid: true, unrecoveredJournals: 0 })
  expect(fs.readdirSync(directory).filter((name) => name.endsWith('.journal'))).toEqual([])
})

test('a service that is restarted with a key goes on with its log, one process after the other', async () => {
  const key = randomBytes(32).toString('base64')
  const [old, later] = [writer('OLD', 500), writer('LATER', 500)]
  await Promise.all([old.written(), later.written()])
  old.child.stdin.end()
  expect(await old.ended).toBe(0)
  // One of two was restarted: the log has the key, and the other one does not.
  /** @type {string[]} */
  const warnings = []
  const logger = { warn: (/** @type {string} */ message) => warnings.push(message) }
  const next = service({ key }, { logger, compliance: false })
  await record(next, 500, 'NEW')
  later.child.kill('SIGKILL')
  await later.ended
  await until('its journal is taken over', async () => (await verifyAuditLog(log, { key })).unrecoveredJournals === 0)
  await next.close()
  expect(warnings.filter((message) => message.includes('has a key from record'))).toHaveLength(1)
  const found = await verifyAuditLog(log, { key })
  expect(found).toMatchObject({ valid: true, endConfirmed: true, unrecoveredJournals: 0, files: 2 })
  expect(found.keyedSequence).toBeGreaterThan(500)
  expect(records()).toHaveLength(1_500)
  await expect(verifyAuditLog(log)).rejects.toThrow(/has a key/)
  await expect(verifyAuditLog(log, { keyedSequence: 1 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  expect(await verifyAuditLog(log, { key, keyedSequence: 1 })).toMatchObject({ untampered: false })
  // Nobody goes on without it.
  const without = service({ onFailure: 'deny' }, { compliance: false })
  await expect(without.cache.set('A', 'value')).rejects.toMatchObject({ code: 'AUDIT_WRITE_FAILED' })
  await without.close()
})

test('half a line at the end is cut off, and the chain goes on', async () => {
  const first = service()
  await record(first, 3)
  await first.close()
  fs.appendFileSync(log, '{"seq":99,"event":"se')
  const next = service()
  await record(next, 2, 'B')
  await next.close()
  expect(records().map(({ secret }) => secret)).toEqual(['A_0', 'A_1', 'A_2', 'B_0', 'B_1'])
  expect((await verifyAuditLog(log)).lastSequence).toBeGreaterThan(5)
})

test('a record that was changed is found', async () => {
  const delivery = service()
  await record(delivery, 5)
  await delivery.close()
  fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"A_2"', '"A_9"'))
  expect(await verifyAuditLog(log)).toMatchObject({ valid: false, untampered: false })
})

const onLinux = process.platform === 'linux' ? test : test.skip

/** Whether a record about `secret` is in the log, which another process may be writing. @param {string} secret */
const isWritten = (secret) =>
  fs
    .readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .some((name) => fs.readFileSync(path.join(directory, name), 'utf8').includes(`"${secret}"`))

/** Whether another process holds the lock of the log. */
const isLocked = () => spawnSync('flock', ['--nonblock', `${log}.state`, 'true']).status !== 0

/** Stops a process at a moment at which it holds the lock. @param {number} pid */
async function stopWithLock(pid) {
  await until(
    'it is stopped with the lock',
    () => {
      process.kill(pid, 'SIGSTOP')
      const isStopped = isLocked()
      if (!isStopped) process.kill(pid, 'SIGCONT')
      return isStopped
    },
    30_000,
  )
}

onLinux(
  'a process that starts while another one is stopped with the lock works, and its records are written afterwards',
  async () => {
    const other = writer('OTHER', 1_000_000)
    const warnings = []
    const logger = { warn: (/** @type {string} */ message) => warnings.push(message) }
    try {
      await until('the log is there', () => fs.existsSync(`${log}.state`))
      await stopWithLock(/** @type {number} */ (other.child.pid))
      const delivery = service({ onFailure: 'deny' }, { logger })
      const begun = performance.now()
      await record(delivery, 100, 'MINE')
      expect(performance.now() - begun).toBeLessThan(2_000)
      await until('the wait is told', () => warnings.some((message) => message.includes('holds the lock')), 10_000)
      expect(await delivery.health()).toMatchObject({ checks: { audit: { status: 'ok' } } })
      const another = service({ onFailure: 'deny' }, { logger })
      await record(another, 10, 'ANOTHER')
      process.kill(/** @type {number} */ (other.child.pid), 'SIGCONT')
      await until('it is written', () => isWritten('MINE_99'), 10_000)
      await Promise.all([delivery.close(), another.close()])
    } finally {
      other.child.kill('SIGKILL')
      await once(other.child, 'exit')
    }
    const next = service()
    await record(next, 1, 'NEXT')
    await next.close()
    const written = records().map(({ secret }) => secret)
    expect(written.filter((secret) => secret.startsWith('MINE'))).toHaveLength(100)
    expect(written.filter((secret) => secret.startsWith('ANOTHER'))).toHaveLength(10)
    expect(await verifyAuditLog(log)).toMatchObject({ valid: true })
  },
  60_000,
)

onLinux(
  'a process that was stopped with the lock of the log keeps nobody from working',
  async () => {
    const warnings = []
    const logger = { warn: (/** @type {string} */ message) => warnings.push(message) }
    const delivery = service(undefined, { logger })
    await record(delivery, 1, 'BEFORE')
    await until('the log is there', () => fs.existsSync(`${log}.state`))
    const holder = spawn('flock', [`${log}.state`, 'sh', '-c', 'echo held; exec sleep 600'], { detached: true })
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve))
      const begun = performance.now()
      await until(
        'the wait is told',
        async () => {
          await record(delivery, 5, `DURING_${warnings.length}`)
          return warnings.some((message) => message.includes('another process holds the lock'))
        },
        20_000,
      )
      expect(performance.now() - begun).toBeGreaterThan(1_000)
      expect(await delivery.health()).toMatchObject({ checks: { audit: { status: 'ok' } } })
      await record(delivery, 300, 'LATE')
    } finally {
      process.kill(-(/** @type {number} */ (holder.pid)), 'SIGKILL')
    }
    await delivery.close()
    expect(records().filter(({ secret }) => secret.startsWith('LATE'))).toHaveLength(300)
    expect(await verifyAuditLog(log)).toMatchObject({ valid: true })
    expect(warnings.filter((message) => message.includes('another process holds the lock'))).toHaveLength(1)
  },
  60_000,
)

test('a path that is standard output is standard output, and a missing directory is named', async () => {
  const service = (/** @type {string} */ to) =>
    spawnSync(
      process.execPath,
      [
        '-e',
        `const { SecretDelivery } = require(${JSON.stringify(path.resolve(__dirname, '..', '..'))})
         const delivery = new SecretDelivery({
           environment: 'production', aws: { enabled: false }, runtime: { variables: { A: 'value' } }, logger: { warn() {} },
           audit: { path: ${JSON.stringify(to)}, journalDirectory: ${JSON.stringify(directory)} },
         })
         delivery.getSecret('A').then(() => 'read', (error) => error.message).then((said) => {
           console.error(said)
           return delivery.close()
         })`,
      ],
      { encoding: 'utf8', env: { ...process.env, ...addonVariable() } },
    )
  // The names of files are those of Linux and macOS.
  for (const to of process.platform === 'win32' ? ['stdout'] : ['stdout', '/dev/stdout', '/dev/fd/1']) {
    const { stdout, stderr } = service(to)
    expect([to, stderr]).toEqual([to, 'read\n'])
    const events = stdout.trim().split('\n')
    expect(events.map((line) => JSON.parse(line).event)).toEqual(expect.arrayContaining(['open', 'access', 'close']))
  }
  const missing = path.join(directory, 'none')
  const { stderr } = service(path.join(missing, 'audit.jsonl'))
  expect(stderr).toContain(`make the directory ${missing}, which does not exist`)
})
