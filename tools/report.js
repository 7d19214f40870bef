'use strict'

// Prints the results of the benchmark and the failure lab, and writes them into their documents.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { root } = require('../__test__/support/files')

/** @typedef {{ title: string, heading: string[], rows: string[][] }} Table */
/** @typedef {{ what: string, bound: string, got: string, met: boolean }} Goal */

const number = (/** @type {number} */ value, digits = 0) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })

/**
 * @param {string} what
 * @param {number} got
 * @param {'at most' | 'at least' | 'under'} relation
 * @param {number} bound
 * @param {(value: number) => string} show
 * @returns {Goal}
 */
function goal(what, got, relation, bound, show) {
  const met = relation === 'at least' ? got >= bound : relation === 'under' ? got < bound : got <= bound
  return { what, bound: `${relation} ${show(bound)}`, got: show(got), met }
}

/** @param {string} title @param {Goal[]} goals @returns {Table} */
function goalTable(title, goals) {
  const rows = goals.map(({ what, bound, got, met }) => [what, bound, got, met ? 'met' : '**missed**'])
  return { title, heading: ['what', 'bound', 'measured', ''], rows }
}

/** @param {Table} table A Markdown table, which a terminal shows well too. */
function markdown({ title, heading, rows }) {
  const widths = heading.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column].length)))
  const line = (/** @type {string[]} */ cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`
  const rule = line(widths.map((width) => '-'.repeat(width)))
  return `### ${title}\n\n${[line(heading), rule, ...rows.map(line)].join('\n')}\n`
}

/**
 * Describes the machine, the versions and the command of a measurement.
 *
 * @param {string} command
 * @param {string[]} [packages] Whose versions matter.
 */
function machine(command, packages = []) {
  const version = (/** @type {string} */ name) =>
    JSON.parse(fs.readFileSync(path.join(root, 'node_modules', name, 'package.json'), 'utf8')).version
  const rust = execFileSync('rustc', ['--version'], { encoding: 'utf8' }).split(' ')[1]
  const redis = /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1]
  const versions = [
    `Node.js ${process.versions.node}, Rust ${rust}, Redis ${redis}`,
    ...packages.map((name) => `${name} ${version(name)}`),
  ]
  return [
    `- Machine: ${os.cpus().length} × ${os.cpus()[0].model.trim()}, ${number(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.arch()}`,
    `- ${versions.join(', ')}`,
    `- Command: \`${command}\`, ${new Date().toISOString().slice(0, 10)}`,
  ].join('\n')
}

/**
 * Replaces the text between the markers of a document.
 *
 * @param {string} document
 * @param {string[]} parts
 */
function writeMeasured(document, parts) {
  const text = fs.readFileSync(document, 'utf8')
  const between = /(<!-- measured -->\n)[^]*(<!-- end of measured -->)/
  if (!between.test(text)) throw new Error(`${path.basename(document)} has no markers for what is measured`)
  fs.writeFileSync(
    document,
    text.replace(between, (_, start, end) => `${start}\n${parts.join('\n')}\n${end}`),
  )
}

module.exports = { goal, goalTable, machine, markdown, number, writeMeasured }
