'use strict'

// The records of audit logs that stand for calls of AWS.

const fs = require('node:fs')
const path = require('node:path')
const { filesOf } = require('../audit-log')
const { CliError, EXIT } = require('../exit')
const { text } = require('./events')
const { copied } = require('./words')

/** The longest line of a log, several times over. */
const MOST_CHARACTERS = 1024 * 1024

/**
 * The files of logs, each once.
 *
 * @param {string[]} places Logs, which bring their older files along, and folders of logs.
 */
function logFiles(places) {
  const found = places.flatMap((place) => {
    const stat = fs.statSync(place, { throwIfNoEntry: false })
    if (stat?.isDirectory() !== true) return filesOf(place)
    const names = fs.readdirSync(place, { recursive: true, encoding: 'utf8' }).sort()
    return names.filter((name) => name.endsWith('.jsonl')).map((name) => path.join(place, name))
  })
  return [...new Set(found.map((file) => path.resolve(file)))]
}

/** @typedef {{ time: number, request: string, secret: string | null, instance: string }} Call A record that has a request id. */

/**
 * Calls `seen` with each record of a log that has a request id, and `first` with the time of the first record.
 *
 * @param {string} file
 * @param {{ seen: (call: Call) => void, first: (time: number) => void }} listener
 */
async function requestsIn(file, { seen, first }) {
  let rest = ''
  let begun = false
  /** @param {string} line */
  const take = (line) => {
    if (begun && !line.includes('"request":"')) return
    const call = callOf(line)
    if (call === undefined || Number.isNaN(call.time)) return
    if (!begun) first(call.time)
    begun = true
    if (call.isRequest) seen(call)
  }
  // A pipe would be waited for.
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
    throw new CliError('FILE_NOT_READ', EXIT.source, `${file} is no regular file, or does not exist`)
  }
  try {
    const stream = fs.createReadStream(file, { encoding: 'utf8', highWaterMark: 64 * 1024 })
    for await (const chunk of stream) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      // A log has no longer lines: this is another file, such as a picture.
      if (rest.length > MOST_CHARACTERS) rest = ''
      lines.forEach(take)
    }
    take(rest)
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    throw new CliError('FILE_NOT_READ', EXIT.source, `${file} could not be read (${code})`)
  }
}

/** @param {string} line @returns {(Call & { isRequest: boolean }) | undefined} */
function callOf(line) {
  // As the log is written: one object, nothing escaped. Then a member stands where its name does, and nothing has to be parsed.
  if (/^\{"seq":\d+,"time":"/.test(line) && !line.includes('\\') && line.indexOf('{', 1) < 0 && line.endsWith('}')) {
    const request = member(line, '"request":"')
    const time = timeOf(member(line, '"time":"') ?? '')
    const [secret, instance = ''] = [member(line, '"secret":"'), member(line, '"instance":"')]
    return {
      time,
      request: text(request),
      secret: secret ?? null,
      instance: text(instance),
      isRequest: request !== undefined,
    }
  }
  let record
  try {
    record = JSON.parse(line)
  } catch {
    // The line that is being written.
    return undefined
  }
  const isRequest = typeof record?.request === 'string' && Number.isInteger(record.seq)
  return {
    time: Date.parse(record?.time),
    request: text(record?.request),
    secret: typeof record?.secret === 'string' ? record.secret : null,
    instance: text(record?.instance),
    isRequest,
  }
}

/** The second that was read last: records of one second come together. */
let second = { text: '', time: NaN }

/** @param {string} text */
function timeOf(text) {
  // As the log writes it: 2026-01-10T00:00:00.000000Z.
  if (text.length !== 27 || text[19] !== '.' || text[26] !== 'Z') return Date.parse(text)
  const rest = Number(text.slice(20, 23))
  if (!text.startsWith(second.text) || second.text === '') {
    const begun = text.slice(0, 19)
    second = { text: copied(begun), time: Date.parse(`${begun}Z`) }
  }
  return second.time + rest
}

/** The text behind a name. @param {string} line @param {string} name With its quotes, a colon and the quote of the text. */
function member(line, name) {
  const at = line.indexOf(name)
  if (at < 0) return undefined
  const from = at + name.length
  return line.slice(from, line.indexOf('"', from))
}

module.exports = { logFiles, requestsIn }
