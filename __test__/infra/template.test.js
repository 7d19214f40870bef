'use strict'

// The template of `infra`: looked at by cfn-lint, checkov and parliament, deployed to a stand-in's CloudFormation as far as that
// knows the resources, deployed again, and read back.

const fs = require('node:fs')
const path = require('node:path')
const { modelOf } = require('../../cli/infra/model')
const { needsFor } = require('../support/infra-needs')
const { terraformOf } = require('../../cli/infra/terraform')
const { unusualReaders } = require('../../cli/infra/unusual-readers')
const { cfnLint, parliament, stack } = require('../support/aws-lint')
const { checkov } = require('../support/checkov')
const { temporaryDirectory } = require('../support/files')
const { MiniStack } = require('../support/servers/ministack')
const { faultsOf } = require('../support/terraform-check')

jest.setTimeout(180_000)

const directory = temporaryDirectory('tcs-infra-')
afterAll(() => fs.rmSync(directory, { recursive: true }))

const options = {
  tools: {
    github: { secrets: { api_token: { required: true }, webhook_secret: {} } },
    database: { secrets: { password: { rotationType: 'database-credentials' }, owned: { aws: 'rds!db-1#password' } } },
  },
  secrets: { SHARED: { aws: 'arn:aws:secretsmanager:eu-central-1:444455556666:secret:shared-AbCdEf' } },
}
const { template, notes } = modelOf(needsFor(options), { service: 'orders', secrets: true })
const resources = Object.entries(/** @type {Record<string, any>} */ (template.Resources))
const file = path.join(directory, 'template.json')
fs.writeFileSync(file, JSON.stringify(template, null, 2))

/** What no stand-in here plays, and is only looked at: the types, by reason. */
const ONLY_LINTED = ['AWS::CloudTrail::Trail', 'AWS::SecretsManager::ResourcePolicy']

test('every resource says which sentence of the specification it serves', () => {
  expect(resources.filter(([, { Metadata }]) => !Metadata?.Serves).map(([name]) => name)).toEqual([])
  expect(notes).toEqual([])
  const text = JSON.stringify(template)
  for (const sentence of [
    'Encryption: All secrets encrypted at rest and in transit',
    'Network Isolation: VPC endpoints for Secrets Manager',
    'Access Logging: CloudTrail integration for all access',
    'Rotation: Automatic rotation with zero downtime',
    'Deploy AWS Secrets Manager infrastructure',
    'Create IAM roles and policies',
    'Set up monitoring and alerting',
    'Secret retrieval latency (>5 seconds)',
    'Cache hit rate (<80%)',
    'Rotation failures (>0 per day)',
    'Unauthorized access (>0 events)',
    'Secrets not in AWS (>0 secrets)',
  ]) {
    expect(text).toContain(sentence)
  }
})

test('it holds no value, and makes no secret that somebody else owns', () => {
  const secrets = resources.filter(([, { Type }]) => Type === 'AWS::SecretsManager::Secret')
  expect(secrets.map(([, { Properties }]) => Properties.Name)).toEqual([
    'GITHUB_API_TOKEN_production',
    'GITHUB_WEBHOOK_SECRET_production',
    'DATABASE_PASSWORD_production',
  ])
  for (const [, { Properties, DeletionPolicy }] of secrets) {
    expect(Object.keys(Properties)).not.toEqual(expect.arrayContaining(['SecretString']))
    expect(Properties).not.toHaveProperty('GenerateSecretString')
    // A stack that goes leaves the secrets.
    expect(DeletionPolicy).toBe('Retain')
  }
})

