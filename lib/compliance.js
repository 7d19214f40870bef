'use strict'

// `delivery.compliance()`: what the configuration meets, as the core judged it, and what files, AWS and time say.

const fs = require('node:fs')
const { version } = require('../package.json')

/** @typedef {import('../index').ComplianceControl} Control */
/** @typedef {import('../index').ComplianceReport} Report */
/** @typedef {{ due: import('../index').RotationDue, inAws: boolean | null, described: boolean, key: string | null, error: any }} Facts */
/**
 * @typedef {object} World
 * @property {import('../native').NativeDelivery} native
 * @property {() => Promise<Facts[]>} facts
 * @property {() => Promise<import('../index').ValidationResult>} validate
 * @property {readonly (string | undefined)[]} files Paths of files that must be private.
 */

/**
 * When the lines of Node.js end.
 *
 * Source: https://github.com/nodejs/release#release-schedule
 */
const NODE_ENDS = /** @type {Record<number, string>} */ ({
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
})
/** Evidence names the first ones, and counts the rest. */
const NAMED = 5

/** What a judgement says: `null`: there is nothing that it is about. @typedef {{ met: boolean | null, evidence: string[] }} Judgement */
/** @typedef {{ criteria: string[], setting: string, remedy: string }} About */

/** The controls that are not decided by the configuration. @type {Record<string, About>} */
const ABOUT = {
  'file-modes': {
    criteria: ['CC6.1'],
    setting: 'modes of files',
    remedy: 'chmod 600 on the files that are named',
  },
  'secrets-in-aws': {
    criteria: ['CC6.1'],
    setting: 'where the secrets are',
    remedy: 'move them: tcs-secrets migrate plan, then migrate apply',
  },
  'customer-managed-key': {
    criteria: ['CC6.1', 'CC6.7'],
    setting: 'migration.kmsKeyId, and the key of each secret',
    remedy: 'encrypt them with a key of your own (tcs-secrets infra makes one), or waive this control with a reason',
  },
  rotation: {
    criteria: ['CC6.1'],
    setting: 'rotation, rotationType',
    remedy: 'rotate them: tcs-secrets due, then tcs-secrets rotate',
  },
  'required-secrets': {
    criteria: ['A1.2', 'CC7.1'],
    setting: 'required',
    remedy: 'give them a value: tcs-secrets validate says which',
  },
  versions: {
    criteria: ['CC7.1'],
    setting: 'Node.js',
    remedy: 'run a line of Node.js that is supported',
  },
}

/**
 * @param {World} world
 * @param {string} environment
 * @param {number} [now] Milliseconds since 1970.
 * @returns {Promise<Report>}
 */
async function complianceReport(world, environment, now = Date.now()) {
  const { profile, enforced, waived, controls } = world.native.configuredCompliance()
  const about = {
    profile: /** @type {'soc2' | null} */ (profile ?? null),
    environment,
    enforced,
    checkedAt: new Date(now).toISOString(),
  }
  if (about.profile === null) return { ...about, met: true, controls: [] }
  const configured = controls.map(({ control, criteria, met, evidence, setting, remedy }) =>
    judged(control, { criteria, setting, remedy }, { met: met ?? null, evidence: [evidence] }, waived),
  )
  const [facts, validated] = await Promise.all([settled(world.facts()), settled(world.validate())])
  /** @type {Record<string, Judgement>} */
  const found = {
    'file-modes': fileModes(world.files),
    'secrets-in-aws': inAws(facts),
    'customer-managed-key': keys(facts),
    rotation: rotations(facts),
    'required-secrets': required(validated),
    versions: versions(now),
  }
  const others = Object.entries(ABOUT).map(([control, one]) =>
    judged(control, one, /** @type {Judgement} */ (found[control]), waived),
  )
  const all = [...configured, ...others]
  return { ...about, met: all.every(({ state }) => state !== 'not-met'), controls: all }
}

/**
 * @param {string} control
 * @param {About} about
 * @param {Judgement} judgement
 * @param {Record<string, string>} waived
 * @returns {Control}
 */
function judged(control, { criteria, setting, remedy }, { met, evidence }, waived) {
  const reason = waived[control] ?? null
  const unmet = reason === null ? 'not-met' : 'waived'
  const state = met === null ? 'not-applicable' : met ? 'met' : unmet
  return { control, criteria, state, setting, evidence, remedy: state === 'not-met' ? remedy : null, waiver: reason }
}

/** @template T @param {Promise<T>} work @returns {Promise<{ value: T } | { failure: string }>} */
async function settled(work) {
  try {
    return { value: await work }
  } catch (error) {
    return { failure: /** @type {Error} */ (error).message }
  }
}

