'use strict'

// What each role may do, as statements of IAM. A role gets what its work needs of the declared secrets, and nothing else.

const { ENDING, domainOf, queueArn, secretArns } = require('./arn')

/** @typedef {import('./arn').Home} Home */
/** @typedef {import('./places').Place} Place */
/**
 * @typedef {object} Statement
 * @property {string} Sid
 * @property {'Allow' | 'Deny'} Effect
 * @property {string[]} Action
 * @property {string[]} Resource
 * @property {Record<string, Record<string, string | string[]>>} [Condition]
 */
/**
 * @typedef {object} Needs What the configuration and the operator say.
 * @property {Home} home
 * @property {string} environment
 * @property {Place[]} places
 * @property {string[]} patterns Of the secrets of tools that do not declare theirs.
 * @property {string[]} otherRegions With replicas.
 * @property {boolean} batch
 * @property {boolean} lists Whether AWS is asked for names.
 * @property {boolean} randomByAws `rotation.generator: 'aws'`.
 * @property {string | undefined} queue URL.
 * @property {string} [assumed] ARN of `aws.assumeRole`.
 * @property {string | undefined} kmsKey Id, ARN or alias of a customer-managed key.
 * @property {string | undefined} vpcEndpoint
 * @property {string | undefined} trailBucket
 * @property {string[]} [rotationFunctions] ARNs of the functions by which AWS rotates.
 */

/** @type {Record<string, string>} What each role is for. */
const ROLES = {
  reader: 'the service: reads its declared secrets, follows its queue',
  rotator: 'what rotates: reads, writes new versions and moves their labels',
  migrator: 'moves secrets to AWS: reads, creates and fills them',
  auditor: 'sees who may and who did, never a value',
  operator: 'people, with MFA: read, write, rotate, delete with a recovery window, bring back, look at alarms',
}

const SM = (/** @type {string[]} */ ...names) => names.map((name) => `secretsmanager:${name}`)

/** What is deleted can be brought back for some days: never at once. */
const RECOVERABLE = { BoolIfExists: { 'secretsmanager:ForceDeleteWithoutRecovery': 'false' } }

/** People have to prove themselves. */
const MFA = { Bool: { 'aws:MultiFactorAuthPresent': 'true' } }

/**
 * @param {string} role
 * @param {Needs} needs
 * @returns {Statement[]}
 */
function statementsOf(role, needs) {
  const { home } = needs
  // What is read as another role is that role's matter.
  const places = needs.places.filter((place) => place.role === null)
  const others = [...new Set(needs.places.flatMap((place) => place.role ?? []))]
  const ids = [...new Set([...places.map(({ id }) => id), ...needs.patterns])]
  const arns = arnsOf(ids, needs)
  const own = places.filter(({ id }) => isOwn(id, home))
  const written = own.filter(({ id }) => !isManaged(id))
  const only = (/** @type {Place[]} */ some) => [...new Set(some.flatMap(({ id }) => secretArns(id, home)))]
  const isChosen = own.some((one) => one.isRotated)
  const byAws = only(own.filter((one) => one.isRotated || !isChosen))
  const rotated = only(written.filter((one) => one.isRotated || !isChosen))
  // An endpoint leads to one service.
  const way = (/** @type {string[]} */ [action = '']) =>
    needs.vpcEndpoint !== undefined && action.startsWith('secretsmanager:')
      ? { StringEquals: { 'aws:SourceVpce': needs.vpcEndpoint } }
      : {}
  const person = role === 'operator' ? MFA : {}
  const allow = (
    /** @type {string} */ Sid,
    /** @type {string[]} */ Action,
    /** @type {string[]} */ Resource,
    condition = {},
  ) => statement(Sid, Action, Resource, { ...way(Action), ...person, ...condition })
  const reads = [
    allow('ReadSecrets', SM('GetSecretValue'), arns),
    ...(needs.batch ? [allow('ReadInBatches', SM('BatchGetSecretValue'), ['*'])] : []),
    ...(needs.lists ? [allow('FindNames', SM('ListSecrets'), ['*'])] : []),
    ...(others.length > 0 ? [allow('TakeRolesOfReferences', ['sts:AssumeRole'], others)] : []),
  ]
  const rotates = [allow('RunRotationFunctions', ['lambda:InvokeFunction'], needs.rotationFunctions ?? [])]
  const key = (/** @type {string[]} */ ...actions) => keyStatement(needs, actions, allow)
  /** @type {Record<string, () => (Statement | undefined)[]>} */
  const made = {
    reader: () => [...reads, ...key('Decrypt'), ...queueStatement(needs)],
    rotator: () => [
      ...reads,
      allow('StageVersions', SM('PutSecretValue', 'UpdateSecretVersionStage'), rotated),
      allow('RotateByAws', SM('DescribeSecret', 'RotateSecret'), byAws),
      ...rotates,
      ...(needs.randomByAws ? [allow('MakePasswords', SM('GetRandomPassword'), ['*'])] : []),
      ...key('Decrypt', 'GenerateDataKey'),
    ],
    migrator: () => [
      ...reads,
      // Whether AWS asks for a secret that is not there yet with an ending is not documented: both forms.
      allow('CreateSecrets', SM('CreateSecret', 'TagResource'), bothForms(only(written))),
      allow('FillSecrets', SM('DescribeSecret', 'PutSecretValue', 'UpdateSecretVersionStage'), only(written)),
      ...key('Decrypt', 'GenerateDataKey'),
    ],
    auditor: () => [
      allow('SeeSecretsWithoutValues', SM('DescribeSecret', 'GetResourcePolicy', 'ListSecretVersionIds'), only(own)),
      allow('FindNames', SM('ListSecrets'), ['*']),
      allow('SeeWhoDid', ['cloudtrail:LookupEvents', 'cloudtrail:DescribeTrails'], ['*']),
      allow('SeeTrails', ['cloudtrail:GetTrailStatus'], [`arn:${home.partition}:cloudtrail:*:${home.account}:trail/*`]),
      ...trailStatement(needs, allow),
      // Also where another policy of the same person allows it.
      { Sid: 'NeverAValue', Effect: 'Deny', Action: SM('GetSecretValue', 'BatchGetSecretValue'), Resource: ['*'] },
    ],
    operator: () => [
      ...reads,
      allow('SeeSecrets', SM('DescribeSecret', 'ListSecretVersionIds'), only(own)),
      allow('MakeSecrets', SM('CreateSecret', 'TagResource'), bothForms(only(written))),
      allow('WriteSecrets', SM('PutSecretValue', 'UpdateSecretVersionStage'), only(written)),
      allow('RotateByAws', SM('RotateSecret', 'CancelRotateSecret'), byAws),
      ...rotates,
      allow('DeleteSecrets', SM('DeleteSecret'), only(written), RECOVERABLE),
      allow('BringBackDeletedSecrets', SM('RestoreSecret'), only(written)),
      allow(
        'SeeAlarms',
        ['cloudwatch:DescribeAlarms'],
        [`arn:${home.partition}:cloudwatch:${home.region}:${home.account}:alarm:*`],
      ),
      allow('SeeMetrics', ['cloudwatch:GetMetricData'], ['*']),
      ...key('Decrypt', 'GenerateDataKey'),
    ],
  }
  return (made[role]?.() ?? [])
    .filter((one) => one !== undefined && one.Resource.length > 0)
    .map((one) => /** @type {Statement} */ (one))
}

