'use strict'

const { define } = require('../define')
const { EXIT } = require('../exit')
const { plural } = require('../words')

/** @typedef {import('../doctor').Finding} Finding */

const COLOURS = /** @type {const} */ ({ ok: 'green', note: 'dim', warning: 'yellow', error: 'red' })

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'doctor', {
    summary: 'find what is wrong with the set-up, with fixes',
    description:
      'Checks Node and the package, the configuration, the environment, AWS with credentials, region and permissions, Redis and its keys, the modes of files, and the clock. It reads the declared secrets and does not print them.',
    examples: ['doctor', 'doctor --environment production --json'],
    exits: { 0: 'there are no errors; there may be warnings', 1: 'there are errors' },
  }).action(
    handle(async (context) => {
      // Loaded when it is needed: every start of the program would pay for it.
      const { examine } = require('../doctor')
      const findings = await examine(context)
      const healthy = findings.every(({ status }) => status !== 'error')
      context.terminal.result({ healthy, findings }, ({ findings }) => shown(findings, context.terminal))
      return healthy ? EXIT.ok : EXIT.no
    }),
  )
}

/**
 * @param {Finding[]} findings
 * @param {import('../terminal').Terminal} terminal
 */
function shown(findings, terminal) {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const lines = findings.flatMap(({ check, status, message, fix }) => [
    terminal.hanging(`${terminal.style(COLOURS[status], status.padEnd(7))}  ${check.padEnd(width)}  `, message),
    ...(fix === null ? [] : [terminal.hanging(`${' '.repeat(9 + width + 2)}`, terminal.style('cyan', `→ ${fix}`))]),
  ])
  const errors = findings.filter(({ status }) => status === 'error').length
  const warnings = findings.filter(({ status }) => status === 'warning').length
  return `${lines.join('\n')}\n\n${plural(errors, 'error')}, ${plural(warnings, 'warning')}\n`
}
