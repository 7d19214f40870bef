'use strict'

// Policies from what is declared: in every form, for many secrets, and with bad input. Whether they grant what a role needs is in
// __test__/infra/roles.test.js.

const { cliWorld, error } = require('../support/cli-world')
const { SecretDelivery } = require('../..')
const { placesOf } = require('../../cli/infra/places')

const world = cliWorld()
const HOME = ['--account', '111122223333', '--region', 'eu-central-1']
const arn = (/** @type {string} */ name) => `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}-??????`

/** @param {string[]} args */
async function policy(...args) {
  const { status, stdout, stderr } = await world.cli.run(['policy', ...args])
  return { status, stderr, document: status === 0 ? JSON.parse(stdout) : undefined }
}

test('a reader may read its declared secrets, and nothing else', async () => {
  const { document } = await policy('reader', ...HOME)
  expect(document).toEqual({
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'ReadSecrets',
        Effect: 'Allow',
        Action: ['secretsmanager:GetSecretValue'],
        Resource: [
          arn('GITHUB_API_TOKEN_staging'),
          arn('GITHUB_WEBHOOK_SECRET_staging'),
          arn('DATABASE_PASSWORD_staging'),
        ],
      },
      { Sid: 'ReadInBatches', Effect: 'Allow', Action: ['secretsmanager:BatchGetSecretValue'], Resource: ['*'] },
    ],
  })
})

test('without batches, with a queue, an endpoint, a key and a region of replicas', async () => {
  world.write('tcs-secrets.config.json', {
    tools: { slack: {} },
    secrets: { SENDGRID: { aws: '{environment}/sendgrid#key' } },
    aws: { batch: false, failoverRegions: ['eu-west-1'] },
    events: { sqsQueueUrl: 'https://sqs.eu-central-1.amazonaws.com/111122223333/changes' },
  })
  const { document } = await policy(
    'reader',
    ...HOME,
    '--vpc-endpoint',
    'vpce-0123456789abcdef0',
    '--kms-key',
    'alias/orders',
  )
  const of = (/** @type {string} */ sid) => document.Statement.find((/** @type {any} */ one) => one.Sid === sid)
  expect(of('ReadSecrets').Resource).toEqual([
    arn('staging/sendgrid'),
    // A tool that declares no secrets: a pattern, and the listing.
    'arn:aws:secretsmanager:eu-central-1:111122223333:secret:SLACK_*_staging-??????',
    arn('staging/sendgrid').replace('central', 'west'),
    'arn:aws:secretsmanager:eu-west-1:111122223333:secret:SLACK_*_staging-??????',
  ])
  expect(of('ReadSecrets').Condition).toEqual({ StringEquals: { 'aws:SourceVpce': 'vpce-0123456789abcdef0' } })
  expect(of('ReadInBatches')).toBeUndefined()
  expect(of('FindNames').Action).toEqual(['secretsmanager:ListSecrets'])
  expect(of('FollowEvents')).toMatchObject({ Resource: ['arn:aws:sqs:eu-central-1:111122223333:changes'] })
  expect(of('UseTheKey')).toMatchObject({
    Action: ['kms:Decrypt'],
    Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/orders' } },
  })
})

test("secrets that are read as another role are that role's matter", async () => {
  const roleArn = 'arn:aws:iam::444455556666:role/shared-reader'
  world.write('tcs-secrets.config.json', {
    secrets: { SHARED: { aws: { id: 'shared', assumeRole: { roleArn } } }, OWN: {} },
    aws: { assumeRole: { roleArn: 'arn:aws:iam::111122223333:role/orders' } },
  })
  const { document, stderr } = await policy('reader', ...HOME)
  expect(document.Statement).toContainEqual({
    Sid: 'TakeRolesOfReferences',
    Effect: 'Allow',
    Action: ['sts:AssumeRole'],
    Resource: [roleArn],
  })
  expect(document.Statement[0].Resource).toEqual([arn('OWN_staging')])
  expect(stderr).toContain('this is for arn:aws:iam::111122223333:role/orders')
})

