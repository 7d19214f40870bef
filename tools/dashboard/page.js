'use strict'

// A dashboard as one HTML page: the panels where `gridPos` puts them, drawn in the browser by draw.js and uPlot.

const fs = require('node:fs')
const path = require('node:path')
const { Html, html } = require('../../cli/report/html')

/** @typedef {import('./queries').Dashboard} Dashboard */
/** @typedef {import('./queries').Panel} Panel */
/** @typedef {import('./queries').Series} Series */
/** @typedef {import('./queries').Range} Range */

/** Grafana's grid: columns of an equal width, rows of 30 pixels, and 8 between panels. */
const COLUMNS = 24
const ROW = 30
const GAP = 8

const own = (/** @type {string} */ name) => fs.readFileSync(path.join(__dirname, name), 'utf8')
const uplot = (/** @type {string} */ name) => {
  const directory = path.dirname(require.resolve('uplot/package.json'))
  return fs.readFileSync(path.join(directory, 'dist', name), 'utf8')
}

/** JSON that is safe inside a `<script>`. @param {unknown} value */
const json = (value) => new Html(JSON.stringify(value).replaceAll('<', '\\u003c'))

/** The height of the whole dashboard, in pixels. @param {Dashboard} dashboard */
const heightOf = ({ panels }) => Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * (ROW + GAP)

/**
 * @param {Dashboard} dashboard
 * @param {Map<number, Series[]>} answers By the panel's id.
 * @param {Range} range
 * @returns {string}
 */
function page(dashboard, answers, range) {
  const data = dashboard.panels.map((panel) => ({ panel, series: answers.get(panel.id) ?? [] }))
  const clock = (/** @type {number} */ seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')
  const variables = dashboard.templating.list
    .filter(({ type }) => type === 'query')
    .map(({ label, current }) => html`<span class="variable"><b>${label}</b>${current.text}</span>`)
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${dashboard.title}</title>
        <style>
          ${new Html(uplot('uPlot.min.css'))}
        </style>
        <style>
          ${new Html(own('page.css'))}
        </style>
      </head>
      <body>
        <header>
          <h1>${dashboard.title}</h1>
          ${variables}
          <span class="range">${clock(range.from)} to ${clock(range.to).slice(11)} UTC</span>
          <p>Drawn from the dashboard&rsquo;s JSON and a real Prometheus by npm run dashboard, not by Grafana.</p>
        </header>
        <main style="grid-template-columns: repeat(${COLUMNS}, 1fr); grid-auto-rows: ${ROW}px; gap: ${GAP}px">
          ${dashboard.panels.map(frame)}
        </main>
        <script>
          ${new Html(uplot('uPlot.iife.min.js'))}
        </script>
        <script type="application/json" id="data">
          ${json({ data, range })}
        </script>
        <script>
          ${new Html(own('draw.js'))}
        </script>
      </body>
    </html> `.text
}

/** @param {Panel} panel */
function frame({ id, title, type, gridPos: { x, y, w, h } }) {
  return html`<section
    id="panel-${id}"
    class="${type}"
    style="grid-column: ${x + 1} / span ${w}; grid-row: ${y + 1} / span ${h}"
  >
    <h2>${title}</h2>
    <div class="content"></div>
  </section>`
}

module.exports = { heightOf, page }
