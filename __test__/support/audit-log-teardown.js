'use strict'

const fs = require('node:fs')
const { verifyAuditLog } = require('../..')

module.exports = async () => {
  const directory = /** @type {any} */ (globalThis).ownAuditDirectory
  if (directory === undefined) return
  const log = /** @type {string} */ (process.env.TCS_AUDIT_LOG)
  if (fs.existsSync(log)) {
    const { valid, fault } = await verifyAuditLog(log)
    if (!valid) throw new Error(`the audit log of all suites: ${JSON.stringify(fault)} in ${log}`)
  }
  fs.rmSync(directory, { recursive: true, force: true })
}
