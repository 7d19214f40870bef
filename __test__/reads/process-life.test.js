'use strict'

// Nothing keeps the process alive, and nothing is needed at its end.

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { SecretDelivery } = require('../..')
const { root } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { until } = require('../support/until')

/** @type {AwsEndpoint} */
let aws
beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ A_B_production: 'value', A_B_test: 'value' })
})
afterAll(() => aws.stop())

const library = JSON.stringify(root)

/** Runs a script with the delivery's options as `options`; its end and what it printed. */
function script(text, flags = []) {
  const options = JSON.stringify({
    environment: 'production',
    aws: aws.options,
    runtime: { variables: {}, secretDirectories: [] },
  })
  const source = `const { SecretDelivery } = require(${library}); const options = ${options};${text}`
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [...flags, '-e', source], {
    timeout: 20_000,
    encoding: 'utf8',
  })
  return { status, stdout: stdout.trim(), stderr: stderr.trim(), error }
}

test('a start loads the files that each service needs, and reads load no others', () => {
  const { stdout } = script(`
    const loaded = () => Object.keys(require.cache).filter((file) => file.endsWith('.js')).map((file) => path.basename(file, '.js'))
    const path = require('node:path')
    const delivery = new SecretDelivery({ ...options, compliance: false, monitoring: false, audit: false })
    const atStart = loaded()
    delivery.getToolSecret('a', 'b').then((value) => console.log(JSON.stringify({ value, atStart, atRead: loaded() })))`)
  const { value, atStart, atRead } = JSON.parse(stdout)
  expect([value, atRead]).toEqual(['value', atStart])
  // Each file costs a start a third of a millisecond: what few services use is loaded when it is used.
  // (`credentials` is, by these options.)
  const needed =
    'arguments credentials delivery errors index listeners load messages operations options parts reads real-time'
  expect(atStart.sort()).toEqual([...needed.split(' '), 'receiver', 'separated', 'strings', 'variables'])
})

test('a script that forgets close() ends after its last read', () => {
  const { status, stdout, error } = script(`
    const delivery = new SecretDelivery(options)
    delivery.getToolSecret('a', 'b').then((value) => console.log(value))
    delivery.onSecretRotated(() => {})
    process.on('exit', (code) => console.log('exit', code))`)
  expect({ status, stdout, error }).toEqual({ status: 0, stdout: 'value\nexit 0', error: undefined })
})

test('a pending read keeps the process until it ends', () => {
  const { status, stdout } = script(`
    const delivery = new SecretDelivery({ ...options, aws: { ...options.aws, endpoint: 'http://127.0.0.1:9', timeoutMs: 2000 } })
    delivery.getToolSecret('a', 'b').catch((error) => console.log(error.code))`)
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'SOURCE_UNAVAILABLE' })
})

test('process.exit during a read, and an instance that is never used, are harmless', () => {
  expect(script(`new SecretDelivery(options).getSecret('A_B'); process.exit(3)`)).toMatchObject({
    status: 3,
    stderr: '',
  })
  expect(script(`new SecretDelivery(options)`)).toMatchObject({ status: 0, stderr: '' })
})

test('an unhandled rejection of one read does not touch another', () => {
  const { status, stdout } = script(`
    process.on('unhandledRejection', (error) => console.log('unhandled', error.code))
    const delivery = new SecretDelivery(options)
    delivery.getToolSecret('../', 'b')
    delivery.getToolSecret('a', 'b').then(console.log)`)
  expect(status).toBe(0)
  expect(stdout.split('\n').sort()).toEqual(['unhandled SECRET_NAME_INVALID', 'value'])
})

test('a callback that throws is an uncaught error of the service, and reads still settle', () => {
  const { status, stdout } = script(`
    process.on('uncaughtException', (error) => console.log('uncaught', error.message))
    const delivery = new SecretDelivery({ ...options, environment: 'dev', envFile: { path: ${library} } })
    delivery.rotation.onNotice(() => { throw new Error('listener') })
    delivery.rotateSecret('NO_SUCH', 'production').then((done) => console.log(done))`)
  expect(status).toBe(0)
  expect(stdout.split('\n').sort()).toEqual(['false', 'uncaught listener'])
})

test('a logger whose method cannot even be got keeps no read from settling, and a warning says so', () => {
  const { status, stdout } = script(`
    const seen = new Set()
    process.on('uncaughtException', (error) => seen.add(error.message))
    process.on('warning', (warning) => seen.add(warning.code))
    const logger = { warn() {}, get debug() { throw new Error('getter') } }
    const aws = { ...options.aws, endpoint: 'http://127.0.0.1:9', maxAttempts: 2 }
    const delivery = new SecretDelivery({ ...options, aws, cache: false, logger, logLevel: 'debug' })
    const reads = Array.from({ length: 100 }, (_, i) => delivery.refresh('A_N' + i).catch((error) => error.code))
    Promise.all(reads).then((codes) => setImmediate(() => console.log(codes.length, ...new Set(codes), ...seen)))`)
  expect({ status, stdout }).toEqual({ status: 0, stdout: '100 SOURCE_UNAVAILABLE LOGGER_FAILED' })
})

