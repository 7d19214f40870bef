'use strict'

const { SecretError } = require('./errors')
const { queueMicrotask } = require('./microtask')
const { isEmpty } = require('./variables')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */
/** @typedef {Record<string, string>} Found */

/** So many reads are a whole call to AWS. */
const FIRST_PORTION = 20
/**
 * Reads that are worked on together. Whole calls' worth, so that a cold turn costs no more calls; enough that few threads
 * have to be woken; and small enough that JavaScript goes on with the first ones while others are still read.
 */
const PORTION = 2 * FIRST_PORTION

/** One read that the caches of this process do not answer. */
class Read {
  /**
   * @param {string} name
   * @param {Found | undefined} variables
   */
  constructor(name, variables) {
    this.name = name
    this.variables = variables
    /** @type {Promise<string | null>} */
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/**
 * Reads of one delivery under way. Those of one turn of the loop are begun together: what none of them finds in the caches
 * is then fetched in few calls. A turn's first portion is begun at once, so that the addon works on it while JavaScript
 * still asks for the rest.
 */
class Reads {
  #native
  #operations
  /** By name: readers of one secret share one read. @type {Map<string, Read>} */
  #underWay = new Map()
  /** Those of this turn that are not begun. @type {Read[]} */
  #portion = []
  #size = FIRST_PORTION
  #endsTurn = false
  #endTurn = () => {
    this.#endsTurn = false
    this.#begin()
    this.#size = FIRST_PORTION
  }

  /**
   * @param {NativeDelivery} native
   * @param {InstanceType<typeof import('./operations').Operations>} operations
   */
  constructor(native, operations) {
    this.#native = native
    this.#operations = operations
  }

  /**
   * Joins the read of `name` under way or begins one. A read that was given variables is not shared: each such read sees
   * them as they are at its own time.
   *
   * @param {string} name
   * @param {Found | undefined} variables Unset where the addon asks for them when it needs them.
   * @returns {Promise<string | null>}
   */
  read(name, variables) {
    const isShared = variables === undefined || isEmpty(variables)
    if (isShared) {
      const other = this.#underWay.get(name)
      if (other !== undefined) return other.promise
    }
    const read = new Read(name, variables)
    if (isShared) this.#underWay.set(name, read)
    if (!this.#endsTurn) {
      this.#endsTurn = true
      queueMicrotask(this.#endTurn)
    }
    if (this.#portion.push(read) === this.#size) {
      this.#begin()
      this.#size = PORTION
    }
    return read.promise
  }

  /** Called before a change: who reads after it must not join a read begun before it. */
  forget() {
    this.#underWay.clear()
  }

  #begin() {
    const portion = this.#portion
    this.#portion = []
    if (portion.length > 1 && this.#beginTogether(portion)) return
    // One alone, or a name with a line end, which is refused by itself.
    for (const read of portion) {
      this.#operations.begin(this.#native, (id) => this.#native.getSecret(id, read.name, read.variables), {
        resolve: (value) => this.#end(read, value),
        reject: (error) => this.#end(read, error),
      })
    }
  }

  /** @param {Read[]} portion */
  #beginTogether(portion) {
    const names = portion.map(nameOf).join('\n')
    const variables = portion[0].variables === undefined ? undefined : portion.map(variablesOf)
    return this.#operations.begin(this.#native, (id) => this.#native.getSecrets(id, portion.length, names, variables), {
      resolve: (answers) => {
        for (let at = 0; at < portion.length; at++) this.#end(portion[at], answers[at])
      },
      reject: (error) => {
        for (const read of portion) this.#end(read, error)
      },
    })
  }

  /**
   * Off the list before anyone goes on: whoever asks from then on gets a read of their own.
   *
   * @param {Read} read
   * @param {any} answer A value, `null`, or why there is none.
   */
  #end(read, answer) {
    const { name } = read
    if (this.#underWay.get(name) === read) this.#underWay.delete(name)
    if (typeof answer !== 'object' || answer === null) return read.resolve?.(answer)
    read.reject?.(answer instanceof Error ? answer : new SecretError(answer.code, answer.message))
  }
}

const nameOf = (/** @type {Read} */ { name }) => name
const variablesOf = (/** @type {Read} */ { variables }) => variables ?? {}

module.exports = { Reads }
