'use strict'

// The filters of CloudTrail's events that find reads of the declared secrets by principals without a role of the template.

const { nameIn } = require('./arn')
const { sub, when } = require('./intrinsics')

/** @typedef {import('./roles').Needs} Needs */

/**
 * Characters of a filter pattern.
 * Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html
 */
const MOST_CHARACTERS = 1_024
/** AWS gives a role's id this many characters. */
const ROLE_ID = 21
/** A log group has 100 filters, and a template 500 resources. */
const MOST_FILTERS = 20

const READERS = [
  'TaskRole',
  'PodRole',
  'ServiceAccountRole',
  'FunctionRole',
  'RotatorRole',
  'MigratorRole',
  'OperatorRole',
]
const READ =
  '($.eventSource = "secretsmanager.amazonaws.com") && ($.eventName = "GetSecretValue") && ($.errorCode NOT EXISTS)'

/** By the id of the role, since its name may be long, and an IAM user has no role whose name could be compared. @param {string} role */
const notBy = (role) => ` && ($.userIdentity.principalId != "\${${role}.RoleId}:*")`
const OR = ' || '
/** @param {string} name */
const isNamed = (name) => `($.requestParameters.secretId = "*${name}*")`

/**
 * @param {Needs} needs
 * @returns {{ patterns: unknown[], notes: string[] }} The patterns of the filters. Each declared secret is found by one of them.
 */
function unusualReaders(needs) {
  const frame = `{ ${READ}${READERS.map(notBy).join('')} && () }`
  const ids = READERS.reduce((sum, role) => sum + ROLE_ID - `\${${role}.RoleId}`.length, 0)
  const room = MOST_CHARACTERS - frame.length - ids
  for (const level of [0, 1]) {
    // Of a name that is too long its beginning is enough.
    const most = room - isNamed('').length - OR.length
    const groups = grouped(namesOf(needs, level, most), room)
    if (groups.length <= MOST_FILTERS) return { patterns: groups.map(patternOf), notes: [] }
  }
  const notes = [
    'the declared secrets are too many to be named in filters: the alarm for unusual readers watches every secret of the account',
  ]
  return { patterns: [patternOf([])], notes }
}

/** @param {string[]} names None: every secret. */
function patternOf(names) {
  const ours = names.length === 0 ? '' : ` && (${names.map(isNamed).join(OR)})`
  const pattern = (/** @type {string[]} */ roles) => sub(`{ ${READ}${ours}${roles.map(notBy).join('')} }`)
  return when('HasOidc', pattern(READERS), pattern(READERS.filter((role) => role !== 'ServiceAccountRole')))
}

/**
 * What the ids of the declared secrets have in common: what the template makes of each name, else the names themselves.
 *
 * @param {Needs} needs
 * @param {number} level From 1 on the folders of names.
 * @param {number} most Characters of a name.
 */
function namesOf({ places, patterns, environment, home }, level, most) {
  const own = places.filter(({ id }) => !id.startsWith('arn:') || id.split(':')[4] === home.account)
  const found = own.map(({ id, wider, isReference }) => {
    const common = isReference ? (level > 0 ? wider[0] : undefined) : wider.at(-1)
    return literalOf(nameIn(common ?? id), environment) || literalOf(nameIn(id), environment)
  })
  const names = [...found, ...patterns.map((pattern) => literalOf(pattern, environment))]
  const all = [...new Set(names.map((name) => name.slice(0, most)))]
  return all.filter((name) => !all.some((other) => other !== name && name.includes(other)))
}

/**
 * The part of a pattern without wildcards that says most: filters may have them at the ends of a text only.
 *
 * @param {string} pattern
 * @param {string} environment
 */
function literalOf(pattern, environment) {
  const parts = pattern.split('*').sort((a, b) => b.length - a.length)
  return parts.find((part) => part.includes(environment)) ?? parts[0] ?? ''
}

/** @param {string[]} names @param {number} room Characters. */
function grouped(names, room) {
  /** @type {string[][]} */
  const groups = []
  let left = 0
  for (const name of names) {
    const length = isNamed(name).length + OR.length
    if (groups.length === 0 || length > left) {
      groups.push([])
      left = room
    }
    groups.at(-1)?.push(name)
    left -= length
  }
  return groups
}

module.exports = { MOST_CHARACTERS, unusualReaders }
