'use strict'

// Starts the servers that tests, demo and benchmark talk to: on free ports of loopback, ready when the call returns,
// stopped by their id.

const { randomBytes } = require('node:crypto')
const { execFile, spawn } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')
const { promisify } = require('node:util')

const root = path.resolve(__dirname, '..', '..')
const START_DEADLINE_MS = 20_000

/** @returns {Promise<number>} A port that was free a moment ago. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address())
      server.close(() => resolve(port))
    })
  })
}

/**
 * Waits until `condition` returns something truthy and returns it.
 *
 * @template T
 * @param {string} what Named when it never happens.
 * @param {() => T | Promise<T>} condition
 * @param {number} [deadlineMs]
 * @returns {Promise<T>}
 */
async function until(what, condition, deadlineMs = START_DEADLINE_MS) {
  const end = Date.now() + deadlineMs
  for (;;) {
    const result = await condition()
    if (result) return result
    if (Date.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** @param {string} [prefix] */
function temporaryDirectory(prefix = 'tcs-secret-delivery-') {
  return fs.mkdtempSync(path.join(os.tmpdir(), prefix))
}

/**
 * @typedef {{
 *   directory: string,
 *   ends: (() => unknown)[],
 *   started: <T extends { stop(): Promise<unknown> }>(starting: Promise<T>) => Promise<T>,
 * }} Stage A directory, what is to be ended (the first first), and what adds a server to that.
 */

/**
 * Runs what starts servers, and ends whatever it started, the last first, whatever happens.
 *
 * @param {(stage: Stage) => Promise<void>} act
 */
async function staged(act) {
  const directory = temporaryDirectory()
  /** @type {(() => unknown)[]} */
  const ends = [() => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10 })]
  /** @template {{ stop(): Promise<unknown> }} T @param {Promise<T>} starting */
  const started = async (starting) => {
    const server = await starting
    ends.unshift(() => server.stop())
    return server
  }
  try {
    await act({ directory, ends, started })
  } finally {
    for (const end of ends) await end()
  }
}

/** A child process that ends with `stop()`; what it printed is part of the error when it never becomes ready. */
class Server {
  /**
   * @param {string} command
   * @param {string[]} args
   * @param {{ env?: Record<string, string>, cwd?: string, stdin?: 'ignore' | 'pipe', uid?: number, gid?: number }} [options]
   */
  constructor(command, args, options = {}) {
    this.output = ''
    this.command = command
    const { env, stdin = 'ignore', ...rest } = options
    this.process = spawn(command, args, {
      ...rest,
      env: { ...process.env, ...env },
      stdio: [stdin, 'pipe', 'pipe'],
    })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk) => (this.output = (this.output + chunk).slice(-20_000)))
    }
    this.ended = new Promise((resolve) => {
      this.process.once('error', (error) => {
        this.output += error.message
        resolve(undefined)
      })
      this.process.once('close', resolve)
    })
    this.alive = true
    this.ended.then(() => (this.alive = false))
  }

  /** @param {() => Promise<boolean>} condition */
  async ready(condition) {
    try {
      await until(`${this.command} is ready`, async () => {
        if (!this.alive) throw new Error(`${this.command} ended at once`)
        return condition()
      })
    } catch (error) {
      await this.stop()
      throw new Error(`${/** @type {Error} */ (error).message}\n${this.output}`)
    }
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    this.process.kill(signal)
  }

  async stop() {
    if (this.alive) this.process.kill('SIGKILL')
    await this.ended
  }
}

/**
 * @param {string} url
 * @param {string} [method]
 * @param {unknown} [body]
 * @returns {Promise<any>} The answer's JSON; an error when its status is not 2xx.
 */
function request(url, method = 'GET', body) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers =
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const call = http.request(url, { method, headers, agent: false }, (answer) => {
      let received = ''
      answer.on('data', (chunk) => (received += chunk))
      answer.on('end', () => {
        const ok = answer.statusCode !== undefined && answer.statusCode < 300
        if (ok) resolve(received === '' ? undefined : JSON.parse(received))
        else reject(new Error(`${method} ${new URL(url).pathname}: ${answer.statusCode} ${received}`))
      })
    })
    call.once('error', reject)
    call.end(text)
  })
}

