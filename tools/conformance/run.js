'use strict'

// Asks every rule, prints the table, and removes what was made, also when a signal or an error ends the run.

const fs = require('node:fs')
const { parseArgs } = require('node:util')
const { terminal } = require('./table')
const { Interrupted, Unasked } = require('./verdict')
const { World, isPrefix } = require('./world')

const RULES = ['reads', 'writes', 'batches', 'access', 'elsewhere'].flatMap(
  (name) => /** @type {import('./verdict').Rule[]} */ (require(`./rules/${name}`).rules),
)
const SIGNALS = /** @type {const} */ ({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })

const HELP = `npm run conformance -- [--endpoint URL] [options]

Asks a Secrets Manager about each rule of AWS that this package relies on. Without --endpoint it asks AWS itself,
with the credentials and the region that the AWS SDK finds. It creates some eighty secrets below a prefix of its own and
removes them again.

  --endpoint URL          a stand-in, such as http://127.0.0.1:4566
  --region REGION         default: what the SDK finds; us-east-1 with --endpoint
  --role ARN              a role to assume, for the rules about grants
  --replica-region REGION for the rules about replicas
  --owned NAME            a secret that RDS or another service manages: a version with a label of its own is put, which
                          AWS refuses; its live value stays in any case
  --known FILE            JSON with expected differences: { "id of a rule": "why" }
  --only ID               the rules whose id begins with this; may be repeated
  --json                  JSON instead of the table
  --remove PREFIX         removes what a run left that was killed; the run said its prefix first

Exit code 0: nothing differs but what --known names. 1: something does, or something could not be removed. 2: bad usage.`

/**
 * @typedef {{ id: string, parts: string, rule: string, source: string, result: import('./verdict').Result, seen: string }} Row
 */

/**
 * @param {World} world
 * @param {(row: Row) => void} [each]
 * @param {string[]} [only]
 * @returns {Promise<Row[]>}
 */
async function ask(world, each = () => {}, only = ['']) {
  const rows = []
  for (const { ask: question, rights, ...rule } of RULES.filter(({ id }) =>
    only.some((start) => id.startsWith(start)),
  )) {
    const row = { ...rule, ...(await answered(world, question, rights)) }
    // Texts of a stand-in may hold names; what is the same in every run is shown.
    row.seen = row.seen.replaceAll(world.prefix, '…/')
    rows.push(row)
    each(row)
  }
  return rows
}

/** @param {World} world @param {import('./verdict').Rule['ask']} question @param {boolean} [rights] @returns {Promise<import('./verdict').Verdict>} */
async function answered(world, question, rights) {
  try {
    const verdict = await question(world)
    if (rights || verdict.result !== 'differs' || !verdict.seen.includes('AccessDeniedException')) return verdict
    return { result: 'could not be asked', seen: `${verdict.seen}: this identity may not` }
  } catch (error) {
    if (error instanceof Unasked) return { result: 'could not be asked', seen: error.message }
    throw error
  }
}

/**
 * A whole run: asks and removes.
 *
 * @param {import('./world').Place} place
 * @param {{ each?: (row: Row) => void, only?: string[], started?: (world: World) => void }} [options]
 * @returns {Promise<{ rows: Row[], left: string[] }>}
 */
async function conformance(place, { each, only, started } = {}) {
  const world = new World(place)
  await world.check()
  started?.(world)
  let left = /** @type {string[]} */ ([])
  let rows = /** @type {Row[]} */ ([])
  try {
    rows = await ask(world, each, only)
  } finally {
    left = await world.remove()
    if (left.length > 0) {
      console.error(`could not be removed; try it with --remove ${world.prefix}\n${left.join('\n')}`)
    }
  }
  return { rows, left }
}

/** @param {string} file @returns {Record<string, string>} */
function knownIn(file) {
  const known = JSON.parse(fs.readFileSync(file, 'utf8'))
  const strangers = Object.keys(known).filter((id) => !RULES.some((rule) => rule.id === id))
  if (strangers.length > 0) throw new Error(`${file}: there is no rule ${strangers.join(', ')}`)
  return known
}

