'use strict'

// Writes many secrets: what `import` and `copy` do. A secret that AWS has already is not written again, so a run that was stopped at
// any point is continued by the same command.

const { agreed, changesTable, compare } = require('./changes')
const { CliError, EXIT } = require('./exit')
const { stoppable } = require('./progress')
const { plural, told } = require('./words')

/** How many secrets are written at once. */
const AT_ONCE = 8
/** After this many failures without a success between them the rest is not tried: a permission is missing, or AWS is not there. */
const MOST_FAILURES = 5

/** @typedef {import('./changes').ComparedSecret} ComparedSecret */
/** @typedef {{ name: string, outcome: string, versionId: string | null, error: { code: string, message: string } | null }} Result */
/** @typedef {import('./terminal').Terminal} Terminal */

/**
 * What the writing of values would do.
 *
 * @param {import('./context').SecretDelivery} delivery
 * @param {Map<string, string | Uint8Array>} values
 * @param {{ overwrite?: boolean }} options
 */
async function planned(delivery, values, { overwrite = false }) {
  const found = await compare(delivery, values)
  const writes = found.filter(({ change }) => change === 'create' || (change === 'update' && overwrite))
  const isLeft = (/** @type {ComparedSecret} */ { change }) =>
    change === 'unknown' || (change === 'update' && !overwrite)
  return { found, writes, left: found.filter(isLeft) }
}

/** What is planned, as a text. @param {Awaited<ReturnType<typeof planned>>} plan @param {Terminal} terminal */
function planShown({ found, writes, left }, terminal) {
  const shown = found.filter(({ change }) => change !== 'keep')
  const same = found.length - shown.length
  const parts = [
    `${plural(writes.length, 'secret')} to write`,
    `${same} the same`,
    ...(left.length === 0 ? [] : [`${left.length} left as they are (see --overwrite)`]),
  ]
  return `${shown.length === 0 ? '' : `${changesTable(shown, terminal)}\n`}${parts.join(', ')}\n`
}

/**
 * Writes what is planned, once somebody has agreed.
 *
 * @param {import('./context').SecretDelivery} delivery
 * @param {Map<string, string | Uint8Array>} values
 * @param {Awaited<ReturnType<typeof planned>>} plan
 * @param {Terminal} terminal
 * @param {{ what: string, yes?: boolean }} how
 * @returns {Promise<{ secrets: Result[], untried: number }>}
 */
async function write(delivery, values, { found, writes }, terminal, { what, yes }) {
  if (writes.length > 0) {
    const question = `${plural(writes.length, 'secret')} of ${delivery.environment} are written to AWS.`
    await agreed(terminal, { yes }, what, question)
  }
  /** @type {Map<string, Result>} */
  const results = new Map()
  for (const { name, change, versionId, error } of found) {
    const outcome = { keep: 'kept', update: 'different', unknown: 'failed', create: 'not tried' }[change]
    results.set(name, { name, outcome, versionId, error })
  }
  // The fields of one secret after each other, each over the version of the one before.
  /** @type {Map<string, ComparedSecret[]>} */
  const groups = new Map()
  for (const one of writes) groups.set(one.awsId, [...(groups.get(one.awsId) ?? []), one])
  const waiting = [...groups.values()]
  const progress = stoppable(terminal, 'written', writes.length)
  let done = 0
  let failures = 0
  const worker = async () => {
    for (let group = waiting.shift(); group !== undefined && failures < MOST_FAILURES; group = waiting.shift()) {
      let live = group[0]?.versionId ?? null
      for (const { name } of group) {
        try {
          const report = await delivery.store.put(name, values.get(name) ?? '', { ifVersionId: live })
          live = report.versionId
          results.set(name, { name, outcome: report.outcome, versionId: live, error: null })
          failures = 0
        } catch (error) {
          const { code, message } = /** @type {import('../index').SecretError} */ (error)
          results.set(name, { name, outcome: 'failed', versionId: null, error: { code, message } })
          failures += 1
        }
        progress.onProgress({ done: (done += 1), total: writes.length })
        if (failures >= MOST_FAILURES) return
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  progress.end()
  const secrets = [...results.values()]
  return { secrets, untried: writes.length - done }
}

/** How it ended, as a text. @param {{ secrets: Result[], untried: number }} report @param {Terminal} terminal */
function written({ secrets, untried }, terminal) {
  const rows = secrets
    .filter(({ outcome }) => outcome !== 'kept' && outcome !== 'not tried')
    .map(({ name, outcome, error }) => [name, outcome, told(error)])
  const count = (/** @type {string[]} */ outcomes) => secrets.filter(({ outcome }) => outcomes.includes(outcome)).length
  const failed = count(['failed'])
  const parts = [
    `${count(['created', 'filled', 'updated'])} written`,
    `${count(['kept'])} the same`,
    ...(count(['different']) === 0 ? [] : [`${count(['different'])} with another value in AWS (see --overwrite)`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(untried === 0
      ? []
      : [`${untried} not tried after ${MOST_FAILURES} failures; mend what they name, then run the command again`]),
  ]
  const table = rows.length === 0 ? '' : `${terminal.table(['NAME', 'OUTCOME', 'WHY'], rows)}\n`
  return `${table}${parts.join(', ')}\n`
}

/** @param {Result[]} secrets */
function exitOf(secrets) {
  const failed = secrets.find(({ outcome }) => outcome === 'failed')
  if (failed !== undefined && failed.error?.code !== 'SECRET_CHANGED') return EXIT.source
  return secrets.every(({ outcome }) => !['failed', 'different', 'not tried'].includes(outcome)) ? EXIT.ok : EXIT.no
}

/** @param {{ yes?: boolean }} options @param {string} what */
function assertAsked({ yes }, what) {
  if (yes || process.stdin.isTTY) return
  throw new CliError(
    'CONFIRMATION_NEEDED',
    EXIT.usage,
    `${what}: standard input is no terminal to ask at; add --yes to go on`,
  )
}

module.exports = { assertAsked, exitOf, planShown, planned, write, written }
