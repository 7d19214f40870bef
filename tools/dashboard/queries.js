'use strict'

// Runs the queries of a Grafana dashboard as Grafana would.

const fs = require('node:fs')
const path = require('node:path')
const { root } = require('../../__test__/support/files')

/** @typedef {{ id: number, title: string, type: string, targets: Target[], [more: string]: any }} Panel */
/** @typedef {{ refId: string, expr: string, legendFormat: string }} Target */
/** @typedef {{ title: string, panels: Panel[], templating: { list: any[] }, [more: string]: any }} Dashboard */
/** @typedef {{ from: number, to: number, step: number }} Range Seconds since 1970, and the step in seconds. */
/** @typedef {{ name: string, points: [number, number][] }} Series */

/** @returns {Dashboard} The dashboard that is shipped. */
function shipped() {
  return JSON.parse(fs.readFileSync(path.join(root, 'ops', 'grafana', 'secret-delivery.json'), 'utf8'))
}

/** The number of points that Grafana requests: about one for each pixel of a panel. */
const POINTS = 700

/**
 * Grafana's arithmetic of `$__interval` and `$__rate_interval`, in seconds.
 * https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
 *
 * @param {number} seconds The range that is shown.
 * @param {number} scrape From one scrape to the next.
 */
function intervals(seconds, scrape) {
  const interval = Math.max(scrape, Math.ceil(seconds / POINTS))
  return { interval, rate: Math.max(interval + scrape, 4 * scrape) }
}

/**
 * An expression with Grafana's variables filled in. The variables of the dashboard have the value "All".
 *
 * @param {Dashboard} dashboard
 * @param {string} expression
 * @param {{ interval: number, rate: number }} intervals
 * @returns {string}
 */
function filled(dashboard, expression, { interval, rate }) {
  const own = dashboard.templating.list.flatMap(({ name, allValue }) =>
    allValue === undefined ? [] : [[name, allValue]],
  )
  const values = new Map([['__interval', `${interval}s`], ['__rate_interval', `${rate}s`], ...own])
  return expression.replace(/\$\{?(\w+)\}?/g, (_, name) => {
    const value = values.get(name)
    if (value === undefined) throw new Error(`nothing stands for $${name} in ${expression}`)
    return value
  })
}

/** @param {string} format @param {Record<string, string>} labels */
const legend = (format, labels) => format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '')

/**
 * Runs every query of the dashboard.
 *
 * @param {import('../../__test__/support/servers/prometheus').PrometheusServer} prometheus
 * @param {Dashboard} dashboard
 * @param {Range} range
 * @param {number} scrape From one scrape to the next, in seconds.
 * @returns {Promise<Map<number, Series[]>>} By the panel's id.
 */
async function answers(prometheus, dashboard, range, scrape) {
  const variables = intervals(range.to - range.from, scrape)
  const all = dashboard.panels.map(async ({ id, targets }) => {
    const results = await Promise.all(
      targets.map(async ({ expr, legendFormat }) => {
        const result = await prometheus.queryRange(filled(dashboard, expr, variables), range)
        return result.map(({ metric, values }) => ({
          name: legend(legendFormat, metric),
          points: values.map(([time, value]) => /** @type {[number, number]} */ ([time, Number(value)])),
        }))
      }),
    )
    return /** @type {[number, Series[]]} */ ([id, results.flat()])
  })
  return new Map(await Promise.all(all))
}

module.exports = { answers, filled, intervals, shipped }
