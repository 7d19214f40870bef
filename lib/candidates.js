'use strict'

// The values that `withSecret` may try. All callers of a delivery share what was refused: a wrong password must neither become
// a load on AWS nor lock an account.

const { setMaxListeners } = require('node:events')
const { SecretError } = require('./errors')
const { now, pause } = require('./real-time')

/** The pause between two lookups of one secret. It doubles while no value is accepted. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
/** Log-ins with values that may be wrong, until one is accepted or all callers have given up. */
const MOST_LOGINS = 5
/** The pending value is tried again after this long: the target system may just be getting it. */
const PENDING_AGAIN_MS = 1000
/** After all callers have given up nothing is tried for this long. */
const REST_MS = 30_000
/** A log-in that was not refused for this long is no reason for others to wait. */
const NOT_REFUSED_MS = 2_000

/**
 * A value to try. `label`: what it is in AWS. `liveId`: the version that is live then. `isTurn`: nobody else tries one.
 * `epoch`: the epoch of the episode in which the log-in begins.
 *
 * @typedef {{ value: string, versionId: string | null, label: 'live' | 'pending' | 'previous', liveId?: string | null, isTurn?: boolean, epoch?: number }} Candidate
 *
 * A caller's turn to try a value.
 *
 * @typedef {{ candidate: Candidate, release: () => void }} Turn
 *
 * What is asked of the delivery.
 *
 * @typedef {object} Delivery
 * @property {(name: string) => Promise<Candidate[]>} look Asks AWS. None while AWS fails.
 * @property {(name: string) => Promise<Candidate[]>} known As `look`, from what is remembered for a minute.
 * @property {(name: string, versionId: string | null) => Promise<void>} handOut Records that a version is handed out.
 */

/** The time from the first refusal of a secret until a value of it is accepted. */
class Episode {
  /**
   * How often each value was refused, in which epoch its last log-in began, and when it was refused last.
   *
   * @type {Map<string, { times: number, epoch: number, at: number }>}
   */
  #refused = new Map()
  /** The labels that AWS showed last. @type {Candidate[] | undefined} */
  #seen
  /**
   * Counts the changes after which the target system may accept what it refused: a label left a value. 0 until AWS is asked. A
   * count and not the labels themselves, because a rotation that is undone ends with the labels that it began with.
   */
  epoch = 0
  /** Log-ins that were refused. Those of callers that began together count once. */
  #logins = 0
  /** The value that was accepted, or has not been refused for a while. @type {Candidate | undefined} */
  accepted
  /** What the target system said last. @type {unknown} */
  failure
  /** When AWS may be asked again, and how long to wait after that. */
  notBefore = 0
  wait = FIRST_WAIT_MS
  restUntil = 0
  /** Ends when the caller whose turn it is has released it. */
  tail = Promise.resolve()
  waiting = 0

  /** @param {string} value */
  isRefused(value) {
    return this.#refused.has(value)
  }

  /** @param {Candidate} candidate @param {unknown} failure */
  refuse({ value, isTurn = false, epoch = 0 }, failure) {
    this.failure = failure
    if (this.accepted?.value === value) this.accepted = undefined
    const before = this.#refused.get(value)
    if (before === undefined || isTurn) this.#logins++
    const times = isTurn ? (before?.times ?? 0) + 1 : (before?.times ?? 1)
    // A log-in that began earlier may be refused later.
    this.#refused.set(value, { times, epoch: Math.max(epoch, before?.epoch ?? 0), at: now() })
  }

