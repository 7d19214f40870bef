'use strict'

// The audit log adds up: what JavaScript received, in whatever way, is what the log accounts for. `npm run lab --
// --accounting` is the long form.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { account } = require('../../tools/accounting/run')
const { SECRETS } = require('../../tools/accounting/names')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

/** @type {AwsEndpoint} */
let aws
/** @type {string} */
let directory
beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  await aws.reset()
  await aws.put(SECRETS)
  directory = temporaryDirectory()
})
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }))
afterAll(() => aws.stop())

test.each(/** @type {const} */ (['counted', 'each']))(
  'over processes that are killed, end and close, hits: %s',
  async (hits) => {
    const found = await account({ aws: aws.options, directory, rounds: 5, accesses: 4000, hits })
    expect(found.wrong).toEqual([])
    expect(found.received).toBeGreaterThan(8000)
    expect(found.accounted).toBeGreaterThanOrEqual(found.received)
  },
  60_000,
)

test.each([
  ['memory keeps copies', {}],
  ['nothing is cached', { cache: false }],
])('readers who join later are accounted for as well, and cost no call: %s', async (_, options) => {
  const log = path.join(directory, 'audit.jsonl')
  const delivery = new SecretDelivery({
    environment: 'production',
    aws: aws.options,
    cache: { redis: false },
    audit: { path: log },
    alerts: false,
    ...options,
  })
  // So that there is a log, and a connection.
  await delivery.getSecret('A_CACHED')
  await aws.resetCalls()
  await aws.fault({ action: { delayMs: 300 } })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const reads = []
  for (let i = 0; i < 20; i++) {
    reads.push(delivery.getSecret('A_JOINED'), delivery.getSecret('A_JOINED'))
    await turn()
  }
  expect(new Set(await Promise.all(reads))).toEqual(new Set(['v-joined']))
  expect((await aws.calls()).total).toBe(1)
  await aws.clearFaults()
  const listings = []
  const versions = []
  for (let i = 0; i < 5; i++) {
    listings.push(delivery.getToolSecrets('listed'))
    versions.push(delivery.getSecretVersions('A_VERSIONS'))
    await turn()
  }
  expect(await Promise.all(listings)).toEqual(Array(5).fill({ one: 'v-one', two: 'v-two' }))
  await Promise.all(versions)
  await delivery.close()
  const sums = {}
  for (const line of fs.readFileSync(log, 'utf8').trimEnd().split('\n')) {
    const { event, outcome, secret, count = 1 } = JSON.parse(line)
    if (event === 'access' && outcome === 'ok') sums[secret] = (sums[secret] ?? 0) + count
  }
  expect(sums).toEqual({ A_CACHED: 1, A_JOINED: 40, LISTED_ONE: 5, LISTED_TWO: 5, A_VERSIONS: 5 })
  expect((await verifyAuditLog(log)).deliveries).toBe(56)
})
