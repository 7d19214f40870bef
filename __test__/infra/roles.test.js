'use strict'

// Each role may do what its work needs, and nothing else: a table of roles and actions, tried by a simulator of IAM with resources
// and conditions, and over the wire by a stand-in that enforces policies.

const { runSimulation } = require('@cloud-copilot/iam-simulate')
const { policiesOf } = require('../../cli/infra/fit')
const { placesOf } = require('../../cli/infra/places')
const { ROLES } = require('../../cli/infra/roles')
const { wireProbe } = require('../support/aws-lint')
const { MiniStack } = require('../support/servers/ministack')

const ACCOUNT = '111122223333'
const REGION = 'eu-central-1'
const KEY = `arn:aws:kms:${REGION}:${ACCOUNT}:key/11112222-3333-4444-5555-666677778888`

const options = {
  tools: {
    github: { secrets: { api_token: {} } },
    database: { secrets: { password: { rotationType: 'database-credentials' }, owned: { aws: 'rds!db-1#password' } } },
  },
  secrets: { SHARED: { aws: `arn:aws:secretsmanager:${REGION}:444455556666:secret:shared-AbCdEf` } },
}

/** @param {string} role @param {Partial<import('../../cli/infra/roles').Needs>} [more] */
const documentsOf = (role, more = {}) =>
  policiesOf(role, {
    home: { partition: 'aws', region: REGION, account: ACCOUNT },
    environment: 'production',
    places: placesOf(/** @type {any} */ (options), 'production'),
    patterns: [],
    otherRegions: [],
    batch: true,
    lists: false,
    randomByAws: false,
    queue: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/changes`,
    kmsKey: KEY,
    vpcEndpoint: undefined,
    trailBucket: 'trail-bucket',
    rotationFunctions: [`arn:aws:lambda:${REGION}:${ACCOUNT}:function:rotate-database`],
    ...more,
  }).documents

const secret = (/** @type {string} */ name, account = ACCOUNT) =>
  `arn:aws:secretsmanager:${REGION}:${account}:secret:${name}`
const bySecretsManager = { 'kms:ViaService': `secretsmanager.${REGION}.amazonaws.com` }

/** Action and resource, context, and whether reader, rotator, migrator, auditor and operator may. @type {[string, string, Record<string, string>, string][]} */
const TABLE = [
  ['secretsmanager:GetSecretValue', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'yes yes yes no yes'],
  ['secretsmanager:GetSecretValue', secret('rds!db-1-AbCdEf'), {}, 'yes yes yes no yes'],
  ['secretsmanager:GetSecretValue', secret('shared-AbCdEf', '444455556666'), {}, 'yes yes yes no yes'],
  ['secretsmanager:GetSecretValue', secret('GITHUB_API_TOKEN_staging-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:GetSecretValue', secret('GITHUB_API_TOKEN_production-OTHER-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:GetSecretValue', secret('BILLING_KEY_production-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:BatchGetSecretValue', '*', {}, 'yes yes yes no yes'],
  ['secretsmanager:ListSecrets', '*', {}, 'no no no yes no'],
  ['secretsmanager:GetRandomPassword', '*', {}, 'no no no no no'],
  ['secretsmanager:DescribeSecret', secret('DATABASE_PASSWORD_production-AbCdEf'), {}, 'no yes yes yes yes'],
  ['secretsmanager:DescribeSecret', secret('BILLING_KEY_production-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:PutSecretValue', secret('DATABASE_PASSWORD_production-AbCdEf'), {}, 'no yes yes no yes'],
  // Its declaration does not say that it is rotated: people write it.
  ['secretsmanager:PutSecretValue', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no yes no yes'],
  ['secretsmanager:PutSecretValue', secret('BILLING_KEY_production-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:PutSecretValue', secret('rds!db-1-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:PutSecretValue', secret('shared-AbCdEf', '444455556666'), {}, 'no no no no no'],
  ['secretsmanager:UpdateSecretVersionStage', secret('DATABASE_PASSWORD_production-AbCdEf'), {}, 'no yes yes no yes'],
  ['secretsmanager:RotateSecret', secret('DATABASE_PASSWORD_production-AbCdEf'), {}, 'no yes no no yes'],
  ['secretsmanager:CreateSecret', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no yes no yes'],
  ['secretsmanager:CreateSecret', secret('GITHUB_API_TOKEN_production'), {}, 'no no yes no yes'],
  ['secretsmanager:CreateSecret', secret('rds!db-1'), {}, 'no no no no no'],
  ['secretsmanager:CreateSecret', secret('BILLING_KEY_production-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:TagResource', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no yes no yes'],
  ['secretsmanager:UpdateSecret', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:DeleteSecret', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no no no yes'],
  [
    'secretsmanager:DeleteSecret',
    secret('GITHUB_API_TOKEN_production-AbCdEf'),
    { 'secretsmanager:ForceDeleteWithoutRecovery': 'true' },
    'no no no no no',
  ],
  ['secretsmanager:DeleteSecret', secret('rds!db-1-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:DeleteSecret', secret('BILLING_KEY_production-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:RestoreSecret', secret('BILLING_KEY_production-AbCdEf'), {}, 'no no no no no'],
  ['lambda:InvokeFunction', `arn:aws:lambda:${REGION}:${ACCOUNT}:function:rotate-database`, {}, 'no yes no no yes'],
  ['lambda:InvokeFunction', `arn:aws:lambda:${REGION}:${ACCOUNT}:function:other`, {}, 'no no no no no'],
  ['secretsmanager:RestoreSecret', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no no no yes'],
  ['secretsmanager:PutResourcePolicy', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no no no no'],
  ['secretsmanager:GetResourcePolicy', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no no yes no'],
  ['secretsmanager:ReplicateSecretToRegions', secret('GITHUB_API_TOKEN_production-AbCdEf'), {}, 'no no no no no'],
  ['kms:Decrypt', KEY, bySecretsManager, 'yes yes yes no yes'],
  ['kms:Decrypt', KEY, {}, 'no no no no no'],
  ['kms:Decrypt', KEY.replace('1111', '9999'), bySecretsManager, 'no no no no no'],
  ['kms:GenerateDataKey', KEY, bySecretsManager, 'no yes yes no yes'],
  ['kms:ScheduleKeyDeletion', KEY, {}, 'no no no no no'],
  ['sqs:ReceiveMessage', `arn:aws:sqs:${REGION}:${ACCOUNT}:changes`, {}, 'yes no no no no'],
  ['sqs:ReceiveMessage', `arn:aws:sqs:${REGION}:${ACCOUNT}:others`, {}, 'no no no no no'],
  ['cloudtrail:LookupEvents', '*', {}, 'no no no yes no'],
  ['cloudtrail:StopLogging', `arn:aws:cloudtrail:${REGION}:${ACCOUNT}:trail/a`, {}, 'no no no no no'],
  ['s3:GetObject', `arn:aws:s3:::trail-bucket/AWSLogs/${ACCOUNT}/a.json.gz`, {}, 'no no no yes no'],
  ['s3:DeleteObject', `arn:aws:s3:::trail-bucket/AWSLogs/${ACCOUNT}/a.json.gz`, {}, 'no no no no no'],
  ['iam:CreateRole', `arn:aws:iam::${ACCOUNT}:role/a`, {}, 'no no no no no'],
]
const roles = Object.keys(ROLES)

/** @param {string} role @param {string} action @param {string} resource @param {Record<string, string>} context @param {any[]} documents */
async function simulated(role, action, resource, context, documents) {
  const account = resource.split(':')[4] || ACCOUNT
  const { overallResult, errors } = /** @type {any} */ (
    await runSimulation(
      /** @type {any} */ ({
        request: {
          action,
          principal: `arn:aws:iam::${ACCOUNT}:role/${role}`,
          resource: { resource, accountId: account },
          contextVariables: context,
        },
        identityPolicies: documents.map((policy, at) => ({ name: `part${at}`, policy })),
        serviceControlPolicies: [],
        resourceControlPolicies: [],
        // The other account lets this one in.
        ...(account !== ACCOUNT && {
          resourcePolicy: {
            Version: '2012-10-17',
            Statement: [{ Effect: 'Allow', Principal: { AWS: ACCOUNT }, Action: 'secretsmanager:*', Resource: '*' }],
          },
        }),
        ...(action.startsWith('kms:') && {
          resourcePolicy: {
            Version: '2012-10-17',
            Statement: [
              { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: '*' },
            ],
          },
        }),
      }),
      {},
    )
  )
  if (errors !== undefined) throw new Error(JSON.stringify(errors))
  return overallResult === 'Allowed' ? 'yes' : 'no'
}

test('the simulator gives every cell of the table', async () => {
  const wrong = []
  for (const [action, resource, context, cells] of TABLE) {
    const wanted = cells.split(' ')
    for (const [at, role] of roles.entries()) {
      const mfa = role === 'operator' ? { 'aws:MultiFactorAuthPresent': 'true' } : {}
      const found = await simulated(role, action, resource, { ...context, ...mfa }, documentsOf(role))
      if (found !== wanted[at]) wrong.push([role, action, resource, found])
    }
  }
  expect(wrong).toEqual([])
  expect(TABLE.length * roles.length).toBeGreaterThan(150)
})

test('people without MFA may do nothing', async () => {
  for (const [action, resource, context] of TABLE) {
    for (const mfa of [{}, { 'aws:MultiFactorAuthPresent': 'false' }]) {
      const found = await simulated('operator', action, resource, { ...context, ...mfa }, documentsOf('operator'))
      expect([action, found]).toEqual([action, 'no'])
    }
  }
})

test('where an endpoint is named, there is no other way', async () => {
  const documents = documentsOf('reader', { vpcEndpoint: 'vpce-0123456789abcdef0' })
  const by = (/** @type {Record<string, string>} */ context) =>
    simulated(
      'reader',
      'secretsmanager:GetSecretValue',
      secret('GITHUB_API_TOKEN_production-AbCdEf'),
      context,
      documents,
    )
  expect(await by({ 'aws:SourceVpce': 'vpce-0123456789abcdef0' })).toBe('yes')
  expect(await by({ 'aws:SourceVpce': 'vpce-00000000000000000' })).toBe('no')
  expect(await by({})).toBe('no')
})

test('generalised policies still grant each secret, and none of another environment', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 200 }, (_, at) => [
      `tool${at}`,
      { secrets: Object.fromEntries(Array.from({ length: 10 }, (_, one) => [`type_${one}`, {}])) },
    ]),
  )
  const places = placesOf({ tools: many }, 'production')
  const documents = documentsOf('reader', { places })
  for (const { id } of [places[0], places[999], places[1999]].flatMap((place) => place ?? [])) {
    expect(await simulated('reader', 'secretsmanager:GetSecretValue', secret(`${id}-AbCdEf`), {}, documents)).toBe(
      'yes',
    )
  }
  expect(
    await simulated('reader', 'secretsmanager:GetSecretValue', secret('TOOL1_TYPE_1_staging-AbCdEf'), {}, documents),
  ).toBe('no')
})

describe('over the wire', () => {
  /** @type {MiniStack} */
  let stack
  beforeAll(async () => {
    stack = await MiniStack.start({ AUTH: 'true' })
  })
  afterAll(() => stack.stop())

  test('a stand-in that enforces policies allows and denies the same', () => {
    const SM = 'secretsmanager'
    const own = { SecretId: 'DATABASE_PASSWORD_production' }
    const token = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
    /** @type {Record<string, [string, string, object, string]>} */
    const calls = {
      read: [SM, 'get_secret_value', own, 'yes yes yes no no yes'],
      'read staging': [SM, 'get_secret_value', { SecretId: 'DATABASE_PASSWORD_staging' }, 'no no no no no no'],
      'read a longer name': [
        SM,
        'get_secret_value',
        { SecretId: 'DATABASE_PASSWORD_production-OTHER' },
        'no no no no no no',
      ],
      'read another': [SM, 'get_secret_value', { SecretId: 'BILLING_KEY_production' }, 'no no no no no no'],
      batch: [
        SM,
        'batch_get_secret_value',
        { SecretIdList: ['DATABASE_PASSWORD_production'] },
        'yes yes yes no no yes',
      ],
      list: [SM, 'list_secrets', {}, 'no no no yes no no'],
      describe: [SM, 'describe_secret', own, 'no yes yes yes no yes'],
      put: [
        SM,
        'put_secret_value',
        { ...own, SecretString: 'x', VersionStages: ['AWSPENDING'], ClientRequestToken: token },
        'no yes yes no no yes',
      ],
      create: [SM, 'create_secret', { Name: 'GITHUB_API_TOKEN_production', SecretString: 'x' }, 'no no yes no no yes'],
      'create another': [SM, 'create_secret', { Name: 'OTHER_production', SecretString: 'x' }, 'no no no no no no'],
      policy: [
        SM,
        'put_resource_policy',
        { ...own, ResourcePolicy: '{"Version":"2012-10-17","Statement":[]}' },
        'no no no no no no',
      ],
      delete: [SM, 'delete_secret', own, 'no no no no no yes'],
      role: ['iam', 'create_role', { RoleName: 'x', AssumeRolePolicyDocument: '{}' }, 'no no no no no no'],
    }
    const input = {
      endpoint: stack.url,
      region: REGION,
      secrets: [
        'DATABASE_PASSWORD_production',
        'DATABASE_PASSWORD_staging',
        'DATABASE_PASSWORD_production-OTHER',
        'BILLING_KEY_production',
      ],
      // The stand-in's own account.
      roles: Object.fromEntries(
        roles.map((role) => [
          role,
          documentsOf(role, { home: { partition: 'aws', region: REGION, account: '000000000000' } }),
        ]),
      ),
      calls: Object.fromEntries(
        Object.entries(calls).map(([name, [service, operation, args]]) => [name, [service, operation, args]]),
      ),
    }
    // The stand-in knows no MFA: what the operator may do with it is tried without that condition.
    const withMfa = documentsOf('operator', { home: { partition: 'aws', region: REGION, account: '000000000000' } })
    for (const { Statement } of withMfa) {
      for (const one of Statement) {
        delete one.Condition?.Bool
        if (Object.keys(one.Condition ?? {}).length === 0) delete one.Condition
      }
    }
    input.roles['operator with MFA'] = withMfa
    const found = wireProbe(input)
    // The migrator has made it already: whoever may not make it is told so first.
    const made = found['operator with MFA']
    if (made?.create === 'ResourceExistsException') made.create = 'allowed'
    const wanted = Object.fromEntries(
      Object.keys(input.roles).map((role, at) => [
        role,
        Object.fromEntries(
          Object.entries(calls).map(([name, [, , , cells]]) => [
            name,
            cells.split(' ')[at] === 'yes' ? 'allowed' : 'denied',
          ]),
        ),
      ]),
    )
    // Without MFA the operator is denied everything, which the last column but one says.
    expect(found).toEqual(wanted)
  })
})
