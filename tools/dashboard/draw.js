'use strict'

// Draws the panels of a dashboard in the browser. Anything that it does not know is an error, so that no part of the dashboard
// is silently left out.

/* global addEventListener, document, uPlot */

/** Grafana's names of colours, and its classic palette. @type {Record<string, string>} */
const COLOURS = {
  green: '#73bf69',
  orange: '#ff9830',
  red: '#f2495c',
  blue: '#5794f2',
  yellow: '#fade2a',
  purple: '#b877d9',
  transparent: 'transparent',
}
const PALETTE = ['#73bf69', '#f2cc0c', '#8ab8ff', '#ff780a', '#f2495c', '#5794f2', '#b877d9', '#705da0', '#37872d']
/** The colours of backgrounds, which are darker because of the white text. @type {Record<string, string>} */
const BACKGROUNDS = { green: '#3a7d33', orange: '#b8620f', red: '#b3243a', blue: '#2f62b8' }
const GRID = '#2b2f36'
const QUIET = '#9a9aa8'
const FONT = '12px Inter, system-ui, sans-serif'

// Tells the program that opened this page.
addEventListener('error', ({ message }) => (document.documentElement.dataset.failed = message))

const { data, range } = JSON.parse(document.getElementById('data').textContent)

/** Looks a key up in a table of known values; an unknown one is an error. */
function known(table, name, what) {
  if (!Object.hasOwn(table, name)) throw new Error(`this page does not know the ${what} '${name}'`)
  return table[name]
}

const digits = (value, decimals) =>
  decimals === undefined ? String(Number(value.toPrecision(3))) : value.toFixed(decimals)

/** `steps` of a unit, the smallest first, each with its suffix. */
function scaled(steps, value, decimals) {
  const [size, suffix] = steps.findLast(([least]) => Math.abs(value) >= least * 0.9995) ?? steps[0]
  return digits(value / size, decimals) + suffix
}

const SECONDS = [
  [1e-9, ' ns'],
  [1e-6, ' µs'],
  [1e-3, ' ms'],
  [1, ' s'],
  [60, ' min'],
]
const THOUSANDS = [
  [1, ''],
  [1e3, ' K'],
  [1e6, ' Mil'],
]

const UNITS = {
  s: (value, decimals) => (value === 0 ? '0 s' : scaled(SECONDS, value, decimals)),
  percentunit: (value, decimals) => `${digits(value * 100, decimals)}%`,
  short: (value, decimals) => scaled(THOUSANDS, value, decimals),
  ops: (value, decimals) => `${scaled(THOUSANDS, value, decimals)} ops/s`,
}

const CALCULATIONS = {
  lastNotNull: { name: 'Last *', of: (values) => values.at(-1) },
  max: { name: 'Max', of: (values) => Math.max(...values) },
  mean: { name: 'Mean', of: (values) => values.reduce((a, b) => a + b, 0) / values.length },
}

/** The step of the thresholds that a value has reached. */
function stepOf({ thresholds }, value) {
  return thresholds.steps.findLast((step) => step.value === null || value >= step.value)
}

function element(tag, text = '', style = {}) {
  const made = document.createElement(tag)
  made.textContent = text
  Object.assign(made.style, style)
  return made
}

/** The times that Prometheus was asked for. */
const times = []
for (let time = range.from; time <= range.to + 0.001; time += range.step) times.push(time)

/** The values of a series at these times; `null` where there is none. */
function aligned({ points }, positiveOnly = false) {
  const values = times.map(() => null)
  for (const [time, value] of points) {
    const place = Math.round((time - range.from) / range.step)
    if (Number.isFinite(value) && !(positiveOnly && value <= 0)) values[place] = value
  }
  return values
}

/** The colour of each series: the one that the dashboard gives its name, or the palette's next. */
function coloursOf({ fieldConfig }, series) {
  const given = fieldConfig.overrides.flatMap(({ matcher, properties }) => {
    known({ byName: true }, matcher.id, 'matcher')
    return properties.map(({ id, value }) => {
      known({ color: true }, id, 'overridden property')
      return [matcher.options, known(COLOURS, value.fixedColor, 'colour')]
    })
  })
  const byName = new Map(given)
  return series.map(({ name }, i) => byName.get(name) ?? PALETTE[i % PALETTE.length])
}

/** Each series on top of those before it. */
function stacked(columns) {
  const sums = times.map(() => 0)
  return columns.map((column) => column.map((value, i) => (value === null ? null : (sums[i] += value))))
}

const present = (values) => values.filter((value) => value !== null)
const utc = (time) => uPlot.tzDate(new Date(time * 1e3), 'Etc/UTC')

