'use strict'

const fs = require('node:fs')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('./files')
const { AwsEndpoint } = require('./servers/aws-endpoint')
const { authority, inFrontOf, issued } = require('./servers/tls')
const { withVariables } = require('./with-variables')

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'example', AWS_EC2_METADATA_DISABLED: 'true' }

/**
 * AWS with a secret, a server with TLS in front of it whose certificate a company issued, and production services that ask there,
 * for the tests of one file. The services of a test are closed after it.
 *
 * @param {string} [host] Whose certificate it is.
 */
function overTls(host = 'localhost') {
  /** @type {SecretDelivery[]} */
  const open = []
  const world = {
    /** @type {AwsEndpoint} */
    aws: /** @type {any} */ (undefined),
    /** @type {Awaited<ReturnType<typeof authority>>} */
    company: /** @type {any} */ (undefined),
    /** @type {Awaited<ReturnType<typeof inFrontOf>>} */
    front: /** @type {any} */ (undefined),
    /** The home directory of the services. */
    home: '',
    /** What the services of a test warned of. @type {string[]} */
    warnings: [],
    /**
     * A service in an environment with these variables.
     *
     * @param {Record<string, string>} [variables]
     * @param {object} [aws] Options of `aws`.
     * @param {object} [options] Others.
     */
    deliver(variables = {}, aws = {}, options = {}) {
      const { front, home, warnings } = world
      const delivery = withVariables({ ...KEYS, HOME: home, ...variables }, () => {
        const place = { endpoint: `https://${host}:${front.port}`, region: 'eu-central-1', maxAttempts: 1 }
        return new SecretDelivery({
          environment: 'production',
          compliance: false,
          audit: false,
          alerts: false,
          logger: { warn: (message) => void warnings.push(message) },
          ...options,
          aws: { ...place, ...aws },
        })
      })
      open.push(delivery)
      return delivery
    },
    /** Closes the services of a test before its end. */
    close: () => Promise.all(open.splice(0).map((delivery) => delivery.close())),
  }
  beforeAll(async () => {
    world.home = temporaryDirectory()
    ;[world.aws, world.company] = await Promise.all([AwsEndpoint.start(), authority('Company root')])
    await world.aws.put({ A_B_production: 'value' })
    world.front = await inFrontOf(world.aws.url, await issued(world.company, { host }))
  })
  beforeEach(() => {
    world.warnings = []
  })
  afterEach(() => world.close())
  afterAll(async () => {
    await Promise.all([world.aws.stop(), world.front.stop()])
    fs.rmSync(world.home, { recursive: true })
  })
  return world
}

/** What a read gives, or is refused with. @param {SecretDelivery} delivery @returns {Promise<any>} */
const read = (delivery) => delivery.getSecret('A_B').catch((error) => error)

module.exports = { overTls, read }
