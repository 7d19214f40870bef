'use strict'

// Joins the reads that CloudTrail saw with those that the audit logs have. Both are read as streams, and spilled to files by
// request id, so that memory does not grow with them.

const { filesBelow, scan } = require('./scan')
const { isNamed, nameIn, readsIn, text } = require('./events')
const { logFiles, requestsIn } = require('./logs')
const { Spill } = require('./spill')

/** @typedef {import('./events').Read} Read */
/**
 * @typedef {object} Question
 * @property {string[]} cloudtrail Files and folders.
 * @property {string[]} logs Files and folders.
 * @property {string[]} roles The service's own; none: those whose reads the logs have.
 * @property {string[]} allowed Other principals that may read.
 * @property {(name: string) => string} idOf The AWS id of a secret of the service.
 * @property {Set<string>} ids The AWS names of the declared secrets.
 * @property {number} since
 * @property {number} until
 * @property {number} graceMs How late CloudTrail may be.
 * @property {number} most Of each kind, the most that are listed; all are counted.
 * @property {(kind: string, found: object) => void} [each] Called with each difference.
 */

/** Between a batch and what CloudTrail writes for each of its secrets. */
const BATCH_MS = 5_000
const TAB = '\t'

/** @param {Question} question */
async function compare(question) {
  const comparison = new Comparison(question)
  try {
    return await comparison.run()
  } finally {
    comparison.close()
  }
}

class Comparison {
  #question
  #byRequest = new Spill()
  #bySecret = new Spill()
  /** @type {Set<string>} The roles of reads that the logs have. */
  #own
  #logBegins = Infinity
  #trail = { from: Infinity, to: -Infinity }
  /** @type {Record<string, { count: number, items: any[] }>} */
  #found = {}
  counts = { events: 0, repeated: 0, otherSecrets: 0, beforeLog: 0, matched: 0, records: 0, failed: 0 }
  /** @type {{ file: string, problem: string }[]} */
  problems = []

  /** @param {Question} question */
  constructor(question) {
    this.#question = question
    this.#own = new Set(question.roles)
  }

  close() {
    this.#byRequest.close()
    this.#bySecret.close()
  }

