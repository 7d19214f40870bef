'use strict'

// An instance of version 0.1.0 in a few lines: it sends to Redis what that version was seen to send
// (__test__/fixtures/version-0.1.0), seals and opens envelopes as that version does, and follows the messages that it knows.

const { createCipheriv, createDecipheriv, randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { Redis } = require('ioredis')
const { KEY } = require('./services')

const FIXTURES = path.join(__dirname, '..', 'fixtures', 'version-0.1.0')
const fixture = (/** @type {string} */ name) => fs.readFileSync(path.join(FIXTURES, name))
/** The commands of 0.1.0 by what it did; `<copy>` stands for an envelope. @type {Record<string, string[][]>} */
const COMMANDS = JSON.parse(fixture('commands.json').toString())

const ENVIRONMENT = 'production'
const CHANNEL = `secret:events:${ENVIRONMENT}`
const MAGIC = 'TCSSNAP1'
const [NONCE, TAG] = [12, 16]
const TTL_MS = 300_000
const KEPT_MS = 3_900_000

/** @typedef {{ value: string, versionId: string, fetchedMs: number, freshMs: number }} Contents */

const secretKey = Buffer.from(KEY.key, 'base64')
const additionalData = (/** @type {string} */ id) =>
  Buffer.from(`tcs-secret-delivery/envelope/1\0${ENVIRONMENT}\0${id}\0${KEY.id}`)
const idOf = (/** @type {string} */ name) => `${name}_${ENVIRONMENT}`
const keyOf = (/** @type {string} */ name) => `secret:${idOf(name)}`

/** @param {string} id @param {Contents} contents */
function seal(id, { value, versionId, fetchedMs, freshMs }) {
  const times = Buffer.alloc(16)
  times.writeBigUInt64BE(BigInt(fetchedMs), 0)
  times.writeBigUInt64BE(BigInt(freshMs), 8)
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', secretKey, nonce).setAAD(additionalData(id))
  const body = Buffer.concat([times, Buffer.from([versionId.length]), Buffer.from(versionId), Buffer.from(value)])
  const sealed = Buffer.concat([cipher.update(body), cipher.final(), cipher.getAuthTag()])
  return Buffer.concat([Buffer.from([1, KEY.id.length]), Buffer.from(KEY.id), nonce, sealed])
}

/** @param {string} id @param {Buffer} envelope @returns {Contents | undefined} Of an unknown format: `undefined`. */
function open(id, envelope) {
  if (envelope[0] !== 1) return undefined
  const rest = envelope.subarray(2 + envelope[1])
  const decipher = createDecipheriv('aes-256-gcm', secretKey, rest.subarray(0, NONCE))
  decipher.setAAD(additionalData(id)).setAuthTag(rest.subarray(-TAG))
  const body = Buffer.concat([decipher.update(rest.subarray(NONCE, -TAG)), decipher.final()])
  const [fetchedMs, freshMs] = [0, 8].map((at) => Number(body.readBigUInt64BE(at)))
  const end = 17 + body[16]
  return { fetchedMs, freshMs, versionId: body.toString('utf8', 17, end), value: body.toString('utf8', end) }
}

/** A snapshot file, as it writes one. @param {Record<string, Contents>} entries By AWS id. */
function encodeSnapshot(entries) {
  const parts = Object.entries(entries).map(([id, contents]) => {
    const [head, envelope] = [Buffer.alloc(14 + id.length), seal(id, contents)]
    head.writeUInt16BE(id.length, 0)
    head.write(id, 2)
    head.writeBigUInt64BE(BigInt(contents.fetchedMs), 2 + id.length)
    head.writeUInt32BE(envelope.length, 10 + id.length)
    return Buffer.concat([head, envelope])
  })
  return Buffer.concat([Buffer.from(MAGIC), ...parts])
}

/** @param {Buffer} file @returns {Record<string, Contents | undefined>} */
function decodeSnapshot(file) {
  if (file.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new Error('not a snapshot of version 0.1.0')
  /** @type {Record<string, Contents | undefined>} */
  const entries = {}
  for (let at = MAGIC.length; at < file.length;) {
    const envelopeAt = at + 2 + file.readUInt16BE(at) + 12
    const id = file.toString('utf8', at + 2, envelopeAt - 12)
    const length = file.readUInt32BE(envelopeAt - 4)
    entries[id] = open(id, file.subarray(envelopeAt, envelopeAt + length))
    at = envelopeAt + length
  }
  return entries
}

/** An instance of 0.1.0 that holds copies, shares them and follows messages. Only its way to AWS is given. */
class OldInstance {
  #id = randomBytes(8).toString('hex')
  /** @type {Map<string, string>} What its memory holds, by name. */
  #memory = new Map()
  /** @type {Redis} */ #redis
  /** @type {Redis} */ #subscriber

  /**
   * @param {number} port Redis's.
   * @param {(name: string) => Promise<{ value: string, versionId: string }>} ask Asks AWS.
   */
  constructor(port, ask) {
    this.ask = ask
    /** Messages of other instances that it understood. @type {string[]} */
    this.heard = []
    /** Times that it asked AWS. */
    this.asked = 0
    const address = { host: '127.0.0.1', port, protocol: /** @type {any} */ (2) }
    this.#redis = new Redis(address)
    this.#subscriber = new Redis(address)
  }

  /** @param {ConstructorParameters<typeof OldInstance>} args @returns {Promise<OldInstance>} Subscribed. */
  static async start(...args) {
    const instance = new OldInstance(...args)
    instance.#subscriber.on('message', (_channel, message) => instance.#follow(message))
    await instance.#subscriber.subscribe(CHANNEL)
    return instance
  }

  /** @param {string} message */
  #follow(message) {
    const [version, sender, what, name, live, ...more] = message.split(' ')
    if (version !== '1' || sender === this.#id || !/^[0-9a-f]{16}$/.test(sender) || more.length > 0) return
    if (what === 'clear' && name === undefined) this.#memory.clear()
    else if (what === 'drop' && name !== undefined) this.#memory.delete(name)
    else return
    this.heard.push([what, name, live].filter((word) => word !== undefined).join(' '))
  }

  /** @param {string} name */
  async #fetch(name) {
    this.asked++
    const { value, versionId } = await this.ask(name)
    const contents = { value, versionId, fetchedMs: Date.now(), freshMs: TTL_MS }
    await this.#redis.set(keyOf(name), seal(idOf(name), contents), 'PX', KEPT_MS)
    this.#memory.set(name, value)
    return { value, versionId }
  }

  /** @param {string} name */
  async #shared(name) {
    const found = await this.#redis.getBuffer(keyOf(name))
    return found === null ? undefined : open(idOf(name), found)?.value
  }

  /** @param {string} name @returns {Promise<string>} */
  async read(name) {
    const held = this.#memory.get(name) ?? (await this.#shared(name))
    if (held !== undefined) {
      this.#memory.set(name, held)
      return held
    }
    await this.#redis.set(`secret:lock:${idOf(name)}`, '1', 'PX', 1000, 'NX')
    const made = await this.#shared(name)
    const value = made ?? (await this.#fetch(name)).value
    await this.#redis.unlink(`secret:lock:${idOf(name)}`)
    return value
  }

  /** @param {string} name */
  async refresh(name) {
    const { value, versionId } = await this.#fetch(name)
    await this.#redis.publish(CHANNEL, `1 ${this.#id} drop ${name} ${versionId}`)
    return value
  }

  /** @param {string} name */
  async invalidate(name) {
    this.#memory.delete(name)
    await this.#redis.unlink(keyOf(name))
    await this.#redis.publish(CHANNEL, `1 ${this.#id} drop ${name}`)
  }

  async clear() {
    this.#memory.clear()
    const [, keys] = await this.#redis.scan(0, 'MATCH', `secret:*_${ENVIRONMENT}`, 'COUNT', 500)
    if (keys.length > 0) await this.#redis.unlink(...keys)
    await this.#redis.publish(CHANNEL, `1 ${this.#id} clear`)
  }

  stop() {
    this.#redis.disconnect()
    this.#subscriber.disconnect()
  }
}

module.exports = { COMMANDS, OldInstance, decodeSnapshot, encodeSnapshot, fixture, open, seal }
