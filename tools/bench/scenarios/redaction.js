'use strict'

// Taking the values of 1,000 secrets out of a log line, and out of a text of a megabyte.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../../../__test__/support/files')
const { median } = require('../load')

const SECRETS = 1000
const LINES = 300_000
const TEXTS = 100
const ROUNDS = 5
const LINE_BYTES = 200
const MIB = 1024 * 1024

/** Values as services have them: tokens, passwords with every kind of character, URLs. @param {number} index */
const value = (index) =>
  [
    () => `ghp_${randomBytes(20).toString('hex')}`,
    () => randomBytes(24).toString('base64'),
    () => `postgres://user:${randomBytes(12).toString('base64url')}@db-${index}.internal:5432/app`,
  ][index % 3]()

/** What a service logs, of about 160 bytes in JSON. @param {number} index */
const entry = (index) => ({
  reqId: `req-${index}`,
  method: 'GET',
  url: `/api/v1/orders/${index}?expand=items`,
  status: 200,
  ms: index % 97,
})

/** Lines of pino, until they have so many bytes. @param {number} bytes */
function text(bytes) {
  let whole = ''
  for (let at = 0; whole.length < bytes; at++) {
    whole += `${JSON.stringify({ level: 30, time: 1764000000000 + at, pid: 7, hostname: 'web-1', ...entry(at), msg: 'request completed' })}\n`
  }
  return whole.slice(0, bytes)
}

/** @param {number} count @param {(index: number) => unknown} work @returns {number} Nanoseconds for each. */
function each(count, work) {
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) {
    const started = process.hrtime.bigint()
    for (let index = 0; index < count; index++) work(index)
    rounds.push(Number(process.hrtime.bigint() - started) / count)
  }
  return median(rounds)
}

async function redactor() {
  const { SecretDelivery } = require('../../..')
  const delivery = new SecretDelivery({
    environment: 'test',
    aws: { enabled: false },
    audit: false,
    runtime: { variables: {}, secretDirectories: [] },
  })
  const made = delivery.redactor()
  const values = Array.from({ length: SECRETS }, (_, index) => value(index))
  for (const [index, one] of values.entries()) await delivery.cache.set(`S_N${index}`, one)
  if (made.redact(`<${values[7]}>`) !== '<[secret S_N7]>') throw new Error('a value was not found')
  return { made, values }
}

const sides = {
  /** 200 bytes of a line, and a text of a megabyte, neither with a value in it. */
  async tcs() {
    const { made } = await redactor()
    const lines = Array.from({ length: 64 }, (_, at) => text(LINE_BYTES + at).slice(at))
    const whole = text(MIB)
    each(LINES, (index) => made.redact(lines[index & 63]))
    return {
      lineNs: each(LINES, (index) => made.redact(lines[index & 63])),
      textNs: each(TEXTS, () => made.redact(whole)),
    }
  },

  /** pino writing such a line, synchronously to a file. */
  async pino() {
    const directory = temporaryDirectory()
    const pino = require('pino')
    const logger = pino({}, pino.destination({ dest: path.join(directory, 'log'), sync: true }))
    each(LINES / 10, (index) => logger.info(entry(index), 'request completed'))
    const lineNs = each(LINES / 10, (index) => logger.info(entry(index), 'request completed'))
    fs.rmSync(directory, { recursive: true })
    return { lineNs }
  },

  /** pino with its buffered destination, the fastest that it has. */
  async buffered() {
    const directory = temporaryDirectory()
    const pino = require('pino')
    const logger = pino({}, pino.destination({ dest: path.join(directory, 'log'), sync: false, minLength: 4096 }))
    const lineNs = await inTurns((index) => logger.info(entry(index), 'request completed'))
    fs.rmSync(directory, { recursive: true })
    return { lineNs }
  },

  /** One `String.includes` of one value in the text. */
  async includes() {
    const whole = text(MIB)
    const one = value(0)
    let found = 0
    const textNs = each(TEXTS * 10, () => (found += whole.includes(one) ? 1 : 0))
    if (found > 0) throw new Error('found what is not there')
    return { textNs }
  },
}

/** In turns of the event loop, so that a buffer can be written. @param {(index: number) => void} work */
async function inTurns(work) {
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) {
    let ns = 0
    for (let turn = 0; turn < LINES / 1000; turn++) {
      const started = process.hrtime.bigint()
      for (let index = 0; index < 100; index++) work(index)
      ns += Number(process.hrtime.bigint() - started)
      await new Promise((resolve) => setImmediate(resolve))
    }
    rounds.push(ns / (LINES / 10))
  }
  return median(rounds)
}

module.exports = { SECRETS, sides, value }
