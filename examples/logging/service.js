'use strict'

// A service that logs by pino, and never a secret: `node examples/logging/service.js` beside an .env.dev with GITHUB_API_TOKEN.

const pino = require('pino')
const { SecretDelivery } = require('tcs-secret-delivery')

async function main() {
  const delivery = new SecretDelivery()
  const redactor = delivery.redactor()
  const logger = pino(redactor.pino())
  redactor.console()

  const token = await delivery.getToolSecret('github', 'api_token')
  // What an HTTP client's error has in it.
  const error = Object.assign(new Error('401'), { config: { headers: { authorization: `Bearer ${token}` } } })
  logger.error(error, 'the call failed')
  console.log(error)
  await delivery.close()
}

main()
