'use strict'

// The results as text: for a terminal, and for docs/conformance.md.

/** @typedef {import('./run').Row} Row */

/** @param {Row} row @param {Record<string, string>} known */
function terminal({ id, rule, source, result, seen }, known) {
  const expected = result === 'differs' && id in known ? ` (known: ${known[id]})` : ''
  return `${result.padEnd(18)} ${id.padEnd(27)} ${rule}\n${' '.repeat(19)}seen: ${seen}${expected}\n${' '.repeat(19)}${source}`
}

/** @param {string[]} heading @param {string[][]} rows */
function markdown(heading, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(heading), line(heading.map(() => '---')), ...rows.map(line)].join('\n')}\n`
}

/** Every rule with its source. @param {Omit<Row, 'result' | 'seen'>[]} rules */
const rulesTable = (rules) =>
  markdown(
    ['rule', 'what AWS does', 'source'],
    rules.map(({ id, rule, source }) => [`\`${id}\``, rule, `[${titleOf(source)}](${source})`]),
  )

/** A short name of a page. @param {string} source */
function titleOf(source) {
  const { hostname, pathname } = new URL(source)
  const last = /** @type {string} */ (pathname.split('/').pop())
  if (hostname === 'github.com') return `${pathname.split('/')[2]} #${last}`
  return last.replace(/\.html$/, '').replace(/^API_/, '')
}

/** What one place answered. @param {Row[]} rows @param {Record<string, string>} known */
const resultsTable = (rows, known) =>
  markdown(
    ['rule', 'result', 'seen'],
    rows.map(({ id, result, seen }) => {
      const shown = result === 'differs' ? (id in known ? 'differs (known)' : '**differs**') : result
      return [`\`${id}\``, shown, seen]
    }),
  )

/** How many rules have which result. @param {Row[]} rows */
function counts(rows) {
  const count = (/** @type {Row['result']} */ result) => rows.filter((row) => row.result === result).length
  return `${rows.length} rules: ${count('agrees')} agree, ${count('differs')} differ, ${count('could not be asked')} could not be asked.`
}

module.exports = { counts, resultsTable, rulesTable, terminal }
