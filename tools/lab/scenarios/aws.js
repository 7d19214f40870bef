'use strict'

// AWS fails in many ways, without a Redis: copies in the process's memory answer.

const { idOf, nameOf } = require('../values')

const MIB = 1024 * 1024
const KNOWN_ID = idOf(nameOf('LAB', 0))

/** @typedef {import('../fault').Fault} Fault */
/** @typedef {import('../stage').Stage} Stage */

/** Faults that are similar to others. The short run leaves them out. */
const LONG_ONLY = ['aws-refused', 'aws-cut', 'aws-corrupt', 'aws-other-json', 'aws-empty', 'aws-request-expired']

/** @param {{ short: boolean }} mode @returns {Fault[]} */
function awsFaults({ short }) {
  /** @type {import('../fault').Pace} */
  const pace = short
    ? { ttlSeconds: 6, timeoutMs: 200, windowMs: 7_500 }
    : { ttlSeconds: 10, timeoutMs: 400, windowMs: 15_000 }
  /** @type {(stage: Stage) => Promise<unknown>} */
  const lift = async ({ aws, awsProxy }) => Promise.all([aws.clearFaults(), awsProxy?.pass()])

  /** @param {string} name @param {string} what @param {Fault['apply']} apply @param {Partial<Fault>} [more] @returns {Fault} */
  const fault = (name, what, apply, more) => ({ name, what, on: 'aws', pace, apply, lift, coldMayFail: true, ...more })

  /** The endpoint answers with an AWS error. @param {string} name @param {string} what @param {number} status @param {string} code @param {Partial<Fault>} [more] */
  const refusal = (name, what, status, code, more) =>
    fault(name, what, ({ aws }) => aws.fault({ action: { error: { status, code } } }), more)

  /** The endpoint answers with any body: `one` to GetSecretValue, `many` to BatchGetSecretValue. @param {string} name @param {string} what @param {number} status @param {string} one @param {string} [many] */
  const body = (name, what, status, one, many = one) =>
    fault(name, what, async ({ aws }) => {
      await aws.fault({ action: { body: { status, text: one } }, match: { operation: 'GetSecretValue' } })
      await aws.fault({ action: { body: { status, text: many } }, match: { operation: 'BatchGetSecretValue' } })
    })

  /** What happens to connections is counted at the proxy. @type {Partial<Fault>} */
  const byProxy = { awsCalls: async ({ awsProxy }) => awsProxy?.requests ?? 0 }

  const huge = `{"Name":"${KNOWN_ID}","SecretString":"${'x'.repeat(10 * MIB)}","VersionId":"huge"}`
  const latencyMs = short ? 20 : 150
  // No read may fail here, so the deadline is long enough for a busy machine.
  const slowPace = short
    ? { ttlSeconds: 10, timeoutMs: 2000, windowMs: 11_500 }
    : { ttlSeconds: 15, timeoutMs: 2000, windowMs: 20_000 }
  const perSecond = 20
  /** @type {Partial<Fault>} */
  const limited = {
    options: () => ({ aws: { requestsPerSecond: perSecond } }),
    mostAwsCalls: (seconds) => Math.ceil(perSecond * (seconds + 1)),
  }

  const all = [
    fault('aws-latency', `AWS ${2 * latencyMs} ms away`, async ({ awsProxy }) => awsProxy?.pass({ latencyMs }), {
      pace: slowPace,
      coldMayFail: false,
    }),
    fault('aws-reset', 'connections reset', async ({ awsProxy }) => awsProxy?.reset(), byProxy),
    fault('aws-refused', 'connections refused', async ({ awsProxy }) => awsProxy?.refuse(), byProxy),
    fault(
      'aws-black-hole',
      'connections accepted, never answered',
      async ({ awsProxy }) => awsProxy?.blackHole(),
      byProxy,
    ),
    fault(
      'aws-half-open',
      'open connections dead, new ones work',
      async ({ awsProxy }) => awsProxy?.halfOpen(),
      byProxy,
    ),
    fault('aws-cut', 'answers cut after 100 bytes', async ({ awsProxy }) => awsProxy?.cutAfter(100), byProxy),
    fault('aws-corrupt', 'answers with flipped bits', async ({ awsProxy }) => awsProxy?.corrupt(), byProxy),
    fault('aws-hang', 'requests never answered', ({ aws }) => aws.fault({ action: { hang: {} } })),
    fault('aws-truncated', 'JSON cut short', ({ aws }) => aws.fault({ action: { truncate: {} } })),
    body('aws-malformed', 'malformed JSON', 200, '{"Name":"A","SecretString":"b",'),
    body('aws-other-json', 'JSON of another shape', 200, '[1,{"SecretString":7}]'),
    body(
      'aws-fields',
      'JSON without the fields',
      200,
      `{"Name":"${KNOWN_ID}"}`,
      `{"SecretValues":[{"Name":"${KNOWN_ID}"}]}`,
    ),
    body('aws-empty', 'an empty JSON object', 200, '{}'),
    body('aws-huge', 'a value of 10 MiB', 200, huge, `{"SecretValues":[${huge}]}`),
    refusal('aws-400', 'HTTP 400, unknown code', 400, 'SomethingNewException'),
    refusal('aws-500', 'HTTP 500', 500, 'InternalServiceError'),
    body('aws-503', 'HTTP 503 with an HTML page', 503, '<html><body><h1>Service Unavailable</h1></body></html>'),
    refusal('aws-expired', 'expired credentials', 400, 'ExpiredTokenException'),
    refusal('aws-skew', 'clock skew: InvalidSignatureException', 400, 'InvalidSignatureException'),
    refusal('aws-request-expired', 'clock skew: RequestExpired', 400, 'RequestExpired'),
    fault(
      'aws-throttled',
      `90 % throttled, ${perSecond} requests/s allowed`,
      ({ aws }) => aws.fault({ action: { error: { status: 400, code: 'ThrottlingException' } }, probability: 0.9 }),
      { ...limited, load: { coldPerSecond: perSecond / 2 } },
    ),
    // More reads than the rate limit allows: known secrets must not wait for them.
    fault('aws-limit', `${3 * perSecond} cold reads/s, ${perSecond} requests/s allowed`, async () => {}, {
      ...limited,
      load: { coldPerSecond: 3 * perSecond },
    }),
  ]
  return all.filter(({ name }) => !short || !LONG_ONLY.includes(name))
}

module.exports = { awsFaults }
