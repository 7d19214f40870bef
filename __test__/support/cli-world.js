'use strict'

// A directory with a configuration, and the in-repo AWS endpoint with secrets, for tests of the command line. A call
// must not print a value unless the test says so, and no audit log may contain one.

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('./files')
const { AwsEndpoint } = require('./servers/aws-endpoint')
const { Cli } = require('./cli')

const config = {
  tools: {
    github: { secrets: { api_token: { required: true, minLength: 8, phase: 'critical' }, webhook_secret: {} } },
    database: { secrets: { password: { rotationType: 'database-credentials' } } },
  },
}

/** Call it at the top of a test file. It starts and stops with the tests of the file. */
function cliWorld() {
  const canary = `canary-${randomBytes(12).toString('hex')}`
  const directory = fs.realpathSync(temporaryDirectory('tcs-cli-'))
  const logs = fs.realpathSync(temporaryDirectory('tcs-logs-'))
  /** @param {string} name */
  const file = (name) => path.join(directory, name)
  const world = {
    canary,
    config,
    /** Set when the tests begin. */
    aws: /** @type {AwsEndpoint} */ (/** @type {unknown} */ (undefined)),
    cli: new Cli(directory, {
      TCS_ENVIRONMENT: 'staging',
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: canary,
      TCS_AUDIT_LOG: path.join(logs, 'secret-audit.jsonl'),
    }),
    /** The working directory, emptied before each test. */
    directory,
    /** The directory of audit logs. */
    logs,
    file,
    /** @param {string} name @param {unknown} content */
    write: (name, content) =>
      fs.writeFileSync(file(name), typeof content === 'string' ? content : JSON.stringify(content)),
  }
  beforeAll(async () => {
    world.aws = await AwsEndpoint.start()
    world.cli.env.AWS_ENDPOINT_URL = world.aws.url
    fs.mkdirSync(file('.git'))
  })
  beforeEach(async () => {
    await world.aws.reset()
    await world.aws.put({
      GITHUB_API_TOKEN_staging: `${canary}-token`,
      GITHUB_API_TOKEN_production: `${canary}-production`,
      DATABASE_PASSWORD_staging: `${canary} 'quoted' $x`,
      SLACK_BOT_staging: `${canary}-slack`,
    })
    for (const name of fs.readdirSync(directory)) {
      if (name !== '.git') fs.rmSync(file(name), { recursive: true })
    }
    world.write('tcs-secrets.config.json', config)
  })
  afterAll(async () => {
    await world.aws?.stop()
    const written = fs.readdirSync(logs).map((name) => fs.readFileSync(path.join(logs, name), 'latin1'))
    for (const made of [directory, logs]) fs.rmSync(made, { recursive: true })
    const forms = [canary, Buffer.from(canary).toString('base64').slice(0, -4)]
    expect(world.cli.printed.length).toBeGreaterThan(2)
    const seen = [...world.cli.printed, ...written]
    expect(seen.filter((text) => forms.some((form) => text.includes(form)))).toEqual([])
  })
  return world
}

/** An error as `--json` prints it. @param {string} code @param {string} [message] */
const error = (code, message = '') => ({ error: { code, message: expect.stringContaining(message) } })

module.exports = { cliWorld, error }
