'use strict'

// The one place that prints. What comes from elsewhere is made visible here; only values that --reveal asks for are printed
// as they are.

const readline = require('node:readline')
const { StringDecoder } = require('node:string_decoder')
const { CliError, EXIT } = require('./exit')
const { fitted, hanging, table } = require('./layout')
const { visible, visibleCopy, visibleJson, visibleLines } = require('./visible')

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }
/** What keys send that are no characters. */
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|O.)/g
/** The escape sequences that `style` makes. */
const OWN = new RegExp(`(\u001b\\[(?:0|${Object.values(CODES).join('|')})m)`)

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
    // Nobody is left to be told of an error of standard error.
    err.on('error', () => {})
    out.on('error', (error) => {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error)
      // The reader may stop early (`| head`).
      if (code === 'EPIPE') return
      // Such as a full disk: the result is cut, and whoever reads it has to know.
      this.note(`${paint(err, 'red', 'error:')} standard output could not be written (${code})`)
      process.exit(EXIT.source)
    })
  }

  /** Whether standard output is a terminal. */
  get isTerminal() {
    return this.#out.isTTY === true
  }

  /**
   * Prints a result: the document with `--json`, else the text.
   *
   * @template T
   * @param {T} document
   * @param {(shown: T) => string} text Made of a copy of the document in which every text is visible.
   */
  result(document, text) {
    if (this.json) this.#out.write(`${visibleJson(document)}\n`)
    else print(this.#out, text(visibleCopy(document)))
  }

  /** Prints a document in a format of others, with or without `--json`. @param {unknown} document */
  document(document) {
    this.#out.write(`${visibleJson(document)}\n`)
  }

  /**
   * Prints one of many results, as they come: with `--json` one document a line.
   *
   * @template T
   * @param {T} document
   * @param {(shown: T) => string} text As for {@link Terminal.result}.
   */
  entry(document, text) {
    if (this.json) this.#out.write(`${visibleJson(document, 0)}\n`)
    else print(this.#out, text(visibleCopy(document)))
  }

  /** @param {string} text Values, as they are. */
  reveal(text) {
    this.#out.write(text)
  }

  /** @param {string} message Lines for people, beside the result. */
  note(message) {
    print(this.#err, `${message}\n`)
  }

  /** @param {string} message What happened inside, beside the result. */
  detail(message) {
    this.note(paint(this.#err, 'dim', visible(message)))
  }

  /**
   * Shows how far a long work is: on a terminal in one line that changes, elsewhere in a line now and then.
   *
   * @param {string} what
   * @param {number} done
   * @param {number} total
   */
  progress(what, done, total) {
    if (this.json) return
    const isLast = done === total
    if (this.#err.isTTY) this.#err.write(`\r${what}: ${done} of ${total}${isLast ? '\n' : ''}`)
    else if (done % 100 === 0 || (isLast && total >= 100)) this.note(`${what}: ${done} of ${total}`)
  }

  /** @param {string} message */
  warn(message) {
    this.note(`${paint(this.#err, 'yellow', 'warning:')} ${visible(message)}`)
  }

  /** @param {{ code: string, message: string }} error */
  error({ code, message }) {
    if (this.json) this.#out.write(`${visibleJson({ error: { code, message } })}\n`)
    else this.note(`${paint(this.#err, 'red', 'error:')} ${visible(message)}`)
  }

  /**
   * Asks whether to go on. Rejects if the answer is not yes, or nobody can be asked.
   *
   * @param {string} what The command, with its subject.
   * @param {string} consequence A sentence.
   * @param {string} [otherwise] What is said if the answer is not yes.
   */
  async confirm(what, consequence, otherwise = `${what}: nothing was changed`) {
    if (!process.stdin.isTTY) {
      const message = `${what}: standard input is no terminal to ask at; add --yes to go on`
      throw new CliError('CONFIRMATION_NEEDED', EXIT.usage, message)
    }
    const answer = await this.ask(`${consequence} Go on? [y/N] `)
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('NOT_CONFIRMED', EXIT.no, otherwise)
  }

  /**
   * Asks a question on standard error. `''`: there was no answer.
   *
   * @param {string} question
   * @returns {Promise<string>}
   */
  async ask(question) {
    // Not in raw mode, so that Ctrl-C ends this process.
    const lines = readline.createInterface({ input: process.stdin, output: this.#err, terminal: false })
    const answer = await new Promise((resolve) => {
      const unanswered = () => {
        this.#err.write('\n')
        resolve('')
      }
      lines.once('close', unanswered)
      lines.question(visible(question), (answer) => {
        lines.off('close', unanswered)
        resolve(answer)
      })
    })
    lines.close()
    return answer
  }

  /**
   * Asks for a text that is not shown. Ctrl-C ends this process, Ctrl-D the text.
   *
   * @param {string} question
   * @returns {Promise<string>}
   */
  async askHidden(question) {
    const { stdin } = process
    const decoder = new StringDecoder('utf8')
    let text = ''
    // Before the question: what is typed at once must not be shown either.
    stdin.setRawMode(true)
    try {
      this.#err.write(visible(question))
      for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
        // Keys such as the arrows send sequences, which are no part of it.
        const [typed = '', ...rest] = decoder
          .write(chunk)
          .replace(ESCAPES, '')
          .split(/[\r\n\u0004]/)
        if (typed.includes('\u0003')) return await this.#interrupted()
        for (const character of typed) text = /[\b\u007f]/.test(character) ? text.replace(/.$/su, '') : text + character
        if (rest.length > 1 && rest.some((line) => line !== '')) {
          throw new CliError('USAGE', EXIT.usage, 'the prompt takes one line; give several by a file or standard input')
        }
        if (rest.length > 0) break
      }
      return text
    } finally {
      stdin.setRawMode(false)
      stdin.pause()
      this.#err.write('\n')
    }
  }

  /** Ctrl-C ends this process as on any other line. @returns {Promise<never>} */
  #interrupted() {
    process.stdin.setRawMode(false)
    this.#err.write('\n')
    process.kill(process.pid, 'SIGINT')
    return new Promise(() => setTimeout(() => {}, 1_000))
  }

  /** @param {Style} style @param {string} text For standard output. */
  style(style, text) {
    return paint(this.#out, style, text)
  }

  /** A text behind a beginning. Further lines start below it. @param {string} start @param {string} text */
  hanging(start, text) {
    return hanging(start, text, columnsOf(this.#out))
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
   * Formats a table. Columns are as wide as their widest cell; the last one is not padded. On a terminal it fits the width.
   *
   * @param {string[]} headings
   * @param {string[][]} rows
   * @param {(text: string, row: number, column: number) => string} [styled] Applied after the layout, to each line of a cell.
   */
  table(headings, rows, styled = (text) => text) {
    const heading = (/** @type {string} */ text) => this.style('dim', text)
    const cells = rows.map((row) => row.map((cell) => visible(String(cell ?? ''))))
    return table(headings, cells, columnsOf(this.#out), { heading, cell: styled })
  }
}

/** Prints lines, without escape sequences other than our own. @param {NodeJS.WriteStream} stream @param {string} text */
function print(stream, text) {
  const parts = hasColours(stream) ? text.split(OWN) : [text]
  const shown = parts.map((part, i) => (i % 2 === 1 ? part : visibleLines(part))).join('')
  stream.write(fitted(shown, columnsOf(stream)))
}

/** The width of a terminal; no end where there is none, so that what scripts read has one line for each row. @param {NodeJS.WriteStream} stream */
function columnsOf({ isTTY, columns }) {
  return isTTY && columns > 0 ? columns : Infinity
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
