'use strict'

// Everything that one environment needs in AWS, as a template of CloudFormation. It holds no value. Each resource names the
// sentence of the mission that it serves.

const { policiesOf } = require('./fit')
const { substituted } = require('./formats')
const { ROLES } = require('./roles')
const { ref } = require('./intrinsics')
const { eventResources } = require('./model-events')
const { identityResources } = require('./model-identities')
const { trailResources } = require('./model-trail')
const { alarmResources } = require('./model-alarms')
const { keyResources, networkResources, secretResources } = require('./model-secrets')

/** @typedef {{ Type: string, Properties: any, Metadata?: any, [other: string]: any }} Resource */
/** @typedef {{ environment: string, service: string, needs: import('./roles').Needs, secrets: import('./places').Place[], tags: { Key: string, Value: string }[], policies: Record<string, string[]> }} World What the parts of the model know. */

/** AWS takes 500 resources; a secret needs two. */
const MOST_SECRETS = 150

/**
 * @param {import('./roles').Needs} needs
 * @param {{ service: string, secrets: boolean }} options
 * @returns {{ template: any, notes: string[] }}
 */
function modelOf(needs, { service, secrets: wanted }) {
  const { environment, places } = needs
  const notes = []
  const own = [...new Map(places.filter(isMadeHere).map((place) => [place.id, place])).values()]
  const secrets = wanted && own.length <= MOST_SECRETS ? own : []
  if (wanted && own.length > MOST_SECRETS) {
    notes.push(
      `${own.length} secrets are more than one template can hold beside the rest (${MOST_SECRETS}): none of them is in it; 'tcs-secrets migrate apply' makes them`,
    )
  }
  const tags = [
    { Key: 'application', Value: service },
    { Key: 'environment', Value: environment },
    { Key: 'managed-by', Value: 'tcs-secret-delivery' },
  ]
  /** @type {Record<string, string[]>} */
  const policies = {}
  /** @type {Record<string, Resource>} */
  const managed = {}
  const withQueue = { ...needs, queue: undefined, kmsKey: undefined, trailBucket: undefined }
  for (const role of Object.keys(ROLES)) {
    const made = policiesOf(role, withQueue)
    notes.push(...made.notes.map((note) => `${role}: ${note}`))
    policies[role] = made.documents.map((document, at) => {
      const name = `${title(role)}Policy${made.documents.length === 1 ? '' : at + 1}`
      managed[name] = serves('Create IAM roles and policies', {
        Type: 'AWS::IAM::ManagedPolicy',
        Properties: {
          Description: `${service} ${environment}: ${ROLES[role]?.split(':')[0]}`,
          PolicyDocument: substituted(document),
        },
      })
      return name
    })
  }
  /** @type {World} */
  const world = { environment, service, needs, secrets, tags, policies }
  const resources = {
    ...keyResources(world),
    ...secretResources(world),
    ...networkResources(world),
    ...managed,
    ...identityResources(world),
    ...eventResources(world),
    ...trailResources(world),
    ...alarmResources(world, notes),
  }
  return { template: templateOf(world, resources), notes }
}

/** Secrets that are named by the template or by a name; what others own, and other accounts' secrets, are not made. @param {import('./places').Place} place */
function isMadeHere({ id, role }) {
  return role === null && !id.startsWith('arn:') && !id.includes('!') && !id.includes('*')
}

/** @param {World} world @param {Record<string, Resource>} resources */
function templateOf({ environment, service }, resources) {
  const text = (/** @type {string} */ Description, /** @type {object} */ more = {}) => ({
    Type: 'String',
    Default: '',
    Description,
    ...more,
  })
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: `${service} ${environment}: secrets, roles, network, events, trail and alarms for tcs-secret-delivery`,
    Parameters: {
      VpcId: text('VPC of the service. Empty: no endpoint, and secrets can be read from anywhere', {
        AllowedPattern: '^(vpc-[0-9a-f]+)?$',
      }),
      SubnetIds: {
        Type: 'CommaDelimitedList',
        Default: '',
        Description: 'Subnets for the endpoint, one in each zone of the service',
      },
      ClientSecurityGroupId: text('Security group of the service, which may reach the endpoint', {
        AllowedPattern: '^(sg-[0-9a-f]+)?$',
      }),
      OidcProvider: text('EKS with IRSA: issuer of the cluster without https://. Empty: no such role'),
      ServiceAccount: text('EKS with IRSA: namespace and name of the service account', {
        Default: 'default:app',
        AllowedPattern: '^[a-z0-9-]+:[a-z0-9.-]+$',
      }),
      AlarmEmail: text('Where alarms are sent. Empty: subscribe to the topic yourself'),
    },
    Conditions: {
      HasVpc: { 'Fn::Not': [{ 'Fn::Equals': [ref('VpcId'), ''] }] },
      HasOidc: { 'Fn::Not': [{ 'Fn::Equals': [ref('OidcProvider'), ''] }] },
      HasEmail: { 'Fn::Not': [{ 'Fn::Equals': [ref('AlarmEmail'), ''] }] },
    },
    Resources: resources,
    Outputs: {
      KeyArn: {
        Description: 'migration.kmsKeyId: the key of the secrets',
        Value: { 'Fn::GetAtt': ['SecretsKey', 'Arn'] },
      },
      QueueUrl: { Description: 'events.sqsQueueUrl: changes of secrets', Value: ref('Queue') },
      TaskRoleArn: { Description: 'ECS: taskRoleArn', Value: { 'Fn::GetAtt': ['TaskRole', 'Arn'] } },
      PodRoleArn: {
        Description: 'EKS: role of the Pod Identity association',
        Value: { 'Fn::GetAtt': ['PodRole', 'Arn'] },
      },
      FunctionRoleArn: { Description: 'Lambda: execution role', Value: { 'Fn::GetAtt': ['FunctionRole', 'Arn'] } },
      OperatorRoleArn: { Description: 'people, with MFA', Value: { 'Fn::GetAtt': ['OperatorRole', 'Arn'] } },
      MigratorRoleArn: {
        Description: 'who moves secrets to AWS, with MFA',
        Value: { 'Fn::GetAtt': ['MigratorRole', 'Arn'] },
      },
      AuditorRoleArn: { Description: 'auditors, with MFA', Value: { 'Fn::GetAtt': ['AuditorRole', 'Arn'] } },
      TrailBucketName: { Description: "for 'tcs-secrets audit compare --cloudtrail'", Value: ref('TrailBucket') },
      EndpointId: {
        Description: "for 'tcs-secrets policy --vpc-endpoint'",
        Condition: 'HasVpc',
        Value: ref('Endpoint'),
      },
    },
  }
}

/** @param {string} sentence Of the mission. @param {Resource} resource @returns {Resource} */
function serves(sentence, { Type, ...rest }) {
  return { Type, Metadata: { Serves: sentence }, ...rest }
}

/** @param {string} text */
const title = (text) => text[0]?.toUpperCase() + text.slice(1)

module.exports = { MOST_SECRETS, modelOf }
