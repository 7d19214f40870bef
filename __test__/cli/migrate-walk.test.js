'use strict'

// The walk of docs/migration.md on the command line, word for word, over a file of sixty mixed entries: every byte that AWS has in the
// end, and every byte that is left in the file, is compared.

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const dotenv = require('dotenv')
const { cliWorld } = require('../support/cli-world')
const { read } = require('../support/pages')

const world = cliWorld()
const { cli, canary } = world

/** Values that differ from each other, as random as real ones. @param {number} n */
const random = (n) => createHash('sha256').update(`${canary}${n}`).digest('base64url')
const pem = `-----BEGIN PRIVATE KEY-----\n${canary}\n${random(0)}\n-----END PRIVATE KEY-----\n`
/** Lines of the file that are moved, by name, as they are written. */
const moved = {
  DB_URL: `DB_URL=postgres://app:${canary}@db.internal:5432/app?sslmode=require`,
  DATABASE_PASSWORD: `DATABASE_PASSWORD='${canary} #1 $x "q"'`,
  GITHUB_API_TOKEN: `export GITHUB_API_TOKEN="${canary}-token"`,
  GITHUB_WEBHOOK_SECRET: `GITHUB_WEBHOOK_SECRET = ${canary}-hook # comment`,
  SESSION_KEY: `SESSION_KEY=${random(1)}`,
  REDIS_PASSWORD: `REDIS_PASSWORD="${canary}\\nsecond line"`,
  SMTP_PASSWORD: `SMTP_PASSWORD='ä€😀${canary}'`,
  JWT_SIGNING_KEY: `JWT_SIGNING_KEY="${pem}"`,
  SLACK_BOT_TOKEN: `SLACK_BOT_TOKEN=xoxb-1234567890-${random(2)}`,
  STRIPE_API_KEY: `STRIPE_API_KEY=sk_test_${random(3)}`,
  SENTRY_DSN: `SENTRY_DSN=https://${random(4)}:x@sentry.example/1`,
  OAUTH_CLIENT_SECRET: `OAUTH_CLIENT_SECRET=\`${canary}'"\``,
  RANDOM_THING: `RANDOM_THING=${random(5)}`,
  MAIL_PASS: `MAIL_PASS= ${canary}-spaces   `,
  ADMIN_PASSWORD: `ADMIN_PASSWORD=$2b$10$${random(6)}`,
  BACKSLASH_TOKEN: `BACKSLASH_TOKEN='C:\\${canary}\\n'`,
  EQUAL_SECRET: `EQUAL_SECRET=a=b==${canary}`,
  CERT_PASSPHRASE: `CERT_PASSPHRASE="${canary} with 'single'"`,
  REGISTRY_TOKEN: `REGISTRY_TOKEN=npm_${random(7)}`,
  'API-KEY-PARTNER_TOKEN': `API-KEY-PARTNER_TOKEN=${canary}-dash`,
}
const PLAIN = {
  ...{
    PORT: '3000',
    HOST: '0.0.0.0',
    NODE_ENV: 'staging',
    NODE_OPTIONS: '--max-old-space-size=512',
    TZ: 'UTC',
    LANG: 'C',
  },
  ...{ PATH_PREFIX: '/api', LOG_LEVEL: 'debug', AWS_REGION: 'eu-central-1', AWS_PROFILE: 'staging', HOME: '/app' },
  ...{ AWS_SECRET_ACCESS_KEY: `${canary}-platform`, DEBUG: 'app:*', CI: 'true', FEATURE_X: 'on', WORKERS: '4' },
  ...{
    CACHE_TTL: '300',
    RATE: '1.5',
    PUBLIC_URL: 'https://app.example',
    REGION: 'eu',
    THEME: 'dark',
    TIMEOUT_MS: '1000',
  },
  ...{ TOKEN_TTL: '60', KEY_NAME: 'main', SESSION_NAME: 'sid', COMPANY: 'Example GmbH', GREETING: 'hello world' },
  ...{
    MAX_BODY: '1048576',
    ORIGIN: 'https://a.example',
    CURRENCY: 'EUR',
    LOCALE: 'de_DE',
    QUEUE_NAME: 'jobs',
    SHARDS: '3',
  },
}
const stays = Object.entries(PLAIN).map(([name, value]) => `${name}=${value}`)
const unfit = ['stripe.secret.key=sk_test_x', '_PRIVATE_TOKEN=x', 'EMPTY_SECRET=', "EMPTY_TOKEN=''", 'BLANK_KEY=   ']
const doubtful = [`CUT_PASSWORD=${canary}#rest`, `QUOTE_TOKEN="${canary}`, 'TWICE_SECRET=one', `TWICE_SECRET=${canary}`]
const comments = ['# a comment with KEY=value', '', '   # another', '  ']
// Mixed, and the doubtful ones last: an open quote would take what follows with it.
const lines = [...Object.values(moved), ...stays, ...unfit, ...comments]
const file = `${[...lines.filter((_, i) => i % 3 === 0), ...lines.filter((_, i) => i % 3 === 1), ...lines.filter((_, i) => i % 3 === 2), ...doubtful].join('\n')}\n`

