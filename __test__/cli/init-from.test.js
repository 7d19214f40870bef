'use strict'

// `init --from`: a declaration of the secrets of an env file that exists.

const fs = require('node:fs')
const Ajv = require('ajv').default
const { guessed } = require('../../cli/declaration')
const { cliWorld } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, file, write } = world
const FILE = '.env.staging'
const CONFIG = 'tcs-secrets.config.json'
const read = (/** @type {string} */ name) => fs.readFileSync(file(name), 'utf8')

/** An env file of a service that never heard of this package. */
const text = `# the shop
PORT=3000
LOG_LEVEL=info
GITHUB_API_TOKEN=${canary}1
GITHUB_WEBHOOK_SECRET=${canary}2
GITHUB_PAT_OF_CI=ghp_${canary}
GOOGLE_MAPS_API_KEY=${canary}3
DATABASE_URL=postgres://app:${canary}@db.example:5432/app
SENDGRID=SG.${canary}
stripe_secret_key=sk_test_${canary}
JWT_SECRET=${canary}#4
AWS_SECRET_ACCESS_KEY=${canary}aws
`
const tools = {
  github: { secrets: { api_token: {}, webhook_secret: {}, pat_of_ci: {} } },
  google_maps: { secrets: { api_key: {} } },
  database: { secrets: { url: {} } },
}

beforeEach(() => {
  for (const name of [CONFIG, '.env.dev']) fs.rmSync(file(name), { force: true })
  write(FILE, text)
})

test('declares what is a secret, by the tool that it looks like, and says what stays', async () => {
  const { status, stdout, stderr } = await cli.run(`init --from ${FILE} --yes`)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/^SECRET OF \.env\.staging +TOOL +TYPE\n/)
  expect(stdout).toMatch(/\nGOOGLE_MAPS_API_KEY +google_maps +api_key\n/)
  expect(stdout).toMatch(/\nJWT_SECRET +11? .*quote the value/)
  expect(stdout).toMatch(/\nstripe_secret_key +not in upper case: rename it\n/)
  expect(stdout).toMatch(/\nPORT +2 +the platform's own\n/)
  const written = JSON.parse(read(CONFIG))
  expect(written).toMatchObject({ tools, secrets: { SENDGRID: {} } })
  expect(Object.keys(written)).toEqual(['$schema', 'tools', 'secrets'])
  expect(new Ajv().validate(require('../../tcs-secrets.schema.json'), written)).toBe(true)
  // The file itself is as it was, and no sample is written beside it.
  expect(read(FILE)).toBe(text)
  expect(fs.existsSync(file('.env.dev'))).toBe(false)
})

test('what it wrote is what the other commands work with', async () => {
  await cli.run(`init --from ${FILE} --yes`)
  const { status, document } = await cli.json('list --environment staging')
  expect(status).toBe(0)
  const names = JSON.stringify(document)
  for (const name of ['GITHUB_PAT_OF_CI', 'GOOGLE_MAPS_API_KEY', 'DATABASE_URL', 'SENDGRID'])
    expect(names).toContain(name)
  expect(await cli.run('get google_maps api_key --reveal', { reveals: true })).toMatchObject({ stdout: `${canary}3` })
})

test('shows it, and writes nothing, until somebody agrees', async () => {
  const { status, stderr } = await cli.run(`init --from ${FILE}`)
  expect(status).toBe(2)
  expect(stderr).toMatch(/SECRET OF \.env\.staging[^]*add --yes to go on/)
  expect(fs.existsSync(file(CONFIG))).toBe(false)
})

test('a configuration that is there is kept, and what it would need is shown', async () => {
  write(CONFIG, '{ "environment": "staging" }')
  const { status, document } = await cli.json(`init --from ${FILE}`)
  expect([status, document.files]).toEqual([0, [{ file: CONFIG, done: 'kept' }]])
  expect(document.config).toMatchObject({ tools })
  expect(read(CONFIG)).toBe('{ "environment": "staging" }')
})

test('a file without secrets, or that is none, writes nothing', async () => {
  write('.env.plain', 'PORT=1\nLOG_LEVEL=info\n')
  expect(await cli.run('init --from .env.plain --yes')).toMatchObject({ status: 1 })
  expect(await cli.json('init --from nowhere --yes')).toMatchObject({
    status: 4,
    document: { error: { code: 'FILE_NOT_READ' } },
  })
  expect(fs.existsSync(file(CONFIG))).toBe(false)
})

test('a name is divided where its type begins, and otherwise at the tool that others have', () => {
  const parts = (/** @type {string[]} */ ...names) => guessed(names).map(({ tool, type }) => [tool, type])
  expect(parts('STRIPE_SECRET_KEY', 'STRIPE_LIVE')).toEqual([
    ['stripe', 'secret_key'],
    ['stripe', 'live'],
  ])
  expect(parts('API_KEY', 'TOKEN', 'OPAQUE', 'A_B')).toEqual([
    ['api', 'key'],
    [null, null],
    [null, null],
    [null, null],
  ])
  expect(parts('_TOKEN', 'X-Y_API_TOKEN')).toEqual([
    [null, null],
    ['x-y', 'api_token'],
  ])
  // Tool and type give the name again.
  for (const { name, tool, type } of guessed(['GITHUB_API_TOKEN', 'DB_URL', 'SLACK_BOT_TOKEN'])) {
    expect(`${tool}_${type}`.toUpperCase()).toBe(name)
  }
})
