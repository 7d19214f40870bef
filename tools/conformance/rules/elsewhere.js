'use strict'

// What needs more than one Secrets Manager: another region, or services that a suite does not switch on in an account.

const { api, guide, isInvalid, Unasked, verdict, word } = require('../verdict')

/** @typedef {import('../world').World} World */

/** A secret with a replica, and a client of the replica's region. @param {World} world */
const replicated = (world) =>
  world.once('replica', async () => {
    const own = await world.client.config.region()
    const region =
      world.replicaRegion ??
      (world.endpoint === undefined ? undefined : own === 'us-west-2' ? 'us-east-2' : 'us-west-2')
    if (region === undefined) throw new Unasked('needs --replica-region')
    const SecretId = world.name('replicated')
    world.replicas.push({ SecretId, RemoveReplicaRegions: [region] })
    const secret = await world.must('CreateSecret', {
      Name: SecretId,
      SecretString: 'v',
      AddReplicaRegions: [{ Region: region }],
    })
    const client = world.open({ region })
    const answer = await world.settled(
      () => world.call('GetSecretValue', { SecretId }, client),
      ({ code }) => code === undefined,
    )
    if (answer.code !== undefined) throw new Unasked('replicas are not made here')
    if (answer.output.ARN === secret.ARN) throw new Unasked('all regions are one here')
    return { secret, region, client, answer }
  })

/** What AWS says of the secret of another service that the run was given. @param {World} world @returns {Promise<any>} */
const owned = (world) =>
  world.once('owned', async () => {
    if (world.owned === undefined) throw new Unasked('needs --owned, a secret that RDS or another service manages')
    const described = await world.must('DescribeSecret', { SecretId: world.owned })
    if (!described.OwningService) throw new Unasked('--owned names a secret that no other service manages')
    return described
  })

/** @param {string} id @param {string} parts @param {string} rule @param {string} source @param {string} why @returns {import('../verdict').Rule} */
const notAsked = (id, parts, rule, source, why) => ({
  id,
  parts,
  rule,
  source,
  ask: async () => {
    throw new Unasked(why)
  },
})

const EVENTS = guide('retrieve-ct-entries.html')

