'use strict'

// The records of audit logs that stand for calls of AWS.

const fs = require('node:fs')
const path = require('node:path')
const { filesOf } = require('../audit-log')
const { CliError, EXIT } = require('../exit')

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

/**
 * Calls `seen` with each record of a log that has a request id, and `first` with the time of the first record.
 *
 * @param {string} file
 * @param {{ seen: (record: any) => void, first: (time: number) => void }} listener
 */
async function requestsIn(file, { seen, first }) {
  let rest = ''
  let begun = false
  /** @param {string} line */
  const take = (line) => {
    if (begun && !line.includes('"request":"')) return
    let record
    try {
      record = JSON.parse(line)
    } catch {
      // The line that is being written.
      return
    }
    const time = Date.parse(record?.time)
    if (Number.isNaN(time)) return
    if (!begun) first(time)
    begun = true
    if (typeof record.request === 'string' && Number.isInteger(record.seq)) seen(record)
  }
  // A pipe would be waited for.
  if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
    throw new CliError('FILE_NOT_READ', EXIT.source, `${file} is no regular file, or does not exist`)
  }
  try {
    const stream = fs.createReadStream(file, { encoding: 'utf8', highWaterMark: 1024 * 1024 })
    for await (const chunk of stream) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      lines.forEach(take)
    }
    take(rest)
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    throw new CliError('FILE_NOT_READ', EXIT.source, `${file} could not be read (${code})`)
  }
}

module.exports = { logFiles, requestsIn }