/** @param {readonly (string | undefined)[]} files @returns {Judgement} */
function fileModes(files) {
  if (process.platform === 'win32') return { met: null, evidence: ['files have no such modes on Windows'] }
  /** @type {string[]} */
  const unknown = []
  const there = files.flatMap((file) => {
    if (file === undefined) return []
    try {
      const stat = fs.statSync(file, { throwIfNoEntry: false })
      return stat?.isFile() ? [{ file, mode: stat.mode & 0o777 }] : []
    } catch (error) {
      // A circle of links, or a directory that may not be searched: nobody can say who may read what is there.
      unknown.push(`unknown: ${file} (${/** @type {NodeJS.ErrnoException} */ (error).code})`)
      return []
    }
  })
  if (unknown.length > 0) return { met: false, evidence: unknown }
  if (there.length === 0) return { met: null, evidence: ['there are no files yet'] }
  const open = there.filter(({ mode }) => (mode & 0o077) !== 0)
  const shown = (open.length > 0 ? open : there).map(
    ({ file, mode }) => `${file}: ${mode.toString(8).padStart(4, '0')}`,
  )
  return { met: open.length === 0, evidence: shown }
}

/** @param {{ value: Facts[] } | { failure: string }} facts @param {(facts: Facts[]) => Judgement} judge @returns {Judgement} */
function ofDeclared(facts, judge) {
  if ('failure' in facts) return { met: false, evidence: [`unknown: ${facts.failure}`] }
  if (facts.value.length === 0) return { met: null, evidence: ['no secrets are declared'] }
  return judge(facts.value)
}

/** @param {{ value: Facts[] } | { failure: string }} facts */
function inAws(facts) {
  return ofDeclared(facts, (all) => {
    const missing = all.filter((one) => one.inAws === false).map(({ due }) => due.name)
    const unknown = all.filter((one) => one.inAws === null)
    const there = all.length - missing.length - unknown.length
    return {
      met: missing.length + unknown.length === 0,
      evidence: [
        `${there} of ${all.length} declared secrets are in AWS`,
        ...(missing.length > 0 ? [`not there: ${listed(missing)}`] : []),
        ...(unknown.length > 0
          ? [`unknown: ${listed(unknown.map(({ due }) => due.name))} (${unknown[0]?.error?.code})`]
          : []),
      ],
    }
  })
}

/** @param {{ value: Facts[] } | { failure: string }} facts */
function keys(facts) {
  return ofDeclared(facts, (all) => {
    const there = all.filter((one) => one.inAws)
    if (there.length === 0) return { met: null, evidence: ['no declared secret is in AWS'] }
    const silent = there.filter((one) => !one.described).map(({ due }) => due.name)
    const byAws = there.filter((one) => one.described && one.key === null).map(({ due }) => due.name)
    const own = [...new Set(there.flatMap(({ key }) => key ?? []))]
    return {
      met: silent.length + byAws.length === 0,
      evidence: [
        ...(own.length > 0 ? [`keys: ${listed(own)}`] : []),
        ...(byAws.length > 0 ? [`under aws/secretsmanager: ${listed(byAws)}`] : []),
        ...(silent.length > 0 ? [`unknown without secretsmanager:DescribeSecret: ${listed(silent)}`] : []),
      ],
    }
  })
}

/** @param {{ value: Facts[] } | { failure: string }} facts */
function rotations(facts) {
  return ofDeclared(facts, (all) => {
    const dated = all.filter(({ due }) => due.dueAt !== null)
    if (dated.length === 0) return { met: null, evidence: ['no declared secret has a date of rotation'] }
    const late = dated.filter(({ due }) => due.state === 'due')
    const next = dated.map(({ due }) => String(due.dueAt)).sort()[0]
    const shown = late.map(({ due }) => `${due.name} since ${due.dueAt}`)
    return {
      met: late.length === 0,
      evidence: late.length === 0 ? [`${dated.length} have dates, the next is ${next}`] : [`overdue: ${listed(shown)}`],
    }
  })
}

/** @param {{ value: import('../index').ValidationResult } | { failure: string }} validated @returns {Judgement} */
function required(validated) {
  if ('failure' in validated) return { met: false, evidence: [`unknown: ${validated.failure}`] }
  const wrong = validated.value.secrets.filter(({ issues }) => issues.some(({ severity }) => severity === 'error'))
  const count = validated.value.secrets.length
  if (count === 0) return { met: null, evidence: ['no secrets are declared'] }
  const names = listed(wrong.map(({ name }) => name))
  return wrong.length === 0
    ? { met: true, evidence: [`${count} declared secrets were looked at: none that is required is missing`] }
    : { met: false, evidence: [`wrong or missing: ${names}`] }
}

/** @param {number} now @returns {Judgement} */
function versions(now) {
  const line = Number(process.versions.node.split('.', 1)[0])
  const end = NODE_ENDS[line]
  const met = end !== undefined ? now < Date.parse(end) + 86_400_000 : line > 26
  const until = end === undefined ? 'a line that is not supported for long' : `supported until ${end}`
  return { met, evidence: [`Node.js ${process.versions.node}: ${until}`, `tcs-secret-delivery ${version}`] }
}

/** @param {string[]} names */
function listed(names) {
  return names.length <= NAMED
    ? names.join(', ')
    : `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`
}

module.exports = { complianceReport }
