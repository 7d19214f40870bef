'use strict'

// `node tools/cloudtrail [EVENTS] [STRANGERS]`: makes that many events with strangers, out of order, compares them, and says how long
// that took, how much memory it needed, and whether exactly the strangers were found.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { generate } = require('./generate')

const [events = 1_000_000, strangers = 1_000] = process.argv.slice(2).map(Number)
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tcs-cloudtrail-'))
try {
  const made = generate(directory, { events, strangers, others: 10, unseen: 10, perFile: 5_000, open: 16 })
  const tools = Object.fromEntries(made.names.map((name) => [name.split('_')[0], { secrets: { token: {} } }]))
  fs.writeFileSync(
    path.join(directory, 'tcs-secrets.config.json'),
    JSON.stringify({ environment: 'production', tools }),
  )
  const out = path.join(directory, 'found.jsonl')
  const entry = path.resolve(__dirname, '..', '..', 'cli', 'index.js')
  const args = [
    path.join(__dirname, 'measured.js'),
    entry,
    'audit',
    'compare',
    ...made.logs,
    '--cloudtrail',
    made.trail,
    '--out',
    out,
    '--json',
  ]
  console.log(`${made.events} events are made in ${directory}`)
  const begun = process.hrtime.bigint()
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    cwd: directory,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9
  const found = JSON.parse(stdout)
  const listed = fs
    .readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const ids = new Set(listed.filter(({ kind }) => kind === 'stranger').map(({ eventId }) => eventId))
  const right = new Set(made.planted.strangers)
  const missed = made.planted.strangers.filter((one) => !ids.has(one)).length
  const wrong = [...ids].filter((one) => !right.has(one)).length
  console.log(
    `${made.events} events, ${found.strangers.count} strangers of ${strangers} found: ${missed} missed, ${wrong} false; ${found.others.count} others, ${found.unseen.count} unseen`,
  )
  console.log(`${seconds.toFixed(1)} s, ${stderr.trim()}, exit code ${status}`)
} finally {
  fs.rmSync(directory, { recursive: true })
}
