'use strict'

// The other side: an HTTP server that takes signed messages and nothing else.

const { timingSafeEqual } = require('node:crypto')
const http = require('node:http')
const { sign } = require('./sender')

/** A message is taken so long after it was signed, or before, where clocks differ. */
const TOLERANCE_S = 300
const MAX_BODY = 64 * 1024

/** @typedef {'ok' | 'signature' | 'late'} Verdict */

/**
 * Whether somebody who has the key signed this, and just now. The version before is accepted too: the sender may not
 * have heard of the new one yet. So is the pending one: it may have heard first.
 *
 * @param {import('../..').SecretVersions} versions
 * @param {{ timestamp: string, signature: string, body: Buffer }} message
 * @param {number} now Seconds since 1970.
 * @returns {Verdict}
 */
function verdictOn({ current, previous, pending }, { timestamp, signature, body }, now) {
  const given = Buffer.from(signature.replace(/^sha256=/, ''), 'hex')
  const isSigned = [current, previous, pending].some((version) => {
    if (version === null) return false
    const expected = Buffer.from(sign(version.value, timestamp, body), 'hex')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
  if (!isSigned) return 'signature'
  return Math.abs(now - Number(timestamp)) <= TOLERANCE_S ? 'ok' : 'late'
}

/**
 * A server that calls `onMessage` with each message that was signed with WEBHOOK_SIGNING_KEY, once.
 *
 * @param {import('../..').SecretDelivery} delivery
 * @param {(message: any) => void} onMessage
 * @returns {http.Server}
 */
function receiver(delivery, onMessage) {
  /** Ids of messages and when they may be forgotten: later than that their signature is too old. @type {Map<string, number>} */
  const seen = new Map()

  /** @param {http.IncomingMessage} request @returns {Promise<number>} The status of the answer. */
  async function take(request) {
    if (request.method !== 'POST') return 405
    const body = await bodyOf(request)
    if (body === undefined) return 413
    const [timestamp, signature] = [request.headers['x-timestamp'], request.headers['x-signature']]
    if (typeof timestamp !== 'string' || typeof signature !== 'string') return 401
    const now = Date.now() / 1000
    const versions = await delivery.getSecretVersions('WEBHOOK_SIGNING_KEY')
    if (verdictOn(versions, { timestamp, signature, body }, now) !== 'ok') return 401
    const message = JSON.parse(body.toString())
    for (const [id, until] of seen) if (until < now) seen.delete(id)
    // A repeated message is one whose answer was lost.
    if (!seen.has(message.id)) {
      onMessage(message)
      seen.set(message.id, now + 2 * TOLERANCE_S)
    }
    return 204
  }

  return http.createServer((request, response) => {
    take(request).then(
      (status) => response.writeHead(status).end(),
      // The key could not be read, or the message not be handled: the sender tries again.
      (error) => response.writeHead(error instanceof SyntaxError ? 400 : 503).end(error.code),
    )
  })
}

/** @param {http.IncomingMessage} request @returns {Promise<Buffer | undefined>} `undefined` when it is too long. */
async function bodyOf(request) {
  const chunks = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > MAX_BODY) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

module.exports = { receiver, verdictOn }
