'use strict'

// More than one part fails: AWS and Redis together, before or after a service started, or a whole region.

const { performance } = require('node:perf_hooks')

/** @typedef {import('../fault').Fault} Fault */
/** @typedef {import('../stage').Stage} Stage */

/** For how long one region must get all calls before it counts as the region that serves, in milliseconds. */
const ALONE_MS = 500

/** @param {{ short: boolean }} mode @returns {Fault[]} */
function outageFaults({ short }) {
  /** @type {import('../fault').Pace} */
  const pace = { ttlSeconds: 12, timeoutMs: 400, windowMs: short ? 13_500 : 26_000 }
  /** @type {import('../fault').Pace} */
  const startPace = { ttlSeconds: 4, timeoutMs: 400, windowMs: short ? 5_500 : 15_000 }
  /** @param {string} name @param {string} what @param {Fault['apply']} apply @param {Fault['lift']} lift @param {Partial<Fault>} [more] @returns {Fault} */
  const fault = (name, what, apply, lift, more) => ({
    name,
    what,
    on: 'aws',
    pace,
    apply,
    lift,
    coldMayFail: true,
    awsCalls: async ({ awsProxy }) => awsProxy?.requests ?? 0,
    ...more,
  })
  /** @type {(stage: Stage) => Promise<unknown>} */
  const both = ({ awsProxy, redisProxy }) => Promise.all([awsProxy?.refuse(), redisProxy?.refuse()])
  /** @type {(stage: Stage) => Promise<unknown>} */
  const neither = ({ awsProxy, redisProxy }) => Promise.all([awsProxy?.pass(), redisProxy?.pass()])
  const starting = { atStart: true, pace: startPace }
  const stage = { redis: true }

  return [
    fault('both-down', 'AWS and Redis refuse connections', both, neither, { stage }),
    fault(
      'both-silent',
      'AWS and Redis never answer',
      ({ awsProxy, redisProxy }) => Promise.all([awsProxy?.blackHole(), redisProxy?.blackHole()]),
      neither,
      { stage, pace: { ...pace, ttlSeconds: 24, windowMs: 2 * pace.windowMs } },
    ),
    fault(
      'start-shared',
      'start without AWS, Redis holds copies',
      async ({ awsProxy }) => awsProxy?.refuse(),
      neither,
      {
        ...starting,
        stage,
      },
    ),
    fault('start-snapshot', 'start without AWS and Redis, snapshot file', both, neither, {
      ...starting,
      stage,
      prepare: async (stage) => (stage.snapshotPath = stage.file('snapshot')),
      options: ({ snapshotPath }) => ({ cache: { snapshotPath } }),
    }),
    fault('start-nothing', 'start without AWS, Redis and snapshot', both, neither, {
      ...starting,
      stage,
      knownMayFail: true,
    }),
    fault(
      'start-dns',
      'start with a host for AWS that DNS does not know, Redis holds copies',
      async (stage) => (stage.awsHost = 'does-not-exist.invalid'),
      async (stage) => (stage.awsHost = undefined),
      {
        ...starting,
        stage,
        options: ({ awsHost }) => ({ aws: awsHost === undefined ? {} : { endpoint: `http://${awsHost}` } }),
        startsAgain: true,
      },
    ),
    region('region-500', 'primary region answers 500', {
      apply: ({ aws }) => aws.fault({ action: { error: { status: 500, code: 'InternalServiceError' } } }),
      lift: ({ aws }) => aws.clearFaults(),
    }),
    region('region-silent', 'primary region never answers', {
      apply: async ({ awsProxy }) => awsProxy?.blackHole(),
      lift: async ({ awsProxy }) => awsProxy?.pass(),
    }),
  ]

  /** @param {string} name @param {string} what @param {Pick<Fault, 'apply' | 'lift'>} acts @returns {Fault} */
  function region(name, what, { apply, lift }) {
    /** @type {{ at: number, primary: number, replica: number } | undefined} */
    let mark
    return fault(name, what, apply, lift, {
      pace: short
        ? { ttlSeconds: 12, timeoutMs: 1000, windowMs: 13_500 }
        : { ttlSeconds: 20, timeoutMs: 1500, windowMs: 30_000 },
      prepare(stage) {
        mark = undefined
        return stage.startReplica()
      },
      options: ({ replica }) => ({ aws: { failoverRegions: [{ region: 'eu-west-1', endpoint: replica?.url }] } }),
      coldMayFail: false,
      // The fail-over has ended when only the primary is asked.
      async recovered({ awsProxy, replica }) {
        const now = {
          at: performance.now(),
          primary: awsProxy?.requests ?? 0,
          replica: (await /** @type {NonNullable<typeof replica>} */ (replica).calls()).total,
        }
        if (mark === undefined || now.replica > mark.replica) mark = now
        return now.at - mark.at > ALONE_MS && now.primary > mark.primary
      },
    })
  }
}

module.exports = { outageFaults }
