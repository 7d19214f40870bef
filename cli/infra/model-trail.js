'use strict'

const { arnOf, policy, ref, rule, sub } = require('./intrinsics')

/** @typedef {import('./model').World} World */
/** @typedef {import('./model').Resource} Resource */

const SERVES = 'Access Logging: CloudTrail integration for all access'
/** How long nobody can delete what the trail wrote. */
const LOCKED_DAYS = 365

/** @param {World} world @returns {Record<string, Resource>} */
function trailResources({ tags, service, environment }) {
  const name = `${service}-${environment}`
  const trail = sub(`arn:\${AWS::Partition}:cloudtrail:\${AWS::Region}:\${AWS::AccountId}:trail/${name}`)
  const ofTrail = { StringEquals: { 'aws:SourceArn': trail } }
  const cloudtrail = { Service: 'cloudtrail.amazonaws.com' }
  return {
    TrailBucket: {
      Type: 'AWS::S3::Bucket',
      Metadata: {
        Serves: SERVES,
        checkov: {
          skip: [
            {
              id: 'CKV_AWS_18',
              comment:
                'Access logs of the bucket would need another bucket; turn on data events of the trail for it instead',
            },
          ],
        },
      },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        VersioningConfiguration: { Status: 'Enabled' },
        ObjectLockEnabled: true,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: LOCKED_DAYS } },
        },
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [
            {
              BucketKeyEnabled: true,
              ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: arnOf('OperationsKey') },
            },
          ],
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
        LifecycleConfiguration: {
          Rules: [
            {
              Id: 'expire',
              Status: 'Enabled',
              ExpirationInDays: 2 * LOCKED_DAYS,
              NoncurrentVersionExpiration: { NoncurrentDays: 30 },
              AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
            },
          ],
        },
        Tags: tags,
      },
    },
    TrailBucketPolicy: {
      Type: 'AWS::S3::BucketPolicy',
      Metadata: { Serves: SERVES },
      Properties: {
        Bucket: ref('TrailBucket'),
        PolicyDocument: policy(
          rule('Allow', cloudtrail, 's3:GetBucketAcl', arnOf('TrailBucket'), ofTrail, 'TrailLooks'),
          rule(
            'Allow',
            cloudtrail,
            's3:PutObject',
            sub('${TrailBucket.Arn}/AWSLogs/${AWS::AccountId}/*'),
            ofTrail,
            'TrailWrites',
          ),
          rule(
            'Deny',
            '*',
            's3:*',
            [arnOf('TrailBucket'), sub('${TrailBucket.Arn}/*')],
            { Bool: { 'aws:SecureTransport': 'false' } },
            'EncryptedTransportOnly',
          ),
        ),
      },
    },
    TrailLogs: {
      Type: 'AWS::Logs::LogGroup',
      Metadata: { Serves: SERVES },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: { RetentionInDays: LOCKED_DAYS, KmsKeyId: arnOf('OperationsKey'), Tags: tags },
    },
    TrailLogsRole: {
      Type: 'AWS::IAM::Role',
      Metadata: { Serves: SERVES },
      Properties: {
        Description: `${service} ${environment}: the trail writes its log group`,
        AssumeRolePolicyDocument: policy(rule('Allow', cloudtrail, 'sts:AssumeRole', undefined, ofTrail)),
        Policies: [
          {
            PolicyName: 'Logs',
            PolicyDocument: policy({
              Effect: 'Allow',
              Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
              Resource: arnOf('TrailLogs'),
            }),
          },
        ],
        Tags: tags,
      },
    },
    Trail: {
      Type: 'AWS::CloudTrail::Trail',
      Metadata: { Serves: SERVES },
      DependsOn: ['TrailBucketPolicy'],
      Properties: {
        TrailName: name,
        IsLogging: true,
        IsMultiRegionTrail: true,
        IncludeGlobalServiceEvents: true,
        EnableLogFileValidation: true,
        KMSKeyId: arnOf('OperationsKey'),
        S3BucketName: ref('TrailBucket'),
        CloudWatchLogsLogGroupArn: arnOf('TrailLogs'),
        CloudWatchLogsRoleArn: arnOf('TrailLogsRole'),
        SnsTopicName: { 'Fn::GetAtt': ['AlarmTopic', 'TopicName'] },
        Tags: tags,
      },
    },
  }
}

module.exports = { trailResources }
