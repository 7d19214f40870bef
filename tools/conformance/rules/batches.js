'use strict'

// Many secrets in one call, and lists.

const { api, guide, isInvalid, verdict, word, words } = require('../verdict')
const { deleted, partial } = require('./reads')

const BATCH = api('API_BatchGetSecretValue')
const FILTER = api('API_Filter')

/** @typedef {import('../world').World} World */
/** @typedef {import('../world').Answer} Answer */

/** Three secrets that no rule changes. @param {World} world @returns {Promise<{ ARN: string, Name: string, VersionId?: string }[]>} */
const three = (world) =>
  world.once('three', async () => {
    const made = []
    for (const label of ['three/a', 'three/b', 'three/c']) made.push(await world.create(label))
    return made
  })

/** @param {World} world @param {string[]} SecretIdList */
const batch = (world, SecretIdList) => world.call('BatchGetSecretValue', { SecretIdList })

/** What a batch said about one id. @param {Answer} answer @param {string} id @returns {string} */
function about({ output }, id) {
  const error = output.Errors?.find((/** @type {any} */ one) => one.SecretId === id)
  if (error !== undefined) return error.ErrorCode
  const value = output.SecretValues?.find((/** @type {any} */ one) => one.Name === id || one.ARN === id)
  return value === undefined ? 'left out' : 'a value'
}

/** One good id and one other in a batch: what became of both. @param {World} world @param {string} other @param {(of: string) => boolean} fits */
async function beside(world, other, fits) {
  const [{ Name }] = await three(world)
  const answer = await batch(world, [Name, other])
  if (answer.code !== undefined) return verdict(false, `the whole batch: ${answer.code}`)
  const [good, seen] = [about(answer, Name), about(answer, other)]
  return verdict(good === 'a value' && fits(seen), good === 'a value' ? seen : `${seen}, and the other id: ${good}`)
}

