'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { verifyAuditLog } = require('../..')

module.exports = async () => {
  const log = /** @type {string} */ (process.env.TCS_AUDIT_LOG)
  if (!fs.existsSync(log)) return
  const { valid, fault } = await verifyAuditLog(log)
  if (!valid) throw new Error(`the audit log of all suites: ${JSON.stringify(fault)} in ${log}`)
  fs.rmSync(path.dirname(log), { recursive: true, force: true })
}
