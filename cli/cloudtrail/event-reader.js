'use strict'

// Finds the end of one event in a text and, on the way, where the few members stand that a comparison needs. A member counts only at
// its place in the event: others of the same name, deeper or in a text, do not. An event of CloudTrail has 1.5 kB, of which ten
// members are used; parsing all of it as JSON takes longer than everything else.

const [QUOTE, ESCAPE, OPEN, CLOSE, LIST, LIST_END, COLON] = [...'"\\{}[]:'].map((letter) => letter.charCodeAt(0))
const BLANK = 0x20
const LETTER_E = 0x65

/** The objects that are looked into. */
const EVENT = 1
const IDENTITY = 2
const PARAMETERS = 3
const SESSION = 4
const ISSUER = 5
/** Objects that lie deeper are not looked into. */
const DEEPEST = 8

const MEMBERS = /** @type {const} */ ([
  'eventSource',
  'eventName',
  'eventTime',
  'eventID',
  'requestID',
  'errorCode',
  'sourceIPAddress',
  'userAgent',
  'arn',
  'issuer',
  'secretId',
])
/** @typedef {(typeof MEMBERS)[number]} Member */
const AT = /** @type {Record<Member, number>} */ (Object.fromEntries(MEMBERS.map((name, at) => [name, 2 * at])))
/** Members that hold objects, and those that only a parser reads. */
const OBJECTS = 100
const PARSED = 200

/** Whether a text that was looked at had a backslash. */
let escapes = false

/** The end of a text, or `-1`. @param {Uint8Array} bytes @param {number} at Behind its first quote. @param {number} end */
function closing(bytes, at, end) {
  for (; at < end; at++) {
    const code = bytes[at]
    if (code === QUOTE) return at
    if (code === ESCAPE) {
      escapes = true
      at++
    }
  }
  return -1
}

class EventReader {
  /** Where members begin and end in the text; `-1`: there is none, or it is no text. */
  #spans = new Int32Array(2 * MEMBERS.length)
  /** What kind of object is open at each depth. */
  #kinds = new Uint8Array(DEEPEST)
  #seen = 0
  #text = ''
  #start = 0
  #end = 0
  /** Whether the last object looks like an event of CloudTrail, of any service. */
  isEvent = false
  /** Whether only a parser can read it: what came by another way than a file of a trail, and what is written in an unusual way. */
  isOdd = false

  /**
   * Reads the object at `start`.
   *
   * @param {Uint8Array} bytes
   * @param {string} text The same, with a character for each byte: parts of it are cheaper to take.
   * @param {number} start
   * @returns {number} The position behind it; `-1`: the text ends before it does.
   */
  read(bytes, text, start) {
    const spans = this.#spans.fill(-1)
    const kinds = this.#kinds
    const end = bytes.length
    this.#seen = 0
    this.isEvent = false
    this.isOdd = false
    let depth = 0
    let next = EVENT
    let at = start
    while (at < end) {
      const code = bytes[at]
      if (code === QUOTE) {
        escapes = false
        const from = at + 1
        const to = closing(bytes, from, end)
        if (to < 0) return -1
        at = to + 1
        const kind = depth < DEEPEST ? kinds[depth] : 0
        if (kind === 0) continue
        while (at < end && /** @type {number} */ (bytes[at]) <= BLANK) at++
        if (at >= end) return -1
        if (bytes[at] !== COLON) continue
        if (escapes) this.isOdd = true
        const member = this.#memberOf(text, from, to - from, /** @type {number} */ (kind))
        if (member < 0) continue
        at++
        while (at < end && /** @type {number} */ (bytes[at]) <= BLANK) at++
        if (at >= end) return -1
        if (member >= OBJECTS) next = this.#object(member, bytes[at])
        else if (bytes[at] === QUOTE) {
          const close = closing(bytes, at + 1, end)
          if (close < 0) return -1
          spans[member] = at + 1
          spans[member + 1] = close
          at = close + 1
        } else {
          spans[member] = -1
          if (member === AT.eventTime || member === AT.arn) this.isOdd = true
        }
        continue
      }
      if (code === OPEN || code === LIST) {
        depth++
        if (depth < DEEPEST) kinds[depth] = code === OPEN ? next : 0
        next = 0
      } else if (code === CLOSE || code === LIST_END) {
        depth--
        if (depth === 0) {
          this.#text = text
          this.#start = start
          this.#end = at + 1
          return at + 1
        }
      }
      at++
    }
    return -1
  }

