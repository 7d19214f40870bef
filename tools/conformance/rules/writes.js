'use strict'

// What a write does to versions and labels, and what is refused.

const { api, guide, isInvalid, verdict, word, words } = require('../verdict')
const { deleted } = require('./reads')

const PUT = api('API_PutSecretValue')
const CREATE = api('API_CreateSecret')
const STAGE = api('API_UpdateSecretVersionStage')
const LIMITS = guide('reference_limits.html')
/** AWS's limit of a value, in bytes. */
const MAX_VALUE = 65_536

/** @typedef {import('../world').World} World */

/** The labels of each version of a secret, by its id. @param {World} world @param {string} SecretId @returns {Promise<Record<string, string[]>>} */
async function labels(world, SecretId) {
  const { VersionIdsToStages = {} } = await world.must('DescribeSecret', { SecretId })
  return VersionIdsToStages
}

/** Which version has which label, as a sentence. @param {Record<string, string[]>} versions @param {Record<string, string | undefined>} ids Words for ids. */
function told(versions, ids) {
  return Object.entries(ids)
    .map(([what, id]) => `${what}: ${[...(versions[/** @type {string} */ (id)] ?? [])].sort().join(' ') || 'no label'}`)
    .join(', ')
}

/** Waits until the labels are as wanted, and says what they are. @param {World} world @param {string} Name @param {Record<string, string | undefined>} ids @param {Record<string, string>} wanted */
async function labelled(world, Name, ids, wanted) {
  const expected = Object.entries(wanted)
    .map(([what, is]) => `${what}: ${is}`)
    .join(', ')
  const seen = await world.settled(
    async () => told(await labels(world, Name), ids),
    (now) => now === expected,
  )
  return verdict(seen === expected, seen)
}

/** A secret and a second version of it with AWSPENDING. @param {World} world @param {string} label */
async function pending(world, label) {
  const { Name, VersionId: live } = await world.create(label, { SecretString: 'live' })
  const staged = world.token()
  const output = await world.must('PutSecretValue', {
    SecretId: Name,
    SecretString: 'staged',
    ClientRequestToken: staged,
    VersionStages: ['AWSPENDING'],
  })
  return { Name, live: /** @type {string} */ (live), staged, output }
}

