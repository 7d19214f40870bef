'use strict'

/**
 * Reads process variables, always on the JavaScript thread: a native read of the C environment races with writes to
 * `process.env`, and a worker has an environment of its own.
 */

const fs = require('node:fs')
const os = require('node:os')

const FILE_SUFFIX = '_FILE'
const CONFIGURATION = new Set([
  'ALL_PROXY',
  'HOME',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NODE_ENV',
  'NODE_EXTRA_CA_CERTS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NO_PROXY',
  'OTEL_SERVICE_NAME',
  'REDIS_URL',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'SUDO_USER',
  'TEMP',
  'TMP',
  'TMPDIR',
  'USERPROFILE',
  'all_proxy',
  'http_proxy',
  'https_proxy',
  'no_proxy',
])

/** Variables of others that name files: a path may begin or end in a blank. */
const PATHS = new Set([
  'HOME',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'TEMP',
  'TMP',
  'TMPDIR',
  'USERPROFILE',
])

/** @typedef {Record<string, string | undefined>} Variables */

/**
 * The variables that configuration may read. One that is set and empty counts as unset. Blanks and line ends around a value are none of
 * it: `docker run --env-file` hands over the line ends of Windows.
 *
 * @returns {Record<string, string>}
 */
function forConfiguration() {
  /** @type {Record<string, string>} */
  const found = Object.create(null)
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('AWS_') || name.startsWith('TCS_') || CONFIGURATION.has(name)) {
      const value = PATHS.has(name) ? process.env[name] : process.env[name]?.trim()
      if (value) found[name] = value
    }
  }
  // Without it AWS's profiles are looked for where the system says that this user is at home: a unit of systemd has none.
  if (!found.HOME && !found.USERPROFILE) {
    const home = homeDirectory()
    if (home) found.HOME = home
  }
  // Where the journal of an audit log without a file goes.
  if (!found.TMPDIR) found.TMPDIR = temporaryDirectory()
  return found
}

/**
 * Where relative paths start. Where that directory was removed it is named all the same: what needs it says that it is not there, and
 * nothing else does.
 */
function workingDirectory() {
  try {
    return process.cwd()
  } catch {
    return process.env.PWD || '/removed working directory'
  }
}

/** The home directory that the system knows; none for a user that it does not know, as in containers. */
function homeDirectory() {
  try {
    return os.userInfo().homedir
  } catch {
    return undefined
  }
}

/** A directory that this process may write to, where `TMPDIR` names none. Containers may have no `/tmp`, or one that is read-only. */
function temporaryDirectory() {
  if (process.platform === 'win32') return os.tmpdir()
  return ['/tmp', '/dev/shm'].find(isWritable) ?? '/tmp'
}

/** @param {string} directory */
function isWritable(directory) {
  try {
    fs.accessSync(directory, fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The variables that one delivery reads. */
class VariableSource {
  #given

  /** @param {Readonly<Variables> | null | undefined} given Used instead of `process.env`. */
  constructor(given) {
    this.#given = given
  }

  /**
   * The variables that may hold the secret `name`: itself, its `-` to `_` form, and Docker's `_FILE` form of both.
   *
   * @param {string} name
   * @returns {Record<string, string>}
   */
  forName(name) {
    const variables = this.#all
    /** @type {Record<string, string>} */
    const found = Object.create(null)
    take(variables, name, found)
    take(variables, name + FILE_SUFFIX, found)
    if (name.includes('-')) {
      const underscored = name.replaceAll('-', '_')
      take(variables, underscored, found)
      take(variables, underscored + FILE_SUFFIX, found)
    }
    return found
  }

  /**
   * The variables that may hold secrets of `tool`.
   *
   * @param {string} tool
   * @returns {Record<string, string>}
   */
  forTool(tool) {
    const prefix = `${tool.toUpperCase()}_`
    const underscored = prefix.replaceAll('-', '_')
    return this.#those((name) => name.startsWith(prefix) || name.startsWith(underscored))
  }

  /**
   * Every variable that is set.
   *
   * @returns {Record<string, string>}
   */
  all() {
    return this.#those(() => true)
  }

  /** @param {(name: string) => boolean} wanted */
  #those(wanted) {
    const variables = this.#all
    /** @type {Record<string, string>} */
    const found = Object.create(null)
    for (const name of Object.keys(variables)) if (wanted(name)) take(variables, name, found)
    return found
  }

  get #all() {
    return this.#given ?? process.env
  }
}

/**
 * @param {Variables} variables
 * @param {string} name
 * @param {Record<string, string>} into
 */
function take(variables, name, into) {
  const value = variables[name]
  if (typeof value === 'string' && value !== '') into[name] = value
}

/** @param {Record<string, string>} found */
function isEmpty(found) {
  for (const _ in found) return false
  return true
}

module.exports = { VariableSource, forConfiguration, isEmpty, workingDirectory }
