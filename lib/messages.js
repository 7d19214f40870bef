'use strict'

// What the addon says without being asked, and the questions that it asks: each message goes where it belongs.

const { Listeners, callOutside, tell } = require('./listeners')
const { MessageKind } = require('./load')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */

/** Delivers the messages of one delivery that are not about an operation. */
class Messages {
  #logger
  #hooks
  /** @type {InstanceType<typeof import('./hooks').HookCalls> | undefined} */
  #hookCalls
  #sink
  #variables
  #credentials
  /** Answers to the addon's questions go there. @type {WeakRef<NativeDelivery> | undefined} */
  #native

  /**
   * @param {import('./logger').Logger | undefined} logger That breaks nothing: lib/logger.js.
   * @param {import('./hooks').Hooks} hooks
   * @param {((lines: string) => Promise<void> | void) | undefined} sink
   * @param {InstanceType<typeof import('./variables').VariableSource>} variables
   * @param {(() => unknown) | undefined} credentials
   */
  constructor(logger, hooks, sink, variables, credentials) {
    this.#logger = logger
    this.#hooks = hooks
    this.#sink = sink
    this.#variables = variables
    this.#credentials = credentials
    this.listeners = new Listeners()
  }

  /** Asks the hooks that run to end. */
  close() {
    this.#hookCalls?.close()
  }

  /** @param {WeakRef<NativeDelivery>} native */
  attach(native) {
    this.#native = native
  }

  /**
   * @param {number} kind
   * @param {number} id Of a question.
   * @param {any} first
   * @param {any} second
   */
  deliver(kind, id, first, second) {
    switch (kind) {
      case MessageKind.Warning:
        return this.#warn(first, second)
      case MessageKind.Log:
        return this.#log(first, second)
      case MessageKind.Rotated:
        return tell(this.listeners.rotated, first, second)
      case MessageKind.RotationNotice:
        return tell(this.listeners.rotationNotice, first)
      case MessageKind.Alert:
        return this.#alert(first)
      case MessageKind.CallHook:
        return void this.#calls().run(this.#native, id, first)
      case MessageKind.StopHook:
        return this.#calls().stop(id)
      case MessageKind.AuditLines:
        return void this.#ship(id, first)
      case MessageKind.ReadVariables:
        return this.#readVariables(id, first)
      case MessageKind.AskCredentials:
        return void this.#askCredentials(id)
    }
  }

  #calls() {
    return (this.#hookCalls ??= new (require('./hooks').HookCalls)(this.#hooks))
  }

  /**
   * @param {string} code
   * @param {string} message
   */
  #warn(code, message) {
    const logger = this.#logger
    if (logger === undefined) process.emitWarning(message, { type: 'SecretDeliveryWarning', code })
    else callOutside(() => logger.warn(`${code}: ${message}`))
  }

  /**
   * Passes a line to the logger. The addon has filtered it by level already.
   *
   * @param {import('./logger').Level} level
   * @param {string} message
   */
  #log(level, message) {
    const logger = this.#logger
    if (logger !== undefined) callOutside(() => logger[level](message))
  }

  /**
   * Calls the listeners. Without any, an alert is a warning.
   *
   * @param {import('../index').Alert} alert
   */
  #alert(alert) {
    tell(this.listeners.alert, alert)
    if (this.listeners.alert.size > 0) return
    const { metric, state, value, threshold, action, since, secret } = alert
    const what = secret === null ? metric : `${metric} of ${secret}`
    this.#warn('ALERT', `${what} is ${state}: ${value} (threshold ${threshold}) since ${since}; ${action}`)
  }

  /**
   * Reads the process variables of a secret that AWS and the env file do not have.
   *
   * @param {number} id
   * @param {string} name
   */
  #readVariables(id, name) {
    let found
    try {
      found = this.#variables.forName(name)
    } catch {
      // The service's own object (`runtime.variables`) threw. Without variables the addon rejects the read and says why.
    }
    this.#native?.deref()?.variablesAre(id, found)
  }

  /**
   * Asks the service for AWS credentials.
   *
   * @param {number} id
   */
  async #askCredentials(id) {
    const { checkedCredentials, credentialsProblem } = require('./credentials')
    try {
      const given = checkedCredentials(await this.#credentials?.())
      this.#native?.deref()?.credentialsAre(id, given)
    } catch (error) {
      const { why, cause } = credentialsProblem(error)
      this.#native?.deref()?.credentialsAre(id, undefined, why, cause)
    }
  }

  /**
   * Hands audit lines to the service. Lines that it refuses are offered again.
   *
   * @param {number} id
   * @param {string} lines
   */
  async #ship(id, lines) {
    try {
      await this.#sink?.(lines)
      this.#native?.deref()?.auditLinesDone(id)
    } catch (error) {
      this.#native?.deref()?.auditLinesDone(id, error instanceof Error ? error.message : 'audit.sink failed')
    }
  }
}

module.exports = { Messages }
