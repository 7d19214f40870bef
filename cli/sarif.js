'use strict'

// Findings of `scan` as SARIF 2.1.0, which code hosts show beside the lines.

const path = require('node:path')
const { rootOf } = require('./git')
const { version } = require('../package.json')

/** @typedef {import('./scanning').Finding} Finding */

/** @param {Finding[]} findings */
function sarif(findings) {
  const root = rootOf(process.cwd()) ?? process.cwd()
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'tcs-secrets',
            version,
            rules: [
              {
                id: 'secret-value',
                shortDescription: { text: 'The value of a secret' },
                helpUri: 'https://github.com/hyperpage/tcs-secret-delivery/blob/main/docs/redaction.md',
                defaultConfiguration: { level: 'error' },
              },
            ],
          },
        },
        columnKind: 'utf16CodeUnits',
        results: findings.map((finding) => result(finding, root)),
      },
    ],
  }
}

/** @param {Finding} finding @param {string} root Of the checkout: code hosts show paths from there. */
function result({ secret, environment, path: file, line, column, form, commit }, root) {
  const fromRoot = path.relative(root, path.resolve(file)).split(path.sep)
  const where = commit === null ? '' : `, brought by ${commit}`
  return {
    ruleId: 'secret-value',
    level: 'error',
    message: { text: `The value of ${secret} (${environment}), ${form}${where}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: fromRoot.map(encodeURIComponent).join('/') },
          region: { startLine: line, startColumn: column },
        },
      },
    ],
  }
}

module.exports = { sarif }
