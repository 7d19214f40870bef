'use strict'

// The Grafana dashboard as Grafana would take it, and the page that `npm run dashboard` draws of it. That every query
// has data in a real Prometheus is in metrics.test.js.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { heightOf, page } = require('../../tools/dashboard/page')
const { filled, intervals, shipped } = require('../../tools/dashboard/queries')
const { evaluated, hasChromium } = require('../support/chromium')
const { root, temporaryDirectory } = require('../support/files')

const inChromium = hasChromium() || process.env.CI ? test : test.skip
const dashboard = shipped()
const COLUMNS = 24

/** What tsc says when a dashboard is compiled against Grafana's types. @param {object} checked */
function compiled(checked) {
  const directory = temporaryDirectory()
  try {
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(directory, 'node_modules'))
    const types = JSON.stringify(path.join(root, '__test__', 'types', 'grafana'))
    const text = `import type { Dashboard } from ${types}\nexport const it: Dashboard = ${JSON.stringify(checked)}\n`
    fs.writeFileSync(path.join(directory, 'dashboard.ts'), text)
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const flags = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', '--types', '']
    const { stdout, stderr, status } = spawnSync(process.execPath, [tsc, ...flags, 'dashboard.ts'], {
      cwd: directory,
      encoding: 'utf8',
    })
    return { status, said: stdout + stderr }
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

test("it compiles against Grafana's own types, and a misspelt setting would not", () => {
  expect(compiled(dashboard)).toEqual({ status: 0, said: '' })
  const wrong = structuredClone(dashboard)
  wrong.panels[0].options.colourMode = 'background'
  expect(compiled(wrong)).toMatchObject({ status: expect.any(Number), said: expect.stringContaining('colourMode') })
}, 60_000)

test('panels have their own ids and queries their own letters, and all ask the data source that is chosen', () => {
  const { panels } = dashboard
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
  const chosen = { type: 'prometheus', uid: '${datasource}' }
  expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' })
  for (const { title, datasource, targets } of panels) {
    expect([title, datasource]).toEqual([title, chosen])
    expect([title, targets.map(({ datasource: asked }) => asked)]).toEqual([title, targets.map(() => chosen)])
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
  }
})

test('panels fill rows of 24 columns without covering each other', () => {
  const cells = new Map()
  for (const { title, gridPos } of dashboard.panels) {
    expect([title, gridPos.x >= 0 && gridPos.x + gridPos.w <= COLUMNS]).toEqual([title, true])
    for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        const cell = `${x},${y}`
        expect([cell, title, cells.get(cell)]).toEqual([cell, title, undefined])
        cells.set(cell, title)
      }
    }
  }
  const bottom = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h))
  expect(cells.size).toBe(COLUMNS * bottom)
})

test("Grafana's variables are filled in as Grafana does, and an unknown one is refused", () => {
  // A day in 700 points: one in 124 seconds.
  expect(intervals(86_400, 15)).toEqual({ interval: 124, rate: 139 })
  expect(intervals(3_600, 15)).toEqual({ interval: 15, rate: 60 })
  const at = { interval: 15, rate: 60 }
  expect(filled(dashboard, 'rate(x{job=~"$job"}[$__rate_interval])', at)).toBe('rate(x{job=~".*"}[60s])')
  expect(() => filled(dashboard, 'x{env="$env"}', at)).toThrow('$env')
})

describe('the page', () => {
  const range = { from: 1_750_000_000, to: 1_750_000_300, step: 5 }
  const times = Array.from({ length: 61 }, (_, i) => range.from + i * range.step)
  const series = (name, value) => ({ name, points: times.map((time, i) => [time, value(i)]) })
  const EMPTY = 'Errors'
  /** Two series for a panel; of states one that changes. @param {import('../../tools/dashboard/queries').Panel} panel */
  const madeUp = ({ title, type }) => {
    if (title === EMPTY) return []
    if (type === 'state-timeline') return [series('aws', (i) => (i < 30 ? 1 : 2)), series('<b>redis</b>', () => 1)]
    return type === 'stat' ? [series('one', () => 6)] : [series('one', (i) => 0.5 + i), series('<b>two</b>', () => NaN)]
  }
  const answers = new Map(dashboard.panels.map((panel) => [panel.id, madeUp(panel)]))
  const size = { width: 1500, height: heightOf(dashboard) + 72 }

  inChromium('draws every panel where the dashboard puts it, and says which is empty', () => {
    const seen = evaluated(
      page(dashboard, answers, range),
      size,
      `{
        drawn: document.documentElement.dataset.drawn,
        fetched: performance.getEntriesByType('resource').length,
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        bold: document.querySelectorAll('.content b:not(:empty)').length,
        main: document.querySelector('main').getBoundingClientRect(),
        panels: [...document.querySelectorAll('section')].map((section) => ({
          title: section.querySelector('h2').textContent,
          text: section.querySelector('.content').textContent,
          at: section.getBoundingClientRect(),
          canvases: [...section.querySelectorAll('canvas')].map((canvas) =>
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte !== 0)),
          bands: section.querySelectorAll('.band i').length,
        })),
      }`,
    )
    expect(seen).toMatchObject({ drawn: String(dashboard.panels.length), fetched: 0, overflow: 0, bold: 0 })
    expect(seen.panels.map(({ title }) => title)).toEqual(dashboard.panels.map(({ title }) => title))
    for (const [i, { title, text, at, canvases, bands }] of seen.panels.entries()) {
      const { type, gridPos } = dashboard.panels[i]
      const column = (seen.main.width + 8) / COLUMNS
      const place = {
        left: gridPos.x * column,
        top: gridPos.y * 38,
        width: gridPos.w * column - 8,
        height: gridPos.h * 38 - 8,
      }
      const found = { left: at.left - seen.main.left, top: at.top - seen.main.top, width: at.width, height: at.height }
      for (const side of Object.keys(place))
        expect([title, side, Math.abs(found[side] - place[side]) < 1]).toEqual([title, side, true])
      if (title === EMPTY) expect([text.trim(), canvases, bands]).toEqual(['None', [], 0])
      else if (type === 'state-timeline') expect([title, bands]).toEqual([title, 3])
      else expect([title, canvases]).toEqual([title, [true]])
    }
    const told = Object.fromEntries(seen.panels.map(({ title, text }) => [title, text.trim()]))
    expect(told).toMatchObject({ 'Retrieval latency, p99': '6 s', 'Secrets not in AWS': '6', Instances: 'one6' })
    expect(told['AWS calls']).toMatch(/one60\.5 ops\/s60\.5 ops\/s<b>two<\/b>––/)
  })

  inChromium('does not draw what it does not know', () => {
    const wrong = structuredClone(dashboard)
    wrong.panels[0].type = 'gauge'
    expect(evaluated(page(wrong, answers, range), size, 'document.documentElement.dataset')).toEqual({
      failed: expect.stringContaining("this page does not know the type of panel 'gauge'"),
    })
  })
})
