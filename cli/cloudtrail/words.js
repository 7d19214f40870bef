'use strict'

// Texts that come again and again, such as ARNs and addresses, as short words.

/** The most characters that are kept in all: whoever sends requests decides what an agent is called. */
const MOST_CHARACTERS = 8 * 1024 * 1024
/** What the word of a text begins with that is not kept. */
const WHOLE = '='

class Words {
  /** @type {Map<string, string>} Words by how their texts were written. */
  #byWriting = new Map()
  /** @type {Map<string, string>} */
  #byText = new Map()
  /** By their words. @type {string[]} */
  texts = []
  #characters = 0
  /** The last caller of each session: for who knows events. @type {Map<string, { raw: string[], word: string }>} */
  callers = new Map()

  /** The word of a text. Equal texts have equal words; that of `''` is `''`. @param {string} text Printable ASCII. @returns {string} */
  of(text) {
    if (text === '') return ''
    const known = this.#byText.get(text)
    if (known !== undefined) return known
    if (this.#isFull) return WHOLE + text
    const word = String(this.texts.length)
    const kept = copied(text)
    this.texts.push(kept)
    this.#byText.set(kept, word)
    this.#characters += text.length
    return word
  }

  /** The word of the text that something says which is written. @param {string} written @param {(written: string) => string} read */
  ofWritten(written, read) {
    if (written === '') return ''
    const known = this.#byWriting.get(written)
    if (known !== undefined) return known
    const word = this.of(read(written))
    if (!this.#isFull) {
      this.#byWriting.set(copied(written), word)
      this.#characters += written.length
    }
    return word
  }

  /** @param {string} word @returns {string} */
  text(word) {
    if (word === '') return ''
    return word.startsWith(WHOLE) ? word.slice(1) : (this.texts[Number(word)] ?? '')
  }

  /**
   * The words here of the words of another thread.
   *
   * @param {string[]} texts Its own.
   * @returns {(word: string) => string}
   */
  translated(texts) {
    const words = texts.map((text) => this.of(text))
    return (word) => {
      if (word === '') return ''
      return word.startsWith(WHOLE) ? this.of(word.slice(1)) : (words[Number(word)] ?? '')
    }
  }

  get #isFull() {
    return this.#characters > MOST_CHARACTERS
  }
}

/** The same text in memory of its own: a part of a long text keeps all of that. @param {string} text */
function copied(text) {
  return Buffer.from(text, 'utf8').toString('utf8')
}

exports.Words = Words
exports.copied = copied