test('a secret keeps its place in the template, whatever is declared before it or no more', () => {
  const places = (/** @type {any} */ given) =>
    Object.fromEntries(
      Object.entries(modelOf(needsFor(given), { service: 'orders', secrets: true }).template.Resources)
        .filter(([, { Type }]) => Type === 'AWS::SecretsManager::Secret')
        .map(([logical, { Properties }]) => [Properties.Name, logical]),
    )
  const names = ['A_B', 'a_b', 'a/b', 'a.b', 'a-b', 'x'.repeat(512)]
  const secrets = Object.fromEntries(names.map((aws, at) => [`N${at}`, { aws }]))
  const before = places({ ...options, secrets })
  const { N1: _, ...left } = secrets
  const after = places({ tools: { first: { secrets: { key: {} } }, ...options.tools }, secrets: left })
  const common = Object.keys(after).filter((name) => before[name] !== undefined)
  expect(common).toHaveLength(Object.keys(before).length - 1)
  for (const name of common) expect(after[name]).toBe(before[name])
  const logical = Object.values(before)
  expect(new Set(logical).size).toBe(logical.length)
  for (const one of logical) expect(one).toMatch(/^[A-Za-z0-9]{1,255}$/)
})

test('everything that has tags has those that costs are told apart by', () => {
  const tagged = [
    'AWS::KMS::Key',
    'AWS::SecretsManager::Secret',
    'AWS::IAM::Role',
    'AWS::SQS::Queue',
    'AWS::S3::Bucket',
  ]
  for (const [name, { Type, Properties }] of resources.filter(([, { Type }]) => tagged.includes(Type))) {
    const tags = Object.fromEntries(Properties.Tags.map((/** @type {any} */ tag) => [tag.Key, tag.Value]))
    expect([name, Type, tags]).toEqual([
      name,
      Type,
      expect.objectContaining({ application: 'orders', environment: 'production' }),
    ])
  }
})

/** The filters for unusual readers, with ids as long as AWS gives them. @param {any[]} patterns */
function readerFilters(patterns) {
  const texts = patterns.map((pattern) => pattern['Fn::If'][1]['Fn::Sub'])
  return texts.map((pattern) => pattern.replace(/\$\{\w+\.RoleId\}/g, 'AROAIIAX5AEXAMPLE2345'))
}

/** @param {any} made */
function readerFiltersIn(made) {
  const filters = Object.entries(made.Resources).filter(([name]) => /^UnusualReader\d*Filter$/.test(name))
  return readerFilters(filters.map(([, { Properties }]) => Properties.FilterPattern))
}

/** Whether one of the filters looks at what a caller named. @param {string[]} filters @param {string} secretId */
function isWatched(filters, secretId) {
  return filters.some((filter) => {
    const names = [...filter.matchAll(/secretId = "\*(.*?)\*"/g)]
    return names.length === 0 || names.some(([, name = '']) => secretId.includes(name))
  })
}

describe('the alarm for unusual readers', () => {
  const ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:'
  const needsOf = (/** @type {any} */ given) => {
    const needs = needsFor(given)
    return { ...needs, home: { ...needs.home, account: '111122223333' } }
  }

  test('watches every declared secret, by whatever name it is asked for, and not those of other environments', () => {
    const given = {
      tools: {
        jira: { aws: '{environment}/jira', secrets: { user: {}, api_token: {} } },
        database: {
          secrets: { password: { aws: { prod: 'rds!db-1111#password' } }, url: { aws: `${ARN}a/b-AbCdEf` } },
        },
        github: { secrets: { token: {} } },
      },
      secrets: { SENDGRID: { aws: 'live/sendgrid' } },
    }
    const filters = readerFiltersIn(modelOf(needsOf(given), { service: 'orders', secrets: true }).template)
    for (const name of ['production/jira', 'rds!db-1111', 'a/b', 'GITHUB_TOKEN_production', 'live/sendgrid'])
      for (const id of [name, `${ARN}${name}-GhIjKl`]) expect([id, isWatched(filters, id)]).toEqual([id, true])
    for (const id of ['GITHUB_TOKEN_staging', 'staging/jira', 'other'])
      expect([id, isWatched(filters, id)]).toEqual([id, false])
  })

  test.each(['{environment}/{tool}#{type}', 'x/{TOOL}/{environment}/{TYPE}', '{name}'])(
    'follows the template %s',
    (secretIdTemplate) => {
      const given = { aws: { secretIdTemplate }, tools: { github: { secrets: { token: {} } } } }
      const filters = readerFiltersIn(modelOf(needsOf(given), { service: 'orders', secrets: true }).template)
      const { id } = needsOf(given).places[0]
      expect([isWatched(filters, id), isWatched(filters, 'of somebody else')]).toEqual([true, false])
    },
  )

  test('has patterns that AWS takes, however many secrets there are', () => {
    const named = (/** @type {number} */ count, /** @type {(at: number) => string} */ name) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`S${at}`, { aws: name(at) }]))
    for (const [count, name, isNoted] of /** @type {[number, (at: number) => string, boolean][]} */ ([
      [40, (at) => `name-${at}-${'x'.repeat(60)}`, false],
      [1000, (at) => `shop/name-${at}`, false],
      [1000, (at) => `name-${at}-alone`, true],
      [1, () => 'y'.repeat(512), false],
    ])) {
      const { patterns, notes } = unusualReaders(needsOf({ secrets: named(count, name) }))
      const filters = readerFilters(patterns)
      expect(filters.length).toBeLessThanOrEqual(20)
      for (const filter of filters) expect(filter.length).toBeLessThanOrEqual(1024)
      expect(notes.some((note) => note.includes('unusual readers'))).toBe(isNoted)
      for (let at = 0; at < count; at++) expect(isWatched(filters, name(at))).toBe(true)
    }
  })

  test('knows who has a role of the template by its id, which an IAM user has as well', () => {
    const [filter = ''] = readerFiltersIn(template)
    expect(filter).not.toContain('sessionIssuer')
    expect([...filter.matchAll(/principalId != "AROA\w{17}:\*"/g)]).toHaveLength(7)
  })
})

