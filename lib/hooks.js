'use strict'

// The service's rotation hooks: they stay in JavaScript, and the addon asks for a call when it needs one.

const { assertText } = require('./arguments')
const { SecretError, describe, explanationOf } = require('./errors')
const { callOutside } = require('./listeners')
const { hookNames } = require('./load')
const { didYouMeanOption } = require('./suggest')

const HOOKS = hookNames()

/** @typedef {import('../index').RotationHooks} RotationHooks */

/** The argument of a hook. The values are methods, so that printing the context does not print them. */
class RotationContext {
  #value
  #signal

  /**
   * @param {import('../native').RotationHookContext} told
   * @param {(pending: boolean) => string | null | undefined} value
   * @param {AbortSignal} signal
   */
  constructor(told, value, signal) {
    const { hook: _, ...rest } = told
    Object.assign(this, rest)
    this.#value = value
    this.#signal = signal
  }

  get signal() {
    return this.#signal
  }

  currentValue() {
    return this.#read(false)
  }

  newValue() {
    return this.#read(true)
  }

  /** @param {boolean} pending */
  #read(pending) {
    const value = this.#value(pending)
    if (typeof value === 'string') return value
    throw new SecretError('CLOSED', 'a rotation hook asked for a value that is not there yet, or after it had ended')
  }
}

/** @typedef {{ all: RotationHooks, own: ReadonlyMap<string, RotationHooks> }} Hooks Those of single secrets are in place of the others. */

/**
 * Takes the hooks out of `options.rotation`: the functions stay in JavaScript, and the addon gets their names.
 *
 * @param {any} rotation
 * @returns {{ hooks: Hooks, rotation: any }} The latter is what the addon gets.
 */
function checkedHooks(rotation) {
  const all = hooksAt('options.rotation.hooks', rotation?.hooks)
  /** @type {Map<string, RotationHooks>} */
  const own = new Map()
  /** @type {[string, string[]][]} */
  const names = []
  const given = rotation?.hooksOf ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw new SecretError('CONFIG_INVALID', 'options.rotation.hooksOf must be an object')
  }
  for (const [secret, hooks] of Object.entries(given)) {
    if (hooks === undefined) continue
    const checked = hooksAt(`options.rotation.hooksOf.${secret}`, hooks)
    own.set(secret, checked.hooks)
    names.push([secret, checked.names])
  }
  if (typeof rotation !== 'object' || rotation === null) return { hooks: { all: all.hooks, own }, rotation }
  const { hooks: _, hooksOf: __, ...rest } = rotation
  return {
    hooks: { all: all.hooks, own },
    rotation: {
      ...rest,
      ...(all.names.length > 0 && { hooks: all.names }),
      ...(names.length > 0 && { hooksOf: Object.fromEntries(names) }),
    },
  }
}

/**
 * @param {string} path
 * @param {unknown} given
 * @returns {{ hooks: RotationHooks, names: string[] }}
 */
function hooksAt(path, given) {
  if (given === undefined || given === null) return { hooks: {}, names: [] }
  if (typeof given !== 'object' || Array.isArray(given)) {
    const got = Array.isArray(given) ? 'an array' : `a ${typeof given}`
    // Such as `hooks: postgresSingleUser`.
    const hint = got === 'a function' ? ': call it, and pass the hooks that it returns' : ''
    throw new SecretError('CONFIG_INVALID', `${path} must be an object, got ${got}${hint}`)
  }
  const hooks = /** @type {RotationHooks & Record<string, unknown>} */ (given)
  const names = Object.keys(hooks).filter((name) => hooks[name] !== undefined && hooks[name] !== null)
  for (const name of names) {
    if (!HOOKS.includes(name)) {
      const hint = didYouMeanOption(name, HOOKS)
      throw new SecretError('CONFIG_INVALID', `${path}.${name} is not a hook (${HOOKS.join(', ')})${hint}`)
    }
    if (typeof hooks[name] !== 'function') {
      throw new SecretError('CONFIG_INVALID', `${path}.${name} must be a function`)
    }
  }
  return { hooks, names }
}

/** Of a hook such as `test: ({ newValue }) => canConnect(newValue())`: a value that was not accepted must not become live. */
class ReturnedFalse extends Error {
  name = 'ReturnedFalse'
}

/** The calls of hooks that have not ended. */
class HookCalls {
  #hooks
  /** @type {Map<number, AbortController>} */
  #running = new Map()

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks
  }

  /**
   * Calls a hook and tells the addon how it ended. Never rejects. Of what the hook throws only the class and the code are
   * passed on, and the words of the ready-made hooks.
   *
   * @param {WeakRef<import('../native').NativeDelivery> | undefined} unheld
   * @param {number} id
   * @param {import('../native').RotationHookContext} told
   */
  async run(unheld, id, told) {
    const controller = new AbortController()
    this.#running.set(id, controller)
    const context = new RotationContext(told, (pending) => unheld?.deref()?.hookValue(id, pending), controller.signal)
    try {
      const hooks = this.#hooks.own.get(told.name) ?? this.#hooks.all
      const named = /** @type {Record<string, ((context: RotationContext) => unknown) | undefined>} */ (hooks)
      const made = await named[told.hook]?.call(hooks, context)
      if (made === false) throw new ReturnedFalse()
      if (typeof made === 'string') assertText(`what the hook ${told.hook} returned`, made)
      unheld?.deref()?.hookDone(id, typeof made === 'string' ? made : undefined)
    } catch (error) {
      const { name, code } = describe(error)
      unheld?.deref()?.hookFailed(id, name, code, explanationOf(error))
    } finally {
      this.#running.delete(id)
    }
  }

  /**
   * Asks a hook to end: its deadline has passed. A listener of the signal that throws concerns nobody else.
   *
   * @param {number} id
   */
  stop(id) {
    const reason = new SecretError('ROTATION_FAILED', 'the hook did not end in time (rotation.hookTimeoutMs)')
    callOutside(() => this.#running.get(id)?.abort(reason))
  }

  /** Asks all hooks to end: the delivery is closed. */
  close() {
    const reason = new SecretError('CLOSED', 'this SecretDelivery was closed')
    for (const controller of this.#running.values()) callOutside(() => controller.abort(reason))
  }
}

module.exports = { HookCalls, checkedHooks }
