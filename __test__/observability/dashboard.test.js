'use strict'

// The Grafana dashboard as Grafana would load it. metrics.test.js checks that every query has data in a real Prometheus;
// `npm run dashboard` draws the dashboard and fails when a panel cannot be drawn.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { filled, intervals, shipped } = require('../../tools/dashboard/queries')
const { root, temporaryDirectory } = require('../support/files')

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