  /** The place of a text member, or a number of another member that matters; `-1`: none. @param {string} text @param {number} from @param {number} length @param {number} kind */
  #memberOf(text, from, length, kind) {
    if (kind === EVENT) {
      switch (length) {
        case 6:
          return text.startsWith('detail', from) ? PARSED : -1
        case 7:
          if (text.startsWith('eventID', from)) return AT.eventID
          return text.startsWith('Records', from) ? PARSED : -1
        case 9:
          // Seven members have names of this length.
          if (text.charCodeAt(from) !== LETTER_E) {
            if (text.startsWith('userAgent', from)) return AT.userAgent
            return text.startsWith('requestID', from) ? AT.requestID : -1
          }
          if (text.startsWith('eventTime', from)) return AT.eventTime
          if (text.startsWith('eventName', from)) {
            this.isEvent = true
            return AT.eventName
          }
          return text.startsWith('errorCode', from) ? AT.errorCode : -1
        case 11:
          if (!text.startsWith('eventSource', from)) return -1
          this.isEvent = true
          return AT.eventSource
        case 12:
          return text.startsWith('userIdentity', from) ? OBJECTS + IDENTITY : -1
        case 15:
          if (text.startsWith('sourceIPAddress', from)) return AT.sourceIPAddress
          return text.startsWith('CloudTrailEvent', from) ? PARSED : -1
        case 17:
          return text.startsWith('requestParameters', from) ? OBJECTS + PARAMETERS : -1
        default:
          return -1
      }
    }
    switch (length) {
      case 3:
        if (!text.startsWith('arn', from)) return -1
        return kind === IDENTITY ? AT.arn : kind === ISSUER ? AT.issuer : -1
      case 8:
        return kind === PARAMETERS && text.startsWith('secretId', from) ? AT.secretId : -1
      case 13:
        return kind === SESSION && text.startsWith('sessionIssuer', from) ? OBJECTS + ISSUER : -1
      case 14:
        return kind === IDENTITY && text.startsWith('sessionContext', from) ? OBJECTS + SESSION : -1
      default:
        return -1
    }
  }

  /** What kind of object begins with this character. @param {number} member @param {number | undefined} code */
  #object(member, code) {
    if (member === PARSED) {
      this.isOdd = true
      return 0
    }
    const kind = member - OBJECTS
    // Of a member that comes twice only the second one counts.
    if ((this.#seen & (1 << kind)) !== 0 || (kind === IDENTITY && code !== OPEN)) this.isOdd = true
    this.#seen |= 1 << kind
    return code === OPEN ? kind : 0
  }

  /** A member as it stands in the text, with its escapes; `''`: there is none. @param {Member} member */
  raw(member) {
    const at = AT[member]
    const from = /** @type {number} */ (this.#spans[at])
    return from < 0 ? '' : this.#text.slice(from, this.#spans[at + 1])
  }

  /** Whether a member is this text, which has no escapes. @param {Member} member @param {string} value */
  is(member, value) {
    const at = AT[member]
    const from = /** @type {number} */ (this.#spans[at])
    return (
      from >= 0 &&
      /** @type {number} */ (this.#spans[at + 1]) - from === value.length &&
      this.#text.startsWith(value, from)
    )
  }

  /** Whether a member is written so. `''`: or is not there. @param {Member} member @param {string} raw */
  isRaw(member, raw) {
    return this.is(member, raw) || (raw === '' && !this.has(member))
  }

  /** Whether a member is a text. @param {Member} member */
  has(member) {
    return /** @type {number} */ (this.#spans[AT[member]]) >= 0
  }

  /** The object as UTF-8, as JSON.parse takes it. The text has a character for each byte. */
  whole() {
    return Buffer.from(this.#text.slice(this.#start, this.#end), 'latin1').toString('utf8')
  }
}

exports.EventReader = EventReader
