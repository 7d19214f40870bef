'use strict'

// Who may, what a denial looks like, and what says that a request was not signed well.

const { api, guide, verdict, Unasked, word, words } = require('../verdict')

const GET = api('API_GetSecretValue')
const BATCH = api('API_BatchGetSecretValue')
const SIGNING = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html'
const KEYS = 'https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html'
const MISSING = 'https://github.com/jenkinsci/aws-secrets-manager-credentials-provider-plugin/issues/65'
const DENIED = 'AccessDeniedException'

/** @typedef {import('../world').World} World */
/** @typedef {import('../verdict').Verdict} Verdict */

/** Puts a policy that refuses reads of a secret. @param {World} world @param {string} label @param {object} [condition] */
async function refused(world, label, condition) {
  const secret = await world.create(label)
  const statement = { Effect: 'Deny', Principal: '*', Action: 'secretsmanager:GetSecretValue', Resource: '*' }
  const policy = {
    Version: '2012-10-17',
    Statement: [{ ...statement, ...(condition !== undefined && { Condition: condition }) }],
  }
  await world.must('PutResourcePolicy', { SecretId: secret.Name, ResourcePolicy: JSON.stringify(policy) })
  const answer = await world.settled(
    () => world.call('GetSecretValue', { SecretId: secret.Name }),
    ({ code }) => code === DENIED,
  )
  return { ...secret, answer }
}

/** A secret whose policy refuses what names no stage. @param {World} world */
const withCondition = (world) =>
  world.once('stage condition', async () => {
    const made = await refused(world, 'stage-condition', { Null: { 'secretsmanager:VersionStage': 'true' } })
    if (made.answer.code === undefined) throw new Unasked('policies of secrets have no effect here')
    return made
  })

/** @param {World} world @param {import('@aws-sdk/client-secrets-manager').SecretsManagerClientConfig} settings */
async function signed(world, settings) {
  const { Name } = await world.plain()
  return world.call('GetSecretValue', { SecretId: Name }, world.open(settings))
}

/** An existing secret, a missing one, and what a session with a grant sees of both. @param {World} world @param {(arn: string) => object[]} grant */
async function asGranted(world, grant) {
  const { ARN, Name } = await world.plain()
  const start = ARN.slice(0, ARN.indexOf(':secret:') + ':secret:'.length)
  const client = await world.session(grant(`${start}${world.prefix}`))
  const missing = `${world.prefix}not-there`
  const there = await world.call('GetSecretValue', { SecretId: Name }, client)
  const answers = {
    there,
    missing: await world.call('GetSecretValue', { SecretId: missing }, client),
    described: await world.call('DescribeSecret', { SecretId: missing }, client),
  }
  const { code, output } = await world.call('BatchGetSecretValue', { SecretIdList: [missing] }, client)
  const [error] = output.Errors ?? []
  const batch =
    code ??
    (error === undefined
      ? 'left out'
      : `${error.ErrorCode} of ${error.SecretId === missing ? 'the name' : 'another id'}`)
  return { there, missing: answers.missing, seen: `${words(answers)}, in a batch: ${batch}` }
}

const READ = ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret']
const BATCHES = {
  Effect: 'Allow',
  Action: ['secretsmanager:BatchGetSecretValue', 'secretsmanager:ListSecrets'],
  Resource: '*',
}
const allow = (/** @type {string} */ Resource, more = {}) => [
  { Effect: 'Allow', Action: READ, Resource, ...more },
  BATCHES,
]

