'use strict'

// Makes files as CloudTrail writes them, and the audit logs of the instances whose reads they are, with strangers planted.
// Format: https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const zlib = require('node:zlib')

const ACCOUNT = '111122223333'
const REGION = 'eu-central-1'
const ROLE = 'orders-reader'
const START = Date.UTC(2026, 0, 10)

/**
 * @typedef {object} Plan
 * @property {number} events How many events there are at least.
 * @property {number} strangers By the service's own role, from elsewhere.
 * @property {number} [others] By other principals.
 * @property {number} [unseen] Records whose events are missing.
 * @property {number} [instances]
 * @property {number} [perFile]
 * @property {number} [open] How many files are filled at the same time: the more, the further an event is from its place.
 * @property {number} [seed]
 */

/**
 * @param {string} directory
 * @param {Plan} plan
 * @returns {{ trail: string, logs: string[], names: string[], planted: { strangers: string[], others: string[], unseen: string[] }, events: number }}
 */
function generate(
  directory,
  { events, strangers, others = 0, unseen = 0, instances = 4, perFile = 20_000, open = 1, seed = 1 },
) {
  const random = randomOf(seed)
  const names = Array.from({ length: 50 }, (_, at) => `TOOL${at}_TOKEN`)
  const trail = path.join(directory, 'AWSLogs', ACCOUNT, 'CloudTrail', REGION, '2026', '01', '10')
  fs.mkdirSync(trail, { recursive: true })
  const logs = Array.from({ length: instances }, (_, at) =>
    path.join(directory, `instance-${at}`, 'secret-audit.jsonl'),
  )
  const lines = logs.map((log, at) => {
    fs.mkdirSync(path.dirname(log), { recursive: true })
    fs.writeFileSync(log, '')
    const instance = id(random).slice(0, 16)
    const out = fs.openSync(log, 'a')
    const begin = {
      seq: 1,
      time: micro(START - 60_000),
      instance,
      pid: 10 + at,
      event: 'open',
      detail: `host=host${at} user=app`,
    }
    fs.writeSync(out, `${JSON.stringify(begin)}\n`)
    return { out, instance, seq: 1, pid: 10 + at, waiting: '' }
  })
  const planted = {
    strangers: /** @type {string[]} */ ([]),
    others: /** @type {string[]} */ ([]),
    unseen: /** @type {string[]} */ ([]),
  }
  /** @type {object[][]} */
  const filled = Array.from({ length: open }, () => [])
  let files = 0
  let made = 0
  /** @param {object[]} file */
  const flush = (file) => {
    if (file.length === 0) return
    // CloudTrail's files are not in order.
    for (let at = file.length - 1; at > 0; at--) {
      const other = Math.floor(random() * (at + 1))
      ;[file[at], file[other]] = [/** @type {object} */ (file[other]), /** @type {object} */ (file[at])]
    }
    const text = JSON.stringify({ Records: file })
    const name = `${ACCOUNT}_CloudTrail_${REGION}_20260110T0000Z_${String(files++).padStart(8, '0')}.json.gz`
    fs.writeFileSync(path.join(trail, name), zlib.gzipSync(text, { level: 1 }))
    file.length = 0
  }
  /** @param {object} event */
  const put = (event) => {
    const file = /** @type {object[]} */ (filled[open === 1 ? 0 : Math.floor(random() * open)])
    file.push(event)
    made++
    if (file.length >= perFile) flush(file)
  }
  const left = { strangers, others, unseen }
  const total = { ...left }
  /** Spread evenly. @param {keyof typeof left} kind */
  const isDue = (kind) => left[kind] > 0 && made >= (events * (total[kind] - left[kind] + 0.5)) / (total[kind] + 1)
  for (let step = 0; made < events; step++) {
    const time = START + step * 40
    const at = Math.floor(random() * instances)
    const log = /** @type {(typeof lines)[number]} */ (lines[at])
    const session = `arn:aws:sts::${ACCOUNT}:assumed-role/${ROLE}/instance-${at}`
    const request = id(random)
    /** @param {string} name */
    const record = (name) => {
      log.waiting += `${JSON.stringify({
        seq: ++log.seq,
        time: micro(time + 20),
        instance: log.instance,
        pid: log.pid,
        environment: 'production',
        event: random() < 0.3 ? 'inspect' : 'access',
        secret: name,
        source: 'aws',
        cache: 'miss',
        outcome: 'ok',
        version: id(random),
        latency_us: 20_000,
        request,
        prev: '0'.repeat(64),
      })}\n`
      if (log.waiting.length > 1 << 20) {
        fs.writeSync(log.out, log.waiting)
        log.waiting = ''
      }
    }
    const pick = () => /** @type {string} */ (names[Math.floor(random() * names.length)])
    if (isDue('unseen')) {
      left.unseen--
      record(pick())
      planted.unseen.push(request)
    } else if (random() < 0.1) {
      const some = [...new Set(Array.from({ length: 8 }, pick))]
      some.forEach(record)
      put(event({ name: 'BatchGetSecretValue', time, session, request, id: id(random), list: some }))
      // Whether these have the batch's request id is not documented: they have others here.
      for (const name of some)
        put(
          event({
            name: 'GetSecretValue',
            time: time + 1,
            session,
            request: id(random),
            id: id(random),
            secret: name,
            byArn: true,
          }),
        )
    } else {
      const name = pick()
      record(name)
      put(
        event({ name: 'GetSecretValue', time, session, request, id: id(random), secret: name, byArn: random() < 0.3 }),
      )
    }
    if (isDue('strangers')) {
      left.strangers--
      const eventId = id(random)
      planted.strangers.push(eventId)
      // Some use the very session of an instance.
      const from = random() < 0.5 ? session : `arn:aws:sts::${ACCOUNT}:assumed-role/${ROLE}/laptop`
      put(
        event({
          name: 'GetSecretValue',
          time: time + 7,
          session: from,
          request: id(random),
          id: eventId,
          secret: pick(),
          address: '203.0.113.66',
          agent: 'aws-cli/2.31.0',
        }),
      )
    }
    if (isDue('others')) {
      left.others--
      const eventId = id(random)
      planted.others.push(eventId)
      const other = `arn:aws:sts::${ACCOUNT}:assumed-role/Terraform/ci`
      put(
        event({
          name: 'GetSecretValue',
          time: time + 9,
          session: other,
          request: id(random),
          id: eventId,
          secret: pick(),
        }),
      )
    }
    // What any account has besides: other services, other secrets.
    if (step % 10 === 0)
      put(
        event({
          name: 'GetSecretValue',
          time,
          session: `arn:aws:sts::${ACCOUNT}:assumed-role/billing/x`,
          request: id(random),
          id: id(random),
          secret: 'BILLING_KEY_production',
        }),
      )
  }
  filled.forEach(flush)
  for (const log of lines) {
    fs.writeSync(log.out, log.waiting)
    fs.closeSync(log.out)
  }
  return { trail: path.join(directory, 'AWSLogs'), logs, names, planted, events: made }
}

