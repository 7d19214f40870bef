'use strict'

// Terraform's form of a template of CloudFormation, in Terraform's JSON syntax: resource by resource, from the same model.

/** @typedef {{ Type: string, Properties: any, DependsOn?: string[], Condition?: string, DeletionPolicy?: string, Metadata?: any }} Resource */
/** @typedef {(properties: any, name: string) => [string, string, Record<string, unknown>][]} Mapping Type, name and arguments of each resource. */

/** `AlarmTopic` becomes `alarm_topic`. @param {string} name */
const snake = (name) => name.replace(/(?!^)([A-Z])/g, '_$1').toLowerCase()

/** @param {{ Key: string, Value: unknown }[]} [tags] */
const tagsOf = (tags) =>
  tags === undefined ? {} : { tags: Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value])) }

/** JSON with Terraform's expressions inside. @param {unknown} document */
const json = (document) => (typeof document === 'string' ? document : JSON.stringify(document))

/** @type {Record<string, string>} The type that references of a resource lead to. */
const TYPES = {
  'AWS::KMS::Key': 'aws_kms_key',
  'AWS::KMS::Alias': 'aws_kms_alias',
  'AWS::SecretsManager::Secret': 'aws_secretsmanager_secret',
  'AWS::SecretsManager::ResourcePolicy': 'aws_secretsmanager_secret_policy',
  'AWS::EC2::SecurityGroup': 'aws_security_group',
  'AWS::EC2::VPCEndpoint': 'aws_vpc_endpoint',
  'AWS::IAM::ManagedPolicy': 'aws_iam_policy',
  'AWS::IAM::Role': 'aws_iam_role',
  'AWS::SQS::Queue': 'aws_sqs_queue',
  'AWS::SQS::QueuePolicy': 'aws_sqs_queue_policy',
  'AWS::Events::Rule': 'aws_cloudwatch_event_rule',
  'AWS::S3::Bucket': 'aws_s3_bucket',
  'AWS::S3::BucketPolicy': 'aws_s3_bucket_policy',
  'AWS::Logs::LogGroup': 'aws_cloudwatch_log_group',
  'AWS::Logs::MetricFilter': 'aws_cloudwatch_log_metric_filter',
  'AWS::CloudTrail::Trail': 'aws_cloudtrail',
  'AWS::SNS::Topic': 'aws_sns_topic',
  'AWS::SNS::TopicPolicy': 'aws_sns_topic_policy',
  'AWS::SNS::Subscription': 'aws_sns_topic_subscription',
  'AWS::CloudWatch::Alarm': 'aws_cloudwatch_metric_alarm',
}

/** What `Ref` gives, where it is not the id. @type {Record<string, string>} */
const REFERENCES = {
  'AWS::IAM::ManagedPolicy': 'arn',
  'AWS::IAM::Role': 'name',
  'AWS::SNS::Topic': 'arn',
  'AWS::S3::Bucket': 'bucket',
  'AWS::Logs::LogGroup': 'name',
  'AWS::KMS::Key': 'key_id',
}

/** What `Fn::GetAtt` gives, where it has another name. @type {Record<string, string>} */
const ATTRIBUTES = { RoleId: 'unique_id', TopicName: 'name' }

/** @type {Record<string, string>} */
const PSEUDO = {
  'AWS::AccountId': '${data.aws_caller_identity.current.account_id}',
  'AWS::Region': '${data.aws_region.current.region}',
  'AWS::Partition': '${data.aws_partition.current.partition}',
  'AWS::URLSuffix': '${data.aws_partition.current.dns_suffix}',
}

const one = (
  /** @type {string} */ type,
  /** @type {(properties: any, name: string) => Record<string, unknown>} */ made,
) => /** @type {Mapping} */ ((properties, name) => [[type, name, made(properties, name)]])

