'use strict'

// A service connects to PostgreSQL, anew each time, while its password is rotated: `npm run example:rotate-postgres`.

const { randomBytes } = require('node:crypto')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../../__test__/support/servers/aws-endpoint')
const { PostgresServer } = require('../../__test__/support/servers/postgres')
const { RedisServer } = require('../../__test__/support/servers/redis')
const { staged } = require('../../__test__/support/staged')
const { until } = require('../../__test__/support/until')
const { table } = require('../demo/print')
const { oneRole, twoRoles } = require('./hooks')
const { connected, setPassword } = require('./role')

const NAME = 'ORDERS_DATABASE'
const CONNECTIONS_PER_SECOND = 25

/** The service: all it knows of rotation is `withSecret`. */
class Service {
  #timer
  #pending = new Set()
  #place
  served = 0
  refused = 0
  failed = 0

  /** @param {SecretDelivery} delivery @param {import('pg').ClientConfig} place */
  constructor(delivery, place) {
    this.delivery = delivery
    this.#place = place
    this.#timer = setInterval(() => this.#begin(), 1000 / CONNECTIONS_PER_SECOND)
  }

  /** One request: a new connection and a query. */
  async request() {
    await this.delivery.withSecret('orders', 'database', async (secret) => {
      const { username, password } = JSON.parse(secret)
      try {
        await connected({ ...this.#place, user: username, password }, (client) => client.query('SELECT now()'))
      } catch (error) {
        // Only counted: whether it is tried again is for withSecret to say.
        if (/** @type {any} */ (error).code === '28P01') this.refused++
        throw error
      }
    })
    this.served++
  }

  #begin() {
    const ended = this.request()
      .catch((error) => {
        this.failed++
        console.error(`a request failed: ${error.code ?? error.name}`)
      })
      .finally(() => this.#pending.delete(ended))
    this.#pending.add(ended)
  }

  /** Resolves when it has served `more` requests from now on. @param {number} more */
  goesOn(more) {
    const { served } = this
    return until('the service goes on', () => this.served >= served + more)
  }

  async stop() {
    clearInterval(this.#timer)
    await Promise.all(this.#pending)
  }
}

/** A version id as people can tell it from another. @param {string | null} id */
const short = (id) => (id === null ? '-' : id.slice(0, 8))

const main = () =>
  staged(async ({ directory, ends, started }) => {
    const aws = await started(AwsEndpoint.start())
    const redis = await started(RedisServer.start())
    const postgres = await started(PostgresServer.start())
    await rotateUnderLoad({ aws, redis, postgres, directory, ends })
  })

/** @param {{ aws: AwsEndpoint, redis: RedisServer, postgres: PostgresServer, directory: string, ends: (() => unknown)[] }} stage */
async function rotateUnderLoad({ aws, redis, postgres, directory, ends }) {
  const key = { id: 'example', key: randomBytes(32).toString('base64') }
  /** An instance of the fleet. @param {import('../..').RotationHooks} [hooks] */
  const deliver = (hooks) => {
    const delivery = new SecretDelivery({
      environment: 'staging',
      aws: aws.options,
      envFile: false,
      runtime: { variables: {} },
      cache: { redis: { url: redis.url }, encryptionKeys: [key] },
      rotation: { hooks },
      audit: { path: path.join(directory, 'audit.jsonl') },
      logger: { warn: (message) => console.log(`  warning: ${message}`) },
    })
    ends.unshift(() => delivery.close())
    return delivery
  }
  const database = { admin: postgres.admin, place: postgres.options('', '') }
  for (const role of ['orders', 'orders_b']) await postgres.query(`CREATE ROLE ${role} LOGIN`)
  const password = randomBytes(24).toString('base64url')
  await setPassword(postgres.admin, 'orders', password)
  await aws.put({ [`${NAME}_staging`]: JSON.stringify({ username: 'orders', password }) })

  const service = new Service(deliver(), database.place)
  ends.unshift(() => service.stop())
  await service.goesOn(5)
  console.log(`\nA service opens ${CONNECTIONS_PER_SECOND} connections a second while its password is rotated\n`)
  const rows = [['rotation', 'outcome', 'version', 'steps, ms', 'connections', 'tried again', 'failed']]
  /** @param {string} what @param {SecretDelivery} rotating */
  const rotate = async (what, rotating) => {
    const { served, refused, failed } = service
    const report = await rotating.rotation.rotate(NAME)
    await service.goesOn(5)
    const steps = report.steps.map(({ step, durationMs }) => `${step} ${durationMs}`).join(', ')
    const counts = [service.served - served, service.refused - refused, service.failed - failed].map(String)
    const versions = `${short(report.previousVersionId)} → ${short(report.versionId)}`
    rows.push([what, report.outcome, versions, steps, ...counts])
  }

  const usual = deliver(oneRole(database))
  for (let i = 1; i <= 3; i++) await rotate(`one role, ${i}`, usual)
  const verify = () => {
    throw new Error('the new password does not hold up')
  }
  await rotate('one role, refused by verify', deliver({ ...oneRole(database), verify }))
  await rotate('one role, 4', usual)
  const alternating = deliver(twoRoles(database, ['orders', 'orders_b']))
  for (let i = 1; i <= 3; i++) await rotate(`two roles, ${i}`, alternating)

  await service.stop()
  table(rows)
  const { served, refused, failed } = service
  console.log(
    `\n${served} connections; ${refused} were refused at first and let in with another version; ${failed} failed`,
  )
  if (failed > 0) process.exitCode = 1
}

main()
