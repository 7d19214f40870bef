'use strict'

// Ready-made rotation hooks for a user of Redis or Valkey, over the service's own `ioredis` or `redis`. A user may have several
// passwords, so the live and the new one open the same door, and at no moment is anybody refused.

const { createHash } = require('node:crypto')
const { loginOf, using } = require('./logins')

/**
 * Sends one command: `ioredis` has `call`, `redis` has `sendCommand`.
 *
 * @param {any} connection
 * @param {string[]} words
 */
function send(connection, words) {
  return typeof connection.call === 'function' ? connection.call(...words) : connection.sendCommand(words)
}

/** How Redis keeps a password: so that no log of commands has it. @param {string} password */
const hashed = (password) => `#${createHash('sha256').update(password).digest('hex')}`

/** @param {import('../rotation').RedisAclOptions} options @returns {import('../index').RotationHooks} */
function redisAcl({ user = 'default', connect, admin, save = false }) {
  const change = async (/** @type {string[]} */ rules, /** @type {AbortSignal} */ signal) => {
    const given = await admin()
    for (const node of Array.isArray(given) ? given : [given]) {
      await using(node, async (connection) => {
        signal.throwIfAborted()
        // One command, so that the user has one of them at any moment.
        await send(connection, ['ACL', 'SETUSER', user, ...rules])
        if (save) await send(connection, ['ACL', 'SAVE'])
      })
    }
  }
  const password = (/** @type {string} */ secret) => loginOf(secret, user).password
  const enter = (/** @type {string} */ secret) =>
    using(connect({ user, password: password(secret) }), (connection) => send(connection, ['PING']))
  return {
    // The live one and the new one; those of earlier rotations go.
    set: (context) => {
      const valid = [context.currentValue(), context.newValue()].map((secret) => hashed(password(secret)))
      return change(['resetpass', ...valid], context.signal)
    },
    test: (context) => enter(context.newValue()),
    verify: (context) => enter(context.newValue()),
    // The refused one stays until the next rotation: it may have been live for a moment, and somebody may have it.
    undo: (context) => change([hashed(password(context.currentValue()))], context.signal),
  }
}

module.exports = { redisAcl }
