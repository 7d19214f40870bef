'use strict'

const { ACCOUNT_ROOT, policy, ref, sub } = require('./intrinsics')

/** @typedef {import('./model').World} World */
/** @typedef {import('./model').Resource} Resource */

const SERVES = 'Create IAM roles and policies'
const HOUR = 3600

/** Who may take a role. @type {Record<string, { role: string, trust: () => any, description: string, condition?: string }>} */
const IDENTITIES = {
  TaskRole: {
    role: 'reader',
    description: 'tasks of ECS',
    trust: () => policy(ofService('ecs-tasks.amazonaws.com', true)),
  },
  PodRole: {
    role: 'reader',
    description: 'pods of EKS by Pod Identity',
    trust: () => policy({ ...ofService('pods.eks.amazonaws.com', true), Action: ['sts:AssumeRole', 'sts:TagSession'] }),
  },
  ServiceAccountRole: {
    role: 'reader',
    description: 'pods of EKS by IRSA',
    condition: 'HasOidc',
    trust: byServiceAccount,
  },
  FunctionRole: {
    role: 'reader',
    description: 'functions of Lambda',
    trust: () => policy(ofService('lambda.amazonaws.com', false)),
  },
  RotatorRole: {
    role: 'rotator',
    description: 'the task that rotates',
    trust: () => policy(ofService('ecs-tasks.amazonaws.com', true)),
  },
  MigratorRole: { role: 'migrator', description: 'who moves secrets to AWS', trust: people },
  AuditorRole: { role: 'auditor', description: 'auditors', trust: people },
  OperatorRole: { role: 'operator', description: 'people on call', trust: people },
}

/** @param {World} world @returns {Record<string, Resource>} */
function identityResources({ policies, tags, service, environment }) {
  return Object.fromEntries(
    Object.entries(IDENTITIES).map(([name, { role, trust, description, condition }]) => [
      name,
      {
        Type: 'AWS::IAM::Role',
        ...(condition && { Condition: condition }),
        Metadata: { Serves: SERVES },
        Properties: {
          Description: `${service} ${environment}: ${description}`,
          MaxSessionDuration: HOUR,
          AssumeRolePolicyDocument: trust(),
          ManagedPolicyArns: (policies[role] ?? []).map(ref),
          Policies: inlinePolicies(name, role),
          Tags: tags,
        },
      },
    ]),
  )
}

/** What only the infrastructure knows: its key, its queue, its trail, and the logs of a function. @param {string} name @param {string} role */
function inlinePolicies(name, role) {
  if (role === 'auditor') return [inline('Trail', auditing())]
  const key = inline('SecretsKey', [
    {
      Effect: 'Allow',
      Action: role === 'reader' ? ['kms:Decrypt'] : ['kms:Decrypt', 'kms:GenerateDataKey'],
      Resource: { 'Fn::GetAtt': ['SecretsKey', 'Arn'] },
      Condition: { StringEquals: { 'kms:ViaService': sub('secretsmanager.${AWS::Region}.${AWS::URLSuffix}') } },
    },
  ])
  if (role !== 'reader') return [key]
  const logs = {
    Effect: 'Allow',
    Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    Resource: sub('arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/*'),
  }
  const queue = [
    {
      Effect: 'Allow',
      Action: ['sqs:ReceiveMessage', 'sqs:DeleteMessage'],
      Resource: { 'Fn::GetAtt': ['Queue', 'Arn'] },
    },
    { Effect: 'Allow', Action: ['kms:Decrypt'], Resource: { 'Fn::GetAtt': ['OperationsKey', 'Arn'] } },
  ]
  return [key, inline('Queue', name === 'FunctionRole' ? [...queue, logs] : queue)]
}

function auditing() {
  return [
    { Effect: 'Allow', Action: ['s3:ListBucket'], Resource: { 'Fn::GetAtt': ['TrailBucket', 'Arn'] } },
    { Effect: 'Allow', Action: ['s3:GetObject'], Resource: sub('${TrailBucket.Arn}/AWSLogs/${AWS::AccountId}/*') },
    { Effect: 'Allow', Action: ['kms:Decrypt'], Resource: { 'Fn::GetAtt': ['OperationsKey', 'Arn'] } },
  ]
}

/** @param {string} PolicyName @param {object[]} statements */
const inline = (PolicyName, statements) => ({ PolicyName, PolicyDocument: policy(...statements) })

/** @param {string} service @param {boolean} namesSource Whether this service says for whom it asks. */
function ofService(service, namesSource) {
  return {
    Effect: 'Allow',
    Principal: { Service: service },
    Action: 'sts:AssumeRole',
    ...(namesSource && { Condition: { StringEquals: { 'aws:SourceAccount': ref('AWS::AccountId') } } }),
  }
}

/** The account's own people, who have proved themselves. */
function people() {
  return policy({
    Effect: 'Allow',
    Principal: { AWS: ACCOUNT_ROOT },
    Action: 'sts:AssumeRole',
    Condition: { Bool: { 'aws:MultiFactorAuthPresent': 'true' } },
  })
}

/** The keys of this condition hold a parameter, which only a text of JSON can have. */
function byServiceAccount() {
  const text = JSON.stringify(
    policy({
      Effect: 'Allow',
      Principal: { Federated: 'arn:${AWS::Partition}:iam::${AWS::AccountId}:oidc-provider/${OidcProvider}' },
      Action: 'sts:AssumeRoleWithWebIdentity',
      Condition: {
        StringEquals: {
          '${OidcProvider}:sub': 'system:serviceaccount:${ServiceAccount}',
          '${OidcProvider}:aud': 'sts.amazonaws.com',
        },
      },
    }),
  )
  return sub(text)
}

module.exports = { identityResources }
