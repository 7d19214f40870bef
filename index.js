'use strict'

const { SecretDelivery } = require('./lib/delivery')
const { SecretError } = require('./lib/errors')

// Assigned one by one, so that `import { SecretDelivery } from 'tcs-secret-delivery'` finds the names. What a start does not
// need is loaded when it is first called, like the parts of a delivery.
exports.SecretDelivery = SecretDelivery
exports.SecretError = SecretError

/** @param {Parameters<typeof import('./lib/preset').environmentDefaults>} given */
exports.environmentDefaults = (...given) => require('./lib/preset').environmentDefaults(...given)

/** @param {Parameters<typeof import('./lib/audit').verifyAuditLog>} given */
exports.verifyAuditLog = (...given) => require('./lib/audit').verifyAuditLog(...given)

/** Only the type is new, see `index.d.ts`. @template T @param {T} tools @returns {T} */
exports.defineTools = (tools) => tools
