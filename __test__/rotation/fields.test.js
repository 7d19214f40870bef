'use strict'

// Rotations of a field of a JSON secret, whose other fields others write meanwhile.

const { overAws } = require('../support/over-aws')

const world = overAws()
const policies = [
  { secretType: 'login', rotationInterval: 90, rotationTime: '02:00', notificationDays: 7, rollbackEnabled: true },
]
const secrets = {
  PASSWORD: { aws: 'shop/all#password', rotationType: 'login' },
  KEY: { aws: 'shop/all#key', rotate: 'generate' },
  NOTE: { aws: 'shop/all#note' },
}
const BEFORE = '{ "password": "old", "key" : "old-key",\n "note":"0", "id": 12345678901234567890 }'

beforeEach(() => world.aws.put({ 'shop/all': BEFORE }))

const live = async () => {
  const versions = await world.aws.versions('shop/all')
  return versions.find((/** @type {any} */ version) => version.labels.includes('AWSCURRENT')).value
}
const labels = async () =>
  (await world.aws.versions('shop/all')).flatMap((/** @type {any} */ version) => version.labels).sort()

/** @param {import('../../index').RotationHooks} hooks */
const deliver = (hooks) => world.deliver({ secrets, logger: { warn() {} }, rotation: { policies, hooks } })

test('another field that is written while hooks run stays, and the new value is live', async () => {
  let target = 'old'
  let writes = 0
  const delivery = deliver({
    async set(context) {
      target = context.newValue()
      await delivery.store.put('NOTE', `${++writes}`)
    },
    async test() {
      await delivery.store.put('NOTE', `${++writes}`)
    },
  })
  const report = await delivery.rotation.rotate('PASSWORD')
  expect(report).toMatchObject({ outcome: 'finished', error: null })
  expect(await live()).toBe(BEFORE.replace('"old"', `"${target}"`).replace('"0"', '"2"'))
  expect(await delivery.getSecret('PASSWORD')).toBe(target)
  expect(await labels()).toEqual(['AWSCURRENT', 'AWSPREVIOUS'])
})

test('a value that is taken back leaves what was written meanwhile', async () => {
  const delivery = deliver({
    async set() {
      await delivery.store.put('NOTE', 'mine')
    },
    async undo() {},
    async verify() {
      throw new Error('refused')
    },
  })
  expect(await delivery.rotation.rotate('PASSWORD')).toMatchObject({ outcome: 'rolled-back' })
  expect(await live()).toBe(BEFORE.replace('"0"', '"mine"'))
})

test('where somebody writes the field itself, the rotation gives up and his value stays', async () => {
  const delivery = deliver({
    async set() {
      await world.aws.ask('PutSecretValue', { SecretId: 'shop/all', SecretString: BEFORE.replace('"old"', '"his"') })
    },
    async undo() {},
  })
  expect(await delivery.rotation.rotate('PASSWORD')).toMatchObject({ outcome: 'failed' })
  expect(JSON.parse(await live()).password).toBe('his')
})

test('fifteen rotations beside two writers of other fields: nothing is lost, and none fails', async () => {
  const rotating = deliver({})
  const writing = [deliver({}), deliver({})]
  await world.aws.fault({ action: { delayMs: 2 }, probability: 0.5, times: 100_000 })
  for (let round = 1; round <= 15; round++) {
    const before = JSON.parse(await live()).key
    const [report] = await Promise.all([
      rotating.rotation.rotate('KEY'),
      writing[0]?.store.put('NOTE', `n${round}`),
      writing[1]?.store.put('PASSWORD', `p${round}`),
    ])
    expect(report).toMatchObject({ outcome: 'finished', error: null })
    const now = JSON.parse(await live())
    expect(now).toMatchObject({ note: `n${round}`, password: `p${round}` })
    expect(now.key).not.toBe(before)
  }
}, 120_000)

test('going back takes only the field from the older version, also one that was deleted', async () => {
  const delivery = deliver({})
  const [{ versionId: first }] = await world.aws.versions('shop/all')
  await delivery.rotation.rotate('KEY')
  await delivery.store.put('NOTE', 'later')
  expect(await delivery.rotation.restore('KEY', { versionId: first })).toMatchObject({ outcome: 'finished' })
  expect(await live()).toBe(BEFORE.replace('"0"', '"later"'))
  await delivery.store.delete('KEY')
  expect(await delivery.getSecret('KEY')).toBeNull()
  expect(await delivery.rotation.restore('KEY', { versionId: first })).toMatchObject({ outcome: 'finished' })
  expect(JSON.parse(await live())).toMatchObject({ key: 'old-key', note: 'later', password: 'old' })
  expect(await delivery.getSecret('KEY')).toBe('old-key')
})
