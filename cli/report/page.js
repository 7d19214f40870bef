'use strict'

// The report as one HTML page: no scripts, no external resources, no values.

const { createHash } = require('node:crypto')
const { moment, relative } = require('../times')
const { DAYS, calendarChart, hitRateChart, latencyChart, readLatencyChart } = require('./charts')
const { Html, html } = require('./html')
const { style } = require('./style')

/** @typedef {import('../commands/report').Report} Report */

/** The words and colours of states. The word alone is sufficient. */
const MARKS = /** @type {Record<string, string>} */ ({
  ok: 'good',
  degraded: 'warn',
  down: 'bad',
  disabled: 'quiet',
  warning: 'warn',
  error: 'bad',
  due: 'bad',
  announced: 'warn',
  later: 'good',
  manual: 'quiet',
  unknown: 'warn',
  met: 'good',
  'not-met': 'bad',
  waived: 'warn',
  'not-applicable': 'quiet',
})

/** Where the hash of the page goes, on a line of its own. */
const HASH_LINE = '<!-- hash -->'

const PARTS = /** @type {const} */ ([
  ['aws', 'AWS Secrets Manager'],
  ['envFile', 'Env file'],
  ['runtime', 'Runtime environment'],
  ['memory', 'Cache in the process'],
  ['redis', 'Shared cache (Redis)'],
  ['audit', 'Audit log'],
])

/**
 * @param {Report} report
 * @returns {string}
 */
