'use strict'

const { SecretDelivery, environmentDefaults, verifyAuditLog } = require('./lib/delivery')
const { defineTools } = require('./lib/define-tools')
const { SecretError } = require('./lib/errors')

// Assigned one by one, so that `import { SecretDelivery } from 'tcs-secret-delivery'` finds the names.
exports.SecretDelivery = SecretDelivery
exports.SecretError = SecretError
exports.environmentDefaults = environmentDefaults
exports.verifyAuditLog = verifyAuditLog
exports.defineTools = defineTools
