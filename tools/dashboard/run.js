'use strict'

// Runs a small fleet for six minutes, runs the dashboard's queries on a real Prometheus, and draws the dashboard into
// docs/dashboard.png, or into the file given as argument.

const path = require('node:path')
const { evaluated, photographed } = require('../../__test__/support/chromium')
const { root } = require('../../__test__/support/files')
const { live } = require('./life')
const { heightOf, page } = require('./page')
const { answers, intervals, shipped } = require('./queries')

const WIDTH = 1500
/** The height of the page's head and margins, in pixels. */
const HEAD = 72

async function main() {
  const picture = path.resolve(process.argv[2] ?? path.join(root, 'docs', 'dashboard.png'))
  const dashboard = shipped()
  await live(console.log, async (prometheus, { from, to, scrape }) => {
    const range = { from, to, step: intervals(to - from, scrape).interval }
    const html = page(dashboard, await answers(prometheus, dashboard, range, scrape), range)
    const size = { width: WIDTH, height: heightOf(dashboard) + HEAD }
    const { drawn, failed } = evaluated(html, size, 'document.documentElement.dataset')
    if (drawn !== String(dashboard.panels.length)) throw new Error(failed ?? 'the page drew nothing')
    photographed(html, size, picture)
  })
  console.log(picture)
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