/** @type {import('../verdict').Rule[]} */
const rules = [
  {
    id: 'write.token-is-version',
    parts: 'D',
    rule: 'The ClientRequestToken of a write becomes the id of its version.',
    source: PUT,
    async ask(world) {
      const { staged, output } = await pending(world, 'token')
      return verdict(output.VersionId === staged, output.VersionId === staged ? 'the same' : 'another id')
    },
  },
  {
    id: 'write.token-again',
    parts: 'D',
    rule: 'The same token with the same value succeeds and changes nothing; with another value it is ResourceExistsException.',
    source: PUT,
    async ask(world) {
      const { Name, staged } = await pending(world, 'token-again')
      const put = (/** @type {string} */ SecretString) =>
        world.call('PutSecretValue', {
          SecretId: Name,
          SecretString,
          ClientRequestToken: staged,
          VersionStages: ['AWSPENDING'],
        })
      const answers = { same: await put('staged'), other: await put('another') }
      return verdict(word(answers.same) === 'ok' && word(answers.other) === 'ResourceExistsException', words(answers))
    },
  },
  {
    id: 'write.current-and-previous',
    parts: 'D',
    rule: 'A write without labels moves AWSCURRENT to the new version, and AWSPREVIOUS to the one before.',
    source: PUT,
    async ask(world) {
      const { Name, VersionId: before } = await world.create('moves')
      const { VersionId: now } = await world.must('PutSecretValue', { SecretId: Name, SecretString: 'now' })
      return labelled(world, Name, { now, before }, { now: 'AWSCURRENT', before: 'AWSPREVIOUS' })
    },
  },
  {
    id: 'write.staged-beside-live',
    parts: 'D A1',
    rule: 'PutSecretValue with AWSPENDING stages a version beside the live one; AWS refuses nothing of the sort.',
    source: PUT,
    async ask(world) {
      const { Name, live, staged } = await pending(world, 'staged')
      return labelled(world, Name, { live, staged }, { live: 'AWSCURRENT', staged: 'AWSPENDING' })
    },
  },
  {
    id: 'write.pending-moves',
    parts: 'D B3',
    rule: 'A second write with AWSPENDING takes the label from the first.',
    source: PUT,
    async ask(world) {
      const { Name, staged: first } = await pending(world, 'steals')
      const second = world.token()
      const input = {
        SecretId: Name,
        SecretString: 'second',
        ClientRequestToken: second,
        VersionStages: ['AWSPENDING'],
      }
      await world.must('PutSecretValue', input)
      return labelled(world, Name, { first, second }, { first: 'no label', second: 'AWSPENDING' })
    },
  },
  {
    id: 'write.own-label',
    parts: 'B3',
    rule: 'A version can be staged with a label of our own, and then made live by AWSCURRENT alone.',
    source: PUT,
    async ask(world) {
      const { Name, VersionId: live } = await world.create('own-label')
      const own = world.token()
      const input = { SecretId: Name, SecretString: 'own', ClientRequestToken: own, VersionStages: ['TCS-STAGED'] }
      await world.must('PutSecretValue', input)
      return labelled(world, Name, { live, own }, { live: 'AWSCURRENT', own: 'TCS-STAGED' })
    },
  },
  {
    id: 'write.first-is-current',
    parts: 'A16 B12',
    rule: 'The first version of a secret gets AWSCURRENT, whatever labels were asked for.',
    source: PUT,
    async ask(world) {
      const { Name } = await world.create('first', {})
      const first = world.token()
      const input = { SecretId: Name, SecretString: 'first', ClientRequestToken: first, VersionStages: ['AWSPENDING'] }
      await world.must('PutSecretValue', input)
      const seen = await world.settled(
        async () => told(await labels(world, Name), { first }),
        (now) => now.includes('AWSCURRENT'),
      )
      return verdict(seen.includes('AWSCURRENT'), seen)
    },
  },
  {
    id: 'write.fills-without-value',
    parts: 'A9',
    rule: 'PutSecretValue gives a secret without a value its first one, which is live at once.',
    source: PUT,
    async ask(world) {
      const { Name } = await world.create('filled', {})
      await world.must('PutSecretValue', { SecretId: Name, SecretString: 'filled' })
      const answer = await world.settled(
        () => world.call('GetSecretValue', { SecretId: Name }),
        ({ code }) => code === undefined,
      )
      return verdict(answer.output.SecretString === 'filled', word(answer))
    },
  },
  {
    id: 'write.read-by-id',
    parts: 'A10',
    rule: 'A version that was written is read by its id within 10 seconds.',
    source: api('API_ListSecrets'),
    async ask(world) {
      const { Name, staged } = await pending(world, 'by-id')
      const answer = await world.settled(
        () => world.call('GetSecretValue', { SecretId: Name, VersionId: staged }),
        ({ code }) => code === undefined,
      )
      return verdict(answer.output.SecretString === 'staged', word(answer))
    },
  },
  {
    id: 'stage.switch',
    parts: 'D',
    rule: 'UpdateSecretVersionStage moves AWSCURRENT in one step, and AWSPREVIOUS follows by itself.',
    source: STAGE,
    async ask(world) {
      const { Name, live, staged } = await pending(world, 'switch')
      await world.must('UpdateSecretVersionStage', {
        SecretId: Name,
        VersionStage: 'AWSCURRENT',
        RemoveFromVersionId: live,
        MoveToVersionId: staged,
      })
      return labelled(world, Name, { live, staged }, { live: 'AWSPREVIOUS', staged: 'AWSCURRENT AWSPENDING' })
    },
  },
  {
    id: 'stage.compare',
    parts: 'D B3',
    rule: 'A RemoveFromVersionId that does not have the label is refused as invalid, and no label moves.',
    source: STAGE,
    async ask(world) {
      const { Name, live, staged } = await pending(world, 'compare')
      const answer = await world.call('UpdateSecretVersionStage', {
        SecretId: Name,
        VersionStage: 'AWSCURRENT',
        RemoveFromVersionId: staged,
        MoveToVersionId: staged,
      })
      const { seen } = await labelled(world, Name, { live, staged }, { live: 'AWSCURRENT', staged: 'AWSPENDING' })
      const stayed = seen === 'live: AWSCURRENT, staged: AWSPENDING'
      return verdict(isInvalid(answer) && stayed, `${word(answer)}, ${stayed ? 'no label moved' : seen}`)
    },
  },
  {
    id: 'stage.needs-from',
    parts: 'D',
    rule: 'A label that another version has does not move without RemoveFromVersionId.',
    source: STAGE,
    async ask(world) {
      const { Name, staged } = await pending(world, 'needs-from')
      const answer = await world.call('UpdateSecretVersionStage', {
        SecretId: Name,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: staged,
      })
      return verdict(isInvalid(answer), word(answer))
    },
  },
  {
    id: 'stage.remove',
    parts: 'D',
    rule: 'RemoveFromVersionId alone takes a label away.',
    source: STAGE,
    async ask(world) {
      const { Name, live, staged } = await pending(world, 'removes')
      const input = { SecretId: Name, VersionStage: 'AWSPENDING', RemoveFromVersionId: staged }
      await world.must('UpdateSecretVersionStage', input)
      return labelled(world, Name, { live, staged }, { live: 'AWSCURRENT', staged: 'no label' })
    },
  },
  {
    id: 'write.size',
    parts: 'D',
    rule: 'A value of 65,536 bytes is taken, and one of 65,537 is refused.',
    source: LIMITS,
    async ask(world) {
      const create = (/** @type {string} */ label, /** @type {string} */ SecretString) =>
        world.call('CreateSecret', { Name: world.name(label), SecretString })
      const answers = {
        largest: await create('largest', 'a'.repeat(MAX_VALUE)),
        larger: await create('larger', 'a'.repeat(MAX_VALUE + 1)),
      }
      return verdict(word(answers.largest) === 'ok' && isInvalid(answers.larger), words(answers))
    },
  },
  {
    id: 'write.size-in-bytes',
    parts: 'D',
    rule: 'The limit counts bytes and not characters: 40,000 characters of two bytes each are refused.',
    source: LIMITS,
    async ask(world) {
      const answer = await world.call('CreateSecret', { Name: world.name('wide'), SecretString: 'é'.repeat(40_000) })
      return verdict(isInvalid(answer), word(answer))
    },
  },
  {
    id: 'write.binary-size',
    parts: 'D',
    rule: 'The limit of SecretBinary counts the bytes before base64.',
    source: LIMITS,
    async ask(world) {
      const create = (/** @type {string} */ label, /** @type {number} */ size) =>
        world.call('CreateSecret', { Name: world.name(label), SecretBinary: new Uint8Array(size).fill(7) })
      const answers = {
        largest: await create('bytes-largest', MAX_VALUE),
        larger: await create('bytes-larger', MAX_VALUE + 1),
      }
      return verdict(word(answers.largest) === 'ok' && isInvalid(answers.larger), words(answers))
    },
  },
  {
    id: 'write.name',
    parts: 'D B4',
    rule: 'A name has letters, digits and /_+=.@- and up to 512 characters; others, ! among them, are refused in CreateSecret.',
    source: CREATE,
    async ask(world) {
      const create = (/** @type {string} */ label) =>
        world.call('CreateSecret', { Name: world.name(label), SecretString: 'v' })
      const fill = 512 - world.prefix.length
      const answers = {
        all: await create('all/_+=.@-0aZ'),
        'of 512': await create('n'.repeat(fill)),
        'of 513': await create('m'.repeat(fill + 1)),
        'with #': await create('with#hash'),
        'with blank': await create('with blank'),
        'with !': await create('with!mark'),
      }
      const [all, longest, ...refused] = Object.values(answers)
      return verdict(word(all) === 'ok' && word(longest) === 'ok' && refused.every(isInvalid), words(answers))
    },
  },
  {
    id: 'write.create-existing',
    parts: 'A9 A4',
    rule: 'CreateSecret of a name that exists is ResourceExistsException.',
    source: CREATE,
    async ask(world) {
      const { Name } = await world.plain()
      const answer = await world.call('CreateSecret', { Name, SecretString: 'another' })
      return verdict(answer.code === 'ResourceExistsException', word(answer))
    },
  },
  {
    id: 'write.deleted',
    parts: 'D',
    rule: 'A name that is marked for deletion cannot be created or written: InvalidRequestException.',
    source: guide('manage_delete-secret.html'),
    async ask(world) {
      const Name = await deleted(world)
      const answers = {
        create: await world.call('CreateSecret', { Name, SecretString: 'v' }),
        put: await world.call('PutSecretValue', { SecretId: Name, SecretString: 'v' }),
      }
      return verdict(
        Object.values(answers).every(({ code }) => code === 'InvalidRequestException'),
        words(answers),
      )
    },
  },
  {
    id: 'write.restore',
    parts: 'D',
    rule: 'RestoreSecret makes a secret that was marked for deletion readable again.',
    source: api('API_RestoreSecret'),
    async ask(world) {
      const { Name } = await world.create('restored')
      await world.must('DeleteSecret', { SecretId: Name, RecoveryWindowInDays: 7 })
      await world.must('RestoreSecret', { SecretId: Name })
      const answer = await world.settled(
        () => world.call('GetSecretValue', { SecretId: Name }),
        ({ code }) => code === undefined,
      )
      return verdict(answer.code === undefined, word(answer))
    },
  },
  {
    id: 'delete.at-once',
    parts: 'D',
    rule: 'DeleteSecret with ForceDeleteWithoutRecovery takes a secret that is marked for deletion, and one that does not exist, without an error.',
    source: api('API_DeleteSecret'),
    async ask(world) {
      const { Name } = await world.create('forced')
      await world.must('DeleteSecret', { SecretId: Name, RecoveryWindowInDays: 7 })
      const force = (/** @type {string} */ SecretId) =>
        world.call('DeleteSecret', { SecretId, ForceDeleteWithoutRecovery: true })
      const answers = { marked: await force(Name), missing: await force(world.name('never-there')) }
      return verdict(
        Object.values(answers).every(({ code }) => code === undefined),
        words(answers),
      )
    },
  },
  {
    id: 'write.empty',
    parts: 'D',
    rule: 'An empty SecretString is no value: AWS refuses it.',
    source: 'https://github.com/hashicorp/terraform-provider-aws/issues/19731',
    async ask(world) {
      const answer = await world.call('CreateSecret', { Name: world.name('empty'), SecretString: '' })
      return verdict(isInvalid(answer), word(answer))
    },
  },
  {
    id: 'write.tags',
    parts: 'D C1',
    rule: 'CreateSecret takes a description and tags, and DescribeSecret returns them.',
    source: CREATE,
    async ask(world) {
      const Tags = [{ Key: 'managed-by', Value: 'tcs-secret-delivery' }]
      const { Name } = await world.create('tags', { SecretString: 'v', Tags, Description: 'of a suite' })
      const output = await world.must('DescribeSecret', { SecretId: Name })
      const tag = output.Tags?.find((/** @type {any} */ one) => one.Key === 'managed-by')?.Value
      const seen = [
        ...(tag === 'tcs-secret-delivery' ? ['tags'] : []),
        ...(output.Description === 'of a suite' ? ['description'] : []),
      ]
      return verdict(seen.length === 2, seen.join(', ') || 'neither')
    },
  },
  {
    id: 'rotate.without-function',
    parts: 'D',
    rule: 'RotateSecret of a secret without rotation is InvalidRequestException.',
    source: api('API_RotateSecret'),
    async ask(world) {
      const { Name } = await world.create('rotates')
      const answer = await world.call('RotateSecret', { SecretId: Name })
      return verdict(answer.code === 'InvalidRequestException', word(answer))
    },
  },
  {
    id: 'rotate.random-password',
    parts: 'D',
    rule: 'GetRandomPassword has the length that was asked for, and each kind of character but punctuation and blanks.',
    source: api('API_GetRandomPassword'),
    async ask(world) {
      const output = await world.must('GetRandomPassword', {
        PasswordLength: 40,
        ExcludePunctuation: true,
        IncludeSpace: false,
        RequireEachIncludedType: true,
      })
      const password = /** @type {string} */ (output.RandomPassword ?? '')
      const fits =
        /^[A-Za-z0-9]{40}$/.test(password) && /[A-Z]/.test(password) && /[a-z]/.test(password) && /\d/.test(password)
      return verdict(fits, fits ? '40 letters and digits' : `${password.length} characters, not all of them fitting`)
    },
  },
]

module.exports = { rules }
