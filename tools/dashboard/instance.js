'use strict'

// One instance of the demo service, in a process of its own. Its parent gives the options in INPUT and sends what is to
// be done; the address for Prometheus is its first line of output.

const { serve } = require('../../examples/metrics-service/server')
const { SecretDelivery } = require('../..')

const BURST_MS = 50
/** Seconds from one high tide of the traffic to the next. */
const TIDE = 90

const { options, secrets, phase } = JSON.parse(process.env.INPUT ?? '{}')
const delivery = new SecretDelivery(options)
delivery.onAlert(({ metric, state }) => process.send?.(`alert: ${metric} is ${state}`))

/** Each is read about once in two seconds, whether it can be or not. @type {Set<string>} */
const rare = new Set()
/** How long ago the service began, in seconds. */
const age = () => process.uptime() + phase

/** @param {string} name */
async function read(name) {
  try {
    await delivery.getSecret(name)
  } catch (error) {
    // Counted by the delivery, which is what is looked at. Other errors are defects.
    if (!('code' in /** @type {Error} */ (error))) throw error
  }
}

/** A few of the secrets are read often, and most now and then. */
function burst() {
  const reads = Math.round((3 + 2 * Math.sin((age() / TIDE) * 2 * Math.PI)) * (0.5 + Math.random()))
  for (let i = 0; i < reads; i++) read(secrets[Math.floor(secrets.length * Math.random() ** 3)])
  for (const name of rare) if (Math.random() < BURST_MS / 2000) read(name)
}

/** @type {Record<string, (name: string) => unknown>} */
const acts = {
  rare: (name) => rare.add(name),
  rotate: async (name) => process.send?.(`rotation: ${(await delivery.rotation.rotate(name)).outcome}`),
}
process.on('message', (/** @type {[string, string]} */ [act, name]) => acts[act](name))
process.once('disconnect', () => process.exit())

serve(delivery)
setInterval(burst, BURST_MS)
