'use strict'

// The parts of the benchmark that are about a tool's secrets, redaction and scanning.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { goal, number } = require('../report')
const { temporaryDirectory } = require('../../__test__/support/files')

/** @typedef {(scenario: string, sides: string[], input?: object, rounds?: number) => Promise<Record<string, Record<string, number>>>} Compare */

const times = (/** @type {number} */ ratio) => `${ratio.toFixed(2)}×`
const us = (/** @type {number} */ ns) => (ns / 1000).toFixed(2)

/** @param {Compare} compare @param {{ aws: any }} servers */
async function tool(compare, { aws }) {
  await aws.reset()
  await aws.put(require('./scenarios/tool').stored())
  const { tcs, map } = await compare('tool', ['tcs', 'map'], { aws: aws.options })
  const rows = [
    ['`getToolSecrets` of ten', number(tcs.nsPerRead), times(tcs.nsPerRead / map.nsPerRead)],
    ['ten awaited reads of a `Map` + TTL', number(map.nsPerRead), '1.00×'],
  ]
  const heading = ['side', 'ns for ten secrets', 'of the `Map`']
  return {
    tables: [{ title: 'Ten cached secrets of one tool', heading, rows }],
    goals: [
      goal(
        'ten cached secrets of a tool: time of ten `Map` reads',
        tcs.nsPerRead / map.nsPerRead,
        'at most',
        0.6,
        times,
      ),
    ],
  }
}

/** @param {Compare} compare */
async function redaction(compare) {
  const { tcs, pino, buffered, includes } = await compare('redaction', ['tcs', 'pino', 'buffered', 'includes'])
  const rows = [
    ['a line of 200 bytes, 1,000 values looked for', us(tcs.lineNs), times(tcs.lineNs / pino.lineNs)],
    ['pino writing such a line, synchronously', us(pino.lineNs), '1.00×'],
    ['pino writing such a line, buffered', us(buffered.lineNs), times(buffered.lineNs / pino.lineNs)],
    ['1 MiB of lines, 1,000 values looked for', us(tcs.textNs), times(tcs.textNs / includes.textNs)],
    ['one `String.includes` of one value in it', us(includes.textNs), '1.00×'],
  ]
  return {
    tables: [{ title: 'Redaction', heading: ['what', 'µs', 'ratio'], rows }],
    goals: [
      goal(
        'redaction of a line of 200 bytes: time of pino writing it',
        tcs.lineNs / pino.lineNs,
        'at most',
        0.3,
        times,
      ),
      goal('redaction of 1 MiB: time of one `String.includes`', tcs.textNs / includes.textNs, 'at most', 3, times),
    ],
  }
}

/** @param {Compare} compare */
async function scan(compare) {
  const { checkout, values } = require('./scenarios/scan')
  const hasRipgrep = spawnSync('rg', ['--version']).status === 0
  const directory = temporaryDirectory()
  try {
    const looked = values()
    const folder = path.join(directory, 'checkout')
    checkout(folder, looked)
    const input = { folder, values: looked }
    const { tcs, ripgrep } = await compare('scan', ['tcs', ...(hasRipgrep ? ['ripgrep'] : [])], input, 1)
    const rows = [['tcs-secrets scan', number(tcs.ms), ripgrep ? times(tcs.ms / ripgrep.ms) : '–']]
    if (ripgrep) rows.push(['ripgrep with a list of the forms', number(ripgrep.ms), '1.00×'])
    const heading = ['side', 'ms', 'of ripgrep']
    return {
      tables: [{ title: '100,000 files, 1,000 values', heading, rows }],
      goals: ripgrep
        ? [goal('scan of 100,000 files: time of ripgrep', tcs.ms / ripgrep.ms, 'at most', 1.5, times)]
        : [],
    }
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

module.exports = { redaction, scan, tool }
