'use strict'

/** A value as anyone may see it: its length and nothing else. @param {string | null} value */
const masked = (value) => (value === null ? '-' : `******** (${value.length} characters)`)

/**
 * Prints rows in columns.
 *
 * @param {string[][]} rows The first one is the heading.
 */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const [index, row] of rows.entries()) {
    console.log(`  ${row.map((cell, column) => cell.padEnd(widths[column])).join('  ')}`.trimEnd())
    if (index === 0) console.log(`  ${widths.map((width) => '-'.repeat(width)).join('  ')}`)
  }
}

module.exports = { masked, table }
