'use strict'

const { verifyAuditLog } = require('./lib/audit')
const { defineTools } = require('./lib/define-tools')
const { SecretDelivery } = require('./lib/delivery')
const { SecretError } = require('./lib/errors')
const { environmentDefaults } = require('./lib/preset')

// Assigned one by one, so that `import { SecretDelivery } from 'tcs-secret-delivery'` finds the names.
exports.SecretDelivery = SecretDelivery
exports.SecretError = SecretError
exports.environmentDefaults = environmentDefaults
exports.verifyAuditLog = verifyAuditLog
exports.defineTools = defineTools
