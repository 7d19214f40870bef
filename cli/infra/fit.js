'use strict'

// Makes policies of statements that AWS accepts: split into several where one is too long, and generalised where even that is
// not enough.

const { CliError, EXIT } = require('../exit')
const { statementsOf } = require('./roles')

/** @typedef {import('./roles').Statement} Statement */
/** @typedef {{ Version: '2012-10-17', Statement: Statement[] }} Document */

/**
 * Characters of a managed policy, without blanks.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
const MOST_CHARACTERS = 6_144
/** Managed policies that a role may have by default. */
const MOST_POLICIES = 10

/**
 * The policies of a role.
 *
 * @param {string} role
 * @param {import('./roles').Needs} needs
 * @returns {{ documents: Document[], notes: string[] }}
 */
function policiesOf(role, needs) {
  for (let level = 0; ; level++) {
    const places = needs.places.map((place) => ({
      ...place,
      id: level === 0 ? place.id : (place.wider[level - 1] ?? place.wider.at(-1) ?? place.id),
    }))
    const documents = split(statementsOf(role, { ...needs, places }))
    const isLast = !needs.places.some(({ wider }) => wider.length > level)
    if (documents.length <= MOST_POLICIES) return { documents, notes: notesOf(needs, places, level, documents) }
    if (isLast) {
      const message = `${role}: ${documents.length} policies are needed for ${places.length} secrets, and a role may have ${MOST_POLICIES}; declare references with a common folder (such as prod/…), which one pattern grants, or make several roles`
      throw new CliError('POLICY_TOO_LARGE', EXIT.refused, message)
    }
  }
}

/** @param {Statement[]} statements @returns {Document[]} */
function split(statements) {
  /** @type {Statement[][]} */
  const documents = [[]]
  let room = MOST_CHARACTERS - lengthOf([])
  for (const statement of statements) {
    for (let rest = statement.Resource, part = 1; rest.length > 0; part++) {
      const at = (/** @type {string[]} */ Resource) => ({
        ...statement,
        Sid: part === 1 ? statement.Sid : `${statement.Sid}${part}`,
        Resource,
      })
      const frame = length(at([])) + 1
      let count = 0
      for (let left = room - frame; count < rest.length; count++) {
        left -= length(rest[count]) + 1
        if (left < 0) break
      }
      const last = /** @type {Statement[]} */ (documents.at(-1))
      if (count === 0) {
        documents.push([])
        room = MOST_CHARACTERS - lengthOf([])
        part--
        continue
      }
      const taken = at(rest.slice(0, count))
      last.push(taken)
      room -= length(taken) + 1
      rest = rest.slice(count)
    }
  }
  return documents.map((Statement) => ({ Version: '2012-10-17', Statement }))
}

/** @param {unknown} value Characters as AWS counts them. */
const length = (value) => JSON.stringify(value).length

/** @param {Statement[]} Statement */
const lengthOf = (Statement) => length({ Version: '2012-10-17', Statement })

/**
 * @param {import('./roles').Needs} needs
 * @param {import('./places').Place[]} places
 * @param {number} level
 * @param {Document[]} documents
 */
function notesOf(needs, places, level, documents) {
  const notes = []
  if (needs.assumed !== undefined) {
    notes.push(
      `this is for ${needs.assumed} (aws.assumeRole): the identity of the service itself needs sts:AssumeRole on it`,
    )
  }
  const patterns = [...new Set(places.flatMap(({ id }) => (id.endsWith('*') || id.includes('*') ? [id] : [])))]
  if (level > 0 && patterns.length > 0) {
    const shown =
      patterns.length > 3 ? `${patterns.slice(0, 3).join(', ')} and ${patterns.length - 3} more` : patterns.join(', ')
    notes.push(`${needs.places.length} secrets are too many to name one by one: ${shown} grant more than is declared`)
  }
  if (documents.length > 1) {
    notes.push(
      `one policy may have ${MOST_CHARACTERS} characters: these are ${documents.length}; attach all of them to the role`,
    )
  }
  return notes
}

module.exports = { MOST_CHARACTERS, MOST_POLICIES, policiesOf }
