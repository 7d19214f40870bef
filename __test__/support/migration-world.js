'use strict'

// An env file, the in-repo AWS endpoint and an audit log, for tests of migrations. Values are canaries: none of them may be in
// a report, an error, a warning, an output or the audit log.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const util = require('node:util')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('./files')
const { AwsEndpoint } = require('./servers/aws-endpoint')

/** Declarations of secrets without settings. @param {...string} types @returns {Record<string, object>} */
const secretsOf = (...types) => Object.fromEntries(types.map((type) => [type, {}]))
const tools = {
  db: { secrets: { url: {}, note: { phase: 'other' } } },
  git: { secrets: secretsOf('token', 'key') },
}

/** Each secret's outcome in a report, by its name. */
const outcomes = ({ secrets }) => Object.fromEntries(secrets.map(({ name, outcome }) => [name, outcome]))
/** Each secret's error code in a report, by its name. */
const codes = ({ secrets }) => Object.fromEntries(secrets.map(({ name, error }) => [name, error?.code]))

/** Call it at the top of a test file. It starts and stops with the tests of the file. */
function migrationWorld() {
  const canary = `canary-${randomBytes(8).toString('hex')}`
  /** Everything that a service could print. @type {string[]} */
  const seen = []
  /** @type {SecretDelivery[]} */
  const open = []
  const world = {
    canary,
    /** @type {AwsEndpoint} */
    aws: /** @type {any} */ (undefined),
    /** Emptied before each test. */
    directory: '',
    /** The env file. */
    file: '',
    /** Adds `what` to the texts that are searched for canaries at the end. @template T @param {T} what @returns {T} */
    see(what) {
      seen.push(typeof what === 'string' ? what : util.inspect(what, { depth: 10, showHidden: true }))
      return what
    },
    optionsOf: (more = {}) => ({
      environment: 'staging',
      envFile: { directory: world.directory },
      runtime: { variables: {}, secretDirectories: [] },
      cache: { redis: false },
      audit: { path: path.join(world.directory, 'audit.jsonl') },
      tools,
      ...more,
      aws: { ...world.aws.options, maxAttempts: 1, .../** @type {any} */ (more).aws },
    }),
    /** @param {object} [more] */
    deliver(more) {
      const delivery = new SecretDelivery({
        .../** @type {any} */ (world.optionsOf(more)),
        logger: { warn: world.see },
      })
      open.push(delivery)
      return delivery
    },
    write: (text, mode = 0o600) => fs.writeFileSync(world.file, text, { mode }),
    read: (name = world.file) => fs.readFileSync(name, 'utf8'),
    copies: (ending) => fs.readdirSync(world.directory).filter((name) => name.endsWith(ending)),
    /** The migration's records in the audit log. */
    audited: () =>
      world
        .read(path.join(world.directory, 'audit.jsonl'))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
        .filter(({ event }) => event === 'migrate')
        .map(({ source, secret, outcome }) => [source, secret, outcome].filter(Boolean).join(' ')),
  }
  beforeAll(async () => {
    world.aws = await AwsEndpoint.start()
  })
  beforeEach(async () => {
    await world.aws.reset()
    world.directory = fs.realpathSync(temporaryDirectory())
    world.file = path.join(world.directory, '.env.staging')
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((delivery) => delivery.close()))
    const log = path.join(world.directory, 'audit.jsonl')
    if (fs.existsSync(log)) world.see(fs.readFileSync(log, 'utf8'))
    fs.rmSync(world.directory, { recursive: true })
  })
  afterAll(async () => {
    await world.aws.stop()
    expect(seen.length).toBeGreaterThan(20)
    expect(seen.filter((text) => text.includes(canary))).toEqual([])
  })
  return world
}

module.exports = { codes, migrationWorld, outcomes, secretsOf }