/** @type {Record<string, Mapping>} */
const MAPPINGS = {
  'AWS::KMS::Key': one('aws_kms_key', (p) => ({
    description: p.Description,
    enable_key_rotation: p.EnableKeyRotation,
    deletion_window_in_days: p.PendingWindowInDays,
    policy: json(p.KeyPolicy),
    ...tagsOf(p.Tags),
  })),
  'AWS::KMS::Alias': one('aws_kms_alias', (p) => ({ name: p.AliasName, target_key_id: p.TargetKeyId })),
  'AWS::SecretsManager::Secret': one('aws_secretsmanager_secret', (p) => ({
    name: p.Name,
    description: p.Description,
    kms_key_id: p.KmsKeyId,
    ...tagsOf(p.Tags),
  })),
  'AWS::SecretsManager::ResourcePolicy': one('aws_secretsmanager_secret_policy', (p) => ({
    secret_arn: p.SecretId,
    block_public_policy: p.BlockPublicPolicy,
    policy: json(p.ResourcePolicy),
  })),
  'AWS::EC2::SecurityGroup': one('aws_security_group', (p) => ({
    description: p.GroupDescription,
    vpc_id: p.VpcId,
    ingress: p.SecurityGroupIngress.map(ingress),
    egress: p.SecurityGroupEgress.map(ingress),
    ...tagsOf(p.Tags),
  })),
  'AWS::EC2::VPCEndpoint': one('aws_vpc_endpoint', (p) => ({
    service_name: p.ServiceName,
    vpc_endpoint_type: p.VpcEndpointType,
    private_dns_enabled: p.PrivateDnsEnabled,
    vpc_id: p.VpcId,
    subnet_ids: p.SubnetIds,
    security_group_ids: p.SecurityGroupIds,
    policy: json(p.PolicyDocument),
  })),
  'AWS::IAM::ManagedPolicy': one('aws_iam_policy', (p) => ({
    description: p.Description,
    policy: json(p.PolicyDocument),
  })),
  'AWS::IAM::Role': (p, name) => [
    [
      'aws_iam_role',
      name,
      {
        description: p.Description,
        ...(p.MaxSessionDuration && { max_session_duration: p.MaxSessionDuration }),
        assume_role_policy: json(p.AssumeRolePolicyDocument),
        ...tagsOf(p.Tags),
      },
    ],
    ...(p.ManagedPolicyArns ?? []).map((/** @type {string} */ policy_arn, /** @type {number} */ at) => [
      'aws_iam_role_policy_attachment',
      `${name}_${at + 1}`,
      { role: `\${aws_iam_role.${name}.name}`, policy_arn },
    ]),
    ...(p.Policies ?? []).map((/** @type {any} */ inline) => [
      'aws_iam_role_policy',
      `${name}_${snake(inline.PolicyName)}`,
      { name: inline.PolicyName, role: `\${aws_iam_role.${name}.name}`, policy: json(inline.PolicyDocument) },
    ]),
  ],
  'AWS::SQS::Queue': one('aws_sqs_queue', (p) => ({
    kms_master_key_id: p.KmsMasterKeyId,
    message_retention_seconds: p.MessageRetentionPeriod,
    ...(p.VisibilityTimeout && { visibility_timeout_seconds: p.VisibilityTimeout }),
    ...(p.ReceiveMessageWaitTimeSeconds && { receive_wait_time_seconds: p.ReceiveMessageWaitTimeSeconds }),
    ...(p.RedrivePolicy && { redrive_policy: json(p.RedrivePolicy) }),
    ...tagsOf(p.Tags),
  })),
  'AWS::SQS::QueuePolicy': one('aws_sqs_queue_policy', (p) => ({
    queue_url: p.Queues[0],
    policy: json(p.PolicyDocument),
  })),
  'AWS::Events::Rule': (p, name) => [
    ['aws_cloudwatch_event_rule', name, { description: p.Description, event_pattern: json(p.EventPattern) }],
    ...p.Targets.map((/** @type {any} */ target) => [
      'aws_cloudwatch_event_target',
      `${name}_${target.Id}`,
      { rule: `\${aws_cloudwatch_event_rule.${name}.name}`, target_id: target.Id, arn: target.Arn },
    ]),
  ],
  'AWS::S3::Bucket': (p, name) => {
    const bucket = `\${aws_s3_bucket.${name}.id}`
    const encryption = p.BucketEncryption.ServerSideEncryptionConfiguration[0]
    const { DefaultRetention: lock } = p.ObjectLockConfiguration.Rule
    const [life] = p.LifecycleConfiguration.Rules
    const access = p.PublicAccessBlockConfiguration
    return [
      ['aws_s3_bucket', name, { object_lock_enabled: p.ObjectLockEnabled, ...tagsOf(p.Tags) }],
      [
        'aws_s3_bucket_versioning',
        name,
        { bucket, versioning_configuration: { status: p.VersioningConfiguration.Status } },
      ],
      [
        'aws_s3_bucket_object_lock_configuration',
        name,
        { bucket, rule: { default_retention: { mode: lock.Mode, days: lock.Days } } },
      ],
      [
        'aws_s3_bucket_server_side_encryption_configuration',
        name,
        {
          bucket,
          rule: {
            bucket_key_enabled: encryption.BucketKeyEnabled,
            apply_server_side_encryption_by_default: {
              sse_algorithm: encryption.ServerSideEncryptionByDefault.SSEAlgorithm,
              kms_master_key_id: encryption.ServerSideEncryptionByDefault.KMSMasterKeyID,
            },
          },
        },
      ],
      [
        'aws_s3_bucket_public_access_block',
        name,
        {
          bucket,
          block_public_acls: access.BlockPublicAcls,
          block_public_policy: access.BlockPublicPolicy,
          ignore_public_acls: access.IgnorePublicAcls,
          restrict_public_buckets: access.RestrictPublicBuckets,
        },
      ],
      [
        'aws_s3_bucket_ownership_controls',
        name,
        { bucket, rule: { object_ownership: p.OwnershipControls.Rules[0].ObjectOwnership } },
      ],
      [
        'aws_s3_bucket_lifecycle_configuration',
        name,
        {
          bucket,
          rule: {
            id: life.Id,
            status: life.Status,
            filter: {},
            expiration: { days: life.ExpirationInDays },
            noncurrent_version_expiration: { noncurrent_days: life.NoncurrentVersionExpiration.NoncurrentDays },
            abort_incomplete_multipart_upload: {
              days_after_initiation: life.AbortIncompleteMultipartUpload.DaysAfterInitiation,
            },
          },
        },
      ],
    ]
  },
  'AWS::S3::BucketPolicy': one('aws_s3_bucket_policy', (p) => ({ bucket: p.Bucket, policy: json(p.PolicyDocument) })),
  'AWS::Logs::LogGroup': one('aws_cloudwatch_log_group', (p) => ({
    retention_in_days: p.RetentionInDays,
    kms_key_id: p.KmsKeyId,
    ...tagsOf(p.Tags),
  })),
  'AWS::Logs::MetricFilter': one('aws_cloudwatch_log_metric_filter', (p, name) => ({
    name,
    log_group_name: p.LogGroupName,
    pattern: p.FilterPattern,
    metric_transformation: p.MetricTransformations.map((/** @type {any} */ one) => ({
      name: one.MetricName,
      namespace: one.MetricNamespace,
      value: one.MetricValue,
      default_value: String(one.DefaultValue),
    })),
  })),
  'AWS::CloudTrail::Trail': one('aws_cloudtrail', (p) => ({
    name: p.TrailName,
    enable_logging: p.IsLogging,
    is_multi_region_trail: p.IsMultiRegionTrail,
    include_global_service_events: p.IncludeGlobalServiceEvents,
    enable_log_file_validation: p.EnableLogFileValidation,
    kms_key_id: p.KMSKeyId,
    s3_bucket_name: p.S3BucketName,
    cloud_watch_logs_group_arn: `${p.CloudWatchLogsLogGroupArn}:*`,
    cloud_watch_logs_role_arn: p.CloudWatchLogsRoleArn,
    sns_topic_name: p.SnsTopicName,
    ...tagsOf(p.Tags),
  })),
  'AWS::SNS::Topic': one('aws_sns_topic', (p) => ({ kms_master_key_id: p.KmsMasterKeyId, ...tagsOf(p.Tags) })),
  'AWS::SNS::TopicPolicy': one('aws_sns_topic_policy', (p) => ({ arn: p.Topics[0], policy: json(p.PolicyDocument) })),
  'AWS::SNS::Subscription': one('aws_sns_topic_subscription', (p) => ({
    protocol: p.Protocol,
    topic_arn: p.TopicArn,
    endpoint: p.Endpoint,
  })),
  'AWS::CloudWatch::Alarm': one('aws_cloudwatch_metric_alarm', (p, name) => ({
    alarm_name: `\${var.prefix}-${name.replaceAll('_', '-')}`,
    alarm_description: p.AlarmDescription,
    comparison_operator: p.ComparisonOperator,
    evaluation_periods: p.EvaluationPeriods,
    threshold: p.Threshold,
    treat_missing_data: p.TreatMissingData,
    alarm_actions: p.AlarmActions,
    ok_actions: p.OKActions,
    ...(p.Metrics === undefined ? single(p) : { metric_query: p.Metrics.map(queried) }),
  })),
}