/** The in-repo AWS endpoint (crates/aws-endpoint): documented rules, faults on demand. */
class AwsEndpoint {
  /** @param {Server} server @param {string} url */
  constructor(server, url) {
    this.server = server
    this.url = url
  }

  /**
   * @param {{ profile?: 'debug' | 'release', port?: number }} [options] Debug is what `npm test` builds.
   * @returns {Promise<AwsEndpoint>}
   */
  static async start({ profile = 'debug', port } = {}) {
    const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')
    const args = ['--exit-with-stdin', ...(port === undefined ? [] : ['--port', String(port)])]
    const program = path.join(target, profile, 'aws-endpoint')
    if (!fs.existsSync(program)) throw new Error(`${program} is not there: cargo build -p aws-endpoint`)
    const server = new Server(program, args, { stdin: 'pipe' })
    const lines = readline.createInterface({ input: /** @type {any} */ (server.process.stdout) })
    /** @type {string | undefined} */
    let url
    lines.once('line', (line) => (url = /http:\/\/\S+/.exec(line)?.[0]))
    await server.ready(async () => url !== undefined)
    return new AwsEndpoint(server, /** @type {string} */ (/** @type {unknown} */ (url)))
  }

  /** Options of a `SecretDelivery` that asks this endpoint. */
  get options() {
    return { endpoint: this.url, region: 'eu-central-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
  }

  /** Forgets secrets, denials, faults and calls. */
  reset() {
    return request(`${this.url}/_control/reset`, 'POST')
  }

  /** @param {Record<string, string>} secrets Values by AWS id. */
  put(secrets) {
    return request(`${this.url}/_control/secrets`, 'POST', secrets)
  }

  /** @param {string} name */
  remove(name) {
    return request(`${this.url}/_control/secrets/${encodeURIComponent(name)}`, 'DELETE')
  }

  /**
   * Every version of a secret, whatever faults there are.
   *
   * @param {string} name
   * @returns {Promise<{ versionId: string, value: string, labels: string[], wasLive: boolean }[]>} `wasLive`: it has, or had, AWSCURRENT.
   */
  versions(name) {
    return request(`${this.url}/_control/secrets/${encodeURIComponent(name)}`)
  }

  /** @param {object} fault `{ action: { error: { status, code } } | { delayMs } | …, match?: { operation?, secret? }, times?, probability? }`, see crates/aws-endpoint. */
  fault(fault) {
    return request(`${this.url}/_control/faults`, 'POST', fault)
  }

  /**
   * Lets reads of live versions give the version before for so long after its label moved.
   *
   * @param {number} ms
   */
  lag(ms) {
    return request(`${this.url}/_control/lag`, 'POST', { ms })
  }

  clearFaults() {
    return request(`${this.url}/_control/faults`, 'DELETE')
  }

  /** @param {{ actions: string[], secrets?: string[] }} denial */
  deny(denial) {
    return request(`${this.url}/_control/deny`, 'POST', denial)
  }

  allow() {
    return request(`${this.url}/_control/deny`, 'DELETE')
  }

  /** @returns {Promise<{ total: number, byOperation: Record<string, number>, connectionsOpened: number }>} */
  calls() {
    return request(`${this.url}/_control/calls`)
  }

  resetCalls() {
    return request(`${this.url}/_control/calls/reset`, 'POST')
  }

  stop() {
    return this.server.stop()
  }
}

/** A Redis server without persistence. */
class RedisServer {
  /** @param {Server} server @param {number} port @param {string | undefined} password */
  constructor(server, port, password) {
    this.server = server
    this.port = port
    this.password = password
    this.url = `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`
  }

  /**
   * @param {{ port?: number, password?: string, args?: string[] }} [options]
   * @returns {Promise<RedisServer>}
   */
  static async start({ port, password, args = [] } = {}) {
    const chosen = port ?? (await freePort())
    const all = [
      '--port',
      String(chosen),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      os.tmpdir(),
    ]
    if (password !== undefined) all.push('--requirepass', password)
    const server = new Server('redis-server', [...all, ...args])
    await server.ready(async () => accepts(chosen))
    return new RedisServer(server, chosen, password)
  }

  /** Runs one command. @param {...(string | Buffer)} words @returns {Promise<any>} */
  async command(...words) {
    const { Redis } = require('ioredis')
    const client = new Redis({ host: '127.0.0.1', port: this.port, password: this.password, lazyConnect: true })
    try {
      await client.connect()
      return await client.callBuffer(/** @type {string} */ (words[0]), ...words.slice(1))
    } finally {
      client.disconnect()
    }
  }

