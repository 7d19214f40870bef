'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { checkovPrograms } = require('../../tools/setup')

/**
 * What checkov, installed by tools/setup.js, says of a template.
 *
 * @param {string} file
 * @returns {{ passed: number, failed: string[], skipped: string[] }}
 */
function checkov(file) {
  const args = ['-f', file, '--framework', 'cloudformation', '--output', 'json', '--compact', '--skip-download']
  const env = { ...process.env, LOG_LEVEL: 'ERROR' }
  const script = path.join(checkovPrograms, 'checkov')
  const { stdout, stderr } = spawnSync(path.join(checkovPrograms, 'python'), [script, ...args], {
    encoding: 'utf8',
    env,
    maxBuffer: 1 << 26,
  })
  if (stdout === '') throw new Error(stderr)
  const { results, summary } = JSON.parse(stdout)
  const named = (/** @type {any[]} */ checks = []) => checks.map((one) => `${one.check_id} ${one.resource}`)
  return { passed: summary.passed, failed: named(results.failed_checks), skipped: named(results.skipped_checks) }
}

module.exports = { checkov }