function stat({ panel, series }, content) {
  const { defaults } = panel.fieldConfig
  const { colorMode, graphMode, textMode, reduceOptions } = panel.options
  known({ background: true }, colorMode, 'colour mode')
  const format = known(UNITS, defaults.unit, 'unit')
  const [calculation] = reduceOptions.calcs
  for (const one of series) {
    const values = aligned(one)
    const reduced = known(CALCULATIONS, calculation, 'calculation').of(present(values))
    const figure = element('div', '')
    figure.className = 'figure'
    if (textMode === 'value_and_name') figure.append(element('small', one.name))
    figure.append(reduced === undefined ? 'No data' : format(reduced, defaults.decimals))
    content.append(figure)
    const { color } = stepOf(defaults, reduced)
    content.parentElement.style.background = known(BACKGROUNDS, color, 'colour')
    if (graphMode !== 'area' || series.length > 1) continue
    const spark = element('div')
    spark.className = 'spark'
    content.append(spark)
    new uPlot(
      {
        width: spark.clientWidth,
        height: spark.clientHeight,
        legend: { show: false },
        cursor: { show: false },
        axes: [{ show: false }, { show: false }],
        padding: [2, 0, 0, 0],
        scales: { y: { range: (_, least, most) => [Math.min(0, least), most > 0 ? most : 1] } },
        series: [{}, { stroke: '#ffffff80', fill: '#ffffff26', width: 1, points: { show: false } }],
      },
      [times, values],
      spark,
    )
  }
}

function stateTimeline({ panel, series }, content) {
  const { mappings, custom } = panel.fieldConfig.defaults
  const states = Object.assign({}, ...mappings.map(({ type, options }) => known({ value: options }, type, 'mapping')))
  const box = element('div')
  box.className = 'states'
  content.append(box)
  const length = range.to - range.from
  for (const one of series) {
    box.append(element('span', one.name))
    const band = element('div')
    band.className = 'band'
    box.append(band)
    const values = aligned(one)
    let begin = 0
    for (let i = 1; i <= values.length; i++) {
      if (values[i] === values[begin] && i < values.length) continue
      if (values[begin] !== null) {
        const { text, color } = known(states, String(values[begin]), 'state')
        const share = ((Math.min(i, values.length - 1) - begin) * range.step) / length
        const hasRoom = share * band.clientWidth > 10 + 7 * text.length
        const bar = element('i', hasRoom ? text : '', {
          left: `${(100 * begin * range.step) / length}%`,
          width: `${100 * share}%`,
          background: known(COLOURS, color, 'colour'),
          opacity: custom.fillOpacity / 100,
        })
        bar.title = text
        band.append(bar)
      }
      begin = i
    }
  }
  box.append(element('span'))
  const axis = element('div')
  axis.className = 'axis'
  box.append(axis)
  for (let time = Math.ceil(range.from / 60) * 60; time <= range.to; time += 60) {
    const share = (time - range.from) / length
    const [label] = clocks(null, [time])
    // A label at the edge would be cut off.
    if (share > 0.03 && share < 0.97) axis.append(element('em', label, { left: `${100 * share}%` }))
  }
}

function timeseries({ panel, series }, content) {
  const { defaults } = panel.fieldConfig
  const { custom } = defaults
  const { legend } = panel.options
  const isLogarithmic = known({ log: true, linear: false }, custom.scaleDistribution?.type ?? 'linear', 'scale')
  const isStacked = known({ none: false, normal: true }, custom.stacking?.mode ?? 'none', 'stacking')
  const columns = series.map((one) => aligned(one, isLogarithmic))
  const colours = coloursOf(panel, series)
  const format = known(UNITS, defaults.unit, 'unit')
  const plot = element('div')
  plot.className = 'plot'
  content.classList.toggle('below', legend.placement === 'bottom')
  const shown = (value) => format(value, defaults.decimals)
  content.append(plot, legendOf(legend, series, columns, colours, shown))

  const heights = isStacked ? stacked(columns) : columns
  // In a stack, the highest series is drawn first, and the lower ones over it.
  const order = isStacked ? [...columns.keys()].reverse() : [...columns.keys()]
  const thresholds = thresholdLines(defaults)
  const chart = {
    width: plot.clientWidth,
    height: plot.clientHeight,
    legend: { show: false },
    cursor: { show: false },
    tzDate: utc,
    padding: [8, 20, 0, 0],
    scales: {
      x: { time: true, range: [range.from, range.to] },
      y: { distr: isLogarithmic ? 3 : 1, range: (_, least, most) => bounds(defaults, isLogarithmic, least, most) },
    },
    axes: axesOf(defaults, isLogarithmic, format),
    series: [{}, ...order.map((i) => lineOf(custom, colours[i]))],
    hooks: { draw: [(drawn) => thresholds.forEach((threshold) => across(drawn, threshold))] },
  }
  new uPlot(chart, [times, ...order.map((i) => heights[i])], plot)
}

/** The style of one series. */
function lineOf(custom, colour) {
  const paths = {
    linear: () => uPlot.paths.linear(),
    stepAfter: () => uPlot.paths.stepped({ align: 1 }),
    bars: () => uPlot.paths.bars({ size: [0.8, 12] }),
  }
  const kind = custom.drawStyle === 'bars' ? 'bars' : (custom.lineInterpolation ?? 'linear')
  return {
    stroke: colour,
    fill: custom.fillOpacity > 0 ? faded(colour, custom.fillOpacity) : undefined,
    width: custom.lineWidth,
    paths: known(paths, kind, 'kind of line')(),
    points: { show: kind !== 'bars', filter: lonely, size: 4, fill: colour },
    spanGaps: custom.spanNulls,
  }
}

