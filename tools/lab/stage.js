'use strict'

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('../../__test__/support/files')
const { AwsEndpoint } = require('../../__test__/support/servers/aws-endpoint')
const { PostgresServer } = require('../../__test__/support/servers/postgres')
const { RedisServer } = require('../../__test__/support/servers/redis')
const { until } = require('../../__test__/support/until')
const { ownPort } = require('./port')
const { FaultProxy } = require('./proxy')
const { Service } = require('./service')
const { idOf, names, stored } = require('./values')

const KNOWN = names('LAB', 20)
/** The number of cold secrets. Each is read once, so there must be enough of them. */
const COLD = names('COLD', 4_000)
/** The time limit of a scenario. */
const DEADLINE_MS = 150_000
/** Recognises the start of a request to AWS. */
const isAwsRequest = (/** @type {Buffer} */ chunk) => chunk.subarray(0, 5).toString('latin1') === 'POST '

/** @typedef {{ redis?: boolean, password?: string, postgres?: boolean }} Wanted */
/** @typedef {{ aws?: object, cache?: object, rotation?: object, tools?: object, audit?: object }} StageOptions */

/** The servers of one scenario, with a proxy before each, and the services that read from them. */
class Stage {
  /** @type {(() => Promise<unknown>)[]} */
  #stops = []
  /** All services of a stage write one audit log. */
  #audit = this.file('audit.jsonl')
  #keys = [{ id: 'lab', key: randomBytes(32).toString('base64') }]

  /** @param {'debug' | 'release'} profile Of the AWS endpoint. */
  constructor(profile) {
    this.profile = profile
    /** The endpoint of a second region, if the scenario has one. @type {AwsEndpoint | undefined} */
    this.replica = undefined
    /** The host of the AWS endpoint, if it is not that of the proxy. @type {string | undefined} */
    this.awsHost = undefined
    /** The path of the snapshot file, if the scenario has one. @type {string | undefined} */
    this.snapshotPath = undefined
  }

  /**
   * Builds a stage, uses it, and ends it, even after an error.
   *
   * @template T
   * @param {'debug' | 'release'} profile
   * @param {Wanted} wanted
   * @param {(stage: Stage) => Promise<T>} use
   * @returns {Promise<T>}
   */
  static async use(profile, wanted, use) {
    const stage = new Stage(profile)
    let late = false
    // Ends the stage: everything that waits for its servers and services fails then.
    const deadline = setTimeout(() => {
      late = true
      stage.end().catch(() => {})
    }, DEADLINE_MS)
    try {
      await stage.#build(wanted)
      return await use(stage)
    } catch (error) {
      if (late) throw new Error(`not within ${DEADLINE_MS / 1e3} s`)
      throw error
    } finally {
      clearTimeout(deadline)
      await stage.end()
    }
  }

  /** @param {Wanted} wanted */
  async #build({ redis = false, password, postgres = false }) {
    await this.startAws()
    this.awsProxy = await this.keep(FaultProxy.start(port(this.aws.url), { counts: isAwsRequest }))
    if (redis) {
      this.redisPort = await ownPort()
      await this.startRedis(password)
      this.redisProxy = await this.keep(FaultProxy.start(this.redisPort))
    }
    if (postgres) this.postgres = await this.keep(PostgresServer.start())
  }

  /** Starts the AWS endpoint with the first version of every secret; on the same port, if it ran before. */
  async startAws() {
    const before = /** @type {AwsEndpoint | undefined} */ (this.aws)
    const options = { profile: this.profile, port: before && port(before.url) }
    /** @type {AwsEndpoint} */
    this.aws = await this.keep(AwsEndpoint.start(options))
    await this.aws.put(stored([...KNOWN, ...COLD], 1))
  }

  /** Another way to AWS than the one that all services share. @returns {Promise<FaultProxy>} */
  ownAwsProxy() {
    return this.keep(FaultProxy.start(port(this.aws.url), { counts: isAwsRequest }))
  }

  /** Starts Redis, on the same port each time. @param {string} [password] */
  async startRedis(password) {
    this.redis = await this.keep(RedisServer.start({ port: this.redisPort, password }))
  }

  /** Starts an AWS endpoint for another region, with the same secrets. */
  async startReplica() {
    this.replica = await this.keep(AwsEndpoint.start({ profile: this.profile }))
    await this.replica.put(stored([...KNOWN, ...COLD], 1))
  }

  /**
   * Options of a delivery on this stage.
   *
   * @param {StageOptions} options
   * @returns {import('../..').SecretDeliveryOptions}
   */
  options({ aws = {}, cache = {}, rotation, tools, audit }) {
    const { awsProxy, redis, redisProxy } = this
    const auth = redis?.password === undefined ? '' : `:${redis.password}@`
    const shared = redisProxy && { url: `redis://${auth}127.0.0.1:${redisProxy.port}` }
    return {
      environment: 'production',
      aws: { ...this.aws.options, endpoint: `http://127.0.0.1:${awsProxy?.port}`, ...aws },
      runtime: { variables: {}, secretDirectories: [] },
      audit: audit ?? { path: this.#audit },
      cache: { redis: shared ?? false, encryptionKeys: this.#keys, maxStaleSeconds: 600, ...cache },
      ...(rotation && { rotation }),
      ...(tools && { tools }),
    }
  }

  /**
   * A service of this stage, in a process of its own.
   *
   * @param {StageOptions} options
   * @returns {Promise<Service>}
   */
  service(options) {
    return this.keep(Service.start(this.options(options)))
  }

  /** A delivery in this process: hooks are functions. @param {StageOptions} options */
  deliver(options) {
    return this.keep(Promise.resolve(new SecretDelivery({ ...this.options(options), logger: { warn() {} } })))
  }

  /**
   * Resolves when Redis has copies of all of `of`, and this many services are subscribed. Sharing is tried once for each value
   * from AWS, so missing copies are read again.
   *
   * @param {string[]} of
   * @param {Service[]} services
   */
  async settled(of, services) {
    const { redis } = this
    if (redis === undefined) return
    await until('the copies are shared', async () => {
      const there = await Promise.all(of.map((name) => redis.command('EXISTS', `secret:${idOf(name)}`)))
      const missing = of.filter((_, i) => there[i] !== 1)
      await Promise.all(missing.map((name) => services[0].call('refresh', name).catch(() => {})))
      return missing.length === 0
    })
    await until('changes are heard of', async () => {
      const [, hearers] = await redis.command('PUBSUB', 'NUMSUB', 'secret:events:production')
      return hearers >= services.length
    })
    // Copies that were read before the subscription are looked up once more.
    await Promise.all(services.map((service) => service.warm(of)))
  }

  /** A path in a directory that is removed with the stage. @param {string} name */
  file(name) {
    const directory = temporaryDirectory('tcs-lab-')
    this.#stops.push(async () => fs.rmSync(directory, { recursive: true }))
    return path.join(directory, name)
  }

  /** @template {{ stop(): Promise<unknown> } | { close(): Promise<unknown> }} T @param {Promise<T>} starting @returns {Promise<T>} */
  async keep(starting) {
    const started = await starting
    this.#stops.push(() => ('stop' in started ? started.stop() : started.close()))
    return started
  }

  /** Stops everything in reverse order. Throws the first failure. */
  async end() {
    const failures = []
    for (const stop of this.#stops.splice(0).reverse()) await stop().catch((error) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }
}

/** @param {string} url */
const port = (url) => Number(new URL(url).port)

module.exports = { COLD, KNOWN, Stage }