/** @param {any} one */
function ingress({ Description, IpProtocol, FromPort = 0, ToPort = 0, CidrIp, SourceSecurityGroupId }) {
  return {
    description: Description,
    protocol: IpProtocol,
    from_port: FromPort,
    to_port: ToPort,
    cidr_blocks: CidrIp === undefined ? [] : [CidrIp],
    ipv6_cidr_blocks: [],
    prefix_list_ids: [],
    security_groups: SourceSecurityGroupId === undefined ? [] : [SourceSecurityGroupId],
    self: false,
  }
}

/** @param {{ Name: string, Value: string }[]} [dimensions] */
const dimensioned = (dimensions) =>
  dimensions === undefined ? {} : { dimensions: Object.fromEntries(dimensions.map(({ Name, Value }) => [Name, Value])) }

/** @param {any} p */
function single(p) {
  return {
    namespace: p.Namespace,
    metric_name: p.MetricName,
    ...(p.Statistic === undefined ? { extended_statistic: p.ExtendedStatistic } : { statistic: p.Statistic }),
    period: p.Period,
    ...dimensioned(p.Dimensions),
  }
}

/** @param {any} query */
function queried({ Id, Label, Expression, ReturnData, MetricStat }) {
  if (Expression !== undefined) return { id: Id, label: Label, expression: Expression, return_data: ReturnData }
  const { Metric, Period, Stat } = MetricStat
  return {
    id: Id,
    return_data: ReturnData,
    metric: {
      namespace: Metric.Namespace,
      metric_name: Metric.MetricName,
      period: Period,
      stat: Stat,
      ...dimensioned(Metric.Dimensions),
    },
  }
}

