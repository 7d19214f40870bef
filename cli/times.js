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

module.exports = { duration, moment, relative }
