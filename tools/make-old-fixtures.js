'use strict'

// Writes __test__/fixtures/version-0.1.0/: what version 0.1.0 leaves behind and says, captured from a checkout of it that
// runs. `node tools/make-old-fixtures.js PATH` needs its built addon, redis-server and this repository's AWS endpoint.

const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Redis } = require('ioredis')
const { root, temporaryDirectory } = require('../__test__/support/files')
const { AwsEndpoint } = require('../__test__/support/servers/aws-endpoint')
const { RedisServer } = require('../__test__/support/servers/redis')
const { until } = require('../__test__/support/until')

const TARGET = path.join(root, '__test__', 'fixtures', 'version-0.1.0')
/** Fixed, so that the tests can open what it sealed. */
const KEY = { id: 'k1', key: Buffer.alloc(32, 1).toString('base64') }
const SECRETS = { A_B_production: 'old one', A_C_production: 'old two' }
/** Commands end this long after their call. */
const SETTLED_MS = 400

/** Every command that Redis receives: words as base64, since copies are binary. */
class Monitor {
  /** @type {string[][]} */
  #seen = []

  /** @param {number} port */
  static async start(port) {
    const monitor = new Monitor()
    monitor.client = new Redis({ port, host: '127.0.0.1' })
    monitor.stream = await monitor.client.monitor()
    monitor.stream.on('monitor', (/** @type {string} */ _time, /** @type {string[]} */ words) =>
      monitor.#seen.push(words),
    )
    return monitor
  }

  /** @param {() => Promise<unknown>} act @returns {Promise<string[][]>} What `act` sends; copies are replaced by `<copy>`. */
  async during(act) {
    this.#seen = []
    await act()
    await sleep(SETTLED_MS)
    const connecting = ['HELLO', 'CLIENT', 'SUBSCRIBE', 'PING']
    const sent = this.#seen.filter(([command]) => !connecting.includes(command.toUpperCase()))
    // MONITOR escapes bytes, so a copy is fetched and not read here.
    return sent.map((words) =>
      words.map((word, i) => (words[0] === 'SET' && i === 2 && word.startsWith('\\x01') ? '<copy>' : word)),
    )
  }

  stop() {
    this.stream.disconnect()
    this.client.disconnect()
  }
}

/** @param {string} checkout */
async function main(checkout) {
  const { version } = require(path.join(checkout, 'package.json'))
  if (version !== '0.1.0') throw new Error(`${checkout} is version ${version}, not 0.1.0`)
  const { SecretDelivery, verifyAuditLog } = require(checkout)
  const [aws, redis] = await Promise.all([AwsEndpoint.start(), RedisServer.start()])
  const monitor = await Monitor.start(redis.port)
  const directory = temporaryDirectory()
  fs.mkdirSync(TARGET, { recursive: true })
  const write = (/** @type {string} */ name, /** @type {string | Buffer} */ content) =>
    fs.writeFileSync(path.join(TARGET, name), content)
  const [snapshot, log] = ['snapshot', 'audit.jsonl'].map((name) => path.join(directory, name))
  try {
    await aws.put(SECRETS)
    const open = () =>
      new SecretDelivery({
        environment: 'production',
        aws: { ...aws.options, maxAttempts: 1 },
        runtime: { variables: {}, secretDirectories: [] },
        audit: { path: log },
        // As long as can be, so that the files can be used for years.
        cache: { redis: { url: redis.url }, encryptionKeys: [KEY], snapshotPath: snapshot, ttlSeconds: 300 },
      })
    const delivery = open()
    /** @type {Record<string, string[][]>} */
    const commands = {}
    commands.read = await monitor.during(() => delivery.getSecret('A_B'))
    write('record.bin', await redis.command('GET', 'secret:A_B_production'))
    await delivery.getSecret('A_C')
    await until('the second copy is shared', async () => (await redis.command('EXISTS', 'secret:A_C_production')) === 1)
    await aws.put({ A_B_production: 'newer' })
    commands.refresh = await monitor.during(() => delivery.refresh('A_B'))
    commands.invalidate = await monitor.during(() => delivery.cache.invalidate('A_B'))
    commands.clear = await monitor.during(() => delivery.cache.clear())
    await aws.put(SECRETS)
    await Promise.all(['A_B', 'A_C'].map((name) => delivery.getSecret(name)))
    commands.rotate = await monitor.during(() => delivery.rotateSecret('A_C', 'production'))
    await aws.put(SECRETS)
    await Promise.all(['A_B', 'A_C'].map((name) => delivery.refresh(name)))
    await delivery.close()
    // A second process, so that the log has two openings.
    const second = open()
    await second.getSecret('A_B')
    await second.close()
    const { valid } = await verifyAuditLog(log)
    if (!valid) throw new Error('version 0.1.0 does not accept its own audit log')
    write('commands.json', `${JSON.stringify(commands, null, 2)}\n`)
    write('snapshot', fs.readFileSync(snapshot))
    for (const name of fs.readdirSync(directory).filter((name) => name.startsWith('audit.jsonl'))) {
      write(name, fs.readFileSync(path.join(directory, name)))
    }
  } finally {
    monitor.stop()
    await Promise.all([aws.stop(), redis.stop()])
    fs.rmSync(directory, { recursive: true })
  }
}

if (process.argv[2] === undefined) {
  console.error('usage: node tools/make-old-fixtures.js PATH-OF-A-CHECKOUT-OF-0.1.0')
  process.exitCode = 2
} else {
  main(path.resolve(process.argv[2])).catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
}
