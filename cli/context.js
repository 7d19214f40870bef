'use strict'

const { isStandardOutput } = require('./audit-log')
const { knownEnvironment, presetOf } = require('./environments')
const { CliError, EXIT } = require('./exit')
const { writeAtomically } = require('./private-file')
const { loadConfig } = require('../lib/config-file')

/** @typedef {import('../index').SecretDelivery} SecretDelivery */
/** @typedef {import('../lib/config-file').Config} Config */
/** @typedef {{ config?: string, environment?: string, json?: boolean, verbose?: boolean }} Globals The options that every command has. */

/** The node exporter runs as another user, and the metrics name no secret. */
const READABLE = 0o644

/** The configuration and the delivery of a command. */
class Context {
  /**
   * @param {import('./terminal').Terminal} terminal
   * @param {Globals} globals
   */
  constructor(terminal, globals) {
    this.terminal = terminal
    this.globals = globals
  }

  /** @returns {Promise<Config>} */
  async config() {
    const config = await loadConfig({ file: this.globals.config })
    if (this.globals.environment === undefined) return config
    const environment = knownEnvironment(this.globals.environment, config.options)
    return { ...config, options: { ...config.options, environment } }
  }

  /**
   * Runs `use` with a delivery for the configuration, then closes it.
   *
   * @template T
   * @param {(delivery: SecretDelivery, config: Config) => Promise<T>} use
   * @param {(options: Config['options']) => Config['options']} [changed] Options that the command needs.
   * @returns {Promise<T>}
   */
  async withDelivery(use, changed = (options) => options) {
    const found = await this.config()
    const config = { ...found, options: changed(this.#logged(found.options)) }
    const delivery = openDelivery(config, this.#logger)
    try {
      return await use(delivery, config)
    } finally {
      this.#leaveMetrics(delivery)
      await delivery.close()
    }
  }

  /**
   * Leaves the metrics of this command for the node exporter: it ends before anything scrapes it.
   *
   * @param {SecretDelivery} delivery
   */
  #leaveMetrics(delivery) {
    const { TCS_METRICS_TEXTFILE: file } = process.env
    if (!file) return
    try {
      writeAtomically(file, delivery.metrics.prometheus(), READABLE)
    } catch (error) {
      this.terminal.warn(`the metrics were not left: ${/** @type {Error} */ (error).message}`)
    }
  }

  /** @param {Config['options']} options @returns {Config['options']} */
  #logged(options) {
    return this.globals.verbose ? { ...options, logLevel: 'debug' } : options
  }

  /** Warnings, and what `logLevel` or --verbose asks for. */
  get #logger() {
    const detail = (/** @type {string} */ message) => this.terminal.detail(message)
    // doctor and report say what is not met; each other command would repeat it.
    const isRepeated = (/** @type {string} */ message) => message.startsWith('COMPLIANCE_NOT_MET:')
    const warn = (/** @type {string} */ message) => {
      if (!isRepeated(message)) this.terminal.warn(message)
      else if (this.globals.verbose) detail(message)
    }
    return { warn, info: detail, debug: detail }
  }
}

/**
 * @param {Config} config
 * @param {import('../index').SecretLogger} logger
 * @returns {SecretDelivery}
 */
function openDelivery({ file, directory, options }, logger) {
  const { SecretDelivery, environmentDefaults } = library()
  const before = process.cwd()
  try {
    // Relative paths in the file start at the directory of the file, not at the working directory.
    process.chdir(directory)
    const given = /** @type {any} */ ({ ...options, audit: auditOptions(options, environmentDefaults), logger })
    return /** @type {SecretDelivery} */ (new SecretDelivery(given))
  } catch (error) {
    if (file !== null) /** @type {Error} */ (error).message += ` (in ${file})`
    throw error
  } finally {
    process.chdir(before)
  }
}

/**
 * Labels audit records as those of this program, and keeps them off standard output, which is for results.
 *
 * @param {Config['options']} options
 * @param {typeof import('../index').environmentDefaults} defaults
 * @returns {Config['options']['audit']}
 */
function auditOptions(options, defaults) {
  const { audit, environment } = options
  const { TCS_ENVIRONMENT, NODE_ENV, TCS_AUDIT_LOG } = process.env
  const name = environment ?? (TCS_ENVIRONMENT || NODE_ENV || 'development')
  const byDefault = () => presetOf(name, options, defaults)?.audit ?? false
  const given = audit ?? (byDefault() ? {} : undefined)
  // Switched off, or invalid; the delivery reports the latter.
  if (typeof given !== 'object') return given
  const { path = TCS_AUDIT_LOG, label = 'tcs-secrets', program = running, ...rest } = given
  // The log is the service's: this program neither starts new files nor deletes old ones.
  const guest = { label, program, isGuest: true }
  if (!isStandardOutput(path) || rest.sink !== undefined) return { ...given, ...guest }
  return { ...rest, ...guest, sink: (lines) => void process.stderr.write(lines) }
}

/** This program and its command, for the audit log. */
let running = 'tcs-secrets'

/**
 * Notes which command runs.
 *
 * @param {string[]} names Such as `['migrate', 'plan']`.
 */
function nameCommand(names) {
  running = ['tcs-secrets', ...names].join(' ')
}

/** The package. It is loaded late, since --help and --version need no addon. @returns {typeof import('../index')} */
function library() {
  try {
    return require('..')
  } catch (error) {
    throw new CliError('ADDON_MISSING', EXIT.configuration, /** @type {Error} */ (error).message)
  }
}

/**
 * The names of declared tools.
 *
 * @param {Config} config
 * @returns {string[]}
 */
function declaredTools({ options: { tools } }) {
  return Object.keys(tools ?? {})
}

/** @param {Config} config */
function noToolsDeclared({ file }) {
  const where =
    file === null ? "there is no configuration file: 'tcs-secrets init' writes one" : `see "tools" in ${file}`
  return new CliError('NO_TOOLS_DECLARED', EXIT.configuration, `no tools are declared, so name one; ${where}`)
}

// Named exports: as members of an object literal the class would not be a type.
exports.Context = Context
exports.declaredTools = declaredTools
exports.library = library
exports.nameCommand = nameCommand
exports.noToolsDeclared = noToolsDeclared
exports.openDelivery = openDelivery
