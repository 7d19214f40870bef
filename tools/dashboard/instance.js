'use strict'

// One instance of the demo service, in a process of its own. Its parent passes options in INPUT and sends commands.
// Its first line of output is the address for Prometheus.

const { serve } = require('../../examples/metrics-service/server')
const { SecretDelivery } = require('../..')

const BURST_MS = 50
/** Seconds between two peaks of the traffic. */
const TIDE = 90

const { options, secrets, phase } = JSON.parse(process.env.INPUT ?? '{}')
const delivery = new SecretDelivery(options)
delivery.onAlert(({ metric, state }) => process.send?.(`alert: ${metric} is ${state}`))

/** Names that are read about every two seconds each, even if the read fails. @type {Set<string>} */
const rare = new Set()
/** The age of the service, in seconds. */
const age = () => process.uptime() + phase

/** @param {string} name */
async function read(name) {
  try {
    await delivery.getSecret(name)
  } catch (error) {
    // The delivery counts this error, and the dashboard shows the count. Any other error is a bug.
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
