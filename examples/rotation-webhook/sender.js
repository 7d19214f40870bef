'use strict'

// Tells another service about rotations, signed: for those who cannot listen to Redis or to AWS's events.

const { createHmac, randomUUID } = require('node:crypto')
const { setTimeout: pause } = require('node:timers/promises')

const TIMEOUT_MS = 5_000
/** Waits between attempts. */
const PAUSES_MS = [500, 2_000, 8_000]

/**
 * The signature of a message: over its time as well, so that it cannot be sent once more later.
 *
 * @param {string} key
 * @param {string} timestamp Seconds since 1970.
 * @param {string | Buffer} body
 */
const sign = (key, timestamp, body) => createHmac('sha256', key).update(`${timestamp}.`).update(body).digest('hex')

/**
 * Posts every rotated secret and every notice of the scheduler to `url`. No message holds a value.
 *
 * @param {import('../..').SecretDelivery} delivery
 * @param {{ url: string, onError: (error: Error) => void, pausesMs?: number[] }} options The key is the secret
 *   WEBHOOK_SIGNING_KEY. `onError`: a message could not be delivered.
 * @returns {() => void} Ends it; what could not be delivered by then is given up.
 */
function announceRotations(delivery, { url, onError, pausesMs = PAUSES_MS }) {
  const stopping = new AbortController()
  const { signal } = stopping
  /** @param {object} message */
  const announce = (message) => {
    const body = JSON.stringify({ id: randomUUID(), environment: delivery.environment, ...message })
    // 401 is a refusal: while the key itself is rotated, withSecret signs with its other versions as well.
    const attempt = () => delivery.withSecret('webhook', 'signing_key', (key) => post(url, key, body))
    patiently(attempt, pausesMs, signal).catch((error) => signal.aborted || onError(error))
  }
  const unsubscribes = [
    delivery.onSecretRotated((tool, secretType) => announce({ kind: 'rotated', tool, secretType })),
    delivery.rotation.onNotice((notice) => announce(notice)),
  ]
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe()
    stopping.abort()
  }
}

/** @param {string} url @param {string} key @param {string} body */
async function post(url, key, body) {
  const timestamp = String(Math.floor(Date.now() / 1000))
  const headers = {
    'content-type': 'application/json',
    'x-timestamp': timestamp,
    'x-signature': `sha256=${sign(key, timestamp, body)}`,
  }
  const answer = await fetch(url, {
    method: 'POST',
    headers,
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  await answer.body?.cancel()
  if (!answer.ok) throw Object.assign(new Error(`the webhook answered ${answer.status}`), { status: answer.status })
}

/** @param {() => Promise<void>} attempt @param {number[]} pausesMs @param {AbortSignal} signal Ends the pauses. */
async function patiently(attempt, pausesMs, signal) {
  for (const ms of pausesMs) {
    try {
      return await attempt()
    } catch (error) {
      const { status } = /** @type {{ status?: number }} */ (error)
      // What it does not understand now it will not understand later.
      if (status !== undefined && status >= 400 && status < 500 && status !== 429) throw error
    }
    await pause(ms, undefined, { signal })
  }
  return attempt()
}

module.exports = { announceRotations, sign }
