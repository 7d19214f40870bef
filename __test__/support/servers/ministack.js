'use strict'

const path = require('node:path')
const { pythonPrograms } = require('../../../tools/setup')
const { Server, accepts, freePort } = require('./server')

/** MiniStack, an AWS stand-in from PyPI; tools/setup.js installs it. */
class MiniStack {
  /** @param {Server} server @param {string} url */
  constructor(server, url) {
    this.server = server
    this.url = url
  }

  /** @param {Record<string, string>} [more] Its variables, such as AUTH. @returns {Promise<MiniStack>} */
  static async start(more = {}) {
    const port = await freePort()
    const env = { BIND_HOST: '127.0.0.1', GATEWAY_PORT: String(port), ...more }
    const server = new Server(path.join(pythonPrograms, 'ministack'), [], { env })
    await server.ready(() => accepts(port))
    return new MiniStack(server, `http://127.0.0.1:${port}`)
  }

  get options() {
    return { endpoint: this.url, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
  }

  /** Creates a queue; returns its URL and an AWS client for it. @param {string} name */
  async queue(name) {
    const { CreateQueueCommand, SQSClient } = require('@aws-sdk/client-sqs')
    const client = new SQSClient(this.options)
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: name }))
    // The URL in its answer has a host name that only works elsewhere.
    return { client, url: new URL(new URL(/** @type {string} */ (QueueUrl)).pathname, this.url).href }
  }

  /** An AWS client for this server. */
  client() {
    const { SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
    return new SecretsManagerClient(this.options)
  }

  stop() {
    return this.server.stop()
  }
}

module.exports = { MiniStack }
