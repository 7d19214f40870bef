'use strict'

// Operations that several callers share: a caller joins the one under way that reads the same.

const { isEmpty } = require('./variables')

/** The shared operations of one delivery, by what they read. */
class Flights {
  #start
  /** @type {Map<string, Promise<any>>} */
  #underWay = new Map()

  /** @param {<T>(begin: (id: number) => void, landed?: () => void) => Promise<T>} start */
  constructor(start) {
    this.#start = start
  }

  /**
   * Joins the operation of `key` that is under way, or begins one. An operation that was given process variables is not
   * shared: each one uses the variables as they are when it begins.
   *
   * @template T
   * @param {string} key
   * @param {Record<string, string>} variables
   * @param {(id: number) => void} begin
   * @returns {Promise<T>}
   */
  join(key, variables, begin) {
    if (!isEmpty(variables)) return this.#start(begin)
    const other = this.#underWay.get(key)
    if (other !== undefined) return other
    // Removed before any caller continues: a caller that asks after that begins an operation of its own.
    const landed = () => void (this.#underWay.get(key) === flight && this.#underWay.delete(key))
    /** @type {Promise<T>} */
    const flight = this.#start(begin, landed)
    this.#underWay.set(key, flight)
    return flight
  }

  /** Called before a change: a caller that asks after it must not join an operation begun before it. */
  forget() {
    this.#underWay.clear()
  }
}

module.exports = { Flights }
