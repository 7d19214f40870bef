'use strict'

const { SecretError } = require('./errors')

/** In the order a rotation calls them. */
const HOOKS = ['create', 'set', 'test', 'verify', 'undo']

/** @typedef {import('../index').RotationHooks} RotationHooks */

/** What a hook is told. The values are methods: whatever prints the context does not print them. */
class RotationContext {
  #value

  /**
   * @param {Record<string, any>} told
   * @param {(pending: boolean) => string | null | undefined} value
   */
  constructor(told, value) {
    const { hook: _, ...rest } = told
    Object.assign(this, rest)
    this.#value = value
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

/**
 * Splits the hooks off the options: functions stay in JavaScript, the addon is told their names.
 *
 * @param {unknown} given
 * @returns {{ hooks: RotationHooks, names: string[] }}
 */
function checkedHooks(given) {
  if (given === undefined || given === null) return { hooks: {}, names: [] }
  if (typeof given !== 'object') throw new SecretError('CONFIG_INVALID', 'options.rotation.hooks must be an object')
  const hooks = /** @type {RotationHooks & Record<string, unknown>} */ (given)
  const names = Object.keys(hooks).filter((name) => hooks[name] !== undefined && hooks[name] !== null)
  for (const name of names) {
    if (!HOOKS.includes(name)) {
      throw new SecretError('CONFIG_INVALID', `options.rotation.hooks.${name} is not a hook (${HOOKS.join(', ')})`)
    }
    if (typeof hooks[name] !== 'function') {
      throw new SecretError('CONFIG_INVALID', `options.rotation.hooks.${name} must be a function`)
    }
  }
  return { hooks, names }
}

/**
 * Calls a hook and tells the addon how it ended. Never rejects; what the hook threw is not repeated, since drivers put
 * statements, and so values, into their messages.
 *
 * @param {RotationHooks} hooks
 * @param {WeakRef<import('../native').NativeDelivery> | undefined} unheld
 * @param {number} id
 * @param {Record<string, any>} told
 */
async function runHook(hooks, unheld, id, told) {
  const context = new RotationContext(told, (pending) => unheld?.deref()?.hookValue(id, pending))
  try {
    const all = /** @type {Record<string, ((context: RotationContext) => unknown) | undefined>} */ (hooks)
    const made = await all[told.hook]?.call(hooks, context)
    unheld?.deref()?.hookDone(id, typeof made === 'string' ? made : undefined)
  } catch (error) {
    const { name, code } = describe(error)
    unheld?.deref()?.hookFailed(id, name, code)
  }
}

/**
 * @param {unknown} error
 * @returns {{ name: string, code: string | undefined }}
 */
function describe(error) {
  if (typeof error !== 'object' || error === null) return { name: 'Error', code: undefined }
  const { name, code } = /** @type {{ name?: unknown, code?: unknown }} */ (error)
  return {
    name: typeof name === 'string' ? name : 'Error',
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : undefined,
  }
}

module.exports = { checkedHooks, describe, runHook }
