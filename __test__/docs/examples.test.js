'use strict'

// The examples of services, as processes of their own: Express over a real PostgreSQL, Nest, and tests with Jest.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { setPassword } = require('../../examples/rotate-postgres/role')
const { root } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { PostgresServer } = require('../support/servers/postgres')
const { Server } = require('../support/servers/server')
const { until } = require('../support/until')

const example = (...names) => path.join(root, 'examples', ...names)
const CANARY = 'canary-Zk3vQ9'

/** @type {AwsEndpoint} */
let aws
/** @type {Server[]} */
const running = []
beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(() => aws.reset())
afterEach(() => Promise.all(running.splice(0).map((service) => service.stop())))
afterAll(() => aws.stop())

/** @param {string} file */
function start(file) {
  const env = {
    TCS_ENVIRONMENT: 'production',
    AWS_ENDPOINT_URL: aws.url,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    REDIS_URL: '',
    PORT: '0',
    NODE_NO_WARNINGS: '1',
  }
  const service = new Server(process.execPath, [file], { env })
  running.push(service)
  return service
}

/** Starts a service that is to listen, and gives its address. @param {string} file */
async function listening(file) {
  const service = start(file)
  await service.ready(async () => /http:\S+\n/.test(service.output))
  return { service, url: /** @type {string} */ (/http:\S+/.exec(service.output)?.[0]) }
}

/** @param {string} url @returns {Promise<{ status?: number, type?: string, body: string }>} */
const get = (url) =>
  new Promise((resolve, reject) => {
    const call = http.get(url, { agent: false }, (answer) => {
      let body = ''
      answer.on('data', (chunk) => (body += chunk))
      answer.on('end', () => resolve({ status: answer.statusCode, type: answer.headers['content-type'], body }))
    })
    call.once('error', reject)
  })

const ended = async (service) => {
  await service.ended
  return [service.process.exitCode, service.process.signalCode]
}

const installed = PostgresServer.programs() !== undefined
if (!installed && process.env.CI) throw new Error('PostgreSQL is not installed, and in CI nothing is skipped')
if (!installed) console.warn('PostgreSQL is not installed (npm test says how): the Express example is not tested')

;(installed ? describe : describe.skip)('the Express service', () => {
  const file = example('express', 'main.js')
  /** @type {PostgresServer} */
  let postgres
  beforeAll(async () => {
    postgres = await PostgresServer.start()
    await postgres.query('CREATE ROLE orders LOGIN')
  })
  afterAll(() => postgres?.stop())

  /** Gives the role a password, and AWS the URL with it. @param {string} password */
  async function rotate(password) {
    const { host, port, database } = postgres.options('orders', password)
    await setPassword(postgres.admin, 'orders', password)
    await aws.put({ DATABASE_URL_production: `postgres://orders:${password}@${host}:${port}/${database}` })
  }

  test('does not start without its secret, and says which', async () => {
    await aws.put({ DATABASE_URL_production: `mysql://${CANARY}` })
    const wrong = start(file)
    expect(await ended(wrong)).toEqual([1, null])
    expect(wrong.output).toMatch(/error: DATABASE_URL: PATTERN_MISMATCH/)
    expect(wrong.output).not.toContain(CANARY)
    await aws.reset()
    const none = start(file)
    expect(await ended(none)).toEqual([1, null])
    expect(none.output).toMatch(/error: DATABASE_URL: MISSING/)
  })

  test('answers while its password is rotated, shows metrics, and ends without losing a request', async () => {
    await rotate(`${CANARY}-1`)
    const { service, url } = await listening(file)
    expect(await get(`${url}/orders/7`)).toMatchObject({ status: 200, body: '{"id":"7"}' })
    // New connections need the new password; those that are open are ended.
    await rotate(`${CANARY}-2`)
    await postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders'")
    await until('the pool noticed', () => service.output.includes('an idle connection ended'))
    expect(await get(`${url}/orders/8`)).toMatchObject({ status: 200, body: '{"id":"8"}' })
    const metrics = await get(`${url}/metrics`)
    expect([metrics.status, metrics.type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    expect(metrics.body).toMatch(/^secret_delivery_cache_hits_total\{environment="production"/m)
    expect(await get(`${url}/ready`)).toMatchObject({ status: 200, body: expect.stringContaining('"status":"ready"') })
    // AWS is slow to tell the next password, so the request is under way when the signal comes.
    await aws.fault({ action: { delayMs: 500 } })
    await rotate(`${CANARY}-3`)
    await postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders'")
    await until('the pool noticed again', () => service.output.split('an idle connection ended').length > 2)
    await aws.resetCalls()
    const last = get(`${url}/orders/9`)
    await until('the request is under way', async () => (await aws.calls()).total > 0)
    service.signal('SIGTERM')
    expect(await last).toMatchObject({ status: 200, body: '{"id":"9"}' })
    expect(await ended(service)).toEqual([0, null])
    expect(service.output).not.toContain(CANARY)
  })
})

describe('the Nest service', () => {
  const built = example('nest', 'dist')
  beforeAll(() => {
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const args = [tsc, '-p', example('nest'), '--typeRoots', path.join(root, 'node_modules', '@types')]
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  }, 60_000)
  afterAll(() => fs.rmSync(built, { recursive: true, force: true }))

  test('does not start without its secret, and says which', async () => {
    await aws.put({ GITHUB_API_TOKEN_production: 'short' })
    const service = start(path.join(built, 'app.js'))
    expect(await ended(service)).toEqual([1, null])
    expect(service.output).toMatch(/secrets are missing or wrong: GITHUB_API_TOKEN: TOO_SHORT/)
  })

  test('has the delivery injected, shows metrics, and closes it when it ends', async () => {
    await aws.put({ GITHUB_API_TOKEN_production: CANARY })
    const { service, url } = await listening(path.join(built, 'app.js'))
    expect(await get(`${url}/token`)).toMatchObject({ status: 200, body: '{"hasToken":true}' })
    const metrics = await get(`${url}/metrics`)
    expect([metrics.status, metrics.type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    expect(metrics.body).toMatch(/^secret_delivery_cache_hits_total\{environment="production"/m)
    expect(await get(`${url}/ready`)).toMatchObject({ status: 200, body: expect.stringContaining('"status":"ready"') })
    service.signal('SIGTERM')
    // Nest ends as the signal would have ended it.
    expect(await ended(service)).toEqual([null, 'SIGTERM'])
    expect(service.output).not.toContain(CANARY)
  })
})

test('the tests of the Jest example pass', () => {
  const jestFile = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js')
  const args = [jestFile, '--ci', '--rootDir', example('jest'), '--testMatch', '**/*.test.js']
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: example('jest'), encoding: 'utf8' })
  expect(stderr).toContain('4 passed')
  expect(status).toBe(0)
})