  /**
   * The value to try next, if one may be tried now.
   *
   * @param {Candidate[]} found
   * @returns {Candidate | undefined}
   */
  pick(found) {
    const fresh = found.find(({ value }) => !this.#refused.has(value))
    // While AWS does not show the versions, nothing is known about labels.
    if (found.every(({ versionId }) => versionId === null)) {
      return this.#logins < MOST_LOGINS || fresh?.label === 'live' ? fresh : undefined
    }
    this.#note(found)
    // A new live value is a new chance, however many were refused.
    if (this.#logins >= MOST_LOGINS) return fresh?.label === 'live' ? fresh : undefined
    return fresh ?? found.find((candidate) => this.#mayBeTriedAgain(candidate))
  }

  /** @param {Candidate[]} found */
  #note(found) {
    const seen = this.#seen
    this.#seen = found
    if (seen === undefined) {
      this.epoch = 1
      return
    }
    const isThere = (/** @type {Candidate} */ one) =>
      found.some(({ label, value }) => label === one.label && value === one.value)
    // A label that only came tells of a rotation that begins: nothing is put back by that.
    if (!seen.every(isThere)) this.epoch++
  }

  /**
   * In a later epoch, since the target system was set or put back between; in the same one only the pending value, once. The
   * last log-in is kept for a later epoch.
   *
   * @param {Candidate} candidate
   */
  #mayBeTriedAgain({ value, label }) {
    const refused = this.#refused.get(value)
    if (refused === undefined) return true
    // What was refused before AWS was asked belongs to what AWS showed first.
    if (Math.max(refused.epoch, 1) < this.epoch) return true
    const isLast = this.#logins === MOST_LOGINS - 1
    return label === 'pending' && !isLast && refused.times < 2 && now() - refused.at >= PENDING_AGAIN_MS
  }
}

/**
 * The versions of a secret, the likeliest first.
 *
 * @param {Record<'current' | 'pending' | 'previous', { value: string, versionId: string } | null>} versions
 * @returns {Candidate[]}
 */
function valuesOf({ current, pending, previous }) {
  const found = /** @type {const} */ ([
    ['live', current],
    ['pending', pending],
    ['previous', previous],
  ])
  return found.flatMap(([label, version]) =>
    version === null ? [] : [{ value: version.value, versionId: version.versionId, label }],
  )
}

/**
 * What was read of a secret, the likeliest value first.
 *
 * @param {PromiseSettledResult<string | null>} current The live value.
 * @param {PromiseSettledResult<Parameters<typeof valuesOf>[0]>} others
 * @returns {Candidate[]}
 */
function likeliestFirst(current, others) {
  const found = others.status === 'fulfilled' ? valuesOf(others.value) : []
  const live = current.status === 'fulfilled' ? current.value : null
  // The live value of a secret that AWS does not have, or while AWS shows its versions late.
  if (live === null || found.some(({ value, label }) => label === 'live' && value === live)) return found
  return [{ value: live, versionId: null, label: 'live' }, ...found.filter(({ label }) => label !== 'live')]
}

/** The values to try for each secret. */
class Candidates {
  /** @type {Map<string, Episode>} */
  #episodes = new Map()
  /**
   * The version that the target system accepted instead of the live one, because the target is ahead of AWS or behind it.
   * Only ids are kept: whatever is dropped meanwhile is not handed out.
   *
   * @type {Map<string, { liveId: string, versionId: string }>}
   */
  #ahead = new Map()
  #closing = new AbortController()
  /** @type {Promise<never>} */
  #closed
  #delivery

  /** @param {Delivery} delivery */
  constructor(delivery) {
    this.#delivery = delivery
    const { signal } = this.#closing
    // Each lookup that waits adds a listener.
    setMaxListeners(0, signal)
    this.#closed = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    this.#closed.catch(() => {})
  }

  /**
   * The value to begin with: the live one, or the one that was accepted instead of it. `undefined` when it is known to be
   * refused.
   *
   * @param {string} name
   * @param {string} live
   * @returns {Promise<Candidate | undefined>}
   */
  async first(name, live) {
    this.#closing.signal.throwIfAborted()
    const instead = await this.#instead(name, live)
    const first = instead ?? { value: live, versionId: null, label: /** @type {const} */ ('live') }
    const episode = this.#episode(name)
    return episode?.isRefused(first.value) ? undefined : { ...first, epoch: episode?.epoch ?? 0 }
  }

  /** @param {string} name @param {string} live @returns {Promise<Candidate | undefined>} */
  async #instead(name, live) {
    const ahead = this.#ahead.get(name)
    if (ahead === undefined) return undefined
    const known = await this.#delivery.known(name)
    const current = known.find(({ label }) => label === 'live')
    const found = known.find(({ versionId }) => versionId === ahead.versionId)
    if (current?.versionId !== ahead.liveId || current.value !== live || found === undefined) {
      this.#ahead.delete(name)
      return undefined
    }
    await this.#delivery.handOut(name, found.versionId)
    return { ...found, liveId: ahead.liveId }
  }

  /**
   * Waits for this caller's turn and for a value that may be tried. Rejects with the refusal when there is none before `end`.
   *
   * @param {string} name
   * @param {number} end
   * @returns {Promise<Turn>}
   */
  async next(name, end) {
    const episode = this.#episode(name) ?? new Episode()
    this.#episodes.set(name, episode)
    const release = await this.#turn(episode, end)
    try {
      const candidate = episode.accepted ?? (await this.#find(name, episode, end))
      await this.#delivery.handOut(name, candidate.versionId)
      return this.#begun(episode, candidate, release)
    } catch (error) {
      release()
      throw error
    }
  }

  /**
   * @param {Episode} episode
   * @param {Candidate} candidate
   * @param {() => void} release
   * @returns {Turn}
   */
  #begun(episode, candidate, release) {
    // What was accepted already may be used by all at once.
    if (episode.accepted !== undefined) release()
    const waiting = new AbortController()
    pause(NOT_REFUSED_MS, waiting.signal).then(
      () => {
        episode.accepted ??= candidate
        release()
      },
      () => {},
    )
    return {
      candidate,
      release: () => {
        waiting.abort()
        release()
      },
    }
  }