/**
 * @param {any} template
 * @returns {any} The content of a `.tf.json`.
 */
function terraformOf(template) {
  const { Resources, Parameters, Outputs, Description } = template
  const world = {
    Resources,
    Parameters,
    isConditional: (/** @type {string} */ name) => Resources[name]?.Condition !== undefined,
  }
  /** @type {Record<string, Record<string, any>>} */
  const resource = {}
  for (const [logical, given] of Object.entries(/** @type {Record<string, Resource>} */ (Resources))) {
    const { Type, Properties, DependsOn, Condition, DeletionPolicy, Metadata } = given
    const mapping = MAPPINGS[Type]
    if (mapping === undefined) throw new Error(`${Type} has no form in Terraform`)
    const properties = rendered(Properties, world)
    for (const [type, name, body] of mapping(properties, snake(logical))) {
      const isOwn = type === TYPES[Type]
      ;(resource[type] ??= {})[name] = {
        ...(isOwn && Metadata?.Serves && { '//': Metadata.Serves }),
        ...(Condition && { count: `\${${condition(Condition)} ? 1 : 0}` }),
        ...withoutNothing(body),
        ...(isOwn &&
          DependsOn && { depends_on: DependsOn.map((other) => `${TYPES[Resources[other].Type]}.${snake(other)}`) }),
        ...(isOwn && DeletionPolicy === 'Retain' && { lifecycle: { prevent_destroy: true } }),
      }
      if (Condition && type !== TYPES[Type]) attach(resource[type]?.[name], TYPES[Type], snake(logical))
    }
  }
  return {
    '//': `${Description}. Made by 'tcs-secrets infra --format terraform' from the model of the CloudFormation template. It was checked, and never applied.`,
    terraform: {
      required_version: '>= 1.5',
      required_providers: { aws: { source: 'hashicorp/aws', version: '>= 6.0' } },
    },
    variable: {
      prefix: { type: 'string', default: 'tcs-secrets', description: 'Beginning of the names of alarms' },
      ...Object.fromEntries(
        Object.entries(/** @type {Record<string, any>} */ (Parameters)).map(
          ([name, { Type, Default, Description: description }]) => [
            snake(name),
            Type === 'CommaDelimitedList'
              ? { type: 'list(string)', default: [], description }
              : { type: 'string', default: Default, description },
          ],
        ),
      ),
    },
    data: { aws_caller_identity: { current: {} }, aws_region: { current: {} }, aws_partition: { current: {} } },
    resource,
    output: Object.fromEntries(
      Object.entries(/** @type {Record<string, any>} */ (Outputs)).map(
        ([name, { Description: description, Value }]) => [snake(name), { description, value: rendered(Value, world) }],
      ),
    ),
  }
}