/** @type {import('../verdict').Rule[]} */
const rules = [
  {
    id: 'batch.values',
    parts: 'D',
    rule: 'A batch returns each secret with ARN, Name, VersionId, VersionStages and its live value.',
    source: BATCH,
    async ask(world) {
      const secrets = await three(world)
      const answer = await batch(
        world,
        secrets.map(({ Name }) => Name),
      )
      const values = /** @type {any[]} */ (answer.output.SecretValues ?? [])
      const whole = secrets.filter(({ ARN, Name, VersionId }) =>
        values.some(
          (one) =>
            one.ARN === ARN &&
            one.Name === Name &&
            one.VersionId === VersionId &&
            one.VersionStages?.includes('AWSCURRENT') &&
            one.SecretString !== undefined,
        ),
      )
      return verdict(whole.length === 3, answer.code ?? `${whole.length} of 3`)
    },
  },
  {
    id: 'batch.by-arn',
    parts: 'D B2',
    rule: 'A batch takes names, ARNs and partial ARNs side by side.',
    source: BATCH,
    async ask(world) {
      const [a, b, c] = await three(world)
      const answer = await batch(world, [a.Name, b.ARN, partial(c.ARN)])
      const names = /** @type {any[]} */ (answer.output.SecretValues ?? []).map(({ Name }) => Name)
      const found = [a, b, c].filter(({ Name }) => names.includes(Name)).length
      return verdict(found === 3, answer.code ?? `${found} of 3`)
    },
  },
  {
    id: 'batch.missing',
    parts: 'D E',
    rule: 'A missing id does not fail the batch: it is among Errors, with ResourceNotFoundException and the id as it was asked.',
    source: BATCH,
    ask: (world) => beside(world, world.name('batch-missing'), (seen) => seen === 'ResourceNotFoundException'),
  },
  {
    id: 'batch.marked-for-deletion',
    parts: 'D',
    rule: 'A secret that is marked for deletion is among Errors, with InvalidRequestException or as not found.',
    source: BATCH,
    async ask(world) {
      const codes = ['InvalidRequestException', 'ResourceNotFoundException']
      return beside(world, await deleted(world), (seen) => codes.includes(seen))
    },
  },
  {
    id: 'batch.without-value',
    parts: 'A9',
    rule: 'A secret without a value is among Errors, with ResourceNotFoundException.',
    source: BATCH,
    async ask(world) {
      const { Name } = await world.once('valueless', () => world.create('valueless', {}))
      return beside(world, Name, (seen) => seen === 'ResourceNotFoundException')
    },
  },
  {
    id: 'batch.other-account',
    parts: 'B2 E',
    rule: "Another account's ARN in a batch is refused or left out by itself, and the other ids are answered.",
    source: guide('auth-and-access_examples_cross.html'),
    async ask(world) {
      const parts = (await world.plain()).ARN.split(':')
      parts[4] = '999999999999'
      return beside(world, parts.join(':'), (seen) => seen !== 'a value')
    },
  },
  {
    id: 'batch.other-region',
    parts: 'B1 E',
    rule: "Another region's ARN in a batch is refused or left out by itself, and the other ids are answered.",
    source: 'https://github.com/aws/aws-sdk-js-v3/issues/7278',
    async ask(world) {
      const parts = (await world.plain()).ARN.split(':')
      parts[3] = parts[3] === 'eu-north-1' ? 'eu-west-1' : 'eu-north-1'
      return beside(world, parts.join(':'), (seen) => seen !== 'a value')
    },
  },
  {
    id: 'batch.invalid-id',
    parts: 'A12',
    rule: 'An id with characters that no name has fails the batch as invalid, or is among Errors.',
    source: BATCH,
    async ask(world) {
      const [{ Name }] = await three(world)
      const other = `${world.prefix}no such#name`
      const answer = await batch(world, [Name, other])
      const seen = answer.code === undefined ? about(answer, other) : `the whole batch: ${answer.code}`
      return verdict(isInvalid(answer) || !['a value', 'left out'].includes(about(answer, other)), seen)
    },
  },
  {
    id: 'batch.same-twice',
    parts: 'E',
    rule: 'One id twice does not fail a batch.',
    source: BATCH,
    async ask(world) {
      const [{ Name }] = await three(world)
      const answer = await batch(world, [Name, Name])
      const count = (answer.output.SecretValues ?? []).length
      return verdict(count > 0, answer.code ?? `${count} values`)
    },
  },
  {
    id: 'batch.name-and-arn',
    parts: 'E B2',
    rule: 'Name and ARN of one secret do not fail a batch.',
    source: BATCH,
    async ask(world) {
      const [{ ARN, Name }] = await three(world)
      const answer = await batch(world, [Name, ARN])
      const count = (answer.output.SecretValues ?? []).length
      return verdict(count > 0, answer.code ?? `${count} values`)
    },
  },
  {
    id: 'batch.limit',
    parts: 'D',
    rule: 'A batch takes 20 ids, and refuses 21 and none as invalid.',
    source: BATCH,
    async ask(world) {
      const [{ Name }] = await three(world)
      const others = Array.from({ length: 20 }, (_, i) => `${world.prefix}none/${i}`)
      const answers = {
        20: await batch(world, [Name, ...others.slice(1)]),
        21: await batch(world, [Name, ...others]),
        none: await batch(world, []),
      }
      return verdict(word(answers[20]) === 'ok' && isInvalid(answers[21]) && isInvalid(answers.none), words(answers))
    },
  },
  {
    id: 'batch.ids-or-filters',
    parts: 'D',
    rule: 'SecretIdList and Filters exclude each other, and one of them is needed.',
    source: BATCH,
    async ask(world) {
      const [{ Name }] = await three(world)
      const Filters = [{ Key: 'name', Values: [world.prefix] }]
      const answers = {
        both: await world.call('BatchGetSecretValue', { SecretIdList: [Name], Filters }),
        neither: await world.call('BatchGetSecretValue', {}),
      }
      return verdict(isInvalid(answers.both) && isInvalid(answers.neither), words(answers))
    },
  },
  {
    id: 'batch.max-results',
    parts: 'A16',
    rule: 'MaxResults together with SecretIdList is refused as invalid.',
    source: BATCH,
    async ask(world) {
      const [{ Name }] = await three(world)
      const answer = await world.call('BatchGetSecretValue', { SecretIdList: [Name], MaxResults: 5 })
      return verdict(isInvalid(answer), word(answer))
    },
  },
  {
    id: 'batch.no-null-token',
    parts: 'A16',
    rule: 'An answer without a next page has no NextToken, not even null.',
    source: BATCH,
    async ask(world) {
      const [{ Name }] = await three(world)
      const { text, code } = await batch(world, [Name])
      const token = JSON.parse(text).NextToken
      return verdict(code === undefined && token === undefined, token === undefined ? 'none' : JSON.stringify(token))
    },
  },
  {
    id: 'batch.size',
    parts: 'E',
    rule: 'Twenty values of 64 KiB are all returned: in one answer, or in pages by NextToken.',
    source: BATCH,
    async ask(world) {
      const names = []
      const SecretString = 'x'.repeat(65_536)
      for (let i = 0; i < 20; i++) names.push((await world.create(`big/${i}`, { SecretString })).Name)
      const found = new Set()
      let NextToken
      let pages = 0
      do {
        const answer = await world.call('BatchGetSecretValue', { SecretIdList: names, NextToken })
        if (answer.code !== undefined) return verdict(false, answer.code)
        for (const { Name } of answer.output.SecretValues ?? []) found.add(Name)
        NextToken = answer.output.NextToken || undefined
      } while (++pages < 20 && NextToken !== undefined)
      return verdict(found.size === 20, `${found.size} of 20 in ${pages} ${pages === 1 ? 'answer' : 'answers'}`)
    },
  },
  {
    id: 'batch.filter-prefix',
    parts: 'D A15',
    rule: 'The filter `name` compares from the beginning of the name, with case.',
    source: FILTER,
    ask: (world) => filtered(world, 'BatchGetSecretValue', 'SecretValues'),
  },
  {
    id: 'batch.pages',
    parts: 'D',
    rule: 'A batch by filter has at most MaxResults values, and NextToken leads to the others.',
    source: BATCH,
    ask: (world) => paged(world, 'BatchGetSecretValue', 'SecretValues'),
  },
  {
    id: 'list.filter-prefix',
    parts: 'D A15',
    rule: 'The filter `name` of ListSecrets compares from the beginning of the name, with case.',
    source: FILTER,
    ask: (world) => filtered(world, 'ListSecrets', 'SecretList'),
  },
  {
    id: 'list.pages',
    parts: 'D',
    rule: 'ListSecrets has at most MaxResults entries, and NextToken leads to the others.',
    source: api('API_ListSecrets'),
    ask: (world) => paged(world, 'ListSecrets', 'SecretList'),
  },
  {
    id: 'list.without-deleted',
    parts: 'D',
    rule: 'ListSecrets leaves out what is marked for deletion, unless IncludePlannedDeletion asks for it.',
    source: api('API_ListSecrets'),
    async ask(world) {
      const name = await deleted(world)
      const Filters = [{ Key: 'name', Values: [name] }]
      const listed = async (/** @type {object} */ more) => {
        const { output } = await world.call('ListSecrets', { Filters, ...more })
        return (output.SecretList ?? []).some((/** @type {any} */ one) => one.Name === name)
      }
      const seen = await world.settled(
        async () => [await listed({}), await listed({ IncludePlannedDeletion: true })],
        ([plain, asked]) => !plain && asked,
        world.listPatience,
      )
      return verdict(!seen[0] && seen[1], `listed: ${seen[0]}, when asked for: ${seen[1]}`)
    },
  },
]

