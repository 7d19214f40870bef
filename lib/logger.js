'use strict'

// The service's logger, called so that it cannot break a read: it may be a proxy, its methods may throw or reject. A warning
// that it does not take goes to `process.emitWarning`.

const { SecretError } = require('./errors')
const { queueMicrotask } = require('./real-time')

/** @typedef {'warn' | 'info' | 'debug'} Level */
/** @typedef {Record<Level, (message: string) => void> & { level: string }} Logger */

/** The methods that take messages of a level, the first that a logger has. Nest's `Logger` has `log` in place of `info`. */
const METHODS = { warn: ['warn'], info: ['info', 'log'], debug: ['debug'] }

/**
 * @param {any} logger The option.
 * @returns {Logger | undefined}
 */
function safeLogger(logger) {
  if (logger === undefined || logger === null) return undefined
  let warn
  try {
    warn = logger.warn
  } catch {
    // Said below, as of one that is missing.
  }
  if (typeof warn !== 'function') {
    throw new SecretError('CONFIG_INVALID', 'options.logger must have a warn(message) method')
  }
  let hasFailed = false
  /** @param {Level} level @param {string} message @param {unknown} error */
  const failed = (level, message, error) => {
    if (level === 'warn') fallback.warn(/^([A-Z_]+): /.exec(message)?.[1] ?? 'LOGGER_FAILED', message)
    if (hasFailed) return
    hasFailed = true
    const name = error instanceof Error ? error.name : typeof error
    fallback.warn('LOGGER_FAILED', `the method ${level} of options.logger failed (${name}); its messages are lost`)
  }
  /** @param {Level} level @returns {(message: string) => void} */
  const method = (level) => (message) => {
    try {
      const name = METHODS[level].find((one) => typeof logger[one] === 'function')
      if (name === undefined) return
      const result = logger[name](message)
      if (typeof result?.then === 'function') Promise.resolve(result).catch((error) => failed(level, message, error))
    } catch (error) {
      failed(level, message, error)
    }
  }
  return { warn: method('warn'), info: method('info'), debug: method('debug'), level: levelOf(logger) }
}

/** Where messages go that the logger does not take. */
const fallback = {
  /** @param {string} code @param {string} message */
  warn(code, message) {
    // Not within the logger's own call: a handler of warnings may use the same logger.
    queueMicrotask(() => process.emitWarning(message, { type: 'SecretDeliveryWarning', code }))
  },
}

/**
 * What the logger itself takes (pino, winston), else warnings.
 *
 * @param {any} logger
 */
function levelOf(logger) {
  let level
  try {
    level = logger.level
  } catch {
    return 'warn'
  }
  if (level === 'trace' || level === 'debug' || level === 'verbose' || level === 'silly') return 'debug'
  return level === 'info' || level === 'silent' ? level : 'warn'
}

module.exports = { safeLogger }
