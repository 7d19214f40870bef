'use strict'

const { arnOf, policy, ref, rule } = require('./intrinsics')

/** @typedef {import('./model').World} World */
/** @typedef {import('./model').Resource} Resource */

const SERVES = 'Rotation: Automatic rotation with zero downtime'
const DAYS = 24 * 3600

/** @param {World} world @returns {Record<string, Resource>} */
function eventResources({ tags, service, environment }) {
  const secure = (/** @type {string} */ queue) =>
    rule('Deny', '*', 'sqs:*', arnOf(queue), { Bool: { 'aws:SecureTransport': 'false' } }, 'EncryptedTransportOnly')
  const queue = (/** @type {object} */ more) => ({
    Type: 'AWS::SQS::Queue',
    Metadata: { Serves: SERVES },
    Properties: { KmsMasterKeyId: arnOf('OperationsKey'), MessageRetentionPeriod: 4 * DAYS, Tags: tags, ...more },
  })
  return {
    DeadLetters: queue({ MessageRetentionPeriod: 14 * DAYS }),
    // A message may take ten seconds and two deadlines, ten at a time.
    Queue: queue({
      VisibilityTimeout: 120,
      ReceiveMessageWaitTimeSeconds: 20,
      RedrivePolicy: { deadLetterTargetArn: arnOf('DeadLetters'), maxReceiveCount: 5 },
    }),
    QueuePolicy: {
      Type: 'AWS::SQS::QueuePolicy',
      Metadata: { Serves: SERVES },
      Properties: {
        Queues: [ref('Queue')],
        PolicyDocument: policy(
          rule(
            'Allow',
            { Service: 'events.amazonaws.com' },
            'sqs:SendMessage',
            arnOf('Queue'),
            { ArnEquals: { 'aws:SourceArn': arnOf('Changes') } },
            'EventsOfTheRule',
          ),
          secure('Queue'),
        ),
      },
    },
    DeadLettersPolicy: {
      Type: 'AWS::SQS::QueuePolicy',
      Metadata: { Serves: SERVES },
      Properties: { Queues: [ref('DeadLetters')], PolicyDocument: policy(secure('DeadLetters')) },
    },
    Changes: {
      Type: 'AWS::Events::Rule',
      Metadata: { Serves: SERVES },
      Properties: {
        Description: `Changes of secrets, for ${service} in ${environment}`,
        State: 'ENABLED',
        EventPattern: {
          source: ['aws.secretsmanager'],
          'detail-type': ['Secret Label Updated', 'AWS API Call via CloudTrail', 'AWS Service Event via CloudTrail'],
        },
        // No RoleArn: the queue's own policy lets it in.
        Targets: [{ Id: 'queue', Arn: arnOf('Queue') }],
      },
    },
  }
}

module.exports = { eventResources }
