'use strict'

const path = require('node:path')
const { temporaryDirectory } = require('./files')

module.exports = async () => {
  // A nested run (process-life.test.js) writes into the log of the outer run, and the outer run removes it.
  if (process.env.TCS_AUDIT_LOG !== undefined) return
  const directory = temporaryDirectory()
  process.env.TCS_AUDIT_LOG = path.join(directory, 'audit.jsonl')
  Object.assign(globalThis, { ownAuditDirectory: directory })
}
