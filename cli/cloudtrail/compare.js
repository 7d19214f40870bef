'use strict'

// Joins the reads that CloudTrail saw with those that the audit logs have. Both are read as streams, and spilled to files by
// request id, so that memory does not grow with them.

const { BATCH_MS, Batches } = require('./batches')
const { isNamed, longNameIn, nameIn, text, whoOf } = require('./events')
const { logFiles, requestsIn } = require('./logs')
const { filesBelow } = require('./scan')
const { PARTS, SpillPlace } = require('./spill')
const { readTrails } = require('./trails')
const { Words, copied } = require('./words')

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
    return await new Comparison(question, place).run()
  } finally {
    place.close()
  }
}

/** Records of one call. */
class Logged {
  /** The event of the batch. @type {{ time: string, who: string } | null} */
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
  #place
  /** Records of the logs, by request. */
  #records
  /** Reads that no record was found for by their request, and the secrets of batches. */
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
  #trail = { from: Infinity, to: -Infinity }
  /** @type {Record<string, { count: number, items: any[] }>} */
  #found = {}
  counts = { events: 0, repeated: 0, otherSecrets: 0, beforeLog: 0, matched: 0, records: 0, failed: 0 }
  /** @type {{ file: string, problem: string }[]} */
  problems = []

  /** @param {Question} question @param {SpillPlace} place */
  constructor(question, place) {
    this.#question = question
    this.#place = place
    this.#records = place.spill()
    this.#bySecret = place.spill()
    this.#own = new Set(question.roles)
  }

  async run() {
    const { since, until, cloudtrail, onFile } = this.#question
    const logs = logFiles(this.#question.logs)
    const files = filesBelow(cloudtrail)
    const reading = readTrails(files, { since, until }, this.#place, (done) => onFile?.(done, files.length))
    const [trails] = await Promise.all([reading, this.#readLogs(logs)])
    for (const { found } of trails) this.#noteTrail(found)
    // Nothing read is nothing compared: the folder is another one, or what filled it failed.
    if (!trails.some(({ found }) => found.isTrail) && this.problems.length === 0) {
      this.problems.push({ file: cloudtrail.join(', '), problem: 'it holds no events of CloudTrail' })
    }
    await this.#joinRequests(trails)
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

  /** @param {string[]} files */
  async #readLogs(files) {
    for (const file of files) await this.#readLog(file)
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
      this.#records.add(request, [request, name, time, who].join(TAB))
    }
    await requestsIn(file, { seen, first: (time) => (this.#logBegins = Math.min(this.#logBegins, time)) })
  }

  /** @param {import('./trail').TrailFound} found */
  #noteTrail({ events, from, to, problems }) {
    this.counts.events += events
    this.#trail.from = Math.min(this.#trail.from, from)
    this.#trail.to = Math.max(this.#trail.to, to)
    this.problems.push(...problems)
  }

  /** @param {import('./trails').Part[]} trails */
  async #joinRequests(trails) {
    const sides = trails.map(({ found, spill }) => ({ spill, word: this.#words.translated(found.texts) }))
    const learns = this.#question.roles.length === 0
    const newest = this.#trail.to - this.#question.graceMs
    for (let part = 0; part < PARTS; part++) {
      await turn()
      const logged = this.#recordsOf(part)
      const ids = new Set()
      for (const { spill, word } of sides) {
        for (const line of spill.part(part)) {
          const [kind = '', request = '', id = '', time = '', ...words] = line.split(TAB)
          if (id !== '' && ids.has(id)) {
            this.counts.repeated++
            continue
          }
          ids.add(id)
          const [who = '', secret = '', error = ''] = words.map(word)
          const name = this.#nameOf(secret)
          const entry = logged.get(request)
          if (entry === undefined) {
            this.#bySecret.add(name, [kind, request, id, time, who, secret, error, name].join(TAB))
            continue
          }
          this.counts.matched++
          entry.isSeen = true
          // Who made a call that the logs have is this service.
          if (learns) this.#own.add(this.#callerOf(who).role)
          if (kind === 'M') entry.batch = { time, who }
          else entry.delete(name)
        }
        spill.remove(part)
      }
      for (const [request, entry] of logged) {
        const { batch, isSeen, time, instance } = entry
        // What CloudTrail writes for the secrets of a batch may have request ids of its own.
        if (batch !== null) {
          for (const name of entry.names) this.#bySecret.add(name, ['B', name, batch.time, batch.who].join(TAB))
        }
        if (isSeen || time < this.#trail.from || time > newest) continue
        const secrets = entry.names.map((name) => this.#words.text(name))
        this.#note('unseen', { request, time: iso(time), secrets, instance: this.#words.text(instance) })
      }
    }
  }

  /** The records of a part, by request. @param {number} part */
  #recordsOf(part) {
    /** @type {Map<string, Logged>} */
    const logged = new Map()
    for (const line of this.#records.part(part)) {
      const [request = '', name = '', time, instance = ''] = line.split(TAB)
      const entry = logged.get(request)
      if (entry !== undefined) entry.add(name)
      else logged.set(request, new Logged(name, Number(time), instance))
    }
    this.#records.remove(part)
    return logged
  }

  async #joinBatches() {
    for (let part = 0; part < PARTS; part++) {
      await turn()
      const lines = this.#bySecret.part(part)
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
      this.#bySecret.remove(part)
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

/** Lets signals in. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** @param {number} time */
const iso = (time) => (Number.isFinite(time) ? new Date(time).toISOString() : null)

module.exports = { compare }
