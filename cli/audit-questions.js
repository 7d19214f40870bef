'use strict'

// What auditors ask of a log: which records fit, and which secrets nobody uses.

const fs = require('node:fs')
const { setTimeout } = require('node:timers/promises')
const { allRecords, parsed } = require('./audit-log')
const { CliError, EXIT } = require('./exit')
const { momentNamed } = require('./times')

/**
 * @typedef {{ secret?: string, tool?: string, event?: string, outcome?: string, actor?: string, since?: string, until?: string }} Question
 * @typedef {(record: any, actor: Record<string, string>) => boolean} Fits
 */

const EVENTS = [
  ...['access', 'inspect', 'rotate', 'invalidate', 'clear', 'set', 'migrate', 'write', 'validate', 'config'],
  ...['begin', 'end', 'open', 'close', 'session', 'missed', 'expire', 'checkpoint', 'recover', 'tamper'],
]
const OUTCOMES = ['ok', 'absent', 'denied', 'failed']
/** How often a followed file is looked at. */
const POLL_MS = 200
const DAY_MS = 86_400_000

/**
 * @param {Question} question
 * @param {number} now Milliseconds since 1970.
 * @returns {Fits}
 */
function fitting({ secret, tool, event, outcome, actor, since, until }, now) {
  oneOf('--event', event, EVENTS)
  oneOf('--outcome', outcome, OUTCOMES)
  const from = moment('--since', since, now) ?? -Infinity
  const to = moment('--until', until, now) ?? Infinity
  const wantedTool = tool?.toUpperCase()
  return (record, who) => {
    if (secret !== undefined && record.secret !== secret) return false
    if (wantedTool !== undefined && record.tool !== wantedTool) return false
    if (event !== undefined && record.event !== event) return false
    if (outcome !== undefined && record.outcome !== outcome) return false
    if (actor !== undefined && !isBy(actor, record, who)) return false
    // A record may stand for deliveries until `last`.
    return Date.parse(record.last ?? record.time) >= from && Date.parse(record.time) <= to
  }
}

/** @param {string} actor @param {any} record @param {Record<string, string>} who */
function isBy(actor, { caller, instance, pid }, who) {
  const [name, ...rest] = actor.split('=')
  if (rest.length > 0) return who[name] === rest.join('=')
  return [caller, instance, String(pid), ...Object.values(who)].includes(actor)
}

/** A word that no record has would be answered with "no record". @param {string} option @param {string | undefined} word @param {string[]} words */
function oneOf(option, word, words) {
  if (word === undefined || words.includes(word)) return
  throw new CliError('USAGE', EXIT.usage, `${option} must be one of ${words.join(', ')}`)
}

/** @param {string} option @param {string | undefined} text @param {number} now */
function moment(option, text, now) {
  if (text === undefined) return undefined
  const at = momentNamed(text, now)
  if (at === undefined) {
    throw new CliError('USAGE', EXIT.usage, `${option} must be a time as in ISO 8601, or a span such as 24h or 7d`)
  }
  return at
}

/**
 * The last records of a log that fit, and what all that fit add up to.
 *
 * @param {string} log
 * @param {Fits} fits
 * @param {number} most
 */
async function query(log, fits, most) {
  /** @type {any[]} */
  const records = []
  let matched = 0
  let deliveries = 0
  for await (const { record, actor } of allRecords(log)) {
    if (!fits(record, actor)) continue
    matched += 1
    if (record.event === 'access' && record.outcome === 'ok') deliveries += record.count ?? 1
    records.push({ ...record, actor })
    if (records.length > most) records.shift()
  }
  return { records, matched, deliveries }
}

/**
 * The secrets of `names`, and those in the log, that were not delivered within `days`.
 *
 * @param {string} log
 * @param {string[]} names
 * @param {number} days
 * @param {number} now Milliseconds since 1970.
 */
async function unused(log, names, days, now) {
  /** When each secret was delivered last; `null`: never. @type {Map<string, string | null>} */
  const last = new Map(names.map((name) => [name, null]))
  /** @type {string | null} */
  let begins = null
  for await (const { record } of allRecords(log)) {
    begins ??= record.time
    if (record.event === 'access' && record.outcome === 'ok') last.set(record.secret, record.last ?? record.time)
  }
  const since = now - days * DAY_MS
  const isUnused = (/** @type {string | null} */ time) => time === null || Date.parse(time) < since
  const secrets = [...last].filter(([, time]) => isUnused(time)).map(([name, time]) => ({ name, lastDelivered: time }))
  secrets.sort((a, b) => (a.name < b.name ? -1 : 1))
  const isComplete = begins !== null && Date.parse(begins) <= since
  return { days, known: last.size, logBegins: begins, isComplete, secrets }
}

/**
 * Calls `seen` with the records that are appended to a log, until `signal` is aborted. Goes on when the log is rotated.
 *
 * @param {string} log
 * @param {(record: any) => void} seen
 * @param {AbortSignal} signal
 */
async function follow(log, seen, signal) {
  let { ino, size: at } = statOf(log)
  let rest = ''
  let open = fs.existsSync(log) ? fs.openSync(log, 'r') : undefined
  const read = () => {
    if (open === undefined) return
    const buffer = Buffer.alloc(64 * 1024)
    for (;;) {
      const length = fs.readSync(open, buffer, 0, buffer.length, at)
      if (length === 0) return
      at += length
      const lines = (rest + buffer.toString('latin1', 0, length)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const record = parsed(Buffer.from(line, 'latin1').toString('utf8'))
        if (record !== undefined) seen(record)
      }
    }
  }
  while (!signal.aborted) {
    read()
    const now = statOf(log)
    if (now.ino !== ino && now.ino !== undefined) {
      // The rest of the old file was read above.
      if (open !== undefined) fs.closeSync(open)
      open = fs.openSync(log, 'r')
      ;[ino, at, rest] = [now.ino, 0, '']
      continue
    }
    // It ends at once when it is aborted, and leaves no listener behind. Its rejection says what `aborted` says.
    await setTimeout(POLL_MS, undefined, { signal }).catch(() => {})
  }
  if (open !== undefined) fs.closeSync(open)
}

/** @param {string} file @returns {{ ino?: number, size: number }} */
function statOf(file) {
  return fs.statSync(file, { throwIfNoEntry: false }) ?? { size: 0 }
}

module.exports = { fitting, follow, query, unused }
