'use strict'

// Runs a small production fleet for six minutes: three instances of the demo service with one Redis and the in-repo AWS
// endpoint, scraped by a real Prometheus. Events make sure that each panel of the dashboard has data.

const { randomBytes } = require('node:crypto')
const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { AwsEndpoint } = require('../../__test__/support/servers/aws-endpoint')
const { PrometheusServer } = require('../../__test__/support/servers/prometheus')
const { RedisServer } = require('../../__test__/support/servers/redis')
const { staged } = require('../../__test__/support/staged')
const { until } = require('../../__test__/support/until')

const INSTANCES = 3
const SCRAPE_SECONDS = 2
/** The TTL. The default of 300 s in production would be longer than the whole run. */
const TTL_SECONDS = 25

const NAMES = Array.from({ length: 100 }, (_, tool) =>
  ['API_TOKEN', 'WEBHOOK_SECRET', 'PASSWORD', 'SIGNING_KEY'].map((type) => `TOOL${tool}_${type}`),
).flat()
const FORBIDDEN = 'PAYROLL_API_TOKEN'
const UNREAD = ['REPORTS_API_TOKEN', 'REPORTS_SIGNING_KEY']
const LEFT_BEHIND = 'LEGACY_WEBHOOK_SECRET'
const OUTAGE = { action: { error: { status: 500, code: 'InternalServiceError' } } }

/** @typedef {{ aws: AwsEndpoint, redis: RedisServer, send: (act: string, name: string, instance?: number) => void }} Stage */

/** Delays answers by the latency of an AWS region. @param {AwsEndpoint} aws */
const distance = (aws) => aws.fault({ action: { delayMs: 18 } })

/** The events, by seconds after the start. @type {[number, string, (stage: Stage) => unknown][]} */
const ACTS = [
  [0, 'one secret is read from a variable, since AWS lacks it', ({ send }) => send('rare', LEFT_BEHIND)],
  [50, 'a secret is rotated', ({ send }) => send('rotate', NAMES[0], 0)],
  [
    80,
    'a policy of IAM loses a secret',
    async ({ aws, send }) => {
      await aws.deny({ actions: ['GetSecretValue', 'BatchGetSecretValue'], secrets: [`${FORBIDDEN}_production`] })
      send('rare', FORBIDDEN)
    },
  ],
  [110, 'the policy is mended', ({ aws }) => aws.allow()],
  [
    130,
    'AWS is out; a new release reads secrets of which there are no copies',
    async ({ aws, send }) => {
      await aws.clearFaults()
      await aws.fault(OUTAGE)
      for (const name of UNREAD) send('rare', name)
    },
  ],
  [
    225,
    'AWS is back',
    async ({ aws }) => {
      await aws.clearFaults()
      await distance(aws)
    },
  ],
  [255, 'a secret that AWS lacks is rotated, which fails', ({ send }) => send('rotate', LEFT_BEHIND, 1)],
  [275, 'Redis hangs', ({ redis }) => redis.freeze()],
  [305, 'Redis goes on', ({ redis }) => redis.thaw()],
  [320, 'another secret is rotated', ({ send }) => send('rotate', NAMES[5], 2)],
  [360, 'enough was seen', () => {}],
]

/**
 * @param {(message: string) => void} tell What happens.
 * @param {(prometheus: PrometheusServer, seen: { from: number, to: number, scrape: number }) => Promise<void>} look Called at the end.
 */
async function live(tell, look) {
  await staged(async ({ directory, ends, started }) => {
    const aws = await started(AwsEndpoint.start())
    const redis = await started(RedisServer.start())
    const stored = [...NAMES, FORBIDDEN, ...UNREAD].map((name) => [
      `${name}_production`,
      randomBytes(20).toString('hex'),
    ])
    await aws.put(Object.fromEntries(stored))
    await distance(aws)
    const options = {
      environment: 'production',
      aws: { ...aws.options, maxAttempts: 2, timeoutMs: 2_000 },
      runtime: { variables: { [LEFT_BEHIND]: 'from a variable' }, secretDirectories: [] },
      cache: {
        ttlSeconds: TTL_SECONDS,
        redis: { url: redis.url },
        encryptionKeys: [{ id: 'k1', key: randomBytes(32).toString('base64') }],
      },
      audit: { path: path.join(directory, 'audit.jsonl') },
      alerts: { intervalSeconds: 1, windowSeconds: 60 },
    }
    const instances = await Promise.all(
      Array.from({ length: INSTANCES }, async (_, i) => {
        const instance = new Instance({ options, secrets: NAMES, phase: i * 10 }, tell)
        ends.unshift(() => instance.stop())
        return { instance, target: new URL(await instance.address()).host }
      }),
    )
    const prometheus = await started(
      PrometheusServer.start(
        instances.map(({ target }) => target),
        SCRAPE_SECONDS,
      ),
    )
    const send = (/** @type {string} */ act, /** @type {string} */ name, /** @type {number | undefined} */ only) => {
      for (const [i, { instance }] of instances.entries())
        if (only === undefined || only === i) instance.send(act, name)
    }
    const from = Date.now() / 1000
    for (const [at, what, act] of ACTS) {
      // The timing is part of the scenario, so this waits for a time and not for a condition.
      await sleep((from + at) * 1000 - Date.now())
      tell(`${String(at).padStart(3)} s: ${what}`)
      await act({ aws, redis, send })
      for (const { instance } of instances) instance.check()
    }
    await look(prometheus, { from, to: Date.now() / 1000, scrape: SCRAPE_SECONDS })
  })
}

/** A process of the service. */
class Instance {
  #process
  #ended = false
  #output = ''

  /** @param {object} input @param {(message: string) => void} tell */
  constructor(input, tell) {
    this.#process = fork(path.join(__dirname, 'instance.js'), {
      env: { ...process.env, INPUT: JSON.stringify(input), NODE_NO_WARNINGS: '1' },
      silent: true,
    })
    this.#process.on('message', (message) => tell(`       ${message}`))
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk) => (this.#output = (this.#output + chunk).slice(-5_000)))
    }
    this.#process.once('close', () => (this.#ended = true))
  }

  /** Its address. @returns {Promise<string>} */
  address() {
    return until('an instance listens', () => {
      this.check()
      return /http:\/\/\S+/.exec(this.#output)?.[0]
    })
  }

  /** @param {string} act @param {string} name */
  send(act, name) {
    this.#process.send([act, name])
  }

  /** Throws if the process has ended. */
  check() {
    if (this.#ended) throw new Error(`an instance ended: ${this.#output}`)
  }

  async stop() {
    if (this.#ended) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'close')
  }
}

module.exports = { live }
