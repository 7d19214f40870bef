'use strict'

// Ready-made rotation hooks that let another service do the work: each step is a signed POST.

const { createHmac, timingSafeEqual } = require('node:crypto')
const { types } = require('node:util')
const { SecretError } = require('./errors')
const { aFunction, aKey, aText, anObject, ownOptions, texts } = require('./own-options')
const { didYouMeanOption } = require('./suggest')

const STEPS = /** @type {const} */ (['set', 'test', 'verify', 'undo'])
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])
const TIMESTAMP = 'x-tcs-timestamp'
const SIGNATURE = 'x-tcs-signature'

/** @param {string} key @param {string} timestamp @param {string | Uint8Array} body */
const signatureOf = (key, timestamp, body) =>
  `v1=${createHmac('sha256', key).update(`${timestamp}.`).update(body).digest('hex')}`

const aList = { must: 'an array of steps', is: (/** @type {unknown} */ value) => Array.isArray(value) }

/** @param {import('../rotation').WebhookOptions} options */
function webhookOptions(options) {
  const optional = { headers: texts, steps: aList, fetch: aFunction }
  const checked = ownOptions('webhook', options, { url: aText, signingKey: aKey }, optional)
  const refuse = (/** @type {string} */ why) => new SecretError('CONFIG_INVALID', `webhook.${why}`)
  if (!URL.canParse(checked.url)) throw refuse('url must be a URL')
  const { href, protocol, hostname } = new URL(checked.url)
  if (protocol !== 'https:' && !LOOPBACK.has(hostname)) throw refuse('url must be https: it is sent secrets')
  const { steps = STEPS, headers = {}, fetch = globalThis.fetch, signingKey } = checked
  // Without a step that the other service waits for, a value would become live that it never got.
  if (steps.length === 0) throw refuse(`steps must name one or more of ${STEPS.join(', ')}`)
  for (const step of steps) {
    if (STEPS.includes(step)) continue
    const hint = typeof step === 'string' ? didYouMeanOption(step, STEPS) : ''
    throw refuse(`steps has an entry that is none of ${STEPS.join(', ')}${hint}`)
  }
  return { href, steps, headers, fetch, signingKey }
}

/** @param {import('../rotation').WebhookOptions} options @returns {import('../index').RotationHooks} */
function webhook(options) {
  const { href, steps, headers, fetch, signingKey } = webhookOptions(options)
  /** @param {(typeof STEPS)[number]} step @param {import('../rotation').RotationHookContext} context */
  const post = async (step, context) => {
    const { name, environment, tool, secretType, rotationType, versionId, previousVersionId, signal } = context
    const values = { currentValue: context.currentValue(), newValue: context.newValue() }
    const about = { name, environment, tool, secretType, rotationType, versionId, previousVersionId }
    const body = JSON.stringify({ step, ...about, ...values })
    const timestamp = String(Math.floor(Date.now() / 1000))
    const own = {
      'content-type': 'application/json',
      'idempotency-key': `${versionId}-${step}`,
      [TIMESTAMP]: timestamp,
      [SIGNATURE]: signatureOf(signingKey, timestamp, body),
    }
    const response = await fetch(href, {
      method: 'POST',
      headers: { ...headers, ...own },
      body,
      signal,
      redirect: 'error',
    })
    await response.body?.cancel()
    if (!response.ok) throw Object.assign(new Error('the webhook refused'), { code: `HTTP_${response.status}` })
  }
  return Object.fromEntries(
    STEPS.filter((step) => steps.includes(step)).map((step) => [
      step,
      (/** @type {import('../rotation').RotationHookContext} */ context) => post(step, context),
    ]),
  )
}

/** Compared with text or NaN a request would never be too old. */
const seconds = {
  must: 'a number of 0 or more',
  is: (/** @type {unknown} */ value) => typeof value === 'number' && value >= 0,
}
const aBody = {
  must: 'a text or bytes',
  is: (/** @type {unknown} */ value) => typeof value === 'string' || types.isUint8Array(value),
}

/** @param {import('../rotation').WebhookRequest} request */
function verifyWebhook(request) {
  const required = { headers: anObject, signingKey: aKey }
  const checked = ownOptions('verifyWebhook', request, required, { body: aBody, toleranceSeconds: seconds })
  const { body, headers, signingKey, toleranceSeconds = 300 } = checked
  // A request without one, such as a GET.
  if (body === undefined) return false
  const header = (/** @type {string} */ name) => {
    const value = typeof headers.get === 'function' ? headers.get(name) : headers[name]
    return typeof value === 'string' ? value : ''
  }
  const timestamp = header(TIMESTAMP)
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > toleranceSeconds) return false
  const [given, own] = [header(SIGNATURE), signatureOf(signingKey, timestamp, body)].map((text) => Buffer.from(text))
  return given.length === own.length && timingSafeEqual(given, own)
}

module.exports = { verifyWebhook, webhook }