const tools = {
  db: { secrets: { url: { required: true } } },
  github: { secrets: { api_token: {}, webhook_secret: {} } },
}
const live = async (id) => (await world.aws.versions(id)).find(({ labels }) => labels.includes('AWSCURRENT'))?.value

test('sixty mixed entries: what is a secret arrives byte for byte, and the rest of the file is the file that was', async () => {
  const names = Object.keys(dotenv.parse(file))
  expect(names.length).toBeGreaterThanOrEqual(60)
  expect(file.split('\n').filter((line) => /^[^#\s].*[=]/.test(line)).length).toBeGreaterThanOrEqual(60)
  await world.aws.reset()
  world.write('tcs-secrets.config.json', { tools })
  world.write(
    'secrets.checks.mjs',
    'export async function database(delivery) { if ((await delivery.getSecret("DB_URL")) === null) throw new Error() }\n',
  )
  world.write('.env.staging', file)
  fs.chmodSync(world.file('.env.staging'), 0o600)
  const [, walk = ''] = /```sh\n(# 1\. preparation\n[^]*?)```/.exec(read('docs', 'migration.md')) ?? []
  const commands = walk.split('\n').filter((line) => line.startsWith('npx tcs-secrets '))
  expect(commands.length).toBe(10)
  /** @type {(number | null)[]} */
  const exits = []
  for (const command of commands) {
    const [words = ''] = command.replace('npx tcs-secrets ', '').split(/ +#/)
    exits.push((await cli.run(words.trim())).status)
  }
  const values = dotenv.parse(file)
  for (const name of Object.keys(moved)) expect([name, await live(`${name}_staging`)]).toEqual([name, values[name]])
  for (const line of [...stays, ...unfit, ...doubtful]) {
    const [name = ''] = line.split('=')
    await expect(world.aws.versions(`${name}_staging`).catch(() => [])).resolves.toEqual([])
  }
  // What is left: the same file, with a comment in place of each assignment that was moved.
  const left = fs.readFileSync(world.file('.env.staging'), 'utf8')
  const expected = Object.entries(moved).reduce(
    (text, [name, line]) => text.replace(`${line}\n`, () => `# moved to AWS: ${name}\n`),
    file,
  )
  expect(left).toBe(expected)
  const [backup = ''] = fs.readdirSync(world.directory).filter((name) => name.endsWith('.bak'))
  expect(fs.readFileSync(path.join(world.directory, backup), 'utf8')).toBe(file)
  // Three entries wait for somebody's decision, so the plan is not complete, and says which.
  const plan = await cli.json('migrate plan')
  expect(plan.document.doubtful.map(({ name }) => name).sort()).toEqual(['CUT_PASSWORD', 'QUOTE_TOKEN', 'TWICE_SECRET'])
  expect(plan.document.stays.length).toBe(stays.length + unfit.length)
  expect(exits).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 1])
  // Corrected, the walk ends as the page says.
  expect(await cli.run('migrate plan --exclude CUT_* QUOTE_* TWICE_*')).toMatchObject({ status: 0 })
  // And the way back gives every byte again.
  expect(await cli.run('migrate rollback --yes')).toMatchObject({ status: 0 })
  expect(fs.readFileSync(world.file('.env.staging'), 'utf8')).toBe(file)
}, 180_000)
