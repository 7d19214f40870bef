'use strict'

// What a rule may answer.

/** @typedef {'agrees' | 'differs' | 'could not be asked'} Result */
/** @typedef {{ result: Result, seen: string }} Verdict */
/**
 * A rule of AWS that this package relies on.
 *
 * @typedef {{ id: string, parts: string, rule: string, source: string, rights?: true, ask: (world: import('./world').World) => Promise<Verdict> }} Rule
 *   `parts`: where the design's reading of AWS has it: A wrong once, B about to be built wrong, D right, E to be measured. `rights`: a denial
 *   is an answer, and not a permission that this identity lacks.
 */

/** The rule could not be asked here, and why. */
class Unasked extends Error {}

/** A signal ended the run. */
class Interrupted extends Error {}

/** @param {boolean} holds @param {string} seen @returns {Verdict} */
const verdict = (holds, seen) => ({ result: holds ? 'agrees' : 'differs', seen })

/** What an answer was, in a word. @param {import('./world').Answer} answer */
const word = (answer) => answer.code ?? 'ok'

/** Several answers by what was asked. @param {Record<string, import('./world').Answer>} answers */
const words = (answers) =>
  Object.entries(answers)
    .map(([what, answer]) => `${what}: ${word(answer)}`)
    .join(', ')

/** Where AWS documents its operations and its service. */
const api = (/** @type {string} */ page) =>
  `https://docs.aws.amazon.com/secretsmanager/latest/apireference/${page}.html`
const guide = (/** @type {string} */ page) => `https://docs.aws.amazon.com/secretsmanager/latest/userguide/${page}`

/** Codes with which AWS refuses a parameter, in the service and in front of it. */
const INVALID = ['InvalidParameterException', 'ValidationException', 'InvalidRequestException']

/** @param {import('./world').Answer} answer */
const isInvalid = ({ code }) => code !== undefined && INVALID.includes(code)

module.exports = { INVALID, Interrupted, Unasked, api, guide, isInvalid, verdict, word, words }
