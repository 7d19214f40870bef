'use strict'

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

/** @typedef {keyof typeof CODES} Style */

/** Prints the results, warnings and errors of a command. */
class Terminal {
  #out
  #err

  /** @param {{ json: boolean, out?: NodeJS.WriteStream, err?: NodeJS.WriteStream }} options */
  constructor({ json, out = process.stdout, err = process.stderr }) {
    /** Whether to print results and errors as one JSON document on standard output. */
    this.json = json
    this.#out = out
    this.#err = err
    // The reader may stop early (`| head`).
    for (const stream of [out, err]) {
      stream.on('error', (error) => {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPIPE') throw error
      })
    }
  }

  /** Whether standard output is a terminal. */
  get isTerminal() {
    return this.#out.isTTY === true
  }

  /**
   * Prints a result: the document with `--json`, else the text.
   *
   * @param {unknown} document
   * @param {() => string} text
   */
  result(document, text) {
    this.write(this.json ? `${JSON.stringify(document, null, 2)}\n` : text())
  }

  /** @param {string} text As it is. */
  write(text) {
    this.#out.write(text)
  }

  /** @param {string} message A line for people, beside the result. */
  note(message) {
    this.#err.write(`${message}\n`)
  }

  /** @param {string} message */
  warn(message) {
    this.note(`${paint(this.#err, 'yellow', 'warning:')} ${message}`)
  }

  /** @param {{ code: string, message: string }} error */
  error({ code, message }) {
    if (this.json) this.write(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`)
    else this.note(`${paint(this.#err, 'red', 'error:')} ${message}`)
  }

  /** @param {Style} style @param {string} text For standard output. */
  style(style, text) {
    return paint(this.#out, style, text)
  }

  /**
   * Returns a function for `table` that colours words of one column.
   *
   * @param {number} column
   * @param {Partial<Record<string, Style>>} colours
   * @returns {(text: string, row: number, column: number) => string}
   */
  words(column, colours) {
    return (text, _, at) => {
      const colour = at === column ? colours[text] : undefined
      return colour === undefined ? text : this.style(colour, text)
    }
  }

  /**
   * Formats a table. Columns are as wide as their widest cell; the last one is not padded.
   *
   * @param {string[]} headings
   * @param {string[][]} rows
   * @param {(text: string, row: number, column: number) => string} [styled] Applied after padding.
   */
  table(headings, rows, styled = (text) => text) {
    const widths = headings.map((heading, column) =>
      Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
    )
    const line = (/** @type {string[]} */ cells, /** @type {(cell: string, column: number) => string} */ style) =>
      cells
        .map((cell, column) => style(cell, column) + ' '.repeat((widths[column] ?? 0) - cell.length))
        .join('  ')
        .trimEnd()
    const head = line(headings, (heading) => this.style('dim', heading))
    const body = rows.map((cells, row) => line(cells, (cell, column) => styled(cell, row, column)))
    return `${[head, ...body].join('\n')}\n`
  }
}

/**
 * @param {NodeJS.WriteStream} stream
 * @param {Style} style
 * @param {string} text
 */
function paint(stream, style, text) {
  return hasColours(stream) && text !== '' ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text
}

/** Whether to use colours: on a terminal only, and not with NO_COLOR (https://no-color.org). @param {NodeJS.WriteStream} stream */
function hasColours(stream) {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
}

// A named export: as a member of an object literal the class would not be a type.
exports.Terminal = Terminal
