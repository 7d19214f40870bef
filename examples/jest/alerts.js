'use strict'

/**
 * Sends a line to Slack, with the token that is live.
 *
 * @param {import('tcs-secret-delivery').SecretDelivery} delivery
 * @param {(token: string, text: string) => Promise<void>} post Rejects with `status` 401 when Slack refuses the token.
 */
function alertsTo(delivery, post) {
  return {
    /** @param {string} text */
    send: (text) => delivery.withSecret('slack', 'bot_token', (token) => post(token, text)),
    /** Whether alerts could be sent. */
    isConfigured: async () => (await delivery.getToolSecret('slack', 'bot_token')) !== null,
  }
}

module.exports = { alertsTo }
