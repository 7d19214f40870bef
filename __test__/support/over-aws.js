'use strict'

const fs = require('node:fs')
const { SecretDelivery } = require('../..')
const { temporaryDirectory } = require('./files')
const { AwsEndpoint } = require('./servers/aws-endpoint')

/**
 * AWS, a directory for env files, and production services over both, for the tests of one file. Both are
 * emptied before each test, and the services of a test are closed after it.
 */
function overAws() {
  /** @type {SecretDelivery[]} */
  const open = []
  const world = {
    /** @type {AwsEndpoint} */
    aws: /** @type {any} */ (undefined),
    directory: '',
    /** @param {object} [options] */
    deliver(options) {
      const delivery = new SecretDelivery({
        environment: 'production',
        // Its warning is the subject of __test__/observability/compliance.test.js only.
        compliance: false,
        aws: world.aws.options,
        envFile: { directory: world.directory },
        runtime: { variables: {}, secretDirectories: [] },
        ...options,
      })
      open.push(delivery)
      return delivery
    },
  }
  beforeAll(async () => {
    world.aws = await AwsEndpoint.start()
  })
  beforeEach(async () => {
    world.directory = temporaryDirectory()
    await world.aws.reset()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((delivery) => delivery.close()))
    fs.rmSync(world.directory, { recursive: true })
  })
  afterAll(() => world.aws.stop())
  return world
}

module.exports = { overAws }
