'use strict'

const path = require('node:path')
const { temporaryDirectory } = require('../../scripts/servers')

module.exports = async () => {
  process.env.TCS_AUDIT_LOG ??= path.join(temporaryDirectory(), 'audit.jsonl')
}
