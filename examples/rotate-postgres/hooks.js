'use strict'

// The hooks of a PostgreSQL password: for one role, and for two that take turns. The secret is JSON with `username` and
// `password`; `admin` and `place` say how to connect as somebody who may alter the role, and where everybody connects.

const { randomBytes } = require('node:crypto')
const { setPassword, tryPassword } = require('./role')

/** @typedef {import('../..').RotationHooks} RotationHooks */
/** @typedef {{ admin: import('pg').ClientConfig, place: import('pg').ClientConfig }} Database */

/**
 * One role: from `set` on PostgreSQL refuses the old password, which is the live one until `finish`. `withSecret` knows
 * both.
 *
 * @param {Database} database
 * @returns {RotationHooks}
 */
function oneRole({ admin, place }) {
  const apply = (/** @type {string} */ secret) => {
    const { username, password } = JSON.parse(secret)
    return setPassword(admin, username, password)
  }
  return {
    // No `create`: the generator replaces the field `password` and leaves the others.
    set: (context) => apply(context.newValue()),
    test: (context) => tryPassword(place, JSON.parse(context.newValue())),
    verify: (context) => tryPassword(place, JSON.parse(context.newValue())),
    undo: (context) => apply(context.currentValue()),
  }
}

/**
 * Two roles with the same rights, `a` and `b`: the one that is not in use gets a new password and becomes the live one.
 * The other's password stays as it is until the next rotation, so at no moment is anything refused.
 *
 * @param {Database} database
 * @param {[string, string]} roles
 * @returns {RotationHooks}
 */
function twoRoles({ admin, place }, [a, b]) {
  return {
    create: (context) => {
      const current = JSON.parse(context.currentValue())
      const password = randomBytes(24).toString('base64url')
      return JSON.stringify({ ...current, username: current.username === a ? b : a, password })
    },
    set: (context) => {
      const { username, password } = JSON.parse(context.newValue())
      return setPassword(admin, username, password)
    },
    test: (context) => tryPassword(place, JSON.parse(context.newValue())),
    verify: (context) => tryPassword(place, JSON.parse(context.newValue())),
    // The live role was never touched. That this hook exists tells that a refused value may be forgotten.
    undo: () => {},
  }
}

module.exports = { oneRole, twoRoles }
