'use strict'

// What answers where EC2's metadata service should be: whatever it is, a read has a reason, and never an internal error.

const { atHome } = require('../support/at-home')

const world = atHome({ A_B_production: 'value' })
const { deliver, serving } = world

const TTL = 'x-aws-ec2-metadata-token-ttl-seconds'
const KEYS = {
  Code: 'Success',
  Type: 'AWS-HMAC',
  LastUpdated: '2026-01-01T00:00:00Z',
  AccessKeyId: 'a',
  SecretAccessKey: 's',
  Token: 't',
  Expiration: '2099-01-01T00:00:00Z',
}

/**
 * A delivery on an instance whose metadata service answers so.
 *
 * @param {{ token?: string, ttl?: string | null, role?: string, keys?: unknown, region?: string }} answers
 * @param {Record<string, string>} [variables]
 */
async function instance(answers, variables) {
  const { token = 'token', ttl = '21600', role = 'orders', keys = KEYS, region = 'eu-central-1' } = answers
  const url = await serving((request, answer) => {
    if (request.method === 'PUT') {
      if (ttl !== null) answer.setHeader(TTL, ttl)
      return answer.end(token)
    }
    if (/placement\/region$/.test(`${request.url}`)) return answer.end(region)
    if (/security-credentials\/$/.test(`${request.url}`)) return answer.end(role)
    answer.end(typeof keys === 'string' ? keys : JSON.stringify(keys))
  })
  return deliver({ AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: url, ...variables })
}

test.each([
  ['with a line end behind the role', { role: 'orders\r\n' }],
  ['with a second role', { role: 'orders\nother\n' }],
  ['with a line end behind the token', { token: 'token\n' }],
  ['without a life of the token', { ttl: null }],
  ['with a life of the token that is no number', { ttl: 'soon' }],
  ['with an endless life of the token', { ttl: '9223372036854775807' }],
  ['with a life of the token that no number holds', { ttl: '99999999999999999999' }],
])('a metadata service %s gives credentials', async (_, answers) => {
  await expect((await instance(answers)).getSecret('A_B')).resolves.toBe('value')
})

const PAGE = '<html><body>canary</body></html>'

test.each([
  ['a page for a role', { role: PAGE }, 'the name of a role'],
  ['a role with a blank', { role: 'a canary' }, 'the name of a role'],
  ['a role with a NUL', { role: 'a\0canary' }, 'the name of a role'],
  ['a role that no URL holds', { role: '%zz' }, 'the name of a role'],
  ['a long role', { role: 'canary'.repeat(12_000) }, 'the name of a role'],
  ['no role', { role: '' }, 'the name of a role'],
  ['a page for credentials', { keys: PAGE }, 'credentials'],
  ['a list for credentials', { keys: [] }, 'credentials'],
  ['a token that no header holds', { token: 'a\0canary' }, 'a token'],
  ['no token', { token: '' }, 'a token'],
])('%s: what answers is no metadata service, and all who ask hear that', async (_, answers, asked) => {
  const delivery = await instance(answers)
  const words = new RegExp(
    `127\\.0\\.0\\.1:\\d+ was asked, and what answered there is no metadata service of EC2 \\(it was asked for ${asked}\\)`,
  )
  for (let read = 0; read < 2; read++) {
    const error = await delivery.getSecret('A_B').catch((reason) => reason)
    expect(error.code).toBe('SOURCE_UNAVAILABLE')
    expect(error.message).toMatch(words)
    expect(error.message).not.toMatch(/canary/)
  }
  const { aws: check } = (await delivery.health()).checks
  // Without a token no place names credentials: there may be no metadata service at all.
  if (asked !== 'a token') expect(check).toMatchObject({ status: 'down', reason: expect.stringMatching(words) })
  expect(JSON.stringify(check)).not.toMatch(/canary|internal|panic/)
  await expect(delivery.identity()).rejects.toThrow(/metadata service/)
})

test.each(['eu-central-1\n', 'eu central', '<html>canary</html>'])('%j for a region stops no read', async (region) => {
  const unset = { AWS_REGION: '', AWS_DEFAULT_REGION: '', AWS_ENDPOINT_URL_STS: world.aws.url }
  await expect((await instance({ region }, unset)).getSecret('A_B')).resolves.toBe('value')
})
