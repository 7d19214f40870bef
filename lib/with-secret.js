'use strict'

// `withSecret`: calls the service's function with the secret, and again with another value while it is refused.

const { isAuthError } = require('./auth-errors')
const { SecretError } = require('./errors')
const { checkedLimits, limited } = require('./limits')
const { plainOptions } = require('./options')
const { aFunction, anObject, ownOptions } = require('./own-options')
const { now } = require('./real-time')

const DEFAULT_TIMEOUT_MS = 10_000
/** @type {import('./own-options').Rule} */
const aTime = {
  must: 'a number from 0 to 600000',
  is: (value) => Number.isFinite(value) && value >= 0 && value <= 600_000,
}

/**
 * @template T
 * @param {object} how
 * @param {string} how.name
 * @param {() => Promise<string | null>} how.read
 * @param {InstanceType<typeof import('./candidates').Candidates>} how.candidates
 * @param {(secret: string) => Promise<T>} use
 * @param {import('../index').WithSecretOptions} [options]
 * @returns {Promise<T>}
 */
async function withSecret(how, use, options) {
  const given = checked(use, options)
  return limited(how.name, { signal: given.signal ?? undefined }, () => attempts(how, use, given))
}

/**
 * @template T
 * @param {Parameters<typeof withSecret>[0]} how
 * @param {(secret: string) => Promise<T>} use
 * @param {import('../index').WithSecretOptions} given
 * @returns {Promise<T>}
 */
async function attempts({ name, read, candidates }, use, given) {
  const isAuth = given.isAuthError ?? isAuthError
  const end = now() + (given.timeoutMs ?? DEFAULT_TIMEOUT_MS)
  /** The last answer that was refused, which is the caller's if no value is accepted. @type {any} */
  let answer
  const live = await read()
  if (live === null) throw new SecretError('SOURCE_UNAVAILABLE', `${name}: no source has this secret`)
  /** @param {import('./candidates').Candidate} candidate */
  const attempt = async (candidate) => {
    try {
      const result = await use(candidate.value)
      await discard(answer)
      answer = isRefusal(result) && isAuth(result) ? result : undefined
      if (answer === undefined) {
        candidates.accepted(name, candidate)
        return { result }
      }
      candidates.refused(name, candidate, new RefusedAnswer(answer))
      return undefined
    } catch (error) {
      if (!isAuth(error)) throw error
      candidates.refused(name, candidate, error)
      return undefined
    }
  }
  const first = await candidates.first(name, live)
  let done = first === undefined ? undefined : await attempt(first)
  try {
    while (done === undefined) {
      const turn = await candidates.next(name, end)
      try {
        // Nobody waits any more, and a log-in that nobody needs may be the one that locks an account.
        if (given.signal?.aborted) throw new SecretError('ABORTED', `${name}: nobody waits for it`)
        done = await attempt(turn.candidate)
      } finally {
        turn.release()
      }
    }
  } catch (error) {
    // `fetch` does not throw for a refusal, and neither is anything thrown here.
    if (error instanceof RefusedAnswer) return answer ?? error.copy()
    throw error
  }
  return done.result
}

/** Stands for an answer of `fetch` where other functions throw. */
class RefusedAnswer extends Error {
  #answer

  /** @param {any} answer */
  constructor(answer) {
    super('HTTP 401')
    const { status, statusText, headers } = answer
    this.#answer = { status, statusText, headers }
  }

  /** For callers that were spared a log-in. The answer's body is that of another caller. */
  copy() {
    const { status, statusText, headers } = this.#answer
    return /** @type {any} */ (new Response(null, { status, statusText, headers: [...headers] }))
  }
}

/** Whether a function that did not throw was refused: the `Response` of `fetch`, of Node or of a package. @param {any} result */
function isRefusal(result) {
  return (
    typeof result === 'object' &&
    result?.ok === false &&
    result.status === 401 &&
    typeof result.headers?.get === 'function'
  )
}

/** Frees the connection of an answer that nobody reads. @param {any} answer */
async function discard(answer) {
  if (answer === undefined || answer.bodyUsed || answer.body?.locked) return
  // A connection that broke meanwhile is free as well.
  await answer.body?.cancel?.().catch(() => {})
}

/**
 * @param {unknown} use
 * @param {unknown} options
 * @returns {import('../index').WithSecretOptions}
 */
function checked(use, options) {
  if (typeof use !== 'function') throw new SecretError('CONFIG_INVALID', 'withSecret needs a function')
  const rules = { isAuthError: aFunction, timeoutMs: aTime, signal: anObject }
  const given = ownOptions('withSecret', plainOptions(options), {}, rules)
  checkedLimits({ signal: given.signal })
  return given
}

module.exports = { withSecret }
