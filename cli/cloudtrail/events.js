'use strict'

// What a comparison needs of an event of CloudTrail, and of a record of the audit log.

/** Reads of values. CloudTrail writes one GetSecretValue for each secret of a batch beside the batch. */
const READS = new Set(['GetSecretValue', 'BatchGetSecretValue'])
const SOURCE = 'secretsmanager.amazonaws.com'

/**
 * @typedef {object} Read
 * @property {string} id CloudTrail's.
 * @property {string} request AWS's id of the call; `''`: the event has none.
 * @property {string} event
 * @property {number} time Milliseconds since 1970.
 * @property {string} role ARN of the role, else of who it was.
 * @property {string} session ARN of the session.
 * @property {string} secret What the caller named; of a batch nothing.
 * @property {string} error
 * @property {string} address
 * @property {string} agent
 */

/**
 * @param {Buffer} bytes
 * @param {(read: Read) => void} seen
 * @returns {boolean} Whether these bytes are events of CloudTrail, of any service.
 */
function readsIn(bytes, seen) {
  // Most events of an account are of other services: they are not parsed.
  const isOurs = bytes.includes(SOURCE) && bytes.includes('GetSecretValue')
  if (!isOurs) return bytes.includes('"eventSource"') || bytes.includes('eventName') || bytes.includes('EventName')
  let event
  try {
    event = JSON.parse(bytes.toString('utf8'))
    // What `aws cloudtrail lookup-events` writes.
    if (typeof event.CloudTrailEvent === 'string') event = JSON.parse(event.CloudTrailEvent)
  } catch {
    return false
  }
  const found = Array.isArray(event.Records) ? event.Records : [event]
  for (const one of found) take(one, seen)
  return true
}

/** @param {any} event @param {(read: Read) => void} seen */
function take(event, seen) {
  if (event?.eventSource !== SOURCE || !READS.has(event.eventName)) return
  const time = Date.parse(event.eventTime)
  if (Number.isNaN(time)) return
  const { requestParameters } = event
  const userIdentity = event.userIdentity ?? {}
  const session = text(userIdentity.arn ?? userIdentity.invokedBy ?? userIdentity.principalId ?? userIdentity.accountId)
  seen({
    id: text(event.eventID),
    request: text(event.requestID),
    event: event.eventName,
    time,
    role: text(userIdentity.sessionContext?.sessionIssuer?.arn) || roleOf(session),
    session,
    secret: event.eventName === 'GetSecretValue' ? text(requestParameters?.secretId) : '',
    error: text(event.errorCode),
    address: text(event.sourceIPAddress),
    agent: text(event.userAgent),
  })
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

/** A text of one line of ASCII, for the files that are spilled. @param {unknown} value */
function text(value) {
  if (typeof value !== 'string') return ''
  const short = value.length > 2048 ? value.slice(0, 2048) : value
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
  return id.replace(/^(?:[^:]*:){6}/, '').replace(/-[A-Za-z0-9]{6}$/, '')
}

module.exports = { isNamed, nameIn, readsIn, text }