/** @type {import('../verdict').Rule[]} */
const rules = [
  {
    id: 'replica.arn',
    parts: 'B1',
    rule: "A replica's ARN is the primary's with the region exchanged, random ending included.",
    source: guide('create-manage-multi-region-secrets.html'),
    async ask(world) {
      const { secret, region, answer } = await replicated(world)
      const parts = secret.ARN.split(':')
      parts[3] = region
      const same = answer.output.ARN === parts.join(':')
      return verdict(same, same ? 'the same but for the region' : 'another ARN')
    },
  },
  {
    id: 'replica.version-ids',
    parts: 'A15 E',
    rule: 'A version has the same id in a replica. The package does not rely on it: it compares values.',
    source: guide('create-manage-multi-region-secrets.html'),
    async ask(world) {
      const { secret, answer } = await replicated(world)
      const same = answer.output.VersionId === secret.VersionId
      return verdict(same, same ? 'the same id' : 'another id')
    },
  },
  {
    id: 'replica.read-only',
    parts: 'A11 A15',
    rule: 'A write to a replica is refused as invalid.',
    source: api('API_PutSecretValue'),
    async ask(world) {
      const { secret, client } = await replicated(world)
      const answer = await world.call('PutSecretValue', { SecretId: secret.Name, SecretString: 'w' }, client)
      return verdict(isInvalid(answer), word(answer))
    },
  },
  {
    id: 'owned.described',
    parts: 'A1 A2 B4',
    rule: 'DescribeSecret of a secret that another service manages (rds!…) has OwningService, and its rotation is on with a date.',
    source: api('API_DescribeSecret'),
    async ask(world) {
      const described = await owned(world)
      const wanted = ['OwningService', 'RotationEnabled', 'NextRotationDate']
      const missing = wanted.filter((member) => !described[member])
      return verdict(missing.length === 0, missing.length === 0 ? 'all three' : `without ${missing.join(', ')}`)
    },
  },
  {
    id: 'owned.refused',
    parts: 'A1 B4',
    rule: 'A secret that another service manages refuses PutSecretValue: InvalidRequestException.',
    source: guide('service-linked-secrets.html'),
    async ask(world) {
      const { Name } = await owned(world)
      const token = world.token()
      // With a label of its own: were it taken, the live value would stay.
      const input = { SecretId: Name, SecretString: 'x', ClientRequestToken: token, VersionStages: ['TCS-CONFORMANCE'] }
      const answer = await world.call('PutSecretValue', input)
      if (answer.code === undefined) {
        const back = { SecretId: Name, VersionStage: 'TCS-CONFORMANCE', RemoveFromVersionId: token }
        await world.call('UpdateSecretVersionStage', back)
      }
      return verdict(answer.code === 'InvalidRequestException', word(answer))
    },
  },
  notAsked(
    'rotate.blocked-by-pending',
    'D',
    'A version of another origin with AWSPENDING blocks RotateSecret.',
    guide('troubleshoot_rotation.html'),
    'needs a rotation function',
  ),
  notAsked(
    'rotate.abandoned',
    'A1 A13 E',
    'A value that is put during a rotation ends it (RotationAbandoned); the new value is live.',
    EVENTS,
    'needs a rotation function and a trail',
  ),
  notAsked(
    'kms.decrypt-denied',
    'A11',
    'Without kms:Decrypt a read is AccessDeniedException, "Access to KMS is not allowed".',
    guide('security-encryption.html'),
    'needs a KMS key and an identity without it',
  ),
  notAsked(
    'kms.key-disabled',
    'A11 E',
    'A secret whose key is disabled or pending deletion is DecryptionFailure, and not a missing permission.',
    api('API_GetSecretValue'),
    'needs a KMS key that may be disabled',
  ),
  notAsked(
    'cross-account.default-key',
    'A11 B2',
    'A secret under aws/secretsmanager cannot be read from another account.',
    guide('auth-and-access_examples_cross.html'),
    'needs a second account',
  ),
  notAsked(
    'cross-account.batch',
    'B2',
    'BatchGetSecretValue, CreateSecret and ListSecrets have no effect across accounts.',
    guide('auth-and-access_examples_cross.html'),
    'needs a second account',
  ),
  notAsked(
    'quota.reads',
    'A12',
    'GetSecretValue has 10,000 calls a second, BatchGetSecretValue 100, counted apart; beyond it is ThrottlingException.',
    guide('reference_limits.html'),
    "would use up the account's quota",
  ),
  notAsked(
    'quota.versions',
    'A11 B12',
    'Versions without a label go above 100, but not within 24 hours: LimitExceededException.',
    guide('reference_limits.html'),
    'would take a day',
  ),
  notAsked(
    'endpoint.fips',
    'A8',
    'A custom endpoint together with FIPS or dual-stack is refused by the SDK before it asks.',
    'https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html',
    'is a rule of the SDK and not of the service',
  ),
  notAsked(
    'event.label-updated',
    'D A13',
    '`Secret Label Updated` comes without a trail, for all labels but AWSPENDING and AWSPREVIOUS.',
    guide('monitoring-eventbridge.html'),
    'needs an EventBridge rule and a queue',
  ),
  notAsked(
    'event.cloudtrail',
    'D A14',
    'Events of API calls come by CloudTrail, and need a trail; reads are not among them by default.',
    EVENTS,
    'needs an EventBridge rule, a queue and a trail',
  ),
  notAsked(
    'event.request-id',
    'B9 E',
    'The entries of a batch in CloudTrail have the request id of the call.',
    EVENTS,
    'needs a trail',
  ),
]

module.exports = { rules }
