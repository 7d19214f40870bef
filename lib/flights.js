'use strict'

// Operations that several callers share: a caller joins the one under way that reads the same.

const { againAt, callSite } = require('./errors')
const { queueMicrotask } = require('./real-time')
const { isEmpty } = require('./variables')

/** @typedef {{ callers: number, hasBegun: boolean, promise: Promise<any> }} Flight */

/** The shared operations of one delivery, by what they read. */
class Flights {
  #start
  #isAudited
  /** @type {Map<string, Flight>} */
  #underWay = new Map()

  /**
   * @param {<T>(begin: (id: number) => void, landed?: () => void) => Promise<T>} start
   * @param {() => boolean} isAudited
   */
  constructor(start, isAudited) {
    this.#start = start
    this.#isAudited = isAudited
  }

  /**
   * Joins the operation of `key` that is under way, or begins one at the end of this turn of the event loop. An operation
   * that was given process variables is not shared: each one uses the variables as they are when it begins.
   *
   * With an audit log, who comes after it has begun waits for it and then shares a second one, which the caches answer: the
   * addon writes down, before it answers, for how many callers that is. A failure is shared as it is.
   *
   * @template T
   * @param {string} key
   * @param {Record<string, string>} variables
   * @param {(id: number, callers: number) => void} begin
   * @returns {Promise<T>}
   */
  join(key, variables, begin) {
    const site = callSite(this.join)
    return this.#join(key, variables, begin).catch((error) => {
      throw againAt(error, site)
    })
  }

  /**
   * @template T
   * @param {string} key
   * @param {Record<string, string>} variables
   * @param {(id: number, callers: number) => void} begin
   * @returns {Promise<T>}
   */
  #join(key, variables, begin) {
    if (!isEmpty(variables)) return this.#start((id) => begin(id, 1))
    const other = this.#underWay.get(key)
    if (other !== undefined && !(other.hasBegun && this.#isAudited())) {
      other.callers++
      return other.promise
    }
    if (other !== undefined) return other.promise.then(() => this.#join(key, variables, begin))
    /** @type {Flight} */
    const flight = { callers: 1, hasBegun: false, promise: Promise.resolve() }
    // Removed before any caller continues: a caller that asks after that begins an operation of its own.
    const landed = () => void (this.#underWay.get(key) === flight && this.#underWay.delete(key))
    flight.promise = new Promise((resolve, reject) => {
      queueMicrotask(() => {
        flight.hasBegun = true
        try {
          this.#start((id) => begin(id, flight.callers), landed).then(resolve, reject)
        } catch (error) {
          landed()
          reject(error)
        }
      })
    })
    this.#underWay.set(key, flight)
    return flight.promise
  }

  /** Called before a change: a caller that asks after it must not join an operation begun before it. */
  forget() {
    this.#underWay.clear()
  }
}

module.exports = { Flights }
