'use strict'

// Findings of `scan` as SARIF 2.1.0, which code hosts show beside the lines.

const { pathToFileURL } = require('node:url')
const { version } = require('../package.json')

/** @typedef {import('./scanning').Finding} Finding */

/** @param {Finding[]} findings */
function sarif(findings) {
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
        results: findings.map(result),
      },
    ],
  }
}

/** @param {Finding} finding */
function result({ secret, environment, path, line, column, form, commit }) {
  const where = commit === null ? '' : `, brought by ${commit}`
  return {
    ruleId: 'secret-value',
    level: 'error',
    message: { text: `The value of ${secret} (${environment}), ${form}${where}` },
    locations: [
      {
        physicalLocation: {
          // A relative path is one from the root of the checkout.
          artifactLocation: { uri: pathToFileURL(`/${path}`).href.slice('file:///'.length) },
          region: { startLine: line, startColumn: column },
        },
      },
    ],
  }
}

module.exports = { sarif }