test('names, references and templates become the ids that the core reads', async () => {
  const configs = [
    world.config,
    {
      tools: {
        jira: { aws: '{environment}/jira', secrets: { user: {}, api_token: {} } },
        db: {
          secrets: {
            password: { aws: { staging: 'rds!db-3333#password', production: 'rds!db-1111#password' } },
            url: { aws: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db-AbCdEf#connection.url' },
            other: { aws: { id: 'a/{environment}/b', field: 'x' } },
            inId: { aws: { id: 'c/{environment}#password' } },
            short: { aws: { stage: { id: 'short#x' }, prod: 'else' } },
            spelt: { aws: { ' Staging ': 'spelt#x', Production: 'else' } },
          },
        },
      },
      secrets: { SENDGRID: { aws: 'prod/sendgrid' }, PLAIN: {}, MixedCase: {}, 'with-dash': { aws: 'x' } },
    },
    {
      tools: { Git_Hub: { secrets: { 'Api-Token': {} } } },
      aws: { secretIdTemplate: '{environment}/{tool}#{type}' },
    },
    { tools: { a: { secrets: { b: {} } } }, aws: { secretIdTemplate: 'x/{TOOL}/{environment}/{TYPE}' } },
  ]
  for (const config of configs) {
    const aws = { ...world.aws.options, .../** @type {any} */ (config).aws }
    const delivery = new SecretDelivery({ ...config, environment: 'staging', aws, audit: false, logger: { warn() {} } })
    for (const { name, id } of placesOf(/** @type {any} */ (config), 'staging')) {
      const { awsId, layers } = await delivery.explain(name)
      const place = layers.find((one) => one.layer === 'aws')?.place ?? awsId
      expect([name, place.split('#')[0]]).toEqual([name, id])
    }
    await delivery.close()
  }
})

test('what an operator does not say is asked of AWS, and named where AWS does not say', async () => {
  const { document } = await policy('reader')
  expect(document.Statement[0].Resource[0]).toMatch(/^arn:aws:secretsmanager:eu-central-1:\d{12}:secret:/)
  const unknown = await world.cli.json('policy reader', { env: { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' } })
  expect(unknown).toMatchObject({ status: 3, document: error('ACCOUNT_UNKNOWN', '--account') })
  const nowhere = await world.cli.json('policy reader --account 111122223333', { env: { AWS_REGION: '' } })
  expect(nowhere).toMatchObject({ status: 3, document: error('REGION_UNKNOWN', '--region') })
})

test('CloudFormation needs neither: what is not given is left to the deployment', async () => {
  const { document } = await policy('migrator', '--format', 'cloudformation')
  const [resource] = Object.values(/** @type {Record<string, any>} */ (document.Resources))
  expect(resource.Type).toBe('AWS::IAM::ManagedPolicy')
  expect(JSON.stringify(resource)).toContain(
    'arn:aws:secretsmanager:eu-central-1:${AWS::AccountId}:secret:GITHUB_API_TOKEN_staging-??????',
  )
})

test('Terraform has the same document', async () => {
  const [terraform, json] = [
    await policy('auditor', ...HOME, '--format', 'terraform'),
    await policy('auditor', ...HOME),
  ]
  const [made] = Object.values(/** @type {Record<string, any>} */ (terraform.document.resource.aws_iam_policy))
  expect(JSON.parse(made.policy)).toEqual(json.document)
})

test('an ARN without its ending is granted also where the name ends like one', async () => {
  const begin = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:'
  const secrets = { A: { aws: `${begin}db-master` }, B: { aws: `${begin}db-AbCdEf` }, C: { aws: `${begin}db` } }
  world.write('tcs-secrets.config.json', { secrets })
  const { document } = await policy('reader', ...HOME)
  expect(document.Statement[0].Resource).toEqual(
    ['db-master', 'db-master-??????', 'db-AbCdEf', 'db-??????'].map((name) => begin + name),
  )
})

test('the functions by which AWS rotates are granted to those who rotate', async () => {
  const args = 'policy rotator -e production --account 111122223333 --region eu-central-1 --rotation-function rotate-db'
  const other = 'arn:aws:lambda:eu-west-1:444455556666:function:shared'
  const { Statement } = JSON.parse((await world.cli.run(`${args} ${other}`)).stdout)
  expect(Statement.find(({ Sid }) => Sid === 'RunRotationFunctions')).toMatchObject({
    Action: ['lambda:InvokeFunction'],
    Resource: ['arn:aws:lambda:eu-central-1:111122223333:function:rotate-db', other],
  })
  expect((await world.cli.run(args.replace('rotator', 'reader'))).stdout).not.toContain('lambda')
  const { status, document } = await world.cli.json(args.replace('rotate-db', 'rotate-*'))
  expect({ status, ...document }).toMatchObject({ status: 2, error: { code: 'USAGE' } })
  const template = await world.cli.run('infra -e production --rotation-function rotate-db', { env: { AWS_REGION: '' } })
  const arn = 'arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:rotate-db'
  expect(template.stdout.includes(arn)).toBe(true)
})

test('China and GovCloud have partitions of their own', async () => {
  const { document } = await policy('reader', '--account', '111122223333', '--region', 'cn-north-1')
  expect(document.Statement[0].Resource[0]).toMatch(/^arn:aws-cn:/)
})

describe('many secrets', () => {
  const tools = (/** @type {number} */ count, /** @type {number} */ types) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, at) => [
        `tool${at}`,
        { secrets: Object.fromEntries(Array.from({ length: types }, (_, one) => [`secret_number_${one}`, {}])) },
      ]),
    )
  const isShort = (/** @type {unknown} */ document) => JSON.stringify(document).replace(/\s/g, '').length <= 6_144

  test('300 are split over several policies, each of which AWS takes', async () => {
    world.write('tcs-secrets.config.json', { tools: tools(30, 10) })
    const { document, stderr } = await policy('reader', ...HOME)
    expect(document.length).toBeGreaterThan(3)
    expect(document.every(isShort)).toBe(true)
    const resources = document
      .flatMap((/** @type {any} */ one) => one.Statement)
      .flatMap((/** @type {any} */ one) => one.Resource)
    expect(new Set(resources).size).toBe(301)
    expect(stderr).toContain('attach all of them')
    const part = await policy('reader', ...HOME, '--part', '2')
    expect(part.document).toEqual(document[1])
    expect((await policy('reader', ...HOME, '--part', '99')).status).toBe(2)
  })

  test('2,000 are generalised to patterns, with a word', async () => {
    world.write('tcs-secrets.config.json', { tools: tools(200, 10) })
    const { document, stderr } = await policy('reader', ...HOME)
    const documents = [document].flat()
    expect(documents.length).toBeLessThanOrEqual(10)
    expect(documents.every(isShort)).toBe(true)
    expect(JSON.stringify(documents)).toContain('secret:TOOL0_*_staging-??????')
    expect(stderr).toContain('2000 secrets are too many to name one by one')
  })

  test('2,000 references without a folder fit no role, which is said', async () => {
    const secrets = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, at) => [`NAME${at}`, { aws: `something-of-its-own-${at}` }]),
    )
    world.write('tcs-secrets.config.json', { secrets })
    expect(await world.cli.json(`policy reader ${HOME.join(' ')}`)).toMatchObject({
      status: 5,
      document: error('POLICY_TOO_LARGE', 'common folder'),
    })
  })
})