test('cfn-lint finds nothing', () => {
  expect(cfnLint(file)).toEqual([])
})

test('checkov finds nothing but what is explained in the template', () => {
  const { failed, skipped, passed } = checkov(file)
  expect(failed).toEqual([])
  expect(skipped).toEqual(['CKV_AWS_18 AWS::S3::Bucket.TrailBucket'])
  expect(passed).toBeGreaterThan(100)
})

test("parliament finds nothing in the roles' policies", () => {
  const known = (/** @type {unknown} */ value) =>
    JSON.parse(
      JSON.stringify(value)
        .replace(/\{"Fn::Sub":("(?:[^"\\]|\\.)*")\}/g, '$1')
        .replaceAll('${AWS::AccountId}', '111122223333')
        .replaceAll('${AWS::Region}', 'eu-central-1')
        .replaceAll('${AWS::Partition}', 'aws')
        .replaceAll('${AWS::URLSuffix}', 'amazonaws.com')
        .replaceAll('${TrailBucket.Arn}', 'arn:aws:s3:::bucket')
        .replace(/\{"Fn::GetAtt":\["\w+Key","Arn"\]\}/g, '"arn:aws:kms:eu-central-1:111122223333:key/1"')
        .replace(/\{"Fn::GetAtt":\["Queue","Arn"\]\}/g, '"arn:aws:sqs:eu-central-1:111122223333:queue"')
        .replace(/\{"Fn::GetAtt":\["TrailBucket","Arn"\]\}/g, '"arn:aws:s3:::bucket"')
        .replace(/\{"Fn::GetAtt":\["TrailLogs","Arn"\]\}/g, '"arn:aws:logs:eu-central-1:111122223333:log-group:a:*"'),
    )
  /** @type {Record<string, object>} */
  const documents = {}
  for (const [name, { Type, Properties }] of resources) {
    if (Type === 'AWS::IAM::ManagedPolicy') documents[name] = known(Properties.PolicyDocument)
    if (Type === 'AWS::IAM::Role') {
      for (const { PolicyName, PolicyDocument } of Properties.Policies ?? []) {
        documents[`${name} ${PolicyName}`] = known(PolicyDocument)
      }
    }
  }
  expect(Object.keys(documents).length).toBeGreaterThan(10)
  expect(parliament(documents)).toEqual([])
})

// Terraform's provider for AWS is in no registry of packages; the schema is from its bindings (tools/terraform-schema.js).
describe('the form for Terraform', () => {
  const made = terraformOf(template)

  test("has every resource, with the arguments of the provider's schema, and no reference leads nowhere", () => {
    const types = Object.keys(made.resource)
    expect(types).toEqual(expect.arrayContaining(['aws_kms_key', 'aws_iam_role', 'aws_cloudtrail', 'aws_vpc_endpoint']))
    const text = JSON.stringify(made)
    // Nothing of CloudFormation is left.
    expect(text).not.toMatch(/Fn::|"Ref"|AWS::/)
    expect(faultsOf(made)).toEqual([])
    const variables = [...text.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name)
    expect(variables.filter((name) => made.variable[name] === undefined)).toEqual([])
  })

  test('would be refused with a misspelt argument, a missing one, a wrong form or a lost reference', () => {
    const wrong = structuredClone(made)
    const { resource } = wrong
    resource.aws_kms_key.secrets_key.enable_key_rotatoin = true
    delete resource.aws_kms_alias.secrets_key_alias.target_key_id
    resource.aws_sqs_queue.queue.visibility_timeout_seconds = '120'
    resource.aws_cloudtrail.trail.kms_key_id = '${aws_kms_key.operations_key.amazon_resource_name}'
    expect(faultsOf(wrong)).toEqual([
      'aws_kms_key.secrets_key.enable_key_rotatoin is no argument',
      'aws_kms_alias.secrets_key_alias.target_key_id is missing',
      'aws_sqs_queue.queue.visibility_timeout_seconds must be a number, and is a string',
      'aws_kms_key.operations_key.amazon_resource_name is lost',
    ])
  })
})

test('600 secrets are more than a template holds: they are left out, with a word', () => {
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`T${at}`, { secrets: { key: {} } }]))
  const made = modelOf(needsFor({ tools: many }), { service: 'orders', secrets: true })
  expect(Object.keys(made.template.Resources).length).toBeLessThan(500)
  expect(made.notes.join()).toContain('600 secrets are more than one template can hold')
  expect(JSON.stringify(made.template).length).toBeLessThan(1_000_000)
})

