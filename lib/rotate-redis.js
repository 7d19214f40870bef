'use strict'

// Ready-made rotation hooks for a user of Redis or Valkey, over the service's own `ioredis` or `redis`. A user may have several
// passwords, so the live and the new one open the same door, and at no moment is anybody refused.

const { createHash } = require('node:crypto')
const { refusal } = require('./errors')
const { loginOf, using } = require('./logins')
const { aFlag, aFunction, aText, ownOptions } = require('./own-options')

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

/** Whether the secret is JSON that has the name of its user in another field than `username`. @param {string} secret */
function hasOtherUser(secret) {
  try {
    const parsed = JSON.parse(secret)
    return parsed !== null && typeof parsed === 'object' && ['user', 'userName'].some((name) => name in parsed)
  } catch {
    return false
  }
}

/**
 * The login that a secret is. The user that the secret names is the one whose password changes: rotating another one, which
 * works just as well, would lock out the clients of both.
 *
 * @param {string} secret
 * @param {string | undefined} user The option.
 */
function aclLogin(secret, user) {
  const login = loginOf(secret, user ?? 'default')
  if (user !== undefined && login.user !== user) {
    throw refusal("the secret's 'username' is another user than the strategy's 'user'")
  }
  if (user === undefined && login.user === 'default' && hasOtherUser(secret)) {
    throw refusal("the secret has no 'username': pass the name of the user as 'user'")
  }
  return login
}

/** @param {import('../rotation').RedisAclOptions} options @returns {import('../index').RotationHooks} */
function redisAcl(options) {
  const required = { connect: aFunction, admin: aFunction }
  const { user, connect, admin, save } = ownOptions('redisAcl', options, required, { user: aText, save: aFlag })
  /** @param {string} whom @param {string[]} rules @param {AbortSignal} signal */
  const change = async (whom, rules, signal) => {
    const given = await admin()
    for (const node of Array.isArray(given) ? given : [given]) {
      await using(node, async (connection) => {
        signal.throwIfAborted()
        // One command, so that the user has one of them at any moment.
        await send(connection, ['ACL', 'SETUSER', whom, ...rules])
        if (save) await send(connection, ['ACL', 'SAVE'])
      })
    }
  }
  const enter = (/** @type {string} */ secret) =>
    using(connect(aclLogin(secret, user)), (connection) => send(connection, ['PING']))
  /** @param {import('../rotation').RotationHookContext} context */
  const logins = (context) => ({
    current: aclLogin(context.currentValue(), user),
    next: aclLogin(context.newValue(), user),
  })
  return {
    // The live one and the new one; those of earlier rotations go. A version that is brought back may be of another user.
    set: (context) => {
      const { current, next } = logins(context)
      const valid = [current, next].filter((login) => login.user === next.user).map(({ password }) => hashed(password))
      return change(next.user, ['resetpass', ...valid], context.signal)
    },
    test: (context) => enter(context.newValue()),
    verify: (context) => enter(context.newValue()),
    // The refused one stays until the next rotation: it may have been live for a moment, and somebody may have it.
    undo: async (context) => {
      const { current } = logins(context)
      await change(current.user, [hashed(current.password)], context.signal)
      // Only when it is let in may the new value be forgotten.
      await enter(context.currentValue())
    },
  }
}

module.exports = { redisAcl }