test.each([
  ['policy', 'a role that does not exist', ['readr'], 2, 'did you mean reader'],
  ['policy', 'an account that is none', ['reader', '--account', '12'], 2, 'twelve digits'],
  ['policy', 'a region with a wildcard', ['reader', '--region', 'eu-*'], 2, 'a region'],
  ['policy', 'a key with a wildcard', ['reader', '--kms-key', 'arn:aws:kms:*:111122223333:key/*'], 2, "a key's ARN"],
  ['infra', 'a service whose name is an expression', ['--service', '${file("/etc/passwd")}'], 2, 'letters, digits'],
  ['infra', 'a service without a name', ['--service', ''], 2, 'letters, digits'],
  ['policy', 'an endpoint that is none', ['reader', '--vpc-endpoint', 'vpce-*'], 2, 'the id of an endpoint'],
])('%s refuses %s', async (command, _, args, status, message) => {
  const found = await world.cli.run([command, ...args])
  expect([found.status, found.stdout]).toEqual([status, ''])
  expect(found.stderr).toContain(message)
})

test('a name with a wildcard grants nothing: it is no name', async () => {
  world.write('tcs-secrets.config.json', { secrets: { ALL: { aws: 'prod/*' } } })
  const found = await world.cli.run(['policy', 'reader', ...HOME])
  expect([found.status, found.stdout]).toEqual([3, ''])
  expect(found.stderr).toContain("holds '*'")
})

test('nothing declared is nothing to grant', async () => {
  world.write('tcs-secrets.config.json', {})
  expect(await world.cli.json(`policy reader ${HOME.join(' ')}`)).toMatchObject({
    status: 3,
    document: error('NO_TOOLS_DECLARED'),
  })
})
