'use strict'

// `npm run bench -- --check`: whether a run is as good as the committed one. Compares ratios only, because
// absolute times differ between machines.

/** A ratio may be this many times worse. A larger difference is not noise. */
const MOST = 1.5

/** @typedef {import('../report').Goal} Goal */

/** @param {string} cell @returns {number | undefined} The number before a `×`. */
const ratioOf = (cell) => (/^\d+(\.\d+)?×$/.test(cell) ? parseFloat(cell) : undefined)

/**
 * The document's table of bounds, without its heading.
 *
 * @param {string} document Its text.
 * @returns {Goal[]}
 */
function committedGoals(document) {
  const table = /### Bounds\n\n([^]*?)\n(?!\|)/.exec(document)?.[1] ?? ''
  const rows = table.split('\n').map((row) => row.split('|').map((cell) => cell.trim()))
  return rows.slice(2).map(([, what = '', bound = '', got = '', met]) => ({ what, bound, got, met: met === 'met' }))
}

/**
 * The ratios that became worse by more than half.
 *
 * @param {Goal[]} goals What was measured now.
 * @param {string} document The text with the committed tables.
 * @returns {string[]} A line for each; none when all is well.
 */
function regressions(goals, document) {
  const committed = new Map(committedGoals(document).map(({ what, got }) => [what, ratioOf(got)]))
  const compared = goals.flatMap(({ what, bound, got }) => {
    const [before, now] = [committed.get(what), ratioOf(got)]
    if (before === undefined || now === undefined) return []
    return [{ what, before, now, worse: bound.startsWith('at least') ? before / now : now / before }]
  })
  if (compared.length === 0) return ['nothing could be compared: the committed tables have none of these ratios']
  return compared
    .filter(({ worse }) => !(worse <= MOST))
    .map(({ what, before, now }) => `${what}: ${now.toFixed(2)}×, and ${before.toFixed(2)}× in the committed run`)
}

module.exports = { committedGoals, ratioOf, regressions }
