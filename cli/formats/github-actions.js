'use strict'

// Variables for the further steps of a job of GitHub Actions: text for the file that GITHUB_ENV names, and the commands that
// have the values masked in logs.

const { randomBytes } = require('node:crypto')
const { CliError, EXIT } = require('../exit')

/** @param {Map<string, string>} values By names of variables. */
function format(values) {
  return [...values]
    .map(([name, value]) => {
      // A carriage return before the line end that closes a value belongs to that line end.
      if (value.endsWith('\r')) {
        const message = `${name} ends with a carriage return, which GITHUB_ENV cannot hold; use --format json`
        throw new CliError('FORMAT_UNFIT', EXIT.no, message)
      }
      const end = `end_${randomBytes(16).toString('hex')}`
      return `${name}<<${end}\n${value}\n${end}\n`
    })
    .join('')
}

/** One command for each line of a value, since logs are masked by lines. @param {Iterable<string>} values */
function maskLines(values) {
  const lines = new Set([...values].flatMap((value) => value.split(/\r\n|\r|\n/)).filter((line) => line.trim() !== ''))
  return [...lines].map((line) => `::add-mask::${line.replaceAll('%', '%25')}\n`).join('')
}

module.exports = { format, maskLines }
