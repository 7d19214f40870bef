'use strict'

const { policy, ref, rule } = require('./intrinsics')
const { unusualReaders } = require('./unusual-readers')

/** @typedef {import('./model').World} World */
/** @typedef {import('./model').Resource} Resource */

const SERVES = 'Set up monitoring and alerting'
const MINUTES = 60
/** Where the metrics of `monitoring: true` arrive. */
const NAMESPACE = 'tcs-secret-delivery'

/** @param {World} world @param {string[]} notes Where notes for the operator go. @returns {Record<string, Resource>} */
function alarmResources(world, notes) {
  const { tags, environment, service } = world
  return {
    AlarmTopic: {
      Type: 'AWS::SNS::Topic',
      Metadata: { Serves: SERVES },
      Properties: { KmsMasterKeyId: { 'Fn::GetAtt': ['OperationsKey', 'Arn'] }, Tags: tags },
    },
    AlarmTopicPolicy: {
      Type: 'AWS::SNS::TopicPolicy',
      Metadata: { Serves: SERVES },
      Properties: {
        Topics: [ref('AlarmTopic')],
        PolicyDocument: policy(
          rule(
            'Allow',
            { Service: ['cloudwatch.amazonaws.com', 'cloudtrail.amazonaws.com'] },
            'sns:Publish',
            ref('AlarmTopic'),
            { StringEquals: { 'aws:SourceAccount': ref('AWS::AccountId') } },
            'AlarmsAndTrail',
          ),
          rule(
            'Deny',
            '*',
            'sns:Publish',
            ref('AlarmTopic'),
            { Bool: { 'aws:SecureTransport': 'false' } },
            'EncryptedTransportOnly',
          ),
        ),
      },
    },
    AlarmSubscription: {
      Type: 'AWS::SNS::Subscription',
      Condition: 'HasEmail',
      Metadata: { Serves: SERVES },
      Properties: { Protocol: 'email', TopicArn: ref('AlarmTopic'), Endpoint: ref('AlarmEmail') },
    },
    ...fromTrail(world, notes),
    ...fromService(environment, service),
  }
}

/** What the trail shows: its metric filters, with an alarm for each metric. @param {World} world @param {string[]} notes @returns {Record<string, Resource>} */
function fromTrail({ environment, service, needs }, notes) {
  const here = `${NAMESPACE}/${service}/${environment}`
  const probe = 'TCS_SECRET_DELIVERY_HEALTH_PROBE'
  const manager = '($.eventSource = "secretsmanager.amazonaws.com")'
  const readers = unusualReaders(needs)
  notes.push(...readers.notes)
  /** @type {Record<string, { what: string, metric: string, patterns: unknown[], period?: number }>} */
  const filters = {
    Unauthorized: {
      what: 'Unauthorized access (>0 events): AWS refused a secret. Action: Security incident',
      metric: 'Unauthorized access',
      patterns: [
        `{ ${manager} && ($.eventName = "*GetSecretValue") && ($.errorCode = "AccessDenied*") && ($.requestParameters.secretId != "*${probe}*") }`,
      ],
    },
    Deletion: {
      what: 'A secret or its key is being deleted or disabled',
      metric: 'Deletion',
      patterns: [
        '{ ($.eventName = "DeleteSecret") || ($.eventName = "ScheduleKeyDeletion") || ($.eventName = "DisableKey") }',
      ],
    },
    PolicyChange: {
      what: 'Who may read was changed: the policy of a secret or of a key',
      metric: 'Policy change',
      patterns: [
        '{ ($.eventName = "PutResourcePolicy") || ($.eventName = "DeleteResourcePolicy") || ($.eventName = "PutKeyPolicy") }',
      ],
    },
    RotationFailure: {
      what: 'Rotation failures (>0 per day): a rotation by AWS failed. Action: Immediate alert',
      metric: 'Rotation failures by AWS',
      patterns: [`{ ${manager} && ($.eventName = "RotationFailed") }`],
      period: 24 * 60 * MINUTES,
    },
    UnusualReader: {
      what: 'A principal that has no role of this template read a secret of this environment',
      metric: 'Unusual reader',
      patterns: readers.patterns,
    },
  }
  return Object.fromEntries(
    Object.entries(filters).flatMap(([name, { what, metric, patterns, period = 5 * MINUTES }]) => [
      ...patterns.map((pattern, at) => [`${name}${at === 0 ? '' : at + 1}Filter`, filter(here, metric, pattern)]),
      [
        `${name}Alarm`,
        alarm(what, {
          Namespace: here,
          MetricName: metric,
          Statistic: 'Sum',
          Period: period,
          Threshold: 0,
          ComparisonOperator: 'GreaterThanThreshold',
        }),
      ],
    ]),
  )
}