  /**
   * Waits until no other caller tries a value. Gives the function that ends the turn.
   *
   * @param {Episode} episode
   * @param {number} end
   * @returns {Promise<() => void>}
   */
  async #turn(episode, end) {
    if (episode.accepted !== undefined) return () => {}
    /** @type {() => void} */
    let release = () => {}
    const before = episode.tail
    episode.tail = new Promise((resolve) => (release = resolve))
    episode.waiting++
    const timer = new AbortController()
    const late = pause(Math.max(0, end - now()), timer.signal).then(() => 'late')
    try {
      if ((await Promise.race([before, late, this.#closed])) === 'late') throw episode.failure
      return release
    } catch (error) {
      // Whoever comes next waits for the one before.
      before.then(release)
      throw error
    } finally {
      episode.waiting--
      timer.abort()
      late.catch(() => {})
    }
  }

  /**
   * @param {string} name
   * @param {Episode} episode
   * @param {number} end
   * @returns {Promise<Candidate>}
   */
  async #find(name, episode, end) {
    const { signal } = this.#closing
    for (;;) {
      const at = Math.max(episode.notBefore, now())
      if (episode.restUntil !== 0) return await this.#newInRest(name, episode)
      if (at > end) {
        if (episode.waiting === 0) episode.restUntil = now() + REST_MS
        throw episode.failure
      }
      if (at > now()) await pause(at - now(), signal)
      const found = await this.#look(name, episode)
      if (found.length === 0) continue
      const picked = episode.pick(found)
      const liveId = found.find(({ label }) => label === 'live')?.versionId
      if (picked !== undefined) return { ...picked, liveId, isTurn: true, epoch: episode.epoch }
    }
  }

  /**
   * While nothing is tried, a new live version is tried all the same: AWS is looked at for it, at the slow pace of the end.
   *
   * @param {string} name
   * @param {Episode} episode
   * @returns {Promise<Candidate>}
   */
  async #newInRest(name, episode) {
    const found = now() < episode.notBefore ? [] : await this.#look(name, episode)
    const live = found.find(({ label }) => label === 'live')
    if (live === undefined || episode.isRefused(live.value)) throw episode.failure
    return { ...live, liveId: live.versionId, isTurn: true, epoch: episode.epoch }
  }

  /**
   * Asks AWS for the versions, and notes when it may be asked again.
   *
   * @param {string} name
   * @param {Episode} episode
   */
  async #look(name, episode) {
    const { signal } = this.#closing
    signal.throwIfAborted()
    const found = await this.#delivery.look(name).finally(() => {
      episode.notBefore = now() + episode.wait * (0.5 + Math.random())
      episode.wait = Math.min(episode.wait * 2, LONGEST_WAIT_MS)
    })
    signal.throwIfAborted()
    return found
  }

  /**
   * The episode of a secret. One whose rest is over is forgotten.
   *
   * @param {string} name
   */
  #episode(name) {
    const episode = this.#episodes.get(name)
    if (episode === undefined || episode.restUntil === 0 || now() < episode.restUntil) return episode
    this.#episodes.delete(name)
    return undefined
  }

  /**
   * Notes that the target system accepted a value.
   *
   * @param {string} name
   * @param {Candidate} candidate
   */
  accepted(name, candidate) {
    const episode = this.#episodes.get(name)
    if (episode !== undefined) {
      episode.accepted = candidate
      this.#episodes.delete(name)
    }
    const { label, versionId, liveId } = candidate
    if (label === 'live' || typeof versionId !== 'string' || typeof liveId !== 'string') this.#ahead.delete(name)
    else this.#ahead.set(name, { liveId, versionId })
  }

  /**
   * Notes that the target system refused a value.
   *
   * @param {string} name
   * @param {Candidate} candidate
   * @param {unknown} failure
   */
  refused(name, candidate, failure) {
    this.#ahead.delete(name)
    const episode = this.#episode(name) ?? new Episode()
    this.#episodes.set(name, episode)
    episode.refuse(candidate, failure)
  }

  /** Ends the lookups that wait, and forgets all values. */
  close() {
    this.#episodes.clear()
    this.#ahead.clear()
    this.#closing.abort(new SecretError('CLOSED', 'this SecretDelivery was closed; create a new one to read secrets'))
  }
}

module.exports = { Candidates, likeliestFirst, valuesOf }