/** @type {import('../verdict').Rule[]} */
const rules = [
  {
    id: 'denied.code',
    rights: true,
    parts: 'D',
    rule: 'A denied read is AccessDeniedException with HTTP 400: told apart by the code and not by the status.',
    source: api('CommonErrors'),
    async ask(world) {
      const { answer } = await world.once('refused', () => refused(world, 'refused'))
      return verdict(answer.code === DENIED && answer.status === 400, `${word(answer)} ${answer.status}`)
    },
  },
  {
    id: 'denied.in-batch',
    rights: true,
    parts: 'A3 E',
    rule: 'A secret that is denied is among Errors of a batch, with AccessDeniedException, and the others are answered.',
    source: BATCH,
    async ask(world) {
      const { Name } = await world.once('refused', () => refused(world, 'refused'))
      const { Name: other } = await world.plain()
      const { code, output } = await world.call('BatchGetSecretValue', { SecretIdList: [other, Name] })
      const error = output.Errors?.find((/** @type {any} */ one) => one.SecretId === Name)
      const seen = code ?? error?.ErrorCode ?? 'answered'
      return verdict(error?.ErrorCode === DENIED && output.SecretValues?.length === 1, seen)
    },
  },
  {
    id: 'stage-condition.read',
    rights: true,
    parts: 'A3',
    rule: 'Under a condition on secretsmanager:VersionStage a read that names no stage is denied, and one with AWSCURRENT is not.',
    source: 'https://github.com/aws/aws-cli/issues/5031',
    async ask(world) {
      const { Name, answer: without } = await withCondition(world)
      const named = await world.call('GetSecretValue', { SecretId: Name, VersionStage: 'AWSCURRENT' })
      return verdict(without.code === DENIED && named.code === undefined, words({ without, named }))
    },
  },
  {
    id: 'stage-condition.by-id',
    rights: true,
    parts: 'A3',
    rule: 'Under that condition a read by version id alone is denied as well, and one that names the label too is not.',
    source: KEYS,
    async ask(world) {
      const { Name, VersionId } = await withCondition(world)
      const id = await world.call('GetSecretValue', { SecretId: Name, VersionId })
      const both = await world.call('GetSecretValue', { SecretId: Name, VersionId, VersionStage: 'AWSCURRENT' })
      return verdict(id.code === DENIED && both.code === undefined, words({ id, 'id and label': both }))
    },
  },
  {
    id: 'stage-condition.batch',
    rights: true,
    parts: 'A3 E',
    rule: 'Under that condition a batch, which cannot name a stage, has the secret among Errors as denied, or its value.',
    source: KEYS,
    async ask(world) {
      const { Name } = await withCondition(world)
      const { code, output } = await world.call('BatchGetSecretValue', { SecretIdList: [Name] })
      const [error] = output.Errors ?? []
      const seen = code ?? error?.ErrorCode ?? (output.SecretValues?.length === 1 ? 'a value' : 'left out')
      return verdict([DENIED, 'a value'].includes(seen), seen)
    },
  },
  {
    id: 'grant.exact-arn',
    rights: true,
    parts: 'A4 E',
    rule: 'Granted by complete ARNs, a secret that does not exist is denied and not missing.',
    source: MISSING,
    async ask(world) {
      const { ARN } = await world.plain()
      const { there, missing, seen } = await asGranted(world, () => allow(ARN))
      return verdict(there.code === undefined && missing.code === DENIED, seen)
    },
  },
  {
    id: 'grant.prefix',
    rights: true,
    parts: 'A4 E',
    rule: 'Granted by a prefix and *, a secret that does not exist is ResourceNotFoundException.',
    source: MISSING,
    async ask(world) {
      const { there, missing, seen } = await asGranted(world, (start) => allow(`${start}*`))
      return verdict(there.code === undefined && missing.code === 'ResourceNotFoundException', seen)
    },
  },
  {
    id: 'grant.six-wildcards',
    rights: true,
    parts: 'A4 E',
    rule: 'Granted by NAME-??????, a secret that does not exist is denied or missing: AWS does not document which.',
    source: 'https://github.com/aws/aws-cli/issues/3474',
    async ask(world) {
      const { there, missing, seen } = await asGranted(world, (start) => allow(`${start}*-??????`))
      const either = [DENIED, 'ResourceNotFoundException'].includes(word(missing))
      return verdict(there.code === undefined && either, seen)
    },
  },
  {
    id: 'grant.tag',
    rights: true,
    parts: 'A4 E',
    rule: 'Granted by a tag of the secret, a secret that does not exist is denied.',
    source: guide('auth-and-access-abac.html'),
    async ask(world) {
      const Tags = [{ Key: 'tcs', Value: 'conformance' }]
      const { Name } = await world.create('tagged', { SecretString: 'v', Tags })
      const condition = { Condition: { StringEquals: { 'aws:ResourceTag/tcs': 'conformance' } } }
      const client = await world.session(allow('*', condition))
      const answers = {
        there: await world.call('GetSecretValue', { SecretId: Name }, client),
        missing: await world.call('GetSecretValue', { SecretId: `${world.prefix}not-there` }, client),
      }
      return verdict(answers.there.code === undefined && answers.missing.code === DENIED, words(answers))
    },
  },
  {
    id: 'grant.batch-on-star',
    rights: true,
    parts: 'D',
    rule: 'BatchGetSecretValue granted on a secret is of no use: it has to be granted on *.',
    source: KEYS,
    async ask(world) {
      const { ARN, Name } = await world.plain()
      const Action = ['secretsmanager:GetSecretValue', 'secretsmanager:BatchGetSecretValue']
      const client = await world.session([{ Effect: 'Allow', Action, Resource: ARN }])
      const answer = await world.call('BatchGetSecretValue', { SecretIdList: [Name] }, client)
      return verdict(answer.code === DENIED, word(answer))
    },
  },
  {
    id: 'grant.create',
    rights: true,
    parts: 'A4 E',
    rule: 'CreateSecret within a grant tells what exists: ResourceExistsException also where reading is denied.',
    source: api('API_CreateSecret'),
    async ask(world) {
      const { ARN, Name } = await world.plain()
      const Resource = `${ARN.slice(0, ARN.indexOf(Name))}${world.prefix}*`
      const client = await world.session([{ Effect: 'Allow', Action: 'secretsmanager:CreateSecret', Resource }])
      const answer = await world.call('CreateSecret', { Name, SecretString: 'v' }, client)
      return verdict(answer.code === 'ResourceExistsException', word(answer))
    },
  },
  {
    id: 'signature.unknown-key',
    parts: 'A11',
    rule: 'An access key id that does not exist is UnrecognizedClientException.',
    source: api('CommonErrors'),
    async ask(world) {
      const answer = await signed(world, {
        credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'not a key of anybody' },
      })
      return verdict(['UnrecognizedClientException', 'InvalidClientTokenId'].includes(word(answer)), word(answer))
    },
  },
  {
    id: 'signature.wrong-secret',
    parts: 'A11',
    rule: 'A signature with another secret access key is InvalidSignatureException.',
    source: SIGNING,
    async ask(world) {
      const credentials = await world.client.config.credentials()
      const answer = await signed(world, { credentials: { ...credentials, secretAccessKey: 'another key' } })
      return verdict(['InvalidSignatureException', 'SignatureDoesNotMatch'].includes(word(answer)), word(answer))
    },
  },
  {
    id: 'signature.clock',
    parts: 'A11 B8',
    rule: 'A request that was signed 20 minutes ago is refused with a code of which the package says that the clock may be wrong.',
    source: SIGNING,
    async ask(world) {
      const codes = [
        'InvalidSignatureException',
        'RequestExpired',
        'SignatureDoesNotMatch',
        'RequestTimeTooSkewed',
        'RequestInTheFuture',
        'AuthFailure',
      ]
      const answer = await signed(world, { systemClockOffset: -20 * 60_000 })
      return verdict(codes.includes(word(answer)), word(answer))
    },
  },
  {
    id: 'signature.region',
    parts: 'A7',
    rule: 'An endpoint refuses what was signed for another region.',
    source: SIGNING,
    async ask(world) {
      const region = await world.client.config.region()
      const endpoint = world.endpoint ?? hostOf(region)
      const other = region === 'eu-north-1' ? 'eu-west-1' : 'eu-north-1'
      const answer = await signed(world, { endpoint, region: other })
      return verdict(['InvalidSignatureException', 'SignatureDoesNotMatch'].includes(word(answer)), word(answer))
    },
  },
  {
    id: 'answer.request-id',
    parts: 'D B9',
    rule: 'Every answer has its request id in x-amzn-RequestId, another one for each.',
    source:
      'https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html',
    async ask(world) {
      const { Name } = await world.plain()
      const ids = []
      for (const SecretId of [Name, Name, `${world.prefix}not-there`])
        ids.push((await world.call('GetSecretValue', { SecretId })).requestId)
      const known = ids.filter((id) => id !== undefined && /^[0-9a-f-]{8,64}$/i.test(id))
      return verdict(new Set(known).size === 3, `${new Set(known).size} ids of 3 answers`)
    },
  },
  {
    id: 'answer.date',
    parts: 'B8',
    rule: 'Every answer has a Date, by which a wrong clock is noticed.',
    source: SIGNING,
    async ask(world) {
      const { Name } = await world.plain()
      const { date } = await world.call('GetSecretValue', { SecretId: Name })
      const off = date === undefined ? NaN : Math.abs(Date.now() - Date.parse(date))
      return verdict(off < 300_000, date === undefined ? 'none' : off < 300_000 ? 'there' : 'another time')
    },
  },
]

/** The host of Secrets Manager in a region. @param {string} region */
function hostOf(region) {
  const domain = region.startsWith('cn-')
    ? 'amazonaws.com.cn'
    : region.startsWith('eusc-')
      ? 'amazonaws.eu'
      : 'amazonaws.com'
  return `https://secretsmanager.${region}.${domain}`
}

module.exports = { rules }