  async run() {
    const logs = logFiles(this.#question.logs)
    for (const log of logs) await this.#readLog(log)
    const files = filesBelow(this.#question.cloudtrail)
    for (const one of files) await this.#readTrail(one)
    this.#joinRequests()
    this.#joinBatches()
    const { counts } = this
    const kind = (/** @type {string} */ name) => this.#found[name] ?? { count: 0, items: [] }
    return {
      logs: logs.length,
      files: files.length,
      logBegins: iso(this.#logBegins),
      trailFrom: iso(this.#trail.from),
      trailTo: iso(this.#trail.to),
      roles: [...this.#own].sort(),
      ...counts,
      strangers: kind('stranger'),
      others: kind('other'),
      unseen: kind('unseen'),
      refusals: kind('refused'),
      problems: this.problems,
    }
  }

  /** @param {string} file */
  async #readLog(file) {
    const { idOf, since, until } = this.#question
    /** @type {Map<string, string>} */
    const names = new Map()
    const seen = (/** @type {any} */ record) => {
      const time = Date.parse(record.time)
      if (time < since - BATCH_MS || time > until + BATCH_MS) return
      const { secret } = record
      let id = ''
      if (typeof secret === 'string') {
        id = names.get(secret) ?? text(nameIn(idOf(secret)))
        names.set(secret, id)
      }
      this.counts.records++
      const request = text(record.request)
      this.#byRequest.add(request, ['L', request, id, time, text(record.outcome), text(record.instance)].join(TAB))
    }
    await requestsIn(file, { seen, first: (time) => (this.#logBegins = Math.min(this.#logBegins, time)) })
  }

  /** @param {{ file: string, isNamed: boolean }} file */
  async #readTrail({ file, isNamed }) {
    let isTrail = false
    let foreign = 0
    const problem = await scan(file, (bytes) => {
      const isEvent = readsIn(bytes, (read) => this.#takeRead(read))
      if (isEvent) isTrail = true
      else foreign++
    })
    if (problem !== null) this.problems.push({ file, problem })
    // Folders of a trail have digests as well, which hold no events.
    else if (isNamed && !isTrail && foreign > 0)
      this.problems.push({ file, problem: 'it holds no events of CloudTrail' })
  }

  /** @param {Read} read */
  #takeRead(read) {
    const { since, until } = this.#question
    if (read.time < since || read.time > until) return
    this.counts.events++
    this.#trail.from = Math.min(this.#trail.from, read.time)
    this.#trail.to = Math.max(this.#trail.to, read.time)
    const { request, id, event, time, role, session, secret, error, address, agent } = read
    const key = request || id
    this.#byRequest.add(key, ['T', key, id, event, time, role, session, secret, error, address, agent].join(TAB))
  }

  #joinRequests() {
    const learns = this.#question.roles.length === 0
    const newest = this.#trail.to - this.#question.graceMs
    for (const lines of this.#byRequest.parts()) {
      /** @type {Map<string, { ids: Map<string, number>, batch: string[] | null, seen: boolean, time: number, instance: string }>} */
      const logged = new Map()
      /** @type {string[]} */
      const events = []
      const doubled = new Set()
      for (const line of lines) {
        const fields = line.split(TAB)
        const [kind, request = '', id = ''] = fields
        if (kind === 'T') {
          if (id !== '' && doubled.has(id)) this.counts.repeated++
          else events.push(line)
          doubled.add(id)
          continue
        }
        const entry = logged.get(request) ?? {
          ids: new Map(),
          batch: null,
          seen: false,
          time: Number(fields[3]),
          instance: fields[5] ?? '',
        }
        if (id !== '') entry.ids.set(id, 1)
        logged.set(request, entry)
      }
      for (const line of events) {
        const fields = line.split(TAB)
        const entry = logged.get(fields[1] ?? '')
        if (entry === undefined) {
          this.#bySecret.add(nameIn(fields[7] ?? ''), line)
          continue
        }
        this.counts.matched++
        entry.seen = true
        // Who made a call that the logs have is this service.
        if (learns) this.#own.add(fields[5] ?? '')
        if (fields[3] === 'BatchGetSecretValue') entry.batch = fields
        else entry.ids.delete(nameIn(fields[7] ?? ''))
      }
      for (const [request, { ids, batch, seen, time, instance }] of logged) {
        // What CloudTrail writes for the secrets of a batch may have request ids of its own.
        if (batch !== null) {
          const [, , , , at, , session, , , address, agent] = batch
          for (const id of ids.keys()) this.#bySecret.add(id, ['B', id, session, at, address, agent].join(TAB))
        }
        const isCovered = time >= this.#trail.from && time <= newest
        if (!seen && isCovered) this.#note('unseen', { request, time: iso(time), secrets: [...ids.keys()], instance })
      }
    }
  }

  #joinBatches() {
    for (const lines of this.#bySecret.parts()) {
      const batches = new Batches()
      for (const line of lines) if (line.startsWith('B')) batches.add(line.split(TAB))
      batches.sort()
      // First those that come from where a batch came from: they are that batch's rather than others in its session.
      for (const isExact of [true, false]) {
        for (const line of lines) {
          if (line.startsWith('B')) continue
          const fields = line.split(TAB)
          if (batches.knows(fields) !== isExact) continue
          if (batches.take(fields, isExact)) this.counts.matched++
          else this.#judge(fields)
        }
      }
    }
  }

  /** What an event is that no log has. @param {string[]} fields */
  #judge(fields) {
    const [, request, id, event, at, role = '', session = '', secret = '', error, address, agent] = fields
    const time = Number(at)
    const found = {
      time: iso(time),
      event,
      secret,
      principal: session || role,
      role,
      address,
      agent,
      eventId: id,
      requestId: request,
    }
    const { ids, allowed } = this.#question
    const isOwn = [...this.#own].some((own) => isNamed(own, role) || own === session)
    const isOurs = secret === '' ? isOwn : ids.has(nameIn(secret))
    if (!isOwn && !isOurs) {
      this.counts.otherSecrets++
      return
    }
    if (error !== '') {
      // What failed otherwise delivered nothing, as the probe of health() does.
      if (/AccessDenied|Unauthorized/.test(error)) this.#note('refused', { ...found, error })
      else this.counts.failed++
    } else if (!isOwn) {
      const isAllowed = allowed.some((one) => isNamed(one, role) || isNamed(one, session))
      if (!isAllowed) this.#note('other', found)
    } else if (time < this.#logBegins - BATCH_MS) this.counts.beforeLog++
    else this.#note('stranger', found)
  }

  /** @param {string} kind @param {object} item */
  #note(kind, item) {
    const entry = (this.#found[kind] ??= { count: 0, items: [] })
    entry.count++
    if (entry.items.length < this.#question.most) entry.items.push(item)
    this.#question.each?.(kind, item)
  }
}

/** The secrets of batches that the logs have: each stands for one read in CloudTrail. */
class Batches {
  /** @type {Map<string, { times: number[], used: Uint8Array }>} */
  #bySession = new Map()
  /** @type {Set<string>} */
  #places = new Set()

  /** @param {string[]} fields */
  add([, id, session, time, address, agent]) {
    for (const key of [`${id} ${session}`, `${id} ${session} ${address} ${agent}`]) {
      const entry = this.#bySession.get(key) ?? { times: [], used: new Uint8Array() }
      entry.times.push(Number(time))
      this.#bySession.set(key, entry)
    }
    this.#places.add(`${id} ${session} ${address} ${agent}`)
  }

  sort() {
    for (const entry of this.#bySession.values()) {
      entry.times.sort((a, b) => a - b)
      entry.used = new Uint8Array(entry.times.length)
    }
  }

  /** Whether a batch with this secret came from where this event came from. @param {string[]} fields */
  knows(fields) {
    return this.#places.has(placeOf(fields))
  }

  /** @param {string[]} fields @param {boolean} isExact */
  take(fields, isExact) {
    const [, , , event, time, , session, secret = '', error] = fields
    if (event !== 'GetSecretValue' || error !== '') return false
    const all = this.#bySession.get(`${nameIn(secret)} ${session}`)
    if (all === undefined) return false
    if (!isExact) return takeNearest(all, Number(time))
    const own = this.#bySession.get(placeOf(fields))
    if (own === undefined || !takeNearest(own, Number(time))) return false
    takeNearest(all, Number(time))
    return true
  }
}

/** @param {string[]} fields */
function placeOf([, , , , , , session, secret = '', , address, agent]) {
  return `${nameIn(secret)} ${session} ${address} ${agent}`
}

/**
 * Takes the time that is nearest to `time` and was not taken, within the bound.
 *
 * @param {{ times: number[], used: Uint8Array }} entry
 * @param {number} time
 */
function takeNearest({ times, used }, time) {
  let low = 0
  for (let high = times.length; low < high;) {
    const middle = (low + high) >> 1
    if (/** @type {number} */ (times[middle]) < time) low = middle + 1
    else high = middle
  }
  const gap = (/** @type {number} */ at) => Math.abs(/** @type {number} */ (times[at]) - time)
  let best = -1
  for (let at = low; at < times.length && gap(at) <= BATCH_MS; at++) {
    if (used[at]) continue
    best = at
    break
  }
  for (let at = low - 1; at >= 0 && gap(at) <= BATCH_MS; at--) {
    if (used[at]) continue
    if (best < 0 || gap(at) < gap(best)) best = at
    break
  }
  if (best < 0) return false
  used[best] = 1
  return true
}

/** @param {number} time */
const iso = (time) => (Number.isFinite(time) ? new Date(time).toISOString() : null)

module.exports = { compare }
