'use strict'

// `delivery.migration`: moves secrets from the env file to AWS.

const { checked, checkedScope, scopeOf } = require('./arguments')
const { SecretError } = require('./errors')
const { guard, identify } = require('./receiver')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** @typedef {(begin: (id: number) => void, progress?: (told: any) => void) => Promise<any>} Start */

/** See `index.d.ts` for the documentation of every member. */
class SecretMigrationManager {
  #start
  #native

  /**
   * @param {Start} start
   * @param {import('../native').NativeDelivery} nativeDelivery
   */
  constructor(start, nativeDelivery) {
    identify(this)
    this.#start = start
    this.#native = nativeDelivery
  }

  /**
   * @param {import('../index').MigrationScope} [options]
   * @returns {Promise<import('../index').MigrationPlan>}
   */
  async plan(options) {
    const scope = checkedScope(options)
    return this.#start((id) => this.#native.migrationPlan(id, scope))
  }

  /**
   * @param {import('../index').ApplyOptions} [options]
   * @returns {Promise<import('../index').ApplyReport>}
   */
  async apply(options) {
    const given = checked(options, ['phase', 'names', 'overwrite', 'onProgress'])
    const { overwrite = false, onProgress } = given
    if (typeof overwrite !== 'boolean') throw new SecretError('CONFIG_INVALID', 'overwrite must be true or false')
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      throw new SecretError('CONFIG_INVALID', 'onProgress must be a function')
    }
    const scope = scopeOf(given)
    return this.#start((id) => this.#native.migrationApply(id, scope, overwrite), onProgress)
  }

  /**
   * @param {import('../index').RetireOptions} [options]
   * @returns {Promise<import('../index').RetireReport>}
   */
  async retire(options) {
    const given = checked(options, ['phase', 'names', 'mode'])
    const { mode = 'comment' } = given
    if (typeof mode !== 'string') throw new SecretError('CONFIG_INVALID', "mode must be 'comment' or 'remove'")
    const scope = scopeOf(given)
    return this.#start((id) => this.#native.migrationRetire(id, scope, mode))
  }

  /**
   * @param {{ backup?: string }} [options]
   * @returns {Promise<import('../index').RollbackReport>}
   */
  async rollback(options) {
    const { backup } = checked(options, ['backup'])
    if (backup !== undefined && (typeof backup !== 'string' || backup === '')) {
      throw new SecretError('CONFIG_INVALID', 'backup must be the name of a backup')
    }
    return this.#start((id) => this.#native.migrationRollback(id, backup))
  }

  [inspect]() {
    return 'SecretMigrationManager {}'
  }
}

guard(SecretMigrationManager, 'delivery.migration')

module.exports = { SecretMigrationManager }
