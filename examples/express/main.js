'use strict'

// An Express service: it does not start without its secrets, its database pool follows a rotation, it shows /metrics and
// /ready, and on SIGTERM it answers what it was asked and ends. Run by the tests; or by hand, with DATABASE_URL set:
// `node examples/express/main.js`.

const express = require('express')
const { SecretDelivery, defineTools } = require('tcs-secret-delivery')
const { Database } = require('./database')

const tools = defineTools({ database: { secrets: { url: { required: true, pattern: '^postgres://' } } } })

async function main() {
  const delivery = new SecretDelivery({ tools })
  const { valid, secrets } = await delivery.validateApplicationFunctionality()
  for (const { name, issues } of secrets) {
    for (const { severity, code, message } of issues) console.error(`${severity}: ${name}: ${code}: ${message}`)
  }
  if (!valid) {
    await delivery.close()
    process.exitCode = 1
    return
  }

  const database = new Database(delivery)
  const app = express()
  app.get('/orders/:id', async (request, response) => {
    const { rows } = await database.query('SELECT $1::text AS id', [request.params.id])
    response.json(rows[0])
  })
  app.get('/metrics', (_request, response) => {
    response.set('content-type', delivery.metrics.contentType).end(delivery.metrics.prometheus())
  })
  app.get('/ready', async (_request, response) => {
    const { ready, status, reasons } = await delivery.ready()
    response.status(ready ? 200 : 503).json({ status, reasons })
  })
  app.use(
    /** @type {express.ErrorRequestHandler} */
    (error, _request, response, _next) => {
      // A driver's message may hold what it was given; its code does not.
      console.error(`${error.name} ${error.code ?? ''}`)
      response.status(503).json({ error: 'unavailable' })
    },
  )

  const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    console.log(`http://127.0.0.1:${port}`)
  })
  process.once('SIGTERM', () => {
    // Requests under way are answered; then nothing needs the database, and then nothing needs secrets.
    server.close(async () => {
      await database.close()
      await delivery.close()
    })
    server.closeIdleConnections()
  })
}

void main()
