'use strict'

// Lays text out for a terminal of some width: nothing is cut, and lines end between words.

/** What takes two columns, in the terminals that people use. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const COLOUR = /\u001b\[\d+m/g
const GAP = '  '
/** The column that a row is found by: others go below it first. */
const NAME = 'NAME'
const NOTHING = new Set(['', '–'])

/** The columns that a text takes. Colours take none. @param {string} text */
function widthOf(text) {
  return [...text.replace(COLOUR, '')].reduce(
    (sum, character) => sum + (/\p{Mn}/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1),
    0,
  )
}

/** @param {string} text @param {number} width */
function padded(text, width) {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

/** The lines of a text, broken at blanks. A longer word has a line of its own. @param {string} text @param {number} width @returns {string[]} */
function wrapped(text, width) {
  if (widthOf(text) <= width) return [text]
  /** @type {string[]} */
  const lines = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && widthOf(last) + 1 + widthOf(word) <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** A text behind a beginning; further lines start below it. @param {string} start @param {string} text @param {number} width @returns {string} */
function hanging(start, text, width) {
  const indent = widthOf(start)
  return start + wrapped(text, width - indent).join(`\n${' '.repeat(indent)}`)
}

/** Breaks every line that is too long at blanks, and indents what follows. @param {string} text @param {number} width */
function fitted(text, width) {
  if (width === Infinity) return text
  return text
    .split('\n')
    .map((line) => {
      if (widthOf(line) <= width) return line
      const [start = ''] = /^ */.exec(line) ?? []
      const further = `${start}  `
      return start + wrapped(line.slice(start.length), width - further.length).join(`\n${further}`)
    })
    .join('\n')
}

/**
 * @typedef {object} Styles
 * @property {(text: string) => string} heading
 * @property {(text: string, row: number, column: number) => string} cell
 */

/**
 * A table. Where the width is not enough, cells are broken at blanks; where that is not enough either, the widest columns
 * become lines below their row.
 *
 * @param {string[]} headings
 * @param {string[][]} rows
 * @param {number} width
 * @param {Styles} styles Applied after the layout.
 */
function table(headings, rows, width, styles) {
  // A column in which nothing stands, such as the reasons where nothing failed, is left out.
  const isEmpty = (/** @type {number} */ column) => rows.length > 0 && rows.every((row) => (row[column] ?? '') === '')
  const all = headings.map((heading, column) => {
    const cells = [heading, ...rows.map((row) => row[column] ?? '')]
    return {
      column,
      natural: Math.max(...cells.map(widthOf)),
      least: Math.max(...cells.flatMap((cell) => cell.split(' ')).map(widthOf)),
    }
  })
  const columns = all.filter(({ column }) => column === 0 || !isEmpty(column))
  const beside = [...columns]
  const taken = () => beside.reduce((sum, { least }) => sum + least, 0) + GAP.length * (beside.length - 1)
  while (beside.length > 1 && taken() > width) {
    const first = /** @type {typeof columns[number]} */ (beside[0])
    const isKept = (/** @type {typeof columns[number]} */ { column, least }) =>
      headings[column] === NAME && first.least + GAP.length + least <= width
    const others = beside.slice(1).filter((column) => !isKept(column))
    if (others.length === 0) break
    const widest = others.reduce((most, next) => (next.least > most.least ? next : most))
    beside.splice(beside.indexOf(widest), 1)
  }
  const below = columns.filter((column) => !beside.includes(column))
  const widths = divided(beside, width - GAP.length * (beside.length - 1))
  const label = Math.max(0, ...below.map(({ column }) => widthOf(headings[column] ?? '')))
  /** @param {string[]} cells @param {(text: string, column: number) => string} style */
  const line = (cells, style) => {
    const parts = beside.map(({ column }, i) => wrapped(cells[column] ?? '', widths[i] ?? 0))
    const height = Math.max(...parts.map(({ length }) => length))
    return Array.from({ length: height }, (_, at) =>
      beside
        .map(({ column }, i) => padded(style(parts[i]?.[at] ?? '', column), widths[i] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
  }
  const details = (/** @type {string[]} */ cells, /** @type {number} */ row) =>
    below
      .filter(({ column }) => !NOTHING.has(cells[column] ?? ''))
      .map(({ column }) => {
        const start = `  ${styles.heading(padded((headings[column] ?? '').toLowerCase(), label))}${label > 0 ? GAP : ''}`
        return hanging(start, styles.cell(cells[column] ?? '', row, column), width)
      })
  const body = rows.flatMap((cells, row) => [
    ...line(cells, (text, column) => styles.cell(text, row, column)),
    ...details(cells, row),
  ])
  return `${[...line(headings, styles.heading), ...body].join('\n')}\n`
}

/**
 * The widths of columns: each as wide as its widest cell if there is room, never less than its longest word.
 *
 * @param {{ natural: number, least: number }[]} columns
 * @param {number} room
 */
function divided(columns, room) {
  const widths = columns.map(({ least }) => least)
  let spare = room - widths.reduce((sum, width) => sum + width, 0)
  const byNeed = columns.map(({ natural, least }, i) => ({ i, need: natural - least })).sort((a, b) => a.need - b.need)
  byNeed.forEach(({ i, need }, at) => {
    const more = Math.max(0, Math.min(need, Math.floor(spare / (byNeed.length - at))))
    widths[i] = /** @type {number} */ (widths[i]) + more
    spare -= more
  })
  return widths
}

module.exports = { fitted, hanging, table, widthOf }
