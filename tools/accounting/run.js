'use strict'

// Compares what JavaScript received with what the audit log accounts for, over rounds of processes that end in every way.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { MOST_AT_ONCE, NAMES } = require('./names')

/**
 * @param {object} options
 * @param {object} options.aws Options of the AWS endpoint, which has the secrets.
 * @param {string} options.directory An empty directory.
 * @param {number} options.rounds
 * @param {number} options.accesses Of a round.
 * @param {number} [options.workers]
 * @param {'counted' | 'each'} [options.hits]
 * @param {(line: string) => void} [options.tell]
 * @returns {Promise<{ received: number, accounted: number, killed: number, megabytes: number, wrong: string[] }>}
 */
async function account({ aws, directory, rounds, accesses, workers = 4, hits = 'counted', tell = () => {} }) {
  const log = path.join(directory, 'audit.jsonl')
  const notes = path.join(directory, 'notes')
  fs.mkdirSync(notes)
  /** @type {string[]} */
  const ends = []
  for (let round = 0; round < rounds; round++) {
    // Most are killed; the others end with and without close().
    const end = ['kill', 'kill', 'exit', 'kill', 'close'][round % 5]
    const task = { aws, log, notes, round, workers, accesses, end, hits }
    const killAt = end === 'kill' ? Math.random() * accesses * 0.9 : Infinity
    ends.push(await run(task, () => noted(notes, round, workers) >= killAt))
    tell(`round ${round + 1}: ${ends[round]}, ${noted(notes, round, workers)} values received`)
  }
  // The next process that opens the log takes over what the killed ones left.
  const next = new SecretDelivery({ environment: 'production', aws, audit: { path: log, label: 'next' }, cache: false })
  await next.getSecret(NAMES[0])
  await next.close()
  const { valid, deliveries, missedDeliveries, unrecoveredJournals, bytes } = await verifyAuditLog(log)
  const wrong = []
  if (!valid || missedDeliveries > 0 || unrecoveredJournals > 0) wrong.push('the log does not verify')
  const found = accounted(directory)
  if (deliveries !== found.total) wrong.push(`verifyAuditLog says ${deliveries} of ${found.total}`)
  if (found.unversioned > 0) wrong.push(`${found.unversioned} records of AWS's values have no version`)
  let received = 0
  for (let round = 0; round < rounds; round++) {
    for (let worker = 0; worker < workers; worker++) {
      const caller = `r${round}-w${worker}`
      counts(path.join(notes, caller)).forEach((count, at) => {
        const said = found.by.get(`${caller} ${NAMES[at]}`) ?? 0
        // What was under way at a kill may have its record and not its note.
        const most = count + (ends[round] === 'kill' ? MOST_AT_ONCE : 0)
        if (said < count || said > most) wrong.push(`${caller} ${NAMES[at]}: ${count} received, ${said} accounted for`)
        received += count
      })
    }
  }
  const killed = ends.filter((end) => end === 'kill').length
  return { received, accounted: found.total - 1, killed, megabytes: bytes / 2 ** 20, wrong }
}

/** @param {any} task @param {() => boolean} isToBeKilled @returns {Promise<string>} How it ended. */
function run(task, isToBeKilled) {
  const child = spawn(process.execPath, [path.join(__dirname, 'child.js')], {
    env: { ...process.env, NODE_NO_WARNINGS: '1', TEST_TASK: JSON.stringify(task) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const watch = setInterval(() => isToBeKilled() && child.kill('SIGKILL'), 2)
  return new Promise((resolve, reject) => {
    child.once('close', (code, signal) => {
      clearInterval(watch)
      if (signal === 'SIGKILL') resolve('kill')
      else if (code === 0) resolve(task.end === 'kill' ? 'exit' : task.end)
      else reject(new Error(`a process of the accounting ended with ${code ?? signal}`))
    })
  })
}

/** @param {string} file @returns {number[]} */
function counts(file) {
  if (!fs.existsSync(file)) return []
  const bytes = fs.readFileSync(file)
  return NAMES.map((_, at) => (bytes.length < 8 * (at + 1) ? 0 : Number(bytes.readBigUInt64LE(8 * at))))
}

/** @param {string} notes @param {number} round @param {number} workers */
function noted(notes, round, workers) {
  let sum = 0
  for (let worker = 0; worker < workers; worker++) {
    for (const count of counts(path.join(notes, `r${round}-w${worker}`))) sum += count
  }
  return sum
}

/** Deliveries by caller and secret, as the log has them. @param {string} directory */
function accounted(directory) {
  const by = new Map()
  let total = 0
  let unversioned = 0
  for (const file of fs.readdirSync(directory).filter((name) => name.endsWith('.jsonl'))) {
    for (const line of fs.readFileSync(path.join(directory, file), 'utf8').split('\n')) {
      if (!line.includes('"event":"access"')) continue
      const { secret, caller, outcome, version, count = 1 } = JSON.parse(line)
      if (outcome !== 'ok') continue
      if (version === undefined) unversioned++
      total += count
      by.set(`${caller} ${secret}`, (by.get(`${caller} ${secret}`) ?? 0) + count)
    }
  }
  return { by, total, unversioned }
}

module.exports = { account }