/** @param {string} MetricNamespace @param {string} MetricName @param {unknown} FilterPattern @returns {Resource} */
function filter(MetricNamespace, MetricName, FilterPattern) {
  return {
    Type: 'AWS::Logs::MetricFilter',
    Metadata: { Serves: SERVES },
    Properties: {
      LogGroupName: ref('TrailLogs'),
      FilterPattern,
      MetricTransformations: [{ MetricName, MetricNamespace, MetricValue: '1', DefaultValue: 0 }],
    },
  }
}

/** The documented thresholds that the service measures itself. @param {string} environment @param {string} service @returns {Record<string, Resource>} */
function fromService(environment, service) {
  const Dimensions = [
    { Name: 'environment', Value: environment },
    { Name: 'service', Value: service },
  ]
  const metric = (/** @type {string} */ MetricName) => ({ Namespace: NAMESPACE, MetricName, Dimensions })
  const stat = (/** @type {string} */ Id, /** @type {string} */ name) => ({
    Id,
    ReturnData: false,
    MetricStat: { Metric: metric(name), Period: 5 * MINUTES, Stat: 'Sum' },
  })
  return {
    LatencyAlarm: alarm('Secret retrieval latency (>5 seconds). Action: Alert DevOps', {
      ...metric('secret_delivery_retrieval_latency_seconds'),
      ExtendedStatistic: 'p99',
      Period: 5 * MINUTES,
      Threshold: 5,
      ComparisonOperator: 'GreaterThanThreshold',
    }),
    CacheAlarm: alarm('Cache hit rate (<80%). Action: Optimize cache config', {
      Metrics: [
        {
          Id: 'rate',
          Label: 'cache hit rate, in percent',
          Expression: 'IF(hits + misses >= 100, 100 * hits / (hits + misses), 100)',
          ReturnData: true,
        },
        stat('hits', 'secret_delivery_cache_hits_total'),
        stat('misses', 'secret_delivery_cache_misses_total'),
      ],
      Threshold: 80,
      ComparisonOperator: 'LessThanThreshold',
    }),
    RotationAlarm: alarm('Rotation failures (>0 per day): a rotation by the service failed. Action: Immediate alert', {
      ...metric('secret_delivery_rotation_failures_total'),
      Statistic: 'Sum',
      Period: 24 * 60 * MINUTES,
      Threshold: 0,
      ComparisonOperator: 'GreaterThanThreshold',
    }),
    NotInAwsAlarm: alarm('Secrets not in AWS (>0 secrets). Action: Migration alert', {
      ...metric('secret_delivery_secrets_not_in_aws'),
      Statistic: 'Maximum',
      Period: 5 * MINUTES,
      Threshold: 0,
      ComparisonOperator: 'GreaterThanThreshold',
    }),
    AuditAlarm: alarm('The audit log cannot be written', {
      ...metric('secret_delivery_audit_failing'),
      Statistic: 'Maximum',
      Period: 5 * MINUTES,
      Threshold: 0,
      ComparisonOperator: 'GreaterThanThreshold',
    }),
  }
}

/** @param {string} AlarmDescription @param {object} properties @returns {Resource} */
function alarm(AlarmDescription, properties) {
  return {
    Type: 'AWS::CloudWatch::Alarm',
    Metadata: { Serves: `${SERVES}. ${AlarmDescription}` },
    Properties: {
      AlarmDescription,
      EvaluationPeriods: 1,
      // No traffic is no alarm.
      TreatMissingData: 'notBreaching',
      AlarmActions: [ref('AlarmTopic')],
      OKActions: [ref('AlarmTopic')],
      ...properties,
    },
  }
}

module.exports = { NAMESPACE, alarmResources }