/**
 * @param {string} Sid
 * @param {string[]} Action
 * @param {string[]} Resource
 * @param {Record<string, any>} condition
 * @returns {Statement}
 */
function statement(Sid, Action, Resource, condition) {
  const bare = Object.keys(condition).length === 0
  return { Sid, Effect: 'Allow', Action, Resource, ...(bare ? {} : { Condition: condition }) }
}

/** In the home region, and where its replicas are. @param {string[]} ids @param {Needs} needs */
function arnsOf(ids, { home, otherRegions }) {
  const regions = [home.region, ...otherRegions]
  const found = regions.flatMap((region) =>
    ids.flatMap((id) =>
      secretArns(isOwn(id, home) ? id.replace(`:${home.region}:`, `:${region}:`) : id, { ...home, region }),
    ),
  )
  return [...new Set(found)]
}

/** Whether the account's own: others are read, never written. @param {string} id @param {Home} home */
function isOwn(id, { account }) {
  return !id.startsWith('arn:') || id.split(':')[4] === account
}

/** @param {string[]} arns */
const bothForms = (arns) => [
  ...arns,
  ...arns.filter((arn) => arn.endsWith(ENDING)).map((arn) => arn.slice(0, -ENDING.length)),
]

/** Whether another service of AWS owns it, such as `rds!db-1`. @param {string} id */
const isManaged = (id) => id.includes('!')

/**
 * @param {Needs} needs
 * @param {string[]} actions
 * @param {(sid: string, action: string[], resource: string[], condition: any) => Statement} allow
 */
function keyStatement({ kmsKey, home, otherRegions }, actions, allow) {
  if (kmsKey === undefined) return []
  const { partition, region, account } = home
  const isAlias = kmsKey.startsWith('alias/')
  const arn = kmsKey.startsWith('arn:')
    ? kmsKey
    : `arn:${partition}:kms:${region}:${account}:key/${isAlias ? '*' : kmsKey}`
  // A replica is under a key of its own region: a multi-Region key, whose id is the same.
  const resources = [arn, ...otherRegions.map((other) => arn.replace(`:${region}:`, `:${other}:`))]
  const domains = [...new Set(['amazonaws.com', domainOf(region)])]
  const services = [region, ...otherRegions].flatMap((one) =>
    domains.map((domain) => `secretsmanager.${one}.${domain}`),
  )
  const condition = {
    StringEquals: { 'kms:ViaService': services.length === 1 ? /** @type {string} */ (services[0]) : services },
    ...(isAlias ? { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': kmsKey } } : {}),
  }
  return [
    allow(
      'UseTheKey',
      actions.map((action) => `kms:${action}`),
      [...new Set(resources)],
      condition,
    ),
  ]
}

/** @param {Needs} needs @returns {Statement[]} */
function queueStatement({ queue, home }) {
  const arn = queue === undefined ? undefined : queueArn(queue, home)
  return arn === undefined ? [] : [statement('FollowEvents', ['sqs:ReceiveMessage', 'sqs:DeleteMessage'], [arn], {})]
}

/** @param {Needs} needs @param {(sid: string, action: string[], resource: string[]) => Statement} allow */
function trailStatement({ trailBucket, home }, allow) {
  if (trailBucket === undefined) return []
  const arn = `arn:${home.partition}:s3:::${trailBucket}`
  return [
    allow('FindTrailFiles', ['s3:ListBucket', 's3:GetBucketLocation'], [arn]),
    allow('ReadTrailFiles', ['s3:GetObject'], [`${arn}/AWSLogs/${home.account}/*`]),
  ]
}

module.exports = { ROLES, statementsOf }
