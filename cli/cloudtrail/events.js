'use strict'

// What a comparison needs of an event of CloudTrail, and of a record of the audit log.

/** Reads of values. CloudTrail writes one GetSecretValue for each secret of a batch beside the batch. */
const READ = 'GetSecretValue'
const BATCH = 'BatchGetSecretValue'
const SOURCE = 'secretsmanager.amazonaws.com'
/** The most characters of a text that are kept. */
const MOST = 2048
/** The most sessions of which the last caller is remembered. */
const MOST_CALLERS = 10_000
/** What stands in a text of JSON as it is, and takes one byte. */
const PLAIN = /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/

const { copied } = require('./words')

/** @typedef {import('./event-reader').EventReader} EventReader */
/**
 * @typedef {object} Read
 * @property {string} id CloudTrail's.
 * @property {string} request AWS's id of the call; `''`: the event has none.
 * @property {boolean} isBatch
 * @property {number} time Milliseconds since 1970.
 * @property {string} who The word of what {@link whoOf} takes apart.
 * @property {string} secret The word of what the caller named; of a batch nothing.
 * @property {string} error The word of it.
 */

/** Between the parts of a text about a caller. It is in none of them. */
const BETWEEN = '\u001f'

/**
 * Calls `seen` with each read in the object that a reader read last.
 *
 * @param {EventReader} event
 * @param {import('./words').Words} words
 * @param {(read: Read) => void} seen
 * @returns {boolean} Whether it is an event of CloudTrail, of any service.
 */
function readsIn(event, words, seen) {
  if (event.isOdd) return parsedIn(event, words, seen)
  // Most events of an account are of other services.
  if (!event.is('eventSource', SOURCE)) return event.isEvent
  const isBatch = event.is('eventName', BATCH)
  if (!isBatch && !event.is('eventName', READ)) return true
  if (!event.has('arn')) return parsedIn(event, words, seen)
  const time = timeOf(event.raw('eventTime'))
  if (Number.isNaN(time)) return true
  seen({
    id: written(event.raw('eventID')),
    request: written(event.raw('requestID')),
    isBatch,
    time,
    who: callerIn(event, words),
    secret: isBatch ? '' : words.ofWritten(event.raw('secretId'), written),
    error: words.ofWritten(event.raw('errorCode'), written),
  })
  return true
}

/**
 * The word of who called. Most callers are the same few: they are found by their session, and compared where they stand.
 *
 * @param {EventReader} event
 * @param {import('./words').Words} words
 */
function callerIn(event, words) {
  const session = event.raw('arn')
  const known = words.callers.get(session)
  if (known !== undefined) {
    const { raw, word } = known
    const isSame =
      event.isRaw('issuer', raw[0]) && event.isRaw('sourceIPAddress', raw[2]) && event.isRaw('userAgent', raw[3])
    if (isSame) return word
  }
  const raw = [event.raw('issuer'), session, event.raw('sourceIPAddress'), event.raw('userAgent')].map(copied)
  const word = words.ofWritten(raw.join(BETWEEN), whoWritten)
  const isShort = raw.every((part) => part.length <= MOST)
  if (isShort && (known !== undefined || words.callers.size < MOST_CALLERS))
    words.callers.set(raw[1] ?? '', { raw, word })
  return word
}

/** The last day that was read, with the `T` behind it. */
let day = { text: '', time: NaN }

/** @param {string} text */
function timeOf(text) {
  // As CloudTrail writes it: 2026-01-10T01:02:03Z.
  const found = text.length === 20 && text[19] === 'Z' ? secondsOf(text) : -1
  if (found < 0) return Date.parse(written(text))
  if (day.text === '' || !text.startsWith(day.text)) {
    const begun = copied(text.slice(0, 11))
    day = { text: begun, time: Date.parse(`${begun}00:00:00Z`) }
  }
  return day.time + 1000 * found
}

/** The seconds since the beginning of the day; `-1`: it is no such time. @param {string} text */
function secondsOf(text) {
  if (text[10] !== 'T' || text[13] !== ':' || text[16] !== ':') return -1
  const [hours, minutes, seconds] = [twoDigits(text, 11), twoDigits(text, 14), twoDigits(text, 17)]
  return hours < 24 && minutes < 60 && seconds < 60 ? (hours * 60 + minutes) * 60 + seconds : -1
}

/** @param {string} text @param {number} at @returns {number} 99: they are no digits. */
function twoDigits(text, at) {
  const [tens, ones] = [text.charCodeAt(at) - 0x30, text.charCodeAt(at + 1) - 0x30]
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : 99
}

