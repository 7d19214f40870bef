'use strict'

// Finds what somebody may have meant.

/** How many changes make another word of it: a letter too many, missing, wrong, or two that changed places. @param {string} a @param {string} b */
function distance(a, b) {
  /** @type {number[][]} */
  const table = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  const at = (/** @type {number} */ i, /** @type {number} */ j) => table[i]?.[j] ?? 0
  for (let i = 1; i <= a.length; i++) {
    table[i] = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(changed, at(i - 1, j) + 1, at(i, j - 1) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, at(i - 2, j - 2) + 1)
      table[i]?.push(least)
    }
  }
  return at(a.length, b.length)
}

/**
 * The known word that is most like this one; `undefined`: none is like it.
 *
 * @param {string} word
 * @param {Iterable<string>} known
 */
function closest(word, known) {
  /** @type {{ name: string, changes: number } | undefined} */
  let best
  for (const name of new Set(known)) {
    const length = Math.max(name.length, word.length)
    // Names are at most 257 characters long. Words of very different lengths are not alike.
    const allowed = Math.min(3, Math.floor(length / 4))
    if (name === word || length > 300 || Math.abs(name.length - word.length) > allowed) continue
    const changes = distance(word.toUpperCase(), name.toUpperCase())
    if (changes <= allowed && changes < (best?.changes ?? Infinity)) best = { name, changes }
  }
  return best?.name
}

/** A question for the end of a message; empty if there is nothing to suggest. @param {string} word @param {Iterable<string>} known */
function didYouMean(word, known) {
  const found = closest(word, known)
  return found === undefined ? '' : `; did you mean ${found}?`
}

/** The same for an option, of which only the beginning may have been written. @param {string} word @param {readonly string[]} known */
function didYouMeanOption(word, known) {
  const plain = (/** @type {string} */ text) => text.replace(/[^a-z0-9]/gi, '').toLowerCase()
  const given = plain(word)
  const isLike = (/** @type {string} */ name) => plain(name).startsWith(given) || given.startsWith(plain(name))
  const found = closest(word, known) ?? (given.length > 1 ? known.find(isLike) : undefined)
  return found === undefined ? '' : `; did you mean '${found}'?`
}

module.exports = { closest, didYouMean, didYouMeanOption }
