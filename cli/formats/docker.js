'use strict'

// Env files as `docker run --env-file` reads them: everything after the first `=` is the value; there are no quotes.

const { CliError, EXIT } = require('../exit')

/** Docker reads a line with a buffer of 64 KiB. */
const MOST_BYTES = 64 * 1024 - 1

/**
 * @param {Map<string, string>} values By names of variables.
 * @param {(message: string) => void} warn
 */
function format(values, warn) {
  const lines = [...values].map(([name, value]) => {
    const line = `${name}=${value}`
    if (/[\r\n]/.test(value)) throw unfit(name, 'has line ends, which')
    if (Buffer.byteLength(line) > MOST_BYTES) throw unfit(name, `is longer than ${MOST_BYTES} bytes, which`)
    return line
  })
  const unsafe = [...values].filter(([, value]) => /[^\w./:@%+,=-]/.test(value)).map(([name]) => name)
  if (unsafe.length > 0) {
    warn(
      `${unsafe.join(', ')}: this file is for docker run --env-file only; a shell or Docker Compose would read it wrong`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** @param {string} name @param {string} why */
function unfit(name, why) {
  const message = `${name} ${why} an env file of Docker cannot hold; use --format k8s, or mount a file`
  return new CliError('FORMAT_UNFIT', EXIT.no, message)
}

module.exports = { format }