/** @param {EventReader} event @param {import('./words').Words} words @param {(read: Read) => void} seen */
function parsedIn(event, words, seen) {
  let object
  try {
    object = JSON.parse(event.whole())
    // What `aws cloudtrail lookup-events` writes.
    if (typeof object.CloudTrailEvent === 'string') object = JSON.parse(object.CloudTrailEvent)
    // What EventBridge hands on.
    else if (object.eventSource === undefined && typeof object.detail?.eventSource === 'string') object = object.detail
  } catch {
    return false
  }
  const found = Array.isArray(object.Records) ? object.Records : [object]
  let isEvent = false
  for (const one of found) {
    if (typeof one?.eventSource === 'string' || typeof one?.eventName === 'string') isEvent = true
    take(one, words, seen)
  }
  return isEvent
}

/** @param {any} event @param {import('./words').Words} words @param {(read: Read) => void} seen */
function take(event, words, seen) {
  if (event?.eventSource !== SOURCE || ![READ, BATCH].includes(event.eventName)) return
  const time = Date.parse(event.eventTime)
  if (Number.isNaN(time)) return
  const { requestParameters } = event
  const userIdentity = event.userIdentity ?? {}
  const session = userIdentity.arn ?? userIdentity.invokedBy ?? userIdentity.principalId ?? userIdentity.accountId
  const parts = [userIdentity.sessionContext?.sessionIssuer?.arn, session, event.sourceIPAddress, event.userAgent]
  const isBatch = event.eventName === BATCH
  seen({
    id: text(event.eventID),
    request: text(event.requestID),
    isBatch,
    time,
    who: words.of(withRole(parts.map(text))),
    secret: isBatch ? '' : words.of(text(requestParameters?.secretId)),
    error: words.of(text(event.errorCode)),
  })
}

/** @param {string} raw Parts as they are written in JSON. */
function whoWritten(raw) {
  return withRole(raw.split(BETWEEN).map(written))
}

/** @param {string[]} parts Role, if that is known, session, address and agent. */
function withRole([role, session = '', ...rest]) {
  return [role || roleOf(session), session, ...rest].join(BETWEEN)
}

/**
 * @param {string} who
 * @returns {{ role: string, session: string, address: string, agent: string }} ARN of the role, else of who it was; ARN of the session.
 */
function whoOf(who) {
  const [role = '', session = '', address = '', agent = ''] = who.split(BETWEEN)
  return { role, session, address, agent }
}

/** The role of a session: `arn:aws:sts::1:assumed-role/NAME/SESSION`. @param {string} arn */
function roleOf(arn) {
  const found = /^arn:([\w-]+):sts::(\d+):assumed-role\/([^/]+)\//.exec(arn)
  return found === null ? arn : `arn:${found[1]}:iam::${found[2]}:role/${found[3]}`
}

/** Whether a principal is the one that is named: by its whole ARN, or the name at its end. @param {string} named @param {string} arn */
function isNamed(named, arn) {
  return named === arn || (!named.startsWith('arn:') && arn.endsWith(`/${named}`))
}

/** What a text of JSON says, given as it is written: without quotes, a character for each byte. @param {string} raw */
function written(raw) {
  if (raw.length <= MOST && PLAIN.test(raw)) return raw
  try {
    return text(JSON.parse(`"${Buffer.from(raw, 'latin1').toString('utf8')}"`))
  } catch {
    return text(raw)
  }
}

/** A text of ASCII in one line, which fits the lines of {@link Spill}: whatever is not printable is escaped. @param {unknown} value */
function text(value) {
  if (typeof value !== 'string') return ''
  const short = value.length > MOST ? value.slice(0, MOST) : value
  if (!/[^\x20-\x7e]/.test(short)) return short
  return short.replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * The name of a secret in an id: of an ARN what stands behind `:secret:`, without the ending that AWS made.
 *
 * @param {string} id
 */
function nameIn(id) {
  if (!id.startsWith('arn:')) return id
  return longNameIn(id).replace(/-[A-Za-z0-9]{6}$/, '')
}

/** The same with its ending: callers may leave the ending that AWS made off, and a name may look as if it had one. @param {string} id */
function longNameIn(id) {
  return id.startsWith('arn:') ? id.replace(/^(?:[^:]*:){6}/, '') : id
}

module.exports = { isNamed, longNameIn, nameIn, readsIn, text, whoOf }
