'use strict'

const fs = require('node:fs')
const http = require('node:http')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('./files')
const { AwsEndpoint } = require('./servers/aws-endpoint')
const { Listening } = require('./servers/tls')
const { withVariables } = require('./with-variables')

/**
 * AWS, and the home directory of a user who signs in there in some way, for the tests of one file. Before each test AWS has `secrets` and
 * the home is empty; what a test opens is closed after it.
 *
 * @param {Record<string, string>} secrets Values by AWS id.
 */
function atHome(secrets) {
  /** @type {SecretDelivery[]} */
  const open = []
  /** @type {{ stop(): unknown }[]} */
  const running = []
  const world = {
    /** @type {AwsEndpoint} */
    aws: /** @type {any} */ (undefined),
    home: '',
    /** A production service in a process with these variables. @param {Record<string, string>} [variables] @param {object} [aws] */
    deliver(variables = {}, aws = {}) {
      const place = {
        HOME: world.home,
        AWS_REGION: 'eu-central-1',
        AWS_ENDPOINT_URL_SECRETS_MANAGER: world.aws.url,
      }
      const quiet = { compliance: false, audit: false, alerts: false, cache: false, logger: { warn() {} } }
      const delivery = withVariables(
        { AWS_EC2_METADATA_DISABLED: 'true', ...place, ...variables },
        () => new SecretDelivery({ environment: 'production', ...quiet, aws }),
      )
      open.push(delivery)
      return delivery
    },
    /** The URL of a server that answers so until the test has ended. @param {http.RequestListener} listener */
    async serving(listener) {
      const server = await Listening.start(http.createServer(listener))
      running.push(server)
      return `http://127.0.0.1:${server.port}`
    },
  }
  beforeAll(async () => {
    world.aws = await AwsEndpoint.start()
  })
  beforeEach(async () => {
    world.home = temporaryDirectory()
    await world.aws.reset()
    await world.aws.put(secrets)
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((delivery) => delivery.close()))
    await Promise.all(running.splice(0).map((server) => server.stop()))
    fs.rmSync(world.home, { recursive: true })
  })
  afterAll(() => world.aws.stop())
  return world
}

module.exports = { atHome }
