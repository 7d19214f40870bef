'use strict'

const { createHash } = require('node:crypto')
const { ACCOUNT_ROOT, arnOf, policy, ref, rule, sub } = require('./intrinsics')

/** @typedef {import('./model').World} World */
/** @typedef {import('./model').Resource} Resource */

const ENCRYPTED = 'Encryption: All secrets encrypted at rest and in transit'
const ISOLATED = 'Network Isolation: VPC endpoints for Secrets Manager'
const DEPLOYED = 'Deploy AWS Secrets Manager infrastructure'

/** @param {World} world @returns {Record<string, Resource>} */
function keyResources({ environment, service, tags }) {
  const ofService = (/** @type {string} */ name, /** @type {object} */ Condition) =>
    rule('Allow', { Service: name }, ['kms:Decrypt', 'kms:GenerateDataKey'], '*', Condition)
  const here = { StringEquals: { 'aws:SourceAccount': ref('AWS::AccountId') } }
  return {
    SecretsKey: {
      Type: 'AWS::KMS::Key',
      Metadata: { Serves: ENCRYPTED },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        Description: `Secrets of ${service} in ${environment}`,
        EnableKeyRotation: true,
        PendingWindowInDays: 30,
        Tags: tags,
        KeyPolicy: policy(
          rule('Allow', { AWS: ACCOUNT_ROOT }, 'kms:*', '*', undefined, 'AccountAdministers'),
          // The roles have their part of it in their own policies.
        ),
      },
    },
    SecretsKeyAlias: {
      Type: 'AWS::KMS::Alias',
      Metadata: { Serves: ENCRYPTED },
      Properties: { AliasName: `alias/${service}-${environment}-secrets`, TargetKeyId: ref('SecretsKey') },
    },
    OperationsKey: {
      Type: 'AWS::KMS::Key',
      Metadata: { Serves: ENCRYPTED },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        Description: `Queue, trail, logs and alarms of ${service} in ${environment}`,
        EnableKeyRotation: true,
        PendingWindowInDays: 30,
        Tags: tags,
        KeyPolicy: policy(
          rule('Allow', { AWS: ACCOUNT_ROOT }, 'kms:*', '*', undefined, 'AccountAdministers'),
          ofService('events.amazonaws.com', here),
          ofService('cloudwatch.amazonaws.com', here),
          ofService('cloudtrail.amazonaws.com', here),
          rule('Allow', { Service: 'cloudtrail.amazonaws.com' }, 'kms:DescribeKey', '*', here),
          rule(
            'Allow',
            { Service: sub('logs.${AWS::Region}.${AWS::URLSuffix}') },
            ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
            '*',
            {
              ArnLike: {
                'kms:EncryptionContext:aws:logs:arn': sub(
                  'arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:*',
                ),
              },
            },
          ),
        ),
      },
    },
  }
}

/**
 * What the template calls a secret. It follows from the secret's name alone: a number would change with the order of the
 * declarations, and CloudFormation would then make secrets anew that are there.
 *
 * @param {string} id
 */
function logicalIdOf(id) {
  const words = id.split(/[^A-Za-z0-9]+/).filter((word) => word !== '')
  const title = words.map((word) => `${word[0]?.toUpperCase()}${word.slice(1).toLowerCase()}`).join('')
  // Names that differ in other characters, or in case, are different secrets.
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 8)
  return `Secret${title.slice(0, 200)}X${hash}`
}

/** The secrets without values, so that each has the key, the tags and a policy from its first day. @param {World} world @returns {Record<string, Resource>} */
function secretResources({ secrets, tags, service, environment }) {
  return Object.fromEntries(
    secrets.flatMap(({ id, name, tool }) => {
      const key = logicalIdOf(id)
      return [
        [
          key,
          {
            Type: 'AWS::SecretsManager::Secret',
            Metadata: { Serves: `${DEPLOYED}: ${name}` },
            DeletionPolicy: 'Retain',
            UpdateReplacePolicy: 'Retain',
            Properties: {
              Name: id,
              Description: `${service} ${environment}: ${name}`,
              KmsKeyId: arnOf('SecretsKey'),
              Tags: [...tags, ...(tool === null ? [] : [{ Key: 'tool', Value: tool }])],
            },
          },
        ],
        [
          `${key}Policy`,
          {
            Type: 'AWS::SecretsManager::ResourcePolicy',
            Condition: 'HasVpc',
            Metadata: { Serves: ISOLATED },
            Properties: { SecretId: ref(key), BlockPublicPolicy: true, ResourcePolicy: policy(otherWaysRefused()) },
          },
        ],
      ]
    }),
  )
}

/** Values leave by the endpoint only, except to people with a role of this template and to AWS itself. */
function otherWaysRefused() {
  return rule(
    'Deny',
    { AWS: '*' },
    ['secretsmanager:GetSecretValue', 'secretsmanager:BatchGetSecretValue'],
    '*',
    {
      StringNotEqualsIfExists: { 'aws:SourceVpce': ref('Endpoint') },
      ArnNotEquals: { 'aws:PrincipalArn': [arnOf('OperatorRole'), arnOf('MigratorRole')] },
      BoolIfExists: { 'aws:PrincipalIsAWSService': 'false', 'aws:ViaAWSService': 'false' },
    },
    'OnlyByTheEndpoint',
  )
}

/** @param {World} world @returns {Record<string, Resource>} */
function networkResources({ tags, environment, service }) {
  return {
    EndpointSecurityGroup: {
      Type: 'AWS::EC2::SecurityGroup',
      Condition: 'HasVpc',
      // With a VPC the group of the service is given as well; without one this resource is not made.
      Metadata: { Serves: ISOLATED, 'cfn-lint': { config: { ignore_checks: ['W1030'] } } },
      Properties: {
        GroupDescription: `${service} ${environment}: who may reach Secrets Manager`,
        VpcId: ref('VpcId'),
        SecurityGroupIngress: [
          {
            Description: 'the service',
            IpProtocol: 'tcp',
            FromPort: 443,
            ToPort: 443,
            SourceSecurityGroupId: ref('ClientSecurityGroupId'),
          },
        ],
        // An endpoint begins no connections.
        SecurityGroupEgress: [{ Description: 'none', IpProtocol: '-1', CidrIp: '127.0.0.1/32' }],
        Tags: tags,
      },
    },
    Endpoint: {
      Type: 'AWS::EC2::VPCEndpoint',
      Condition: 'HasVpc',
      Metadata: { Serves: ISOLATED },
      Properties: {
        ServiceName: sub('com.amazonaws.${AWS::Region}.secretsmanager'),
        VpcEndpointType: 'Interface',
        PrivateDnsEnabled: true,
        VpcId: ref('VpcId'),
        SubnetIds: ref('SubnetIds'),
        SecurityGroupIds: [ref('EndpointSecurityGroup')],
        PolicyDocument: policy(
          // BatchGetSecretValue must be allowed here too.
          rule(
            'Allow',
            '*',
            'secretsmanager:*',
            '*',
            { StringEquals: { 'aws:PrincipalAccount': ref('AWS::AccountId') } },
            'OwnAccountOnly',
          ),
        ),
      },
    },
  }
}

module.exports = { keyResources, networkResources, secretResources }
