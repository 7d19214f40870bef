'use strict'

// Renders pages of this repository in headless Chromium.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('./files')

const DEADLINE_MS = 60_000
/** The narrowest window of Chromium. */
const LEAST_WIDTH = 500

const hasChromium = () => spawnSync('chromium', ['--version']).error === undefined

/** `test`, or `test.skip` where there is none. CI has one on x64. */
const inChromium = () => (hasChromium() || (process.env.CI && process.arch === 'x64') ? test : test.skip)

/**
 * Opens a page and ends.
 *
 * @param {string} page Its HTML.
 * @param {{ width: number, height: number }} size
 * @param {string[]} flags
 * @returns {string} What Chromium printed.
 */
function open(page, { width, height }, flags) {
  const directory = temporaryDirectory()
  try {
    const file = path.join(directory, 'page.html')
    fs.writeFileSync(file, page)
    const common = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--window-size=${width},${height}`,
    ]
    const profile = `--user-data-dir=${path.join(directory, 'profile')}`
    const { status, stdout, stderr, error } = spawnSync('chromium', [...common, ...flags, profile, `file://${file}`], {
      encoding: 'utf8',
      timeout: DEADLINE_MS,
    })
    if (error !== undefined || status !== 0) throw error ?? new Error(`chromium ended with ${status}: ${stderr}`)
    return stdout
  } finally {
    // Its last processes may still write into the directory.
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

/**
 * The value of an expression in a rendered page.
 *
 * @param {string} page Its HTML.
 * @param {{ width: number, height: number }} size
 * @param {string} expression JavaScript whose result JSON can hold.
 * @returns {any}
 */
function evaluated(page, size, expression) {
  const script = `<script>parent.document.title = 'MEASURED' + JSON.stringify(${expression}) + 'END'</script>`
  const whole = page.replace('</body>', () => `${script}</body>`)
  const stdout = open(size.width < LEAST_WIDTH ? framed(whole, size) : whole, size, ['--dump-dom'])
  const [, text] = /<title>MEASURED(.*?)END</s.exec(stdout) ?? []
  if (text === undefined) throw new Error('the page measured nothing')
  return JSON.parse(
    text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
  )
}

/** A page in a frame, which may be narrower than a window. @param {string} page @param {{ width: number, height: number }} size */
function framed(page, { width, height }) {
  const escaped = page.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
  return `<title></title><body><iframe style="width:${width}px;height:${height}px;border:0" srcdoc="${escaped}"></iframe></body>`
}

/**
 * @param {string} page Its HTML.
 * @param {{ width: number, height: number }} size
 * @param {string} picture The PNG file to write.
 */
function photographed(page, size, picture) {
  open(size.width < LEAST_WIDTH ? framed(page, size) : page, size, [`--screenshot=${picture}`])
}

module.exports = { evaluated, inChromium, photographed }
