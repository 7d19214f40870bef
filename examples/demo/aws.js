'use strict'

// Staging, against an AWS stand-in (MiniStack) and a real Redis: cold, cached, shared and outage reads.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { CreateSecretCommand } = require('@aws-sdk/client-secrets-manager')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { temporaryDirectory } = require('../../__test__/support/files')
const { MiniStack } = require('../../__test__/support/servers/ministack')
const { RedisServer } = require('../../__test__/support/servers/redis')
const { until } = require('../../__test__/support/until')
const { masked, table } = require('./print')

const SECRETS = { GITHUB_API_TOKEN: 'ghp_sample', GITHUB_WEBHOOK_SECRET: 'sample', JIRA_API_TOKEN: 'jira-sample' }
const CACHED_READS = 100_000

// The AWS SDK for JavaScript, which fills the stand-in here, warns about Node 20.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'

/**
 * @param {() => Promise<string | null>} read
 * @returns {Promise<[string, string]>} The masked value, or the code it was refused with, and how long it took.
 */
async function timed(read) {
  const started = performance.now()
  const shown = await read().then(masked, (error) => error.code)
  return [shown, `${(performance.now() - started).toFixed(2)} ms`]
}

async function main() {
  const [stack, redis] = await Promise.all([MiniStack.start(), RedisServer.start()])
  const client = stack.client()
  for (const [name, value] of Object.entries(SECRETS)) {
    await client.send(new CreateSecretCommand({ Name: `${name}_staging`, SecretString: value }))
  }
  client.destroy()
  const key = { id: 'demo', key: randomBytes(32).toString('base64') }
  const directory = temporaryDirectory()
  const log = path.join(directory, 'audit.jsonl')
  /** @param {object} [more] */
  const deliver = (more = {}) =>
    new SecretDelivery({
      environment: 'staging',
      aws: stack.options,
      envFile: false,
      audit: { path: log },
      runtime: { variables: {} },
      cache: { redis: { url: redis.url }, encryptionKeys: [key], ...more },
    })
  try {
    console.log(`\nstaging, with AWS at ${stack.url} (MiniStack) and Redis at ${redis.url}\n`)
    const rows = [['what', 'value', 'answered by', 'took']]
    const first = deliver()
    const read = () => first.getToolSecret('github', 'api_token')
    rows.push(['cold: the first read of the first instance', ...spread(await timed(read), 'aws')])

    const started = performance.now()
    for (let i = 0; i < CACHED_READS; i++) await read()
    const each = ((performance.now() - started) * 1e6) / CACHED_READS
    const { answeredBy } = await first.explain('GITHUB_API_TOKEN')
    rows.push([
      `cached: ${CACHED_READS.toLocaleString('en')} more reads`,
      masked(await read()),
      String(answeredBy),
      `${each.toFixed(0)} ns each`,
    ])

    await first.getToolSecrets('jira')
    await until('the copies are shared', async () => Number(await redis.command('DBSIZE')) === 2)
    const second = deliver()
    const source = (await second.explain('GITHUB_API_TOKEN')).answeredBy
    const shared = await timed(() => second.getToolSecret('github', 'api_token'))
    rows.push(['shared: the first read of a second instance', ...spread(shared, String(source))])

    await stack.stop()
    const third = deliver()
    const during = (await third.explain('JIRA_API_TOKEN')).answeredBy
    const outage = await timed(() => third.getToolSecret('jira', 'api_token'))
    rows.push(['AWS is stopped: a fresh instance', ...spread(outage, String(during))])
    const unknown = await timed(() => third.getToolSecret('github', 'webhook_secret'))
    rows.push(['AWS is stopped: a secret nobody has read', ...spread(unknown, 'nobody')])
    table(rows)

    const stored = await redis.command('GET', 'secret:GITHUB_API_TOKEN_staging')
    const plain = stored.includes(SECRETS.GITHUB_API_TOKEN)
    console.log(
      `\nRedis holds ${stored.length} encrypted bytes for it; the plain value is ${plain ? '' : 'not '}among them.`,
    )
    const { status, checks } = await third.health()
    console.log(`health is ${status}: aws ${checks.aws.status} (${checks.aws.reason})`)
    const { cacheHitRate, awsCalls } = first.metrics.snapshot()
    const asked = Object.entries(awsCalls).filter(([, { ok }]) => ok > 0)
    const calls = asked.map(([operation, { ok }]) => `${ok} ${operation}`).join(', ')
    console.log(`the first instance: hit rate ${cacheHitRate?.toFixed(5)}; AWS calls: ${calls}`)
    await Promise.all([first, second, third].map((delivery) => delivery.close()))
    const { valid, lastSequence, outcomes } = await verifyAuditLog(log)
    console.log(
      `the audit log: ${lastSequence} records, ${outcomes.ok} values delivered, ${valid ? 'intact' : 'not intact'}`,
    )
  } finally {
    await Promise.all([stack.stop(), redis.stop()])
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * @param {[string, string]} timing
 * @param {string} source
 * @returns {[string, string, string]}
 */
function spread([shown, took], source) {
  return [shown, source, took]
}

main()
