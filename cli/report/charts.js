'use strict'

// Charts of the report, as inline SVG. Tables beside them have the same figures.

const { html } = require('./html')
const { DAY_MS, HOUR_MS } = require('./traffic')

/** @typedef {import('./html').Html} Html */
/** @typedef {import('../../index').PerformanceMetrics} PerformanceMetrics */
/** @typedef {import('../../index').RotationDue} RotationDue */

const WIDTH = 720
const LEFT = 90
const RIGHT = 20
const ROW = 30
/** How many days and how many secrets the calendar shows; the table has all. */
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
          >${unit(ms)}</text
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
 * The rotations of the next days. Overdue ones are at the left end.
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
        >${name.length > 30 ? `${name.slice(0, 29)}…` : name}</text
      ><circle class="${state}" cx="${x(Math.max(days, 0))}" cy="${y}" r="6" />`
  })
  const more = dated.length - drawn.length
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Rotations due in the next ${DAYS} days">
      ${ticks} ${rows}
    </svg>
    ${more > 0 ? html`<p class="quiet">${more} more in the table.</p>` : null}`
}

const TALL = 130
/** The goal for the hit rate. */
const GOAL = 0.8

/**
 * The share of lookups that a cache answered, over time.
 *
 * @param {import('./traffic').Traffic} traffic
 * @returns {Html}
 */
function hitRateChart(traffic) {
  const y = (/** @type {number} */ rate) => Math.round((TALL - rate * (TALL - 10)) * 10) / 10
  const grid = [0, 0.25, 0.5, 0.75, 1].map((rate) => line(y(rate), `${rate * 100} %`))
  const bars = traffic.spans
    .filter(({ lookups }) => lookups > 0)
    .map(({ from, hits, lookups }) => {
      const rate = hits / lookups
      const { x, width } = bar(traffic, from)
      // A rate of 0 must be visible too.
      const top = Math.min(y(rate), TALL - 2)
      return html`<rect
        class="${rate < GOAL ? 'below' : 'hits'}"
        x="${x}"
        y="${top}"
        width="${width}"
        height="${TALL - top}"
        ><title>${time(from)}: ${Math.round(rate * 100)} % of ${lookups}</title></rect
      >`
    })
  return html`<svg viewBox="0 0 ${WIDTH} ${TALL + 22}" role="img" aria-label="Cache hit rate over time">
    ${grid} ${bars}
    <line class="threshold" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(GOAL)}" y2="${y(GOAL)}" />
    ${timeline(traffic)}
  </svg>`
}

/**
 * The latency of reads over time, from the 50th to the 99th percentile, on a logarithmic scale.
 *
 * @param {import('./traffic').Traffic} traffic
 * @returns {Html}
 */
function readLatencyChart(traffic) {
  const [least, most] = [Math.log10(0.001), Math.log10(10_000)]
  const y = (/** @type {number} */ ms) => {
    const share = (Math.log10(Math.min(Math.max(ms, 0.001), 10_000)) - least) / (most - least)
    return Math.round((TALL - share * (TALL - 10)) * 10) / 10
  }
  const grid = [0.001, 0.01, 0.1, 1, 10, 100, 1000, 10_000].map((ms) => line(y(ms), unit(ms)))
  const spans = traffic.spans.map(({ from, reads, p50Ms, p99Ms }) => {
    const { x, width } = bar(traffic, from)
    const middle = x + width / 2
    const top = y(p99Ms)
    return html`<g
      ><title>${time(from)}: 50th percentile ${p50Ms} ms, 99th ${p99Ms} ms of ${reads}</title
      ><line class="span" x1="${middle}" x2="${middle}" y1="${top}" y2="${Math.max(y(p50Ms), top + 1)}" /><circle
        class="p50"
        cx="${middle}"
        cy="${y(p50Ms)}"
        r="3" /><circle class="p99" cx="${middle}" cy="${top}" r="3"
    /></g>`
  })
  return html`<svg viewBox="0 0 ${WIDTH} ${TALL + 22}" role="img" aria-label="Latency of reads over time">
    ${grid} ${spans} ${timeline(traffic)}
  </svg>`
}

/** A horizontal line with its label. @param {number} y @param {string} label */
function line(y, label) {
  return html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" /><text
      class="label tick-y"
      x="${LEFT - 10}"
      y="${y + 4}"
      >${label}</text
    >`
}

/**
 * The position of the bar of an hour or a day. There are at least twelve positions, so that a short log has no broad bars.
 *
 * @param {import('./traffic').Traffic} traffic
 * @param {string} from
 */
function bar({ by, spans }, from) {
  const length = by === 'hour' ? HOUR_MS : DAY_MS
  const [first, last] = [spans[0], spans[spans.length - 1]].map((span) => Date.parse(span?.from ?? from) / length)
  const places = Math.max(/** @type {number} */ (last) - /** @type {number} */ (first) + 1, 12)
  const step = (WIDTH - LEFT - RIGHT) / places
  const place = Date.parse(from) / length - /** @type {number} */ (first)
  const tenth = (/** @type {number} */ value) => Math.round(value * 10) / 10
  return { x: tenth(LEFT + place * step + step * 0.1), width: tenth(step * 0.8) }
}

/** The labels of the first and the last time, under the bars. @param {import('./traffic').Traffic} traffic */
function timeline(traffic) {
  const ends = [...new Set([traffic.spans[0], traffic.spans[traffic.spans.length - 1]])]
  return ends.map((span) => {
    if (span === undefined) return null
    const { x, width } = bar(traffic, span.from)
    const middle = Math.min(Math.max(x + width / 2, LEFT + 30), WIDTH - RIGHT - 34)
    return html`<text class="tick" x="${middle}" y="${TALL + 16}">${time(span.from, traffic.by)}</text>`
  })
}

/** A time such as `01-31 14:00`, or a day such as `01-31`. @param {string} iso @param {'hour' | 'day'} [by] */
function time(iso, by = 'hour') {
  return by === 'day' ? iso.slice(5, 10) : `${iso.slice(5, 10)} ${iso.slice(11, 16)}`
}

/** A duration such as `100 µs` or `1 s`. @param {number} ms */
function unit(ms) {
  return ms < 1 ? `${ms * 1000} µs` : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`
}

/** @param {number} from @param {number} to @param {number} [left] @returns {(value: number) => number} */
function scale(from, to, left = LEFT) {
  return (value) => Math.round((left + ((value - from) / (to - from)) * (WIDTH - left - RIGHT)) * 10) / 10
}

/** @param {number} time */
function date(time) {
  return new Date(time).toISOString().slice(5, 10)
}

module.exports = { DAYS, calendarChart, hitRateChart, latencyChart, readLatencyChart }
