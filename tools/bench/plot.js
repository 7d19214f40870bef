'use strict'

// Draws the ratios of a run as bars: how many times better or worse this package is than a peer. Readable in light and dark
// mode.

const { Html, html } = require('../../cli/report/html')
const { ratioOf } = require('./check')

/** @typedef {import('../report').Goal} Goal */

const WIDTH = 900
const LEFT = 470
const RIGHT = 70
const ROW = 24
const TOP = 30

const style = `
text { font: 12px system-ui, sans-serif; fill: #1b1f24; }
.tick { text-anchor: middle; fill: #57606a; }
.label { text-anchor: end; }
.grid { stroke: #d8dee4; }
.even { stroke: #57606a; }
.met { fill: #0a5cc2; } .missed { fill: #b06000; }
.bound { stroke: #1b1f24; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ee; } .tick { fill: #9aa4b1; }
  .grid { stroke: #2d333c; } .even { stroke: #9aa4b1; }
  .met { fill: #6cb0ff; } .missed { fill: #e0a63a; }
  .bound { stroke: #e6e9ee; }
}`

/**
 * @param {Goal[]} goals Of which those with ratios are drawn.
 * @returns {string} SVG.
 */
function plot(goals) {
  const bars = goals.flatMap(barOf)
  if (bars.length === 0) throw new Error('there is no ratio to draw')
  const all = bars.flatMap(({ times, bound }) => [times, bound, 1]).map(Math.log2)
  const [least, most] = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))]
  const x = (/** @type {number} */ times) =>
    tenth(LEFT + ((Math.log2(times) - least) / (most - least)) * (WIDTH - LEFT - RIGHT))
  const bottom = TOP + bars.length * ROW
  const height = bottom + 44
  const powers = Array.from({ length: most - least + 1 }, (_, i) => least + i)
  const ticks = powers.map((power) => {
    const at = x(2 ** power)
    const text = power < 0 ? `1/${2 ** -power}` : String(2 ** power)
    return html`<line class="${power === 0 ? 'even' : 'grid'}" x1="${at}" x2="${at}" y1="${TOP}" y2="${bottom}" />
      <text class="tick" x="${at}" y="${TOP - 8}">${text}</text> `
  })
  const rows = bars.map(({ label, times, bound, met }, i) => {
    const y = TOP + i * ROW
    const [from, to] = [x(Math.min(times, 1)), x(Math.max(times, 1))]
    return html`<text class="label" x="${LEFT - 12}" y="${y + 16}">${label}</text>
      <rect
        class="${met ? 'met' : 'missed'}"
        x="${from}"
        y="${y + 5}"
        width="${tenth(Math.max(to - from, 1))}"
        height="14"
      />
      <line class="bound" x1="${x(bound)}" x2="${x(bound)}" y1="${y + 2}" y2="${y + 22}" />
      <text x="${tenth(Math.max(to, x(bound)) + 6)}" y="${y + 16}">${figure(times)}×</text> `
  })
  const key = 'Right of 1: better than the peer, by so many times. Upright: the bound. Orange: the bound was missed.'
  return `${
    html`<svg
      xmlns="http://www.w3.org/2000/svg"
      viewBox="0 0 ${WIDTH} ${height}"
      width="${WIDTH}"
      height="${height}"
      role="img"
      aria-label="${key}"
    >
      <style>
        ${new Html(style)}
      </style>
      ${ticks} ${rows}
      <text class="tick" x="${WIDTH / 2}" y="${height - 14}">${key}</text>
    </svg>`.text
  }\n`
}

/** Inverts ratios that are better when they are smaller. @param {Goal} goal */
function barOf({ what, bound, got, met }) {
  const [, relation, text = ''] = /^(at least|at most) (.*)$/.exec(bound) ?? []
  const [ratio, limit] = [ratioOf(got), ratioOf(text)]
  if (ratio === undefined || limit === undefined) return []
  const better = (/** @type {number} */ value) => (relation === 'at least' ? value : 1 / value)
  const label = what.replace(/: (.*) of (.*)$/, ', $1, against $2').replaceAll('`', '')
  return [{ label, times: better(ratio), bound: better(limit), met }]
}

const figure = (/** @type {number} */ times) => (times < 10 ? times.toFixed(2) : times.toFixed(1))

const tenth = (/** @type {number} */ value) => Math.round(value * 10) / 10

module.exports = { plot }
