'use strict'

// What is left of a value in a process's memory after it was invalidated and the delivery closed: nothing, in any
// buffer, the HTTP and TLS clients' included, and in no JavaScript string that the package made.

const { fork } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const tls = require('node:tls')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { RedisServer } = require('../support/servers/redis')
const { until } = require('../support/until')
const { KEY } = require('../support/services')

/** Other systems do not show a process's memory as a file. */
const onLinux = process.platform === 'linux' ? test : test.skip
const CHUNK = 1 << 20
const PIECE = 16

/** A value that is nowhere else; not even a piece of it may be left. */
function secret() {
  const value = randomBytes(32).toString('hex')
  const pieces = [0, 1, 2, 3].map((n) => Buffer.from(value.slice(n * PIECE, (n + 1) * PIECE)))
  return { value, pieces }
}

/** Where the memory of `pid` holds one of `pieces`. @param {number} pid @param {Buffer[]} pieces @returns {string[]} */
function search(pid, pieces) {
  const found = []
  const memory = fs.openSync(`/proc/${pid}/mem`, 'r')
  const buffer = Buffer.alloc(CHUNK + PIECE)
  try {
    for (const line of fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to, rights, name] = /^(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line) ?? []
      // The kernel's own pages cannot be read like this.
      if (from === undefined || !rights.startsWith('r') || /^\[v(var|syscall)/.test(name)) continue
      const end = Number.parseInt(to, 16)
      for (let at = Number.parseInt(from, 16); at < end; at += CHUNK) {
        const read = readAt(memory, buffer, at, Math.min(buffer.length, end - at))
        for (const piece of pieces) {
          if (buffer.subarray(0, read).includes(piece)) found.push(`piece ${pieces.indexOf(piece)} in ${name || from}`)
        }
      }
    }
  } finally {
    fs.closeSync(memory)
  }
  return found
}

/** Waits until nothing is found: connections end by themselves once their client is dropped. */
async function gone(pid, pieces) {
  /** @type {string[]} */
  let left = []
  const nothing = async () => {
    left = search(pid, pieces)
    return left.length === 0
  }
  await until('nothing is left', nothing).catch((error) => {
    throw new Error(`${error.message}: ${left.join(', ')}`)
  })
}

/** How many bytes could be read; none of a mapping that is gone, or lies behind the end of its file. */
function readAt(file, buffer, at, length) {
  try {
    return fs.readSync(file, buffer, 0, length, at)
  } catch (error) {
    if (error.code === 'EIO') return 0
    throw error
  }
}

/** @type {(() => unknown)[]} */
const ends = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A process with a delivery. @param {object} options @param {Record<string, string>} [env] */
function start(options, env = {}) {
  // Declared: events about other names are not followed.
  const tools = { a: { secrets: { b: {} } } }
  const more = { tools, runtime: { variables: {}, secretDirectories: [] }, audit: false, ...options }
  const child = fork(path.join(__dirname, '..', 'fixtures', 'memory-dump.js'), {
    execArgv: ['--expose-gc'],
    env: { ...process.env, ...env, TEST_OPTIONS: JSON.stringify(more) },
  })
  ends.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  })
  return {
    pid: /** @type {number} */ (child.pid),
    /** @param {string} command @param {string} [name] */
    async do(command, name) {
      const answered = once(child, 'message')
      child.send([command, name])
      const [{ done, failed }] = await answered
      if (failed !== undefined) throw new Error(`${command}: ${failed}`)
      return done
    },
  }
}

