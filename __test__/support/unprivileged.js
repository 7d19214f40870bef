'use strict'

const fs = require('node:fs')

/**
 * A user for child processes when this process is root: PostgreSQL refuses to run as root, and root may write everywhere.
 *
 * @returns {{ uid?: number, gid?: number }}
 */
function unprivileged() {
  if (process.getuid?.() !== 0) return {}
  const lines = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const user = ['postgres', 'nobody'].map((name) => lines.find(([own]) => own === name)).find(Boolean)
  if (user === undefined) throw new Error('PostgreSQL refuses to run as root, and there is no user postgres or nobody')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

module.exports = { unprivileged }