test('unused instances are collected', () => {
  const { status, stdout } = script(
    `
    const collected = new Set()
    const registry = new FinalizationRegistry((id) => collected.add(id))
    const use = async (id) => {
      const delivery = new SecretDelivery(options)
      await delivery.getToolSecret('a', 'b')
      registry.register(delivery, id)
    }
    const main = async () => {
      for (let id = 0; id < 20; id++) await use(id)
      const end = Date.now() + 10000
      while (collected.size < 15 && Date.now() < end) {
        global.gc()
        await new Promise((resolve) => setImmediate(resolve))
      }
      console.log(collected.size >= 15)
    }
    main()`,
    ['--expose-gc'],
  )
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'true' })
})

test('ten workers, each with its own variables, started and terminated under load', async () => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { SecretDelivery } = require(${library})
    process.env.TCS_WORKER_NAME = 'worker-' + workerData.id
    const delivery = new SecretDelivery(workerData.options)
    const main = async () => {
      const own = await delivery.getSecret('TCS_WORKER_NAME')
      const value = await delivery.getToolSecret('a', 'b')
      parentPort.postMessage([own, value])
      for (;;) await Promise.all(Array.from({ length: 20 }, () => delivery.refresh('A_B')))
    }
    main()`
  const options = { environment: 'production', aws: aws.options, runtime: { secretDirectories: [] } }
  const workers = Array.from({ length: 10 }, (_, id) => new Worker(source, { eval: true, workerData: { id, options } }))
  const answers = await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve, reject) => {
          worker.once('message', resolve)
          worker.once('error', reject)
        }),
    ),
  )
  expect(answers).toEqual(Array.from({ length: 10 }, (_, id) => [`worker-${id}`, 'value']))
  await Promise.all(workers.map((worker) => worker.terminate()))
  // The main thread goes on as before.
  const delivery = new SecretDelivery(options)
  expect(await delivery.getToolSecret('a', 'b')).toBe('value')
  await delivery.close()
})

test('several instances with different options do not see each other', async () => {
  const base = { aws: aws.options, envFile: false, runtime: { variables: {}, secretDirectories: [] } }
  await using_(new SecretDelivery({ ...base, environment: 'production' }), async (one) => {
    await using_(
      new SecretDelivery({ ...base, environment: 'test', runtime: { ...base.runtime, variables: { X_Y: 'two' } } }),
      async (two) => {
        expect(await one.getSecret('X_Y')).toBeNull()
        expect(await two.getSecret('X_Y')).toBe('two')
        await one.cache.set('A_B', 'mine')
        expect([await one.getSecret('A_B'), await two.getSecret('A_B')]).toEqual(['mine', 'value'])
      },
    )
    expect(await one.getSecret('A_B')).toBe('mine')
  })
})

test('reads settle under the fake timers of a test', async () => {
  const options = { environment: 'production', aws: aws.options, runtime: { secretDirectories: [] } }
  await using_(new SecretDelivery(options), async (delivery) => {
    jest.useFakeTimers()
    try {
      for (let i = 0; i < 3; i++) expect(await delivery.refresh('A_B')).toBe('value')
    } finally {
      jest.useRealTimers()
    }
  })
})

test('timers and sockets have their turn while reads settle as fast as they are begun', async () => {
  const options = { environment: 'production', aws: aws.options, runtime: { secretDirectories: [] } }
  await using_(new SecretDelivery({ ...options, cache: { negativeTtlSeconds: 60 } }), async (delivery) => {
    expect(await delivery.getSecret('NO_SUCH')).toBeNull()
    let turns = 0
    let reading = true
    const timer = setInterval(() => turns++, 1)
    const readers = Array.from({ length: 50 }, async () => {
      while (reading) await delivery.getSecret('NO_SUCH')
    })
    await until('timers had their turn', () => turns > 20, 5000)
    reading = false
    clearInterval(timer)
    await Promise.all(readers)
  })
})

/** What `await using` does, on Node 20. */
async function using_(delivery, use) {
  try {
    await use(delivery)
  } finally {
    await delivery[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]()
  }
}

test('Jest finds no open handle, closed or not', () => {
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js')
  const args = [
    jest,
    '--ci',
    '--detectOpenHandles',
    '--rootDir',
    path.join(root, '__test__', 'fixtures'),
    '--testMatch',
    '**/service.js',
  ]
  const env = { ...process.env, TEST_AWS: JSON.stringify(aws.options) }
  const { status, stderr } = spawnSync(process.execPath, args, { env, timeout: 60_000, encoding: 'utf8' })
  expect(stderr).toContain('2 passed')
  expect(stderr).not.toMatch(/open handle|did not exit|leak/i)
  expect(status).toBe(0)
}, 90_000)