/** TLS before a server that speaks none; gives its port and the file with its certificate. @param {number} port */
async function overTls(port) {
  const { generate } = require('selfsigned')
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  })
  const server = tls.createServer({ key, cert }, (socket) => {
    const behind = net.connect(port, '127.0.0.1')
    for (const [from, to] of [
      [socket, behind],
      [behind, socket],
    ]) {
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => server.close())
  const certificate = path.join(directory(), 'cert.pem')
  fs.writeFileSync(certificate, cert)
  return { port: /** @type {net.AddressInfo} */ (server.address()).port, certificate }
}

function directory() {
  const made = temporaryDirectory()
  ends.push(() => fs.rmSync(made, { recursive: true }))
  return made
}

async function awsWith(secrets) {
  const aws = await AwsEndpoint.start()
  ends.push(() => aws.stop())
  await aws.put(secrets)
  return aws
}

onLinux('a value of AWS, over TLS, is gone after invalidate() and close()', async () => {
  const { value, pieces } = secret()
  const aws = await awsWith({ A_B_production: value })
  const { port, certificate } = await overTls(Number(new URL(aws.url).port))
  const options = { environment: 'production', aws: { ...aws.options, endpoint: `https://localhost:${port}` } }
  const service = start(options, { AWS_CA_BUNDLE: certificate })
  await service.do('fetch', 'A_B')
  // It is looked for in the right place.
  expect(search(service.pid, pieces)).not.toEqual([])
  await service.do('invalidate', 'A_B')
  // One copy at the most: the connection, kept for the next call, has the last answer in a buffer.
  expect(search(service.pid, pieces).length).toBeLessThanOrEqual(pieces.length)
  await service.do('close')
  await gone(service.pid, pieces)
})

onLinux('a value that went through Redis, sealed and opened again, is gone as well', async () => {
  const { value, pieces } = secret()
  const aws = await awsWith({ A_B_production: value })
  const redis = await RedisServer.start()
  ends.push(() => redis.stop())
  const cache = { redis: { url: redis.url }, encryptionKeys: [KEY] }
  const options = { environment: 'production', aws: aws.options, cache }
  const [first, second] = [start(options), start(options)]
  await first.do('fetch', 'A_B')
  await until('a copy is shared', async () => (await second.do('explain', 'A_B')).answeredBy === 'redis')
  expect(search(second.pid, pieces)).toEqual([])
  await first.do('invalidate', 'A_B')
  await first.do('close')
  await gone(first.pid, pieces)
})

onLinux('what an env file and mounted files hold is gone after close()', async () => {
  const [inFile, mounted] = [secret(), secret()]
  const made = directory()
  const envFile = path.join(made, '.env')
  fs.writeFileSync(envFile, `A_B="${inFile.value}"\nA_C=known\n`, { mode: 0o600 })
  fs.writeFileSync(path.join(made, 'A_D'), mounted.value, { mode: 0o600 })
  const runtime = { variables: {}, secretDirectories: [made] }
  const service = start({ environment: 'staging', aws: { enabled: false }, envFile: { path: envFile }, runtime })
  expect(await service.do('read', 'A_C')).toBe('known')
  expect((await service.do('explain', 'A_D')).answeredBy).toBe('runtime')
  // The whole file is kept while the delivery lives; a mounted one is read for each question.
  expect(search(service.pid, inFile.pieces)).not.toEqual([])
  expect(search(service.pid, mounted.pieces)).toEqual([])
  await service.do('close')
  await gone(service.pid, [...inFile.pieces, ...mounted.pieces])
})

/** Waits until nothing is found after a collection. */
async function collected(service, pieces) {
  /** @type {string[]} */
  let left = []
  const nothing = async () => {
    await service.do('collect')
    left = search(service.pid, pieces)
    return left.length === 0
  }
  await until('nothing is left', nothing).catch((error) => {
    throw new Error(`${error.message}: ${left.join(', ')}`)
  })
}

onLinux.each(['a value', 'a value that is not ASCII', 'a value that replaces another'])(
  '%s that JavaScript read often is gone after a collection',
  async (kind) => {
    const { value, pieces } = secret()
    const whole = kind === 'a value that is not ASCII' ? `${value}-ü-漢` : value
    const utf16 = pieces.map((piece) => Buffer.from(piece.toString(), 'utf16le').subarray(0, PIECE))
    const aws = await awsWith({ A_B_production: whole })
    const service = start({ environment: 'production', aws: aws.options }, { TEST_READS: '1000000' })
    expect(await service.do('readOften', 'A_B')).toBe(true)
    await service.do('collect')
    expect(search(service.pid, [...pieces, ...utf16])).not.toEqual([])
    if (kind === 'a value that replaces another') {
      await aws.put({ A_B_production: 'another' })
      // Another answer takes the place of this one in the buffer of the connection.
      await service.do('fetch', 'A_B')
      await service.do('readOften', 'A_B')
    } else {
      await service.do('invalidate', 'A_B')
      await service.do('close')
    }
    await collected(service, [...pieces, ...utf16])
  },
  // Without optimisation, on a machine that is busy.
  120_000,
)

onLinux(
  'a value that a worker has when it is ended is gone with it',
  async () => {
    const { value, pieces } = secret()
    const aws = await awsWith({ A_B_production: value })
    const service = start({ environment: 'production', aws: aws.options }, { TEST_READS: '10000' })
    expect(await service.do('readInWorker', 'A_B')).toBe(1)
    await service.do('close')
    await collected(service, pieces)
  },
  60_000,
)
