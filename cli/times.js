'use strict'

const UNITS = /** @type {const} */ ([
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
])

/** A duration in its largest unit, such as `3 days`. @param {number} seconds */
function duration(seconds) {
  const [length, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, 'second']
  const count = Math.floor(seconds / length)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** A time such as `2026-01-31 14:05 UTC`. @param {string} iso */
function moment(iso) {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`
}

/** A time relative to now, such as `in 3 days` or `3 days ago`. @param {string} iso @param {number} now Milliseconds since 1970. */
function relative(iso, now) {
  const seconds = (Date.parse(iso) - now) / 1000
  return seconds >= 0 ? `in ${duration(seconds)}` : `${duration(-seconds)} ago`
}

/** Seconds of the units that a span may have. */
const SPANS = { m: 60, h: 3_600, d: 86_400, w: 604_800 }

/**
 * The moment that a user names: ISO 8601, or a span such as `90m`, `24h`, `7d` before now. `undefined` if it is neither.
 *
 * @param {string} text
 * @param {number} now Milliseconds since 1970.
 * @returns {number | undefined} Milliseconds since 1970.
 */
function momentNamed(text, now) {
  const span = /^(\d{1,6})([mhdw])$/.exec(text)
  if (span !== null) return now - Number(span[1]) * SPANS[/** @type {keyof typeof SPANS} */ (span[2])] * 1000
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN
  return Number.isNaN(at) ? undefined : at
}

module.exports = { duration, moment, momentNamed, relative }
