'use strict'

// Drawings for the report, as inline SVG. Their figures stand in tables beside them as well.

const { html } = require('./html')

/** @typedef {import('./html').Html} Html */
/** @typedef {import('../../index').PerformanceMetrics} PerformanceMetrics */
/** @typedef {import('../../index').RotationDue} RotationDue */

const WIDTH = 720
const LEFT = 90
const RIGHT = 20
const ROW = 30
const DAY_MS = 86_400_000
/** How far ahead the calendar looks, and how many secrets it draws; the table has all. */
const DAYS = 90
const MOST_ROWS = 40

/**
 * Latencies by layer on a logarithmic scale, from a microsecond to beyond the threshold.
 *
 * @param {PerformanceMetrics} metrics
 * @returns {Html}
 */
function latencyChart({ layers, thresholdMs }) {
  const height = layers.length * ROW + 34
  const x = scale(Math.log10(0.001), Math.log10(thresholdMs * 2))
  const at = (/** @type {number} */ ms) => x(Math.log10(Math.max(ms, 0.001)))
  const bottom = height - 22
  const ticks = [0.001, 0.01, 0.1, 1, 10, 100, 1000].map(
    (ms) =>
      html`<line class="grid" x1="${at(ms)}" x2="${at(ms)}" y1="0" y2="${bottom}" /><text
          class="tick"
          x="${at(ms)}"
          y="${height - 6}"
          >${ms < 1 ? `${ms * 1000} µs` : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`}</text
        >`,
  )
  const bars = layers.map(({ layer, p50Ms, p95Ms, p99Ms }, i) => {
    const y = i * ROW + ROW / 2
    const from = at(p50Ms)
    return html`<text class="label" x="${LEFT - 10}" y="${y + 4}">${layer}</text
      ><line class="span" x1="${from}" x2="${Math.max(at(p99Ms), from + 1)}" y1="${y}" y2="${y}" /><circle
        class="p50"
        cx="${from}"
        cy="${y}"
        r="5"
      /><circle class="p95" cx="${at(p95Ms)}" cy="${y}" r="4" /><circle
        class="p99"
        cx="${at(p99Ms)}"
        cy="${y}"
        r="5"
      />`
  })
  return html`<svg
    viewBox="0 0 ${WIDTH} ${height}"
    role="img"
    aria-label="Latency of each layer: 50th, 95th and 99th percentile on a logarithmic scale"
  >
    ${ticks}
    <line class="threshold" x1="${at(thresholdMs)}" x2="${at(thresholdMs)}" y1="0" y2="${bottom}" />
    <text class="tick threshold-label" x="${at(thresholdMs)}" y="${height - 6}">${thresholdMs / 1000} s</text>
    ${bars}
  </svg>`
}

/**
 * What is to be rotated in the next days; what is overdue stands at the left end.
 *
 * @param {RotationDue[]} rotation
 * @param {number} now Milliseconds since 1970.
 * @returns {Html | null} `null`: nothing has a date.
 */
function calendarChart(rotation, now) {
  const dated = rotation
    .flatMap(({ name, state, dueAt }) =>
      dueAt === null ? [] : [{ name, state, days: (Date.parse(dueAt) - now) / DAY_MS }],
    )
    .filter(({ days }) => days <= DAYS)
    .sort((a, b) => a.days - b.days)
  const drawn = dated.slice(0, MOST_ROWS)
  if (drawn.length === 0) return null
  const left = 260
  const height = drawn.length * 22 + 30
  const bottom = height - 22
  const x = scale(0, DAYS, left)
  const ticks = [0, 15, 30, 45, 60, 75, 90].map(
    (day) =>
      html`<line class="grid" x1="${x(day)}" x2="${x(day)}" y1="0" y2="${bottom}" /><text
          class="tick"
          x="${x(day)}"
          y="${height - 6}"
          >${day === 0 ? 'today' : date(now + day * DAY_MS)}</text
        >`,
  )
  const rows = drawn.map(({ name, state, days }, i) => {
    const y = i * 22 + 13
    return html`<text class="label" x="${left - 12}" y="${y + 4}"
        >${name.length > 34 ? `${name.slice(0, 33)}…` : name}</text
      ><circle class="${state}" cx="${x(Math.max(days, 0))}" cy="${y}" r="6" />`
  })
  const more = dated.length - drawn.length
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Rotations due in the next ${DAYS} days">
      ${ticks} ${rows}
    </svg>
    ${more > 0 ? html`<p class="quiet">${more} more in the table.</p>` : null}`
}

/** @param {number} from @param {number} to @param {number} [left] @returns {(value: number) => number} */
function scale(from, to, left = LEFT) {
  return (value) => Math.round((left + ((value - from) / (to - from)) * (WIDTH - left - RIGHT)) * 10) / 10
}

/** @param {number} time */
function date(time) {
  return new Date(time).toISOString().slice(5, 10)
}

module.exports = { DAYS, calendarChart, latencyChart }
