'use strict'

// Joins the reads that CloudTrail saw with those that the audit logs have. Both are read as streams, and spilled to files by
// request id, so that memory does not grow with them.

const { BATCH_MS, Batches } = require('./batches')
const { isNamed, longNameIn, nameIn, readsIn, text, whoOf } = require('./events')
const { logFiles, requestsIn } = require('./logs')
const { filesBelow, scan, unpackedAhead } = require('./scan')
const { SpillPlace } = require('./spill')
const { Words, copied } = require('./words')

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
 * @property {number} most Of each kind, the most that are listed, the newest; all are counted.
 * @property {(kind: string, found: object) => void} [each] Called with each difference.
 * @property {(done: number, total: number) => void} [onFile] Called when a file of CloudTrail was read.
 */

/** @typedef {ReturnType<typeof whoOf> & { sessionWord: string, isOwn?: boolean }} Caller */

/** How many callers and names are remembered; others are looked up again. */
const MOST_KNOWN = 100_000
const TAB = '\t'

/** @param {Question} question */
async function compare(question) {
  const place = new SpillPlace()
  try {
    const spills = { byRequest: place.spill(), bySecret: place.spill() }
    return await new Comparison(question, spills).run()
  } finally {
    place.close()
  }
}

/** Records of one call. */
class Logged {
  /** @type {string[] | null} The event of the batch. */
  batch = null
  isSeen = false

  /** Most calls are about one secret: a set is made for those about several. @type {string | Set<string>} */
  #names

  /** @param {string} name The word of the secret's; `''`: none. @param {number} time @param {string} instance */
  constructor(name, time, instance) {
    this.#names = name
    this.time = time
    this.instance = instance
  }