/** @param {World} world @param {string} operation @param {string} member */
async function filtered(world, operation, member) {
  await three(world)
  const count = async (/** @type {string} */ value) => {
    const { code, output } = await world.call(operation, { Filters: [{ Key: 'name', Values: [value] }] })
    return (
      code ??
      (output[member] ?? []).filter((/** @type {any} */ one) => one.Name.startsWith(`${world.prefix}three/`)).length
    )
  }
  const seen = await world.settled(
    async () =>
      [
        `prefix: ${await count(`${world.prefix}three/`)}`,
        `middle: ${await count(`${world.prefix.slice(4)}three/`)}`,
        `other case: ${await count(`${world.prefix}THREE/`)}`,
      ].join(', '),
    (now) => now.startsWith('prefix: 3'),
    world.listPatience,
  )
  return verdict(seen === 'prefix: 3, middle: 0, other case: 0', seen)
}

/** @param {World} world @param {string} operation @param {string} member */
async function paged(world, operation, member) {
  const secrets = await three(world)
  const Filters = [{ Key: 'name', Values: [`${world.prefix}three/`] }]
  const walk = async () => {
    const sizes = []
    const found = new Set()
    let NextToken
    do {
      const { code, output } = /** @type {Answer} */ (
        await world.call(operation, { Filters, MaxResults: 2, NextToken })
      )
      if (code !== undefined) return code
      sizes.push((output[member] ?? []).length)
      for (const { Name } of output[member] ?? []) found.add(Name)
      NextToken = output.NextToken || undefined
    } while (NextToken !== undefined && sizes.length < 10)
    const all = secrets.every(({ Name }) => found.has(Name))
    return `${all ? 'all' : `${found.size} of 3`} in pages of ${sizes.join(', ')}`
  }
  const seen = await world.settled(walk, (now) => now.startsWith('all'), world.listPatience)
  const sizes = /pages of (.*)$/.exec(seen)?.[1].split(', ').map(Number)
  return verdict(seen.startsWith('all') && sizes !== undefined && sizes.every((size) => size <= 2), seen)
}

module.exports = { rules }
