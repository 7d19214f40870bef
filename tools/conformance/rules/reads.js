'use strict'

// How a secret is found, and what a read of one returns.

const { api, guide, isInvalid, verdict, word, words } = require('../verdict')

const GET = api('API_GetSecretValue')

/** An ARN without its random ending. @param {string} arn */
const partial = (arn) => arn.slice(0, -7)

/** @type {import('../verdict').Rule[]} */
const rules = [
  {
    id: 'read.arn-shape',
    parts: 'D',
    rule: 'The ARN of a secret ends in its name, a hyphen and six random characters.',
    source: guide('reference_iam-permissions.html'),
    async ask(world) {
      const { ARN, Name } = await world.plain()
      const [, ending = ''] = ARN.split(`:secret:${Name}`)
      const fits = /^-[A-Za-z0-9]{6}$/.test(ending)
      return verdict(fits, fits ? 'a hyphen and six characters' : 'another ending')
    },
  },
  {
    id: 'read.by-name-and-arn',
    parts: 'D',
    rule: 'A secret is read by its name, by its ARN, and by its ARN without the random ending.',
    source: GET,
    async ask(world) {
      const { ARN, Name } = await world.plain()
      const [name, arn, part] = [Name, ARN, partial(ARN)]
      const answers = {
        name: await world.call('GetSecretValue', { SecretId: name }),
        ARN: await world.call('GetSecretValue', { SecretId: arn }),
        'partial ARN': await world.call('GetSecretValue', { SecretId: part }),
      }
      const same = Object.values(answers).every(({ output }) => output.ARN === ARN)
      return verdict(same, words(answers))
    },
  },
  {
    id: 'read.partial-arn-with-hyphen',
    parts: 'A16 B2',
    rule: 'A partial ARN whose name ends in a hyphen and six characters is taken for a complete one: the secret is not found.',
    source: guide('troubleshoot.html'),
    async ask(world) {
      const { ARN } = await world.create('ends-in-endsin')
      const answer = await world.call('GetSecretValue', { SecretId: partial(ARN) })
      return verdict(['ResourceNotFoundException', 'AccessDeniedException'].includes(word(answer)), word(answer))
    },
  },
  {
    id: 'read.stage-named',
    parts: 'A3',
    rule: 'A read that names AWSCURRENT returns what a read without a stage returns.',
    source: GET,
    async ask(world) {
      const { Name } = await world.plain()
      const plain = await world.call('GetSecretValue', { SecretId: Name })
      const named = await world.call('GetSecretValue', { SecretId: Name, VersionStage: 'AWSCURRENT' })
      return verdict(
        named.code === undefined && named.output.VersionId === plain.output.VersionId,
        words({ plain, named }),
      )
    },
  },
  {
    id: 'read.members',
    parts: 'D',
    rule: 'A read returns ARN, Name, VersionId, VersionStages and CreatedDate, and a text as SecretString only.',
    source: GET,
    async ask(world) {
      const { Name } = await world.plain()
      const { text } = await world.call('GetSecretValue', { SecretId: Name })
      const body = JSON.parse(text)
      const wanted = ['ARN', 'CreatedDate', 'Name', 'SecretString', 'VersionId', 'VersionStages']
      const missing = wanted.filter((member) => body[member] === undefined)
      const without = missing.length === 0 ? 'all of them' : `without ${missing.join(', ')}`
      const binary = body.SecretBinary === undefined ? '' : ', and SecretBinary'
      return verdict(missing.length === 0 && binary === '' && typeof body.CreatedDate === 'number', without + binary)
    },
  },
  {
    id: 'read.binary',
    parts: 'D',
    rule: 'Bytes come back as base64 in SecretBinary, and not in SecretString.',
    source: GET,
    async ask(world) {
      const { Name } = await world.create('bytes', { SecretBinary: Uint8Array.from([0, 1, 254, 255]) })
      const { text } = await world.call('GetSecretValue', { SecretId: Name })
      const { SecretBinary, SecretString } = JSON.parse(text)
      return verdict(SecretBinary === 'AAH+/w==' && SecretString === undefined, `SecretBinary: ${SecretBinary}`)
    },
  },
  {
    id: 'read.exact-text',
    parts: 'D',
    rule: 'A text comes back character for character: white space, line ends, quotes, characters outside of ASCII.',
    source: GET,
    async ask(world) {
      const value = ' héllo\r\n\t"quoted" \\u0041 🔑 \u2028 '
      const { Name } = await world.create('exact', { SecretString: value })
      const { output } = await world.call('GetSecretValue', { SecretId: Name })
      return verdict(output.SecretString === value, output.SecretString === value ? 'the same' : 'another text')
    },
  },
  {
    id: 'read.missing',
    parts: 'D',
    rule: 'A secret that does not exist is ResourceNotFoundException with HTTP 400, for an identity that may read all.',
    source: GET,
    async ask(world) {
      const answer = await world.call('GetSecretValue', { SecretId: world.name('missing') })
      return verdict(
        answer.code === 'ResourceNotFoundException' && answer.status === 400,
        `${word(answer)} ${answer.status}`,
      )
    },
  },
  {
    id: 'read.without-value',
    parts: 'A9',
    rule: 'A secret without a value is ResourceNotFoundException whose text names the label AWSCURRENT.',
    source: 'https://github.com/boto/boto3/issues/2794',
    async ask(world) {
      const { Name } = await world.once('valueless', () => world.create('valueless', {}))
      const answer = await world.call('GetSecretValue', { SecretId: Name })
      const named = answer.message.includes('AWSCURRENT')
      return verdict(
        answer.code === 'ResourceNotFoundException' && named,
        `${word(answer)}${named ? '' : ', without the label'}`,
      )
    },
  },
  {
    id: 'read.marked-for-deletion',
    parts: 'D',
    rule: 'A secret that is marked for deletion is InvalidRequestException whose text says so.',
    source: guide('manage_delete-secret.html'),
    async ask(world) {
      const answer = await world.call('GetSecretValue', { SecretId: await deleted(world) })
      const says = /marked for deletion|marked deleted|scheduled for deletion/i.test(answer.message)
      return verdict(
        answer.code === 'InvalidRequestException' && says,
        `${word(answer)}${says ? '' : ', its text does not say so'}`,
      )
    },
  },
  {
    id: 'read.version-and-stage',
    parts: 'A3',
    rule: 'A read that names a version and a label of another version is refused.',
    source: GET,
    async ask(world) {
      const { Name, VersionId } = await world.plain()
      const answer = await world.call('GetSecretValue', { SecretId: Name, VersionId, VersionStage: 'AWSPENDING' })
      return verdict(answer.code !== undefined, word(answer))
    },
  },
  {
    id: 'read.unlabelled-version',
    parts: 'D',
    rule: 'A version without a label is still read by its id.',
    source: guide('whats-in-a-secret.html'),
    async ask(world) {
      const { Name, first } = await unlabelled(world)
      const answer = await world.call('GetSecretValue', { SecretId: Name, VersionId: first })
      return verdict(answer.output.SecretString === 'one', word(answer))
    },
  },
  {
    id: 'describe.labelled-only',
    parts: 'A16',
    rule: 'DescribeSecret lists the versions that have labels, and no others.',
    source: api('API_DescribeSecret'),
    async ask(world) {
      const { Name } = await unlabelled(world)
      const { VersionIdsToStages = {} } = await world.must('DescribeSecret', { SecretId: Name })
      const labels = /** @type {string[][]} */ (Object.values(VersionIdsToStages))
      const without = labels.filter((stages) => stages.length === 0).length
      return verdict(labels.length === 2 && without === 0, `${labels.length} versions, ${without} without a label`)
    },
  },
  {
    id: 'describe.without-rotation',
    parts: 'A1',
    rule: 'DescribeSecret of a secret without rotation has neither RotationEnabled true, OwningService nor a rotation date.',
    source: api('API_DescribeSecret'),
    async ask(world) {
      const { Name } = await world.plain()
      const output = await world.must('DescribeSecret', { SecretId: Name })
      const members = ['OwningService', 'RotationLambdaARN', 'NextRotationDate', 'ExternalSecretRotationRoleArn']
      const has = [
        ...(output.RotationEnabled === true ? ['RotationEnabled'] : []),
        ...members.filter((one) => output[one] != null),
      ]
      return verdict(has.length === 0, has.length === 0 ? 'none of them' : has.join(', '))
    },
  },
  {
    id: 'read.other-region',
    parts: 'B1',
    rule: 'The ARN of another region is not routed there: not found or denied, never a value.',
    source: 'https://github.com/aws/aws-sdk-js-v3/issues/7278',
    ask: (world) => foreign(world, 3, (region) => (region === 'eu-north-1' ? 'eu-west-1' : 'eu-north-1')),
  },
  {
    id: 'read.other-account',
    parts: 'B2',
    rule: 'The ARN of an account that granted nothing is denied or not found.',
    source: guide('auth-and-access_examples_cross.html'),
    ask: (world) => foreign(world, 4, () => '999999999999'),
  },
  {
    id: 'read.invalid-id',
    parts: 'A12',
    rule: 'An id with characters that no name has is refused as invalid, or not found.',
    source: GET,
    async ask(world) {
      const answer = await world.call('GetSecretValue', { SecretId: `${world.prefix}no such#name` })
      return verdict(isInvalid(answer) || answer.code === 'ResourceNotFoundException', word(answer))
    },
  },
]