  /** @param {string} name */
  add(name) {
    if (typeof this.#names !== 'string') this.#names.add(name)
    else if (this.#names !== name) this.#names = new Set([this.#names, name])
  }

  /** @param {string} name */
  delete(name) {
    if (typeof this.#names !== 'string') this.#names.delete(name)
    else if (this.#names === name) this.#names = ''
  }

  /** @returns {string[]} */
  get names() {
    const all = typeof this.#names === 'string' ? [this.#names] : [...this.#names]
    return all.filter((name) => name !== '')
  }
}

class Comparison {
  #question
  #byRequest
  #bySecret
  // Texts of which there are few stand as words in the files.
  #words = new Words()
  /** @type {Map<string, string>} */
  #names = new Map()
  /** @type {Map<string, Caller>} */
  #callers = new Map()
  /** @type {Set<string>} The roles of reads that the logs have. */
  #own
  #logBegins = Infinity
  /** Whether there was an event of CloudTrail, of any service, or a list that says that there was none. */
  #isTrail = false
  #trail = { from: Infinity, to: -Infinity }
  /** @type {Record<string, { count: number, items: any[] }>} */
  #found = {}
  counts = { events: 0, repeated: 0, otherSecrets: 0, beforeLog: 0, matched: 0, records: 0, failed: 0 }
  /** @type {{ file: string, problem: string }[]} */
  problems = []

  /** @param {Question} question @param {{ byRequest: import('./spill').Spill, bySecret: import('./spill').Spill }} spills */
  constructor(question, { byRequest, bySecret }) {
    this.#question = question
    this.#byRequest = byRequest
    this.#bySecret = bySecret
    this.#own = new Set(question.roles)
  }

  async run() {
    const logs = logFiles(this.#question.logs)
    for (const log of logs) await this.#readLog(log)
    const files = filesBelow(this.#question.cloudtrail)
    let next = aheadOf(files[0])
    for (const [at, one] of files.entries()) {
      const ahead = next
      next = aheadOf(files[at + 1])
      await this.#readTrail(one, ahead)
      this.#question.onFile?.(at + 1, files.length)
    }
    // Nothing read is nothing compared: the folder is another one, or what filled it failed.
    if (!this.#isTrail && this.problems.length === 0) {
      const file = this.#question.cloudtrail.join(', ')
      this.problems.push({ file, problem: 'it holds no events of CloudTrail' })
    }
    await this.#joinRequests()
    await this.#joinBatches()
    const { counts } = this
    const kind = (/** @type {string} */ name) => {
      const { count, items } = this.#found[name] ?? { count: 0, items: [] }
      return { count, items: newest(items, this.#question.most) }
    }
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
    /** @type {Map<string, string>} The word of the AWS name, by the name of the secret. */
    const names = new Map()
    const wordOf = (/** @type {string} */ secret) => {
      const known = names.get(secret)
      if (known !== undefined) return known
      const word = this.#words.of(text(nameIn(idOf(secret))))
      names.set(copied(secret), word)
      return word
    }
    const seen = (/** @type {import('./logs').Call} */ { time, request, secret, instance }) => {
      if (time < since - BATCH_MS || time > until + BATCH_MS) return
      this.counts.records++
      const name = secret === null ? '' : wordOf(secret)
      const who = this.#words.of(instance)
      this.#byRequest.add(request, ['L', request, name, time, who].join(TAB))
    }
    await requestsIn(file, { seen, first: (time) => (this.#logBegins = Math.min(this.#logBegins, time)) })
  }

  /** @param {{ file: string, isNamed: boolean }} file @param {Promise<Buffer | null>} ahead */
  async #readTrail({ file, isNamed }, ahead) {
    let isTrail = false
    let foreign = 0
    const take = (/** @type {Read} */ read) => this.#takeRead(read)
    const seen = (/** @type {import('./events').EventReader} */ event) => {
      if (readsIn(event, this.#words, take)) this.#isTrail = isTrail = true
      else foreign++
    }
    const { problem, isListed } = await scan(file, seen, ahead)
    if (isListed) this.#isTrail = true
    if (problem !== null) this.problems.push({ file, problem })
    // Folders of a trail have digests as well, which hold no events.
    else if (isNamed && !isTrail && foreign > 0)
      this.problems.push({ file, problem: 'it holds no events of CloudTrail' })
  }

  /** @param {Read} read */
  #takeRead({ id, request, isBatch, time, who, secret, error }) {
    const { since, until } = this.#question
    if (time < since || time > until) return
    this.counts.events++
    this.#trail.from = Math.min(this.#trail.from, time)
    this.#trail.to = Math.max(this.#trail.to, time)
    const key = request || id
    this.#byRequest.add(key, [isBatch ? 'M' : 'S', key, id, time, who, secret, error].join(TAB))
  }

  async #joinRequests() {
    const learns = this.#question.roles.length === 0
    const newest = this.#trail.to - this.#question.graceMs
    for (const lines of this.#byRequest.parts()) {
      await turn()
      /** @type {Map<string, Logged>} */
      const logged = new Map()
      /** @type {string[]} */
      const events = []
      const ids = new Set()
      for (const line of lines) {
        if (!line.startsWith('L')) {
          const at = line.indexOf(TAB, 2) + 1
          const id = line.slice(at, line.indexOf(TAB, at))
          if (id !== '' && ids.has(id)) this.counts.repeated++
          else events.push(line)
          ids.add(id)
          continue
        }
        const [, request = '', name = '', time, instance = ''] = line.split(TAB)
        const entry = logged.get(request)
        if (entry !== undefined) entry.add(name)
        else logged.set(request, new Logged(name, Number(time), instance))
      }
      for (const line of events) {
        const fields = line.split(TAB)
        const [kind, request = '', , , who = '', secret = ''] = fields
        const name = this.#nameOf(secret)
        const entry = logged.get(request)
        if (entry === undefined) {
          this.#bySecret.add(name, `${line}${TAB}${name}`)
          continue
        }
        this.counts.matched++
        entry.isSeen = true
        // Who made a call that the logs have is this service.
        if (learns) this.#own.add(this.#callerOf(who).role)
        if (kind === 'M') entry.batch = fields
        else entry.delete(name)
      }
      for (const [request, entry] of logged) {
        const { batch, isSeen, time, instance } = entry
        // What CloudTrail writes for the secrets of a batch may have request ids of its own.
        if (batch !== null) {
          const [, , , at, who] = batch
          for (const name of entry.names) this.#bySecret.add(name, ['B', name, at, who].join(TAB))
        }
        if (isSeen || time < this.#trail.from || time > newest) continue
        const secrets = entry.names.map((name) => this.#words.text(name))
        this.#note('unseen', { request, time: iso(time), secrets, instance: this.#words.text(instance) })
      }
    }
  }

  async #joinBatches() {
    for (const lines of this.#bySecret.parts()) {
      await turn()
      const batches = new Batches()
      for (const line of lines) {
        if (!line.startsWith('B')) continue
        const [, name = '', time, who = ''] = line.split(TAB)
        batches.add(name, who, this.#callerOf(who).sessionWord, Number(time))
      }
      batches.sort()
      // First those that come from where a batch came from: they are that batch's rather than others in its session.
      for (const isExact of [true, false]) {
        for (const line of lines) {
          if (line.startsWith('B')) continue
          const fields = line.split(TAB)
          const [kind, , , time, who = '', , error, name = ''] = fields
          if (batches.knows(name, who) !== isExact) continue
          const mayBe = kind === 'S' && this.#words.text(error ?? '') === ''
          if (mayBe && batches.take(name, who, this.#callerOf(who).sessionWord, Number(time), isExact))
            this.counts.matched++
          else this.#judge(fields)
        }
      }
    }
  }

  /** The word of the name in an id. @param {string} secret Its word. */
  #nameOf(secret) {
    const known = this.#names.get(secret)
    if (known !== undefined) return known
    const name = this.#words.of(nameIn(this.#words.text(secret)))
    if (this.#names.size < MOST_KNOWN) this.#names.set(secret, name)
    return name
  }

  /** Who a word stands for. @param {string} who @returns {Caller} */
  #callerOf(who) {
    const known = this.#callers.get(who)
    if (known !== undefined) return known
    const caller = whoOf(this.#words.text(who))
    /** @type {Caller} */
    const found = { ...caller, sessionWord: this.#words.of(caller.session) }
    if (this.#callers.size < MOST_KNOWN) this.#callers.set(who, found)
    return found
  }

  /** What an event is that no log has. @param {string[]} fields */
  #judge([kind, request, id, at, who = '', secretWord = '', errorWord = '']) {
    const caller = this.#callerOf(who)
    const { role, session, address, agent } = caller
    const [secret, error] = [this.#words.text(secretWord), this.#words.text(errorWord)]
    const time = Number(at)
    const found = {
      time: iso(time),
      event: kind === 'M' ? 'BatchGetSecretValue' : 'GetSecretValue',
      secret,
      principal: session || role,
      role,
      address,
      agent,
      eventId: id,
      requestId: request,
    }
    const { ids, allowed } = this.#question
    caller.isOwn ??= [...this.#own].some((own) => isNamed(own, role) || own === session)
    const { isOwn } = caller
    const isOurs = secret === '' ? isOwn : ids.has(nameIn(secret)) || ids.has(longNameIn(secret))
    if (!isOwn && !isOurs) {
      this.counts.otherSecrets++
      return
    }
    if (error !== '') {
      // What failed otherwise delivered nothing, as the probe of health() does.
      if (/AccessDenied|Unauthorized/.test(error)) this.#note('refused', { ...found, error })
      else this.counts.failed++
    } else if (!isOwn) {
      if (!allowed.some((one) => one === session || this.#isAllowed(one, role))) this.#note('other', found)
    } else if (time < this.#logBegins - BATCH_MS) this.counts.beforeLog++
    else this.#note('stranger', found)
  }

  /**
   * Whether a role is the one that may read. A name stands for a role of the service's own account: whoever makes a role elsewhere
   * gives it any name. A session's name does not count at all: who takes a role chooses it.
   *
   * @param {string} named
   * @param {string} role
   */
  #isAllowed(named, role) {
    if (named === role) return true
    const accounts = [...this.#own].flatMap((own) => accountOf(own) ?? [])
    return isNamed(named, role) && (accounts.length === 0 || accounts.includes(accountOf(role) ?? ''))
  }

  /** @param {string} kind @param {object} item */
  #note(kind, item) {
    const entry = (this.#found[kind] ??= { count: 0, items: [] })
    entry.count++
    entry.items.push(item)
    if (entry.items.length >= 2 * this.#question.most) entry.items = newest(entry.items, this.#question.most)
    this.#question.each?.(kind, item)
  }
}

/** The newest, in the order of their times. @param {any[]} items @param {number} most */
function newest(items, most) {
  return items.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).slice(-most)
}

/** @param {string} arn */
const accountOf = (arn) => (arn.startsWith('arn:') ? arn.split(':')[4] : undefined)

/** @param {{ file: string } | undefined} one */
const aheadOf = (one) => (one === undefined ? Promise.resolve(null) : unpackedAhead(one.file))

/** Lets signals in. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** @param {number} time */
const iso = (time) => (Number.isFinite(time) ? new Date(time).toISOString() : null)

module.exports = { compare }