function page(report) {
  const { environment, generatedAt, version } = report
  const body = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>Secrets in ${environment}</title>
        <style>
          ${new Html(style)}
        </style>
      </head>
      <body>
        <main>
          <h1>Secrets in ${environment}</h1>
          <p class="quiet">${moment(generatedAt)}, tcs-secret-delivery ${version}. This page holds no secret values.</p>
          <p class="quiet">${askedAs(report)}</p>
          ${tiles(report)} ${secretsSection(report)} ${rotationSection(report)} ${latencySection(report)}
          ${trafficSection(report)} ${denialsSection(report)} ${auditSection(report)} ${complianceSection(report)}
          ${healthSection(report)} ${new Html(`\n${HASH_LINE}`)}
        </main>
      </body>
    </html> `
  return sealed(body.text)
}

/**
 * The page with the hash of everything but the line that has it.
 *
 * @param {string} text
 */
function sealed(text) {
  const lines = text.split('\n')
  const place = lines.findIndex((line) => line.includes(HASH_LINE))
  const others = lines.filter((_, i) => i !== place).join('\n')
  const hash = createHash('sha256').update(`${others}\n`).digest('hex')
  lines[place] = `<p class="quiet" id="page-hash">SHA-256 of this page without this line: <code>${hash}</code></p>`
  return `${lines.join('\n')}\n`
}

/** @param {Report} report */
function askedAs({ aws: { account, arn, region } }) {
  const who = arn === null ? 'an identity that AWS did not tell' : html`<code>${arn}</code> of account ${account}`
  return html`AWS was asked in ${region ?? 'the region of the profile'} as ${who}.`
}

/** @param {Report} report */
function tiles({ secrets, rotation, health }) {
  const issues = (/** @type {string} */ wanted) =>
    secrets.filter(({ issues: found }) => found.some(({ severity }) => severity === wanted)).length
  const figures = [
    ['declared secrets', secrets.length, ''],
    ['from AWS or its copies', secrets.filter(({ source }) => isAws(source)).length, ''],
    ['from files or variables', secrets.filter(({ source }) => source !== null && !isAws(source)).length, ''],
    ['with errors', issues('error'), issues('error') > 0 ? 'bad' : 'good'],
    ['due for rotation', rotation.filter(({ state }) => state === 'due').length, ''],
    ['sources and caches', health.status, MARKS[health.status]],
  ]
  return html`<div class="tiles">
    ${figures.map(([label, figure, mark]) => html`<div class="tile"><strong class="${mark || 'plain'}">${figure}</strong><span>${label}</span></div> `)}
  </div>`
}

/** @param {Report} report */
function complianceSection({ compliance: { profile, controls, enforced } }) {
  if (profile === null) return null
  const rows = controls.map(
    ({ control, criteria, state, evidence, remedy, waiver }) =>
      html`<tr>
        <th scope="row" class="name">${control}</th>
        <td>${criteria.join(', ')}</td>
        <td>${mark(state)}</td>
        <td>${breakable(evidence.join('; '))}</td>
        <td>${state === 'waived' ? `waived: ${waiver}` : (remedy ?? '–')}</td>
      </tr> `,
  )
  return section(
    `Compliance (${profile}, ${enforced ? 'enforced' : 'watched'})`,
    table(
      "Which criterion a control serves is this package's reading of the Trust Services Criteria.",
      ['Control', 'Criteria', 'State', 'Evidence', 'Remedy'],
      rows,
    ),
  )
}

/** A text whose names may be broken behind each underscore, so that a long one does not take the room of the others. @param {string} text */
function breakable(text) {
  return text.split('_').map((part, i) => (i === 0 ? part : html`_<wbr />${part}`))
}

/** @param {string | null} source */
function isAws(source) {
  return source === 'aws' || source === 'redis' || source === 'memory'
}

/** @param {Report} report */
function secretsSection({ secrets, audit: { traffic } }) {
  const readers = traffic?.secrets ?? {}
  const rows = secrets.map(
    ({ name, required, source, versionId, issues }) =>
      html`<tr>
        <th scope="row" class="name">${breakable(name)}</th>
        <td>${required ? 'yes' : 'no'}</td>
        <td>${source ?? '–'}</td>
        <td class="name">${versionId ?? '–'}</td>
        <td>${readers[name]?.lastReadAt ? moment(readers[name].lastReadAt) : '–'}</td>
        <td>${readers[name]?.callers.join(', ') || '–'}</td>
        <td>
          ${
            issues.length === 0
              ? mark('ok')
              : html`<ul>
                  ${issues.map(({ severity, code, message }) => html`<li>${mark(severity)} <code>${breakable(code)}</code> ${message}</li>`)}
                </ul>`
          }
        </td>
      </tr> `,
  )
  return section(
    'Where secrets come from',
    table(
      'Every declared secret, read as the service reads it. The last read, and by whom, is from the audit log.',
      ['Secret', 'Required', 'Source', 'Version', 'Last read', 'By', 'Validation'],
      rows,
    ),
  )
}

/** @param {Report} report */
function rotationSection({ rotation, generatedAt }) {
  const now = Date.parse(generatedAt)
  const rows = rotation.map(
    ({ name, state, dueAt, rotatedAt, policy, error }) =>
      html`<tr>
        <th scope="row" class="name">${breakable(name)}</th>
        <td>${mark(state)}${error === null ? null : html` <code>${breakable(error.code)}</code> ${error.message}`}</td>
        <td>${dueAt === null ? '–' : `${moment(dueAt)} (${relative(dueAt, now)})`}</td>
        <td>${rotatedAt === null ? '–' : moment(rotatedAt)}</td>
        <td>${policy ?? "the environment's interval"}</td>
      </tr> `,
  )
  return section(
    'Rotation calendar',
    html`${chart(calendarChart(rotation, now)) ?? html`<p class="quiet">No secret has a date in the next ${DAYS} days.</p>`}
    ${table('All declared secrets.', ['Secret', 'State', 'Due', 'Last rotated', 'Policy'], rows)}`,
  )
}

/** @param {Report} report */
function latencySection({ performance, performanceError }) {
  if (performance === null) {
    return section(
      'Latency of each layer',
      html`<p>${mark('warning')} Not measured: <code>${performanceError?.code}</code> ${performanceError?.message}</p>`,
    )
  }
  const ms = (/** @type {number} */ value) =>
    html`<td class="number">${value < 1 ? value.toFixed(3) : value.toFixed(1)}</td>`
  const rows = performance.layers.map(
    ({ layer, reads, p50Ms, p95Ms, p99Ms }) =>
      html`<tr>
        <th scope="row">${layer}</th>
        <td class="number">${reads}</td>
        ${[p50Ms, p95Ms, p99Ms].map(ms)}
      </tr> `,
  )
  const seconds = performance.thresholdMs / 1000
  const verdict = performance.withinThreshold
    ? html`<p>${mark('ok')} The 99th percentile of every layer is under the bound of ${seconds} seconds.</p>`
    : html`<p>${mark('error')} The 99th percentile of a layer is over the bound of ${seconds} seconds.</p>`
  return section(
    'Latency of each layer',
    html`${verdict} ${chart(latencyChart(performance))}
      <p class="quiet">
        Percentiles: ${['p50', 'p95', 'p99'].map((name) => html`<span class="legend ${name}"></span>${name}`)}; dashed:
        the bound.
      </p>
      ${table('In milliseconds.', ['Layer', '#Reads', '#p50', '#p95', '#p99'], rows)}`,
  )
}

/** @param {Report} report */
function trafficSection({ audit: { traffic } }) {
  if (traffic === null || traffic.reads === 0) {
    const why = traffic === null ? 'There is no audit log to count in.' : 'The audit log has none of this environment.'
    return section('Reads of the service', html`<p class="quiet">${why}</p>`)
  }
  const { by, spans, reads, lookups, hits } = traffic
  const rate =
    lookups === 0 ? '' : `, and a cache answered ${((100 * hits) / lookups).toFixed(1)} % of ${lookups} lookups`
  const since = moment(spans[0]?.from ?? '')
  return section(
    'Reads of the service',
    html`<p>${reads} reads since ${since}${rate}. From the audit log, without those of tcs-secrets.</p>
      <h3>Cache hit rate by the ${by}; dashed: the goal of 80 %</h3>
      ${lookups === 0 ? html`<p class="quiet">No cache was asked.</p>` : chart(hitRateChart(traffic))}
      <h3>Latency by the ${by}</h3>
      ${chart(readLatencyChart(traffic))}
      <p class="quiet">
        Percentiles: ${['p50', 'p99'].map((name) => html`<span class="legend ${name}"></span>${name}`)}
      </p>`,
  )
}

/** @param {Report} report */
function denialsSection({ audit: { traffic } }) {
  if (traffic === null) return null
  const denied = Object.entries(traffic.secrets).filter(([, { denied }]) => denied > 0)
  if (denied.length === 0) return section('Refused reads', html`<p>${mark('ok')} The audit log has none.</p>`)
  const rows = denied.map(
    ([name, { denied, lastDeniedAt, deniedCallers }]) =>
      html`<tr>
        <th scope="row" class="name">${breakable(name)}</th>
        <td class="number">${denied}</td>
        <td>${lastDeniedAt === null ? '–' : moment(lastDeniedAt)}</td>
        <td>${deniedCallers.join(', ')}</td>
      </tr> `,
  )
  return section('Refused reads', table('From the audit log.', ['Secret', '#Times', 'Last', 'By'], rows))
}

/** @param {Report} report */
function auditSection({ audit: { log, verification, error } }) {
  if (log === null) return section('Audit log', html`<p class="quiet">There is none.</p>`)
  if (verification === null) {
    return section(
      'Audit log',
      html`<p>${mark('error')} Not verified: <code>${error?.code}</code> ${error?.message}</p>`,
    )
  }
  const { valid, untampered, fault, files, firstSequence, lastSequence, endConfirmed, unrecoveredJournals, outcomes } =
    verification
  const verdict = valid
    ? html`<p>${mark('ok')} Every record is as it was written: none was changed, removed, inserted or moved.</p>`
    : html`<p>
        ${mark(untampered ? 'warning' : 'error')} ${untampered ? 'The last line is torn' : 'It was tampered with'}; the
        first fault: <code>${fault?.kind}</code> at line ${fault?.line} of ${fault?.file}. ${fault?.message}
      </p>`
  const rows = [
    ['File', html`<span class="name">${log}</span>`],
    ['Records', `${firstSequence} to ${lastSequence}, in ${files} ${files === 1 ? 'file' : 'files'}`],
    ['Key', keyOf(verification)],
    ['Its end', endConfirmed ? 'confirmed by the state file' : 'not confirmed: the state file beside it is missing'],
    ['Journals of ended processes', unrecoveredJournals],
    ['Accesses', Object.entries(outcomes).map(([outcome, count], i) => `${i === 0 ? '' : ', '}${count} ${outcome}`)],
  ].map(
    ([label, what]) =>
      html`<tr>
        <th scope="row">${label}</th>
        <td>${what}</td>
      </tr> `,
  )
  return section('Audit log', html`${verdict} ${table('As it was when this page was made.', ['Part', 'Found'], rows)}`)
}

/** What the key of an audit log proves. @param {import('../../index').AuditVerification} verification */
function keyOf({ firstSequence, keyedSequence }) {
  if (keyedSequence === null) return 'none: whoever can write the log can write all of it anew'
  if (keyedSequence <= firstSequence) return 'from the first record on'
  return `from record ${keyedSequence} on; those before it prove little`
}

/** @param {Report} report */
function healthSection({ health }) {
  const rows = PARTS.map(([part, label]) => {
    const { status, reason } = health.checks[part]
    return html`<tr>
      <th scope="row">${label}</th>
      <td>${mark(status)}</td>
      <td>${reason ?? ''}</td>
    </tr> `
  })
  return section(
    'Sources and caches',
    table('As they answered when this page was made.', ['Part', 'State', 'Reason'], rows),
  )
}

/** @param {string} title @param {Html} content */
function section(title, content) {
  return html`<section>
    <h2>${title}</h2>
    ${content}
  </section>`
}

/**
 * @param {string} caption
 * @param {string[]} headings Those of numbers begin with `#`.
 * @param {Html[]} rows
 */
function table(caption, headings, rows) {
  if (rows.length === 0) return html`<p class="quiet">No secrets are declared.</p>`
  const heads = headings.map((heading) =>
    heading.startsWith('#')
      ? html`<th scope="col" class="number">${heading.slice(1)}</th>`
      : html`<th scope="col">${heading}</th>`,
  )
  return html`<table>
    <caption>
      ${caption}
    </caption>
    <thead>
      <tr>
        ${heads}
      </tr>
    </thead>
    <tbody>
      ${rows.map((row) => labelled(row, headings))}
    </tbody>
  </table>`
}

/** A row whose cells have their headings, for narrow screens. @param {Html} row @param {string[]} headings */
function labelled({ text }, headings) {
  let column = 0
  return new Html(
    text.replace(/<(td|th)\b/g, (_, tag) => {
      const heading = (headings[column++] ?? '').replace(/^#/, '')
      return html`<${new Html(tag)} data-label="${heading}"`.text
    }),
  )
}

/** @param {Html | null} svg */
function chart(svg) {
  return svg === null ? null : html`<div class="chart">${svg}</div>`
}

/** @param {string} state */
function mark(state) {
  return html`<span class="mark ${MARKS[state] ?? ''}">${state}</span>`
}

module.exports = { page }
