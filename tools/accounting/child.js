'use strict'

// One process of the accounting: reads secrets in all ways that deliver values, in worker threads, and notes each value that
// JavaScript has received in a file, which survives a SIGKILL. Ends as TEST_END says: `close`, `exit`, or not at all.

const fs = require('node:fs')
const path = require('node:path')
const { Worker, isMainThread, workerData } = require('node:worker_threads')
const { SecretDelivery } = require('../..')
const { MOST_AT_ONCE, NAMES, SECRETS } = require('./names')

/** @typedef {{ aws: object, log: string, notes: string, round: number, workers: number, accesses: number, end: string, hits: 'counted' | 'each' }} Task */

/** Counts received values, by secret, in a file: a note is there before the next value is asked for. */
class Notes {
  #counts = new BigUint64Array(NAMES.length)
  #file

  /** @param {string} file */
  constructor(file) {
    this.#file = fs.openSync(file, 'w')
    this.#write()
  }

  /** @param {Record<string, string | null | undefined>} received Values by name. @param {number} [times] */
  add(received, times = 1) {
    for (const [name, value] of Object.entries(received)) {
      if (value !== SECRETS[/** @type {keyof typeof SECRETS} */ (`${name}_production`)]) throw new Error(`not ${name}`)
      this.#counts[NAMES.indexOf(name)] += BigInt(times)
    }
    this.#write()
  }

  #write() {
    fs.writeSync(this.#file, new Uint8Array(this.#counts.buffer), 0, this.#counts.byteLength, 0)
  }
}

/** @param {Task & { worker: number }} task */
async function work({ aws, log, notes: directory, round, worker, workers, accesses, end, hits }) {
  const label = `r${round}-w${worker}`
  const notes = new Notes(path.join(directory, label))
  const delivery = new SecretDelivery({
    environment: 'production',
    aws,
    tools: { listed: { secrets: { one: {}, two: {} } } },
    runtime: { variables: {}, secretDirectories: [] },
    cache: { redis: false },
    alerts: false,
    audit: { path: log, label, hits },
    logger: { warn() {} },
  })
  const together = (count, read) => Promise.all(Array.from({ length: count }, read))
  /** Each way, and how often it comes. @type {[number, () => Promise<void>][]} */
  const ways = [
    [
      1000,
      async () => {
        await delivery.cache.invalidate('A_JOINED')
        const values = await together(MOST_AT_ONCE, () => delivery.getToolSecret('a', 'joined'))
        for (const value of values) notes.add({ A_JOINED: value })
      },
    ],
    [
      400,
      async () => {
        const { current, previous, pending } = await delivery.getSecretVersions('A_VERSIONS')
        for (const version of [current, previous, pending]) if (version) notes.add({ A_VERSIONS: version.value })
      },
    ],
    [
      150,
      async () => {
        const all = await together(2, () => delivery.getToolSecrets('listed'))
        for (const { one, two } of all) notes.add({ LISTED_ONE: one, LISTED_TWO: two })
      },
    ],
    [60, async () => delivery.withSecret('a', 'used', async (secret) => notes.add({ A_USED: secret }))],
  ]
  for (let i = 1; i <= accesses / workers; i++) {
    const way = ways.find(([every]) => i % every === worker)?.[1]
    if (way === undefined) notes.add({ A_CACHED: await delivery.getSecret('A_CACHED') })
    else await way()
  }
  if (end === 'close') await delivery.close()
}

if (isMainThread) {
  /** @type {Task} */
  const task = JSON.parse(/** @type {string} */ (process.env.TEST_TASK))
  const ended = Array.from({ length: task.workers }, (_, worker) => {
    const thread = new Worker(__filename, { workerData: { ...task, worker } })
    return new Promise((resolve, reject) => thread.once('exit', resolve).once('error', reject))
  })
  Promise.all(ended).catch((error) => {
    console.error(error)
    process.exit(1)
  })
} else {
  work(workerData)
}