/** A part of a conditional resource belongs to its one instance. @param {any} body @param {string | undefined} type @param {string} name */
function attach(body, type, name) {
  for (const [key, value] of Object.entries(body)) {
    if (typeof value === 'string') body[key] = value.replaceAll(`\${${type}.${name}.`, `\${${type}.${name}[0].`)
  }
}

/** @param {string} name */
function condition(name) {
  return (
    { HasVpc: 'var.vpc_id != ""', HasOidc: 'var.oidc_provider != ""', HasEmail: 'var.alarm_email != ""' }[name] ??
    'true'
  )
}

/** @param {Record<string, unknown>} body */
function withoutNothing(body) {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
}

/**
 * A value with Terraform's expressions instead of CloudFormation's functions.
 *
 * @param {any} value
 * @param {{ Resources: Record<string, Resource>, Parameters: Record<string, any>, isConditional(name: string): boolean }} world
 * @returns {any}
 */
function rendered(value, world) {
  if (Array.isArray(value)) return value.map((item) => rendered(item, world))
  if (typeof value !== 'object' || value === null) return value
  if (value.Ref !== undefined) return referred(value.Ref, undefined, world)
  if (value['Fn::GetAtt'] !== undefined) return referred(value['Fn::GetAtt'][0], value['Fn::GetAtt'][1], world)
  if (value['Fn::If'] !== undefined) {
    const [name, then, otherwise] = value['Fn::If']
    const text = (/** @type {any} */ branch) => String(rendered(branch, world)).replaceAll('"', '\\"')
    return `\${${condition(name)} ? "${text(then)}" : "${text(otherwise)}"}`
  }
  if (value['Fn::Sub'] !== undefined) {
    return value['Fn::Sub'].replace(
      /\$\{([\w:]+)(?:\.(\w+))?\}/g,
      (/** @type {string} */ _, /** @type {string} */ name, /** @type {string | undefined} */ attribute) =>
        referred(name, attribute, world),
    )
  }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, rendered(member, world)]))
}

/**
 * @param {string} name
 * @param {string | undefined} attribute
 * @param {{ Resources: Record<string, Resource>, Parameters: Record<string, any>, isConditional(name: string): boolean }} world
 */
function referred(name, attribute, { Resources, Parameters, isConditional }) {
  if (PSEUDO[name] !== undefined) return PSEUDO[name]
  if (Object.hasOwn(Parameters, name)) return `\${var.${snake(name)}}`
  const { Type } = /** @type {Resource} */ (Resources[name])
  const property = attribute === undefined ? (REFERENCES[Type] ?? 'id') : (ATTRIBUTES[attribute] ?? snake(attribute))
  const address = `${TYPES[Type]}.${snake(name)}`
  return isConditional(name) ? `\${one(${address}[*].${property})}` : `\${${address}.${property}}`
}

module.exports = { terraformOf }