  /** Stops answering without closing connections. */
  freeze() {
    this.server.signal('SIGSTOP')
  }

  thaw() {
    this.server.signal('SIGCONT')
  }

  stop() {
    return this.server.stop()
  }
}

/** Prometheus, scraping services under the job `service`, with the rules of ops/prometheus. */
class PrometheusServer {
  /** @param {Server} server @param {string} url @param {string} directory */
  constructor(server, url, directory) {
    this.server = server
    this.url = url
    this.directory = directory
  }

  /**
   * @param {string[]} targets Each `host:port`.
   * @param {number} [scrapeSeconds] From one scrape to the next.
   * @returns {Promise<PrometheusServer>}
   */
  static async start(targets, scrapeSeconds = 1) {
    const directory = temporaryDirectory()
    const config = {
      global: { scrape_interval: `${scrapeSeconds}s`, evaluation_interval: '1s' },
      rule_files: [path.join(root, 'ops', 'prometheus', 'secret-delivery.rules.yml')],
      scrape_configs: [{ job_name: 'service', static_configs: [{ targets }] }],
    }
    // YAML holds JSON.
    fs.writeFileSync(path.join(directory, 'prometheus.yml'), JSON.stringify(config))
    const port = await freePort()
    const server = new Server('prometheus', [
      `--config.file=${path.join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${path.join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ])
    const url = `http://127.0.0.1:${port}`
    await server.ready(async () => (await accepts(port)) && (await isReady(`${url}/-/ready`)))
    return new PrometheusServer(server, url, directory)
  }

  /** @param {string} expression @returns {Promise<{ metric: Record<string, string>, value: [number, string] }[]>} */
  async query(expression) {
    const answer = await request(`${this.url}/api/v1/query?query=${encodeURIComponent(expression)}`)
    return answer.data.result
  }

  /**
   * @param {string} expression
   * @param {{ from: number, to: number, step: number }} range Seconds since 1970, and the step in seconds.
   * @returns {Promise<{ metric: Record<string, string>, values: [number, string][] }[]>}
   */
  async queryRange(expression, { from, to, step }) {
    const parameters = new URLSearchParams({
      query: expression,
      start: String(from),
      end: String(to),
      step: String(step),
    })
    const answer = await request(`${this.url}/api/v1/query_range?${parameters}`)
    return answer.data.result
  }

  async stop() {
    await this.server.stop()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}

/** @param {string} url @returns {Promise<boolean>} */
function isReady(url) {
  return new Promise((resolve) => {
    const call = http.get(url, { agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    call.once('error', () => resolve(false))
  })
}

/** Time for PostgreSQL to end its own processes. */
const POSTGRES_STOP_MS = 5_000

/** A PostgreSQL server in a directory of its own, which ends with it. Passwords are checked by scram-sha-256. */
class PostgresServer {
  #server
  #directory
  #port
  #password

  /** @param {Server} server @param {string} directory @param {number} port @param {string} password Of the role `admin`. */
  constructor(server, directory, port, password) {
    this.#server = server
    this.#directory = directory
    this.#port = port
    this.#password = password
  }

  /** @returns {string | undefined} Where its programs are: Debian keeps them out of PATH. */
  static programs() {
    const versions = '/usr/lib/postgresql'
    const found = fs.existsSync(versions) ? fs.readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : []
    const places = [...found.map((version) => path.join(versions, version, 'bin')), ...pathDirectories()]
    return places.find((place) => ['initdb', 'postgres'].every((name) => fs.existsSync(path.join(place, name))))
  }

  /** @returns {Promise<PostgresServer>} */
  static async start() {
    const programs = PostgresServer.programs()
    if (programs === undefined) throw new Error('PostgreSQL is not installed')
    const [directory, port, password] = [temporaryDirectory(), await freePort(), randomBytes(16).toString('hex')]
    try {
      const owner = unprivileged()
      const [data, passwordFile] = [path.join(directory, 'data'), path.join(directory, 'password')]
      fs.writeFileSync(passwordFile, password, { mode: 0o600 })
      if (owner.uid !== undefined) for (const own of [directory, passwordFile]) fs.chownSync(own, owner.uid, owner.gid)
      // The working directory must be one that this user may enter.
      const as = { ...owner, cwd: directory }
      const cluster = ['-D', data, '-U', 'admin', '-A', 'scram-sha-256', '--pwfile', passwordFile]
      const initdb = path.join(programs, 'initdb')
      await promisify(execFile)(initdb, [...cluster, '-E', 'UTF8', '--no-locale', '--no-sync'], as)
      fs.rmSync(passwordFile)
      const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'max_connections=200']
      const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
      const server = new Server(path.join(programs, 'postgres'), args, as)
      const started = new PostgresServer(server, directory, port, password)
      await server.ready(() => started.#answers())
      return started
    } catch (error) {
      removeDirectory(directory)
      throw error
    }
  }

  /** How to connect, in the words of `pg`. @param {string} user @param {string} password */
  options(user, password) {
    return { host: '127.0.0.1', port: this.#port, database: 'postgres', user, password }
  }

  /** How to connect as the role that may alter the others. */
  get admin() {
    return this.options('admin', this.#password)
  }

  /** Runs one statement as `admin`. @param {string} text @param {unknown[]} [values] @returns {Promise<any[]>} Its rows. */
  async query(text, values) {
    const { Client } = require('pg')
    const client = new Client(this.admin)
    await client.connect()
    try {
      return (await client.query(text, values)).rows
    } finally {
      await client.end()
    }
  }

  async #answers() {
    try {
      await this.query('SELECT 1')
      return true
    } catch (error) {
      // 57P03: it listens before it is ready.
      if (['ECONNREFUSED', '57P03'].includes(/** @type {any} */ (error).code)) return false
      throw error
    }
  }

  async stop() {
    // At once and with all its processes, which a SIGKILL of the first one would leave to themselves.
    this.#server.signal('SIGQUIT')
    const late = setTimeout(() => this.#server.signal('SIGKILL'), POSTGRES_STOP_MS)
    await this.#server.ended
    clearTimeout(late)
    removeDirectory(this.#directory)
  }
}

/** @returns {string[]} */
const pathDirectories = () => (process.env.PATH ?? '').split(path.delimiter).filter(path.isAbsolute)

/** Again where a process that is ending still wrote into it. @param {string} directory */
const removeDirectory = (directory) => fs.rmSync(directory, { recursive: true, maxRetries: 10, retryDelay: 50 })

/** Whom to be where this process is root, whom PostgreSQL refuses and who may write everywhere. @returns {{ uid?: number, gid?: number }} */
function unprivileged() {
  if (process.getuid?.() !== 0) return {}
  const lines = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const user = ['postgres', 'nobody'].map((name) => lines.find(([own]) => own === name)).find(Boolean)
  if (user === undefined) throw new Error('PostgreSQL refuses to run as root, and there is no user postgres or nobody')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

/** MiniStack, an AWS stand-in that others wrote: see tools/setup.js. */
class MiniStack {
  /** @param {Server} server @param {string} url */
  constructor(server, url) {
    this.server = server
    this.url = url
  }

  /** @returns {Promise<MiniStack>} */
  static async start() {
    const port = await freePort()
    const env = { BIND_HOST: '127.0.0.1', GATEWAY_PORT: String(port) }
    const server = new Server(path.join(root, '.venv', 'bin', 'ministack'), [], { env })
    await server.ready(() => accepts(port))
    return new MiniStack(server, `http://127.0.0.1:${port}`)
  }

  get options() {
    return { endpoint: this.url, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
  }

  /** A new queue's URL, and AWS's own client for it. @param {string} name */
  async queue(name) {
    const { CreateQueueCommand, SQSClient } = require('@aws-sdk/client-sqs')
    const client = new SQSClient(this.options)
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: name }))
    // It names itself as it would be seen from elsewhere.
    return { client, url: new URL(new URL(/** @type {string} */ (QueueUrl)).pathname, this.url).href }
  }

  /** AWS's own client for it. */
  client() {
    const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    return new SecretsManagerClient(this.options)
  }

  stop() {
    return this.server.stop()
  }
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

module.exports = {
  AwsEndpoint,
  MiniStack,
  PostgresServer,
  PrometheusServer,
  RedisServer,
  Server,
  accepts,
  freePort,
  request,
  root,
  staged,
  temporaryDirectory,
  unprivileged,
  until,
}
