'use strict'

// What the ready-made rotation hooks share: logins in secrets, connections of the service's own driver, passwords.

const { randomInt } = require('node:crypto')
const { isAuthError } = require('./auth-errors')
const { refusal } = require('./errors')
const { withJsonText } = require('./load')
const { aFunction, aText, twoUsers } = require('./own-options')

const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * @typedef {import('../rotation').Login} Login
 * @typedef {import('../rotation').RotationHookContext} Context
 */

/**
 * The login that a secret is: a JSON object with `username` and `password`, or the password of `user`.
 *
 * @param {string} secret
 * @param {string | undefined} user
 * @returns {Login}
 */
function loginOf(secret, user) {
  /** @type {any} */
  let parsed
  try {
    parsed = JSON.parse(secret)
  } catch {
    parsed = undefined
  }
  const isObject = typeof parsed === 'object' && parsed !== null
  const { username, password } = isObject ? parsed : { username: user, password: secret }
  const login = { user: username ?? user, password }
  if (typeof login.user !== 'string' || login.user === '') {
    throw refusal("the secret has no 'username', and the strategy no 'user'")
  }
  if (typeof login.password !== 'string' || login.password === '') {
    throw refusal("the secret is JSON without a text 'password'")
  }
  return login
}

/**
 * The same secret for another user: only the bytes of the two texts change.
 *
 * @param {string} secret
 * @param {Login} login
 */
function withLogin(secret, { user, password }) {
  const renamed = withJsonText(secret, 'username', user)
  const changed = renamed === null ? null : withJsonText(renamed, 'password', password)
  if (changed === null) {
    throw refusal("alternating users need a JSON secret with the texts 'username' and 'password'")
  }
  return changed
}

/** A password that no target system has trouble with. */
function newPassword() {
  return Array.from({ length: 32 }, () => CHARACTERS[randomInt(CHARACTERS.length)]).join('')
}

/**
 * Uses a connection and ends it.
 *
 * @template C, T
 * @param {Promise<C> | C} connecting
 * @param {(connection: C) => Promise<T>} use
 * @returns {Promise<T>}
 */
async function using(connecting, use) {
  const connection = /** @type {any} */ (await connecting)
  try {
    return await use(connection)
  } finally {
    const end = connection.end ?? connection.quit ?? connection.close
    // What was done is done, whether the connection ends well or not.
    await Promise.resolve(end?.call(connection)).catch(() => {})
  }
}

/**
 * Whether a login is let in. Anything but a refusal of the credentials is thrown.
 *
 * @param {() => Promise<void>} enter
 */
async function isLetIn(enter) {
  try {
    await enter()
    return true
  } catch (error) {
    if (isAuthError(error)) return false
    throw error
  }
}

/** The options of the next two, and those that may be left out. */
const SINGLE_USER = /** @type {const} */ ([{ connect: aFunction }, { user: aText, admin: aFunction }])
const ALTERNATING_USERS = /** @type {const} */ ([{ connect: aFunction, admin: aFunction, users: twoUsers }])

/**
 * The hooks of one user whose password changes. From `set` on the system refuses the old password, which is the live one
 * until the rotation is finished; `withSecret` knows both.
 *
 * @param {object} how
 * @param {string} [how.user]
 * @param {(login: Login) => Promise<any>} how.connect
 * @param {() => Promise<any>} [how.admin]
 * @param {(connection: any, login: Login, isOwn: boolean) => Promise<void>} how.change
 * @param {(connection: any) => Promise<void>} how.ask
 * @returns {import('../index').RotationHooks}
 */
function singleUser({ user, connect, admin, change, ask }) {
  const enter = (/** @type {Login} */ login) => using(connect(login), ask)
  /** Gives the user `to.password`; without an administrator the user does it, who has one of the two passwords. */
  const move = async (/** @type {Login} */ from, /** @type {Login} */ to, /** @type {AbortSignal} */ signal) => {
    if (admin === undefined && (await isLetIn(() => enter(to)))) return
    if (admin === undefined && from.user !== to.user) {
      throw refusal('the new value is for another user, and only an administrator may change the password of that one')
    }
    // From here on nothing may be changed by a hook that was given up.
    signal.throwIfAborted()
    const connecting = admin === undefined ? connect(from) : admin()
    await using(connecting, async (connection) => {
      signal.throwIfAborted()
      await change(connection, to, admin === undefined)
    })
  }
  const logins = (/** @type {Context} */ context) => ({
    current: loginOf(context.currentValue(), user),
    next: loginOf(context.newValue(), user),
  })
  return {
    async set(context) {
      const { current, next } = logins(context)
      await move(current, next, context.signal)
    },
    test: (context) => enter(logins(context).next),
    verify: (context) => enter(logins(context).next),
    async undo(context) {
      const { current, next } = logins(context)
      await move(next, current, context.signal)
      // What the system made of it, whatever it answered: only then may the new value be forgotten.
      await enter(current)
    },
  }
}

/**
 * The hooks of two users with the same rights: the one that is not in use gets a new password and becomes the live one. The
 * other's password stays as it is until the next rotation, so at no moment is anybody refused.
 *
 * @param {object} how
 * @param {readonly [string, string]} how.users
 * @param {(login: Login) => Promise<any>} how.connect
 * @param {() => Promise<any>} how.admin
 * @param {(connection: any, login: Login, isOwn: boolean) => Promise<void>} how.change
 * @param {(connection: any) => Promise<void>} how.ask
 * @returns {import('../index').RotationHooks}
 */
function alternatingUsers({ users, connect, admin, change, ask }) {
  const [one, two] = users
  const enter = (/** @type {Login} */ login) => using(connect(login), ask)
  return {
    create(context) {
      const secret = context.currentValue()
      const { user } = loginOf(secret, undefined)
      if (user !== one && user !== two) {
        throw refusal("the live secret's 'username' is none of the two users")
      }
      return withLogin(secret, { user: user === one ? two : one, password: newPassword() })
    },
    async set(context) {
      const login = loginOf(context.newValue(), undefined)
      // The user that is in use is not touched, whatever AWS has as the new value.
      if (login.user === loginOf(context.currentValue(), undefined).user) {
        throw refusal('the new value is for the user that is in use')
      }
      await using(admin(), async (connection) => {
        context.signal.throwIfAborted()
        await change(connection, login, false)
      })
    },
    test: (context) => enter(loginOf(context.newValue(), undefined)),
    verify: (context) => enter(loginOf(context.newValue(), undefined)),
    // The user that is live was never touched. That this hook exists tells that a refused value may be forgotten.
    undo() {},
  }
}

module.exports = { ALTERNATING_USERS, SINGLE_USER, alternatingUsers, isLetIn, loginOf, newPassword, singleUser, using }