/** A secret with three versions: the first has no label any more. @param {import('../world').World} world */
function unlabelled(world) {
  return world.once('unlabelled', async () => {
    const { Name, VersionId: first } = await world.create('unlabelled', { SecretString: 'one' })
    for (const SecretString of ['two', 'three']) await world.must('PutSecretValue', { SecretId: Name, SecretString })
    await world.settled(
      () => world.call('DescribeSecret', { SecretId: Name }),
      ({ output }) => !(/** @type {any} */ (output.VersionIdsToStages)?.[/** @type {string} */ (first)]?.length),
    )
    return { Name, first }
  })
}

/** The name of a secret that is marked for deletion. @param {import('../world').World} world */
function deleted(world) {
  return world.once('deleted', async () => {
    const { Name } = await world.create('deleted')
    await world.must('DeleteSecret', { SecretId: Name, RecoveryWindowInDays: 7 })
    await world.settled(
      () => world.call('GetSecretValue', { SecretId: Name }),
      ({ code }) => code !== undefined,
    )
    return Name
  })
}

/** @param {import('../world').World} world @param {number} at @param {(is: string) => string} other */
async function foreign(world, at, other) {
  const parts = (await world.plain()).ARN.split(':')
  parts[at] = other(parts[at])
  const answer = await world.call('GetSecretValue', { SecretId: parts.join(':') })
  return verdict(['ResourceNotFoundException', 'AccessDeniedException'].includes(word(answer)), word(answer))
}

module.exports = { deleted, partial, rules }