function axesOf(defaults, isLogarithmic, format) {
  const axis = { stroke: QUIET, font: FONT, grid: { stroke: GRID, width: 1 }, ticks: { show: false } }
  const places = isLogarithmic
    ? { splits: (_chart, _axis, least, most) => powersOfTen(least, most) }
    : { incrs: wholeOnly(defaults) }
  const longest = (labels) => Math.max(0, ...(labels ?? []).map((label) => label.length))
  return [
    { ...axis, size: 26, values: clocks },
    {
      ...axis,
      ...places,
      size: (_, labels) => 14 + 7 * longest(labels),
      values: (_, splits) => splits.map((value) => format(value)),
    },
  ]
}

/** The labels of the time axis, such as `14:05`. */
function clocks(_, all) {
  return all.map((time) => new Date(time * 1e3).toISOString().slice(11, 16))
}

function powersOfTen(least, most) {
  const [first, last] = [least, most].map((value) => Math.round(Math.log10(value)))
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}

/** Only whole numbers are labels on the axis of figures without decimals. */
function wholeOnly({ decimals }) {
  return decimals === 0 ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] : undefined
}

/** Points without neighbours, which no line would show. */
function lonely(chart, index) {
  const values = chart.data[index]
  return [...values.keys()].filter((i) => values[i] !== null && values[i - 1] == null && values[i + 1] == null)
}

function faded(colour, percent) {
  return (
    colour +
    Math.round(percent * 2.55)
      .toString(16)
      .padStart(2, '0')
  )
}

/** The range of the axis. */
function bounds({ min, max, custom }, isLogarithmic, least, most) {
  if (isLogarithmic) {
    const top = Math.max(most, custom.axisSoftMax ?? 0)
    return [10 ** Math.floor(Math.log10(least ?? 0.001)), 10 ** Math.ceil(Math.log10(top || 1))]
  }
  const top = max ?? Math.max((most ?? 1) * 1.05, custom.axisSoftMax ?? 0)
  return [min ?? Math.min(0, least ?? 0), top > 0 ? top : 1]
}

/** The lines of thresholds with their colours. Below a transparent step it is the colour of the step before, as in Grafana. */
function thresholdLines({ thresholds, custom }) {
  const mode = custom.thresholdsStyle?.mode ?? 'off'
  if (!known({ off: false, line: true, dashed: true }, mode, 'style of thresholds')) return []
  const { steps } = thresholds
  return steps.slice(1).map(({ value, color }, i) => ({
    value,
    colour: known(COLOURS, color === 'transparent' ? steps[i].color : color, 'colour'),
    dash: mode === 'dashed' ? [10, 8] : [],
  }))
}

function across(chart, { value, colour, dash }) {
  const { ctx, bbox } = chart
  const y = chart.valToPos(value, 'y', true)
  if (y < bbox.top || y > bbox.top + bbox.height) return
  ctx.save()
  ctx.strokeStyle = colour
  ctx.lineWidth = 1.5
  ctx.setLineDash(dash)
  ctx.beginPath()
  ctx.moveTo(bbox.left, y)
  ctx.lineTo(bbox.left + bbox.width, y)
  ctx.stroke()
  ctx.restore()
}

function legendOf({ displayMode, placement, calcs }, series, columns, colours, format) {
  const figures = (column) => {
    const values = present(column)
    return calcs.map((name) => {
      const value = values.length === 0 ? undefined : known(CALCULATIONS, name, 'calculation').of(values)
      return value === undefined ? '–' : format(value)
    })
  }
  const name = (parent, i) => {
    parent.append(element('b', '', { background: colours[i] }), series[i].name)
    return parent
  }
  const isTable = known({ table: true, list: false }, displayMode, 'kind of legend')
  const box = element(isTable ? 'table' : 'div')
  box.className = `legend ${displayMode} ${placement === 'bottom' ? 'below' : ''}`
  if (isTable) {
    const head = element('tr')
    head.append(element('th'), ...calcs.map((calculation) => element('th', CALCULATIONS[calculation].name)))
    box.append(head)
  }
  for (const [i, column] of columns.entries()) {
    const row = element(isTable ? 'tr' : 'span')
    if (isTable) row.append(name(element('td'), i), ...figures(column).map((figure) => element('td', figure)))
    else
      name(row, i).append(
        ...figures(column).map((figure, j) => element('q', `${CALCULATIONS[calcs[j]].name}: ${figure}`)),
      )
    box.append(row)
  }
  return box
}

const TYPES = { stat, 'state-timeline': stateTimeline, timeseries }

for (const drawn of data) {
  const { id, type, fieldConfig } = drawn.panel
  const content = document.querySelector(`#panel-${id} .content`)
  const draw = known(TYPES, type, 'type of panel')
  if (drawn.series.some(({ points }) => points.some(([, value]) => Number.isFinite(value)))) draw(drawn, content)
  else {
    const empty = element('p', fieldConfig.defaults.noValue ?? 'No data')
    empty.className = 'empty'
    content.append(empty)
  }
}
document.documentElement.dataset.drawn = String(data.length)
