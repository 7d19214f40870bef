'use strict'

// A process that rotates one secret and is killed at a given point of it (lab/scenarios/rotation.js).

const { SecretDelivery } = require('../..')
const { oneRole } = require('../../examples/rotate-postgres/hooks')
const { request } = require('../../__test__/support/request')

/** @typedef {'create' | 'set' | 'test' | 'verify' | 'undo'} Hook */
/**
 * @typedef {object} Task
 * @property {import('../..').SecretDeliveryOptions} options
 * @property {import('../../examples/rotate-postgres/hooks').Database} database
 * @property {string} name
 * @property {string} newValue
 * @property {{ hook: Hook, after?: boolean }} [dies] In this hook; `after` it did its work.
 * @property {boolean} [refuses] `verify` does, so that the value is taken back.
 * @property {{ url: string, faults: object[] }} [faults] Told to the AWS endpoint once the value is live.
 */

/** @returns {Promise<never>} */
function die() {
  process.kill(process.pid, 'SIGKILL')
  return new Promise(() => {})
}

process.once('message', async (/** @type {Task} */ { options, database, name, newValue, dies, refuses, faults }) => {
  const usual = oneRole(database)
  /** @param {Hook} hook @param {(context: any) => unknown} work */
  const fatal = (hook, work) => async (/** @type {any} */ context) => {
    if (dies?.hook === hook && !dies.after) await die()
    const made = await work(context)
    if (dies?.hook === hook) await die()
    return made
  }
  const hooks = {
    create: fatal('create', () => newValue),
    set: fatal('set', (context) => usual.set?.(context)),
    test: fatal('test', (context) => usual.test?.(context)),
    verify: fatal('verify', async () => {
      for (const fault of faults?.faults ?? []) await request(/** @type {any} */ (faults).url, 'POST', fault)
      if (refuses) throw new Error('refused')
    }),
    undo: fatal('undo', (context) => usual.undo?.(context)),
  }
  const delivery = new SecretDelivery({ ...options, rotation: { hooks }, logger: { warn() {} } })
  // The lab does not wait for this report: it kills this process, at the latest when AWS does not answer.
  process.send?.(await delivery.rotation.rotate(name))
})
// The lab has ended.
process.on('disconnect', () => process.exit())
