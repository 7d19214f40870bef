'use strict'

// Looking for the values of 1,000 secrets in a checkout of 100,000 files, beside ripgrep with the same forms as a list.

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { SECRETS, value } = require('./redaction')

const FILES = 100_000
const IN_A_FOLDER = 100
const ROUNDS = 3

/** Source-like files below `folder`, with one value in each ten thousandth. @param {string} folder @param {string[]} values */
function checkout(folder, values) {
  execFileSync('git', ['init', '-q', folder])
  fs.writeFileSync(path.join(folder, '.gitignore'), 'node_modules\n')
  const lines = Array.from(
    { length: 40 },
    (_, at) => `export const name${at} = (input) => transform(input, ${at * 7919}) // note ${at}\n`,
  )
  for (let at = 0; at < FILES; at++) {
    const below = path.join(folder, `d${Math.floor(at / IN_A_FOLDER)}`)
    if (at % IN_A_FOLDER === 0) fs.mkdirSync(below)
    const leak = at % 10_000 === 5000 ? `const token = '${values[at % SECRETS]}'\n` : ''
    fs.writeFileSync(path.join(below, `f${at}.js`), `// ${at}\n${lines.slice(at % 20).join('')}${leak}`)
  }
}

/** What ripgrep is to look for. @param {string} plain */
function forms(plain) {
  const at = (/** @type {number} */ before) =>
    Buffer.from('x'.repeat(before) + plain)
      .toString('base64')
      .replace(/=+$/, '')
      .slice(Math.ceil((8 * before) / 6), Math.floor((8 * (before + Buffer.byteLength(plain))) / 6))
  const json = JSON.stringify(plain).slice(1, -1)
  const url = encodeURIComponent(plain)
  const strict = url.replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
  const lower = url.replace(/%../g, (one) => one.toLowerCase())
  const base64 = [0, 1, 2].map(at)
  const urlSafe = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))
  return [...new Set([plain, json, json.replaceAll('/', '\\/'), url, strict, lower, ...base64, ...urlSafe])]
}

/** @param {() => number} work Gives how many files have a value. */
function timed(work) {
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now()
    const found = work()
    if (found !== FILES / 10_000) throw new Error(`${found} files with values were found`)
    rounds.push(performance.now() - started)
  }
  return Math.min(...rounds)
}

/** @typedef {{ folder: string, values: string[] }} Input */

const sides = {
  /** What `tcs-secrets scan` does once it has read the secrets. @param {Input} input */
  async tcs({ folder, values }) {
    const { SecretDelivery } = require('../../..')
    const { scanner } = require('../../../lib/scanner')
    const { filesOf } = require('../../../cli/git')
    const delivery = new SecretDelivery({ environment: 'test', aws: { enabled: false }, audit: false })
    delivery.redactor()
    for (const [index, one] of values.entries()) await delivery.cache.set(`S_N${index}`, one)
    const rounds = []
    for (let round = 0; round < ROUNDS; round++) {
      const started = performance.now()
      const { found } = await scanner(delivery).files((await filesOf(folder)).files, [])
      if (found.length !== FILES / 10_000) throw new Error(`${found.length} values were found`)
      rounds.push(performance.now() - started)
    }
    return { ms: Math.min(...rounds) }
  },

  /** @param {Input} input */
  async ripgrep({ folder, values }) {
    const list = path.join(folder, '..', 'forms')
    fs.writeFileSync(list, values.flatMap(forms).join('\n'))
    // Hidden files are part of a checkout.
    const args = [
      '--fixed-strings',
      '--files-with-matches',
      '--hidden',
      '--glob',
      '!.git',
      '--text',
      '-f',
      list,
      folder,
    ]
    return {
      ms: timed(() => spawnSync('rg', args, { encoding: 'utf8' }).stdout.split('\n').filter(Boolean).length),
    }
  },
}

module.exports = { checkout, sides, values: () => Array.from({ length: SECRETS }, (_, index) => value(index)) }