describe("in a stand-in's CloudFormation", () => {
  /** @type {MiniStack} */
  let aws
  beforeAll(async () => {
    aws = await MiniStack.start()
  })
  afterAll(() => aws.stop())

  test('it is deployed, deployed again with another secret, and what is in the secrets stays', () => {
    const played = (/** @type {any} */ whole) => {
      const left = Object.entries(/** @type {Record<string, any>} */ (whole.Resources)).filter(
        // Metric math is not played either.
        ([, { Type, Properties }]) => !ONLY_LINTED.includes(Type) && Properties.Metrics === undefined,
      )
      return { ...whole, Resources: Object.fromEntries(left) }
    }
    const tools = { aaa: { secrets: { first: {} } }, ...options.tools }
    const more = { ...options, tools, secrets: { ...options.secrets, SENDGRID: {} } }
    const update = modelOf(needsFor(more), { service: 'orders', secrets: true }).template
    const found = stack({
      endpoint: aws.url,
      region: 'eu-central-1',
      template: played(template),
      update: played(update),
      parameters: {},
    })
    expect(found).toMatchObject({ status: 'CREATE_COMPLETE', failed: [], updated: 'UPDATE_COMPLETE', kept: true })
    expect(found.made).toMatchObject({
      secrets: ['DATABASE_PASSWORD_production', 'GITHUB_API_TOKEN_production', 'GITHUB_WEBHOOK_SECRET_production'],
      keys: [true],
      tags: { application: 'orders', environment: 'production' },
      rotates: true,
      deadLetters: true,
      queuePolicy: true,
      policies: 1,
      alarms: 9,
      filters: 5,
    })
    // What is played, of all types of the template: the rest is only looked at.
    const wanted = new Set(resources.map(([, { Type }]) => Type))
    const conditional = ['AWS::EC2::SecurityGroup', 'AWS::EC2::VPCEndpoint', 'AWS::SNS::Subscription']
    const left = [...wanted].filter((type) => ![...found.types, ...ONLY_LINTED, ...conditional].includes(type))
    expect(left).toEqual([])
  })
})
