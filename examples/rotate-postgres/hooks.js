'use strict'

// The hooks of a PostgreSQL password, ready-made: for one role, and for two that take turns. The secret is JSON with `username` and
// `password`; `admin` and `place` say how to connect as somebody who may alter the role, and where everybody connects.

// In a service: require('tcs-secret-delivery/rotation')
const { postgresAlternatingUsers, postgresSingleUser } = require('../../rotation')
const { connect } = require('./role')

/** @typedef {import('../..').RotationHooks} RotationHooks */
/** @typedef {{ admin: import('pg').ClientConfig, place: import('pg').ClientConfig }} Database */

/** How the hooks connect, with the service's own driver. @param {Database} database */
const over = ({ admin, place }) => ({
  connect: (/** @type {import('../../rotation').Login} */ { user, password }) => connect({ ...place, user, password }),
  admin: () => connect(admin),
})

/**
 * One role: from `set` on PostgreSQL refuses the old password, which is the live one until `finish`. `withSecret` knows
 * both.
 *
 * @param {Database} database
 * @returns {RotationHooks}
 */
const oneRole = (database) => postgresSingleUser(over(database))

/**
 * Two roles with the same rights: the one that is not in use gets a new password and becomes the live one. The other's
 * password stays as it is until the next rotation, so at no moment is anything refused.
 *
 * @param {Database} database
 * @param {[string, string]} users
 * @returns {RotationHooks}
 */
const twoRoles = (database, users) => postgresAlternatingUsers({ ...over(database), users })

module.exports = { oneRole, twoRoles }