/** @param {{ name: string, time: number, session: string, request: string, id: string, secret?: string, list?: string[], byArn?: boolean, address?: string, agent?: string }} about */
function event({
  name,
  time,
  session,
  request,
  id,
  secret,
  list,
  byArn = false,
  address = '198.51.100.7',
  agent = 'aws-sdk-rust/1.3.10',
}) {
  const [, role = '', who = ''] = /assumed-role\/([^/]+)\/(.*)$/.exec(session) ?? []
  const aws = (/** @type {string} */ one) => (one.endsWith('_production') ? one : `${one}_production`)
  const arn = (/** @type {string} */ one) => `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:${aws(one)}-AbCdEf`
  return {
    eventVersion: '1.11',
    userIdentity: {
      type: 'AssumedRole',
      principalId: `AROAEXAMPLEEXAMPLE000:${who}`,
      arn: session,
      accountId: ACCOUNT,
      accessKeyId: 'ASIAEXAMPLEEXAMPLE00',
      sessionContext: {
        sessionIssuer: {
          type: 'Role',
          principalId: 'AROAEXAMPLEEXAMPLE000',
          arn: `arn:aws:iam::${ACCOUNT}:role/${role}`,
          accountId: ACCOUNT,
          userName: role,
        },
        attributes: { creationDate: '2026-01-10T00:00:00Z', mfaAuthenticated: 'false' },
      },
    },
    eventTime: new Date(time).toISOString().replace(/\.\d{3}Z$/, 'Z'),
    eventSource: 'secretsmanager.amazonaws.com',
    eventName: name,
    awsRegion: REGION,
    sourceIPAddress: address,
    userAgent: agent,
    requestParameters:
      list === undefined
        ? { secretId: byArn ? arn(secret ?? '') : aws(secret ?? '') }
        : { secretIdList: list.map(aws) },
    responseElements: null,
    requestID: request,
    eventID: id,
    readOnly: true,
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: 'Management',
    tlsDetails: {
      tlsVersion: 'TLSv1.3',
      cipherSuite: 'TLS_AES_128_GCM_SHA256',
      clientProvidedHostHeader: `secretsmanager.${REGION}.amazonaws.com`,
    },
  }
}

/** Numbers from 0 to 1 that a seed decides. @param {number} seed */
function randomOf(seed) {
  let state = createHash('sha256').update(String(seed)).digest().readUInt32LE(0)
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** @param {() => number} random */
function id(random) {
  const part = () =>
    Math.floor(random() * 0x100000000)
      .toString(16)
      .padStart(8, '0')
  const text = part() + part() + part() + part()
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-a${text.slice(17, 20)}-${text.slice(20, 32)}`
}

/** @param {number} time */
const micro = (time) => new Date(time).toISOString().replace('Z', '000Z')

module.exports = { ACCOUNT, REGION, ROLE, event, generate }
