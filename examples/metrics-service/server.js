'use strict'

// A service with its own metrics and this package's on one /metrics, and a readiness probe. Run by the tests, which let a
// real Prometheus scrape it; or by hand: `node examples/metrics-service/server.js`.

const http = require('node:http')
const { Counter, Registry, register } = require('prom-client')
const { SecretDelivery } = require('../..')

const requests = new Counter({ name: 'service_requests_total', help: 'Requests answered' })

/** @param {SecretDelivery} delivery */
function serve(delivery) {
  const metrics = Registry.merge([register, /** @type {any} */ (delivery.metrics.registry())])
  const server = http.createServer(async (request, response) => {
    requests.inc()
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    try {
      if (pathname === '/metrics') {
        response.setHeader('content-type', metrics.contentType)
        response.end(await metrics.metrics())
      } else if (pathname === '/ready') {
        const { ready, status, reasons } = await delivery.ready()
        response.statusCode = ready ? 200 : 503
        response.end(JSON.stringify({ status, reasons }))
      } else if (pathname === '/health') {
        // For people who look for a cause; it asks AWS each time, so it is not for a probe.
        response.end(JSON.stringify(await delivery.health()))
      } else {
        const token = await delivery.getToolSecret('github', 'api_token')
        response.end(token === null ? 'no token' : 'has a token')
      }
    } catch (error) {
      // A SecretError's message never holds a value.
      response.statusCode = 503
      response.end(String(error))
    }
  })
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    const address = /** @type {import('node:net').AddressInfo} */ (server.address())
    console.log(`http://127.0.0.1:${address.port}`)
  })
}

if (require.main === module) serve(new SecretDelivery())

module.exports = { serve }
