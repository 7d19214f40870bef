'use strict'

const { SecretError } = require('./errors')
const { queueMicrotask } = require('./real-time')
const { isEmpty } = require('./variables')

/** @typedef {import('../native').NativeDelivery} NativeDelivery */
/** @typedef {Record<string, string>} Found */

/** So many reads are a whole call to AWS. */
const CALL = 20
/**
 * Most reads that are worked on together: enough that few threads have to be woken, and so few that JavaScript goes on with
 * the first ones while others are still read.
 */
const PORTION = 2 * CALL

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
 * is then fetched in few calls. While the addon has nothing to work on, a turn's first portion is begun at once, so that
 * JavaScript asks for the rest meanwhile (decision 11).
 */
class Reads {
  #native
  #operations
  /** No shared cache answers a read: each is part of a call. */
  #costsCalls
  /** By name: readers of one secret share one read. @type {Map<string, Read>} */
  #underWay = new Map()
  /** Those of this turn that are not begun. @type {Read[]} */
  #portion = []
  /** Portions that the addon works on. */
  #begun = 0
  /** Reads of the portion that is begun before its turn ends, since the addon has nothing else to work on. */
  #first = CALL
  #endsTurn = false
  #endTurn = () => {
    this.#endsTurn = false
    this.#begin()
    // Half of those under way: under steady load JavaScript goes on with one half while the other one is read. Whole
    // calls only where each read costs one: what is left of them would go before the rest of its turn is there.
    const half = Math.min(PORTION, Math.max(CALL, this.#underWay.size >> 1))
    this.#first = this.#costsCalls ? half - (half % CALL) : half
  }

  /**
   * @param {NativeDelivery} native
   * @param {InstanceType<typeof import('./operations').Operations>} operations
   */
  constructor(native, operations) {
    this.#native = native
    this.#operations = operations
    this.#costsCalls = !native.hasSharedCache()
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
      // A promise of its own: whoever does not handle that it rejects hears of it.
      if (other !== undefined) return other.promise.then()
    }
    const read = new Read(name, variables)
    if (isShared) this.#underWay.set(name, read)
    if (!this.#endsTurn) {
      this.#endsTurn = true
      queueMicrotask(this.#endTurn)
    }
    if (this.#portion.push(read) === (this.#begun === 0 ? this.#first : PORTION)) this.#begin()
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
    const begin = (/** @type {number} */ id) => this.#native.getSecrets(id, portion.length, names, variables)
    const begun = this.#operations.begin(this.#native, begin, {
      resolve: (answers) => {
        this.#begun--
        for (let at = 0; at < portion.length; at++) this.#end(portion[at], answers[at])
      },
      reject: (error) => {
        this.#begun--
        for (const read of portion) this.#end(read, error)
      },
    })
    if (begun) this.#begun++
    return begun
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