function options(/** @type {string[]} */ args) {
  const { values } = parseArgs({
    args,
    options: {
      endpoint: { type: 'string' },
      region: { type: 'string' },
      role: { type: 'string' },
      'replica-region': { type: 'string' },
      owned: { type: 'string' },
      known: { type: 'string' },
      only: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      remove: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const { endpoint, remove } = values
  if (endpoint !== undefined && !/^https?:\/\/[^/@]+\/?$/.test(endpoint))
    throw new Error(`--endpoint takes a URL, not '${endpoint}'`)
  if (remove !== undefined && !isPrefix(remove)) throw new Error(`--remove takes the prefix of a run, not '${remove}'`)
  const known = values.known === undefined ? {} : knownIn(values.known)
  const region = values.region ?? (endpoint === undefined ? undefined : 'us-east-1')
  const place = { endpoint, region, role: values.role, replicaRegion: values['replica-region'], owned: values.owned }
  return { ...values, known, place }
}

/** @param {string[]} args */
async function main(args) {
  let given
  try {
    given = options(args)
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\n\n${HELP}`)
    process.exitCode = 2
    return
  }
  if (given.help) return console.log(HELP)
  if (given.remove !== undefined) return removeOnly(given.place, given.remove)
  const { json, known, only, place } = given
  const started = (/** @type {World} */ world) => {
    console.error(`asks ${place.endpoint ?? 'AWS'}; its secrets are below ${world.prefix}`)
    // Such as `| head`: an error that nobody handles would end this process at once.
    for (const stream of [process.stdout, process.stderr]) {
      stream.on('error', () => {
        process.exitCode = 1
        world.stop('SIGPIPE')
      })
    }
    for (const signal of /** @type {(keyof typeof SIGNALS)[]} */ (Object.keys(SIGNALS))) {
      process.once(signal, () => {
        console.error(`${signal}: removes ${world.prefix} first`)
        process.exitCode = SIGNALS[signal]
        world.stop(signal)
      })
    }
  }
  try {
    const { rows, left } = await conformance(place, {
      only,
      started,
      each: json ? undefined : (row) => console.log(terminal(row, known)),
    })
    const unexpected = rows.filter(({ id, result }) => result === 'differs' && !(id in known))
    if (json)
      console.log(
        JSON.stringify(
          { endpoint: place.endpoint ?? 'AWS', rules: rows, unexpected: unexpected.map(({ id }) => id) },
          null,
          2,
        ),
      )
    else summary(rows, known)
    if (unexpected.length + left.length > 0) process.exitCode = 1
  } catch (error) {
    if (!(error instanceof Interrupted)) {
      console.error(/** @type {Error} */ (error).message)
      process.exitCode = 1
    }
  }
  // Signals that come now find nothing to remove.
  for (const signal of Object.keys(SIGNALS)) process.removeAllListeners(signal)
}

/** @param {Row[]} rows @param {Record<string, string>} known */
function summary(rows, known) {
  const count = (/** @type {import('./verdict').Result} */ result) => rows.filter((row) => row.result === result).length
  const expected = rows.filter(({ id, result }) => result === 'differs' && id in known).length
  console.log(
    `\n${rows.length} rules: ${count('agrees')} agree, ${count('differs')} differ (${expected} of them known), ${count('could not be asked')} could not be asked`,
  )
  const gone = rows.filter(({ id, result }) => result === 'agrees' && id in known).map(({ id }) => id)
  if (gone.length > 0) console.log(`no longer a difference: ${gone.join(', ')}`)
}

/** Removes what a run left. @param {import('./world').Place} place @param {string} prefix */
async function removeOnly(place, prefix) {
  const world = new World(place)
  world.prefix = prefix
  const left = await world.remove()
  if (left.length > 0) {
    console.error(`could not be removed:\n${left.join('\n')}`)
    process.exitCode = 1
  } else console.log(`nothing is left below ${prefix}`)
}

module.exports = { RULES, conformance, knownIn, main }
