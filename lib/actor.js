'use strict'

// Who runs this process, for the audit log.

const os = require('node:os')
const path = require('node:path')

/**
 * What is unknown or may not be asked (Deno without --allow-sys) is left out.
 *
 * @returns {{ host?: string, uid?: number, program?: string }}
 */
function actor() {
  const program = process.argv[1] ?? process.execPath
  return {
    host: known(() => os.hostname()),
    uid: known(() => process.getuid?.()),
    program: typeof program === 'string' ? path.basename(program) : undefined,
  }
}

/**
 * @template T
 * @param {() => T} ask
 * @returns {T | undefined}
 */
function known(ask) {
  try {
    return ask()
  } catch {
    return undefined
  }
}

module.exports = { actor }
