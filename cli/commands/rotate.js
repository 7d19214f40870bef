'use strict'

const readline = require('node:readline')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { namedBy } = require('../secrets')
const { told } = require('../words')

/** @typedef {import('../../index').RotationReport} RotationReport */

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'rotate', {
    summary: 'give a secret a new value in AWS',
    description:
      "Gives a secret a new value in AWS: staged, tried, then live. What hands the value to the target system are the hooks of a configuration file in JavaScript or TypeScript ('rotation.hooks').",
    examples: [
      'rotate GITHUB_API_TOKEN --environment staging',
      'rotate github api_token --environment production --yes',
    ],
    exits: {
      0: 'the new value is live',
      1: 'it is not, or its check failed, or the question was not answered with yes',
      2: 'nobody can be asked, and --yes is missing',
    },
  })
    .argument('<name>', "the secret's name, or its tool")
    .argument('[type]', 'its type, where a tool was given')
    .option('-y, --yes', 'do not ask; needed where standard input is no terminal')
    .action(handleOpen(rotate))
}

/**
 * @param {import('../program').Open} open
 * @param {string} first
 * @param {string | undefined} secretType
 * @param {{ yes?: boolean }} options
 */
async function rotate({ terminal, delivery, config }, first, secretType, { yes }) {
  const name = namedBy(first, secretType)
  const hooks = Object.keys(config.options.rotation?.hooks ?? {})
  if (!yes) await confirm(name, delivery.environment, hooks)
  const report = await delivery.rotation.rotate(name)
  terminal.result(report, () => shown(report, terminal))
  return report.outcome === 'finished' ? EXIT.ok : EXIT.no
}

/**
 * @param {string} name
 * @param {string} environment
 * @param {string[]} hooks
 */
async function confirm(name, environment, hooks) {
  if (!process.stdin.isTTY) {
    throw new CliError(
      'CONFIRMATION_NEEDED',
      EXIT.usage,
      `rotate ${name}: nobody can be asked here; add --yes to go on`,
    )
  }
  const target = hooks.length > 0 ? '' : ' No hooks are configured, so nothing hands it to the target system.'
  // Not in raw mode: Ctrl-C ends this process as everywhere.
  const lines = readline.createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  const question = `${name} gets a new value in ${environment} now.${target} Go on? [y/N] `
  const answer = await new Promise((resolve) => {
    const unanswered = () => {
      process.stderr.write('\n')
      resolve('')
    }
    lines.once('close', unanswered)
    lines.question(question, (answer) => {
      lines.off('close', unanswered)
      resolve(answer)
    })
  })
  lines.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('NOT_CONFIRMED', EXIT.no, `${name} was not rotated`)
}

/**
 * @param {RotationReport} report
 * @param {import('../terminal').Terminal} terminal
 */
function shown({ name, environment, outcome, steps, versionId, error }, terminal) {
  const endings = {
    finished: terminal.style('green', 'the new value is live'),
    unverified: terminal.style('yellow', 'the new value is live, and its check failed'),
    failed: terminal.style('red', 'it failed, and the old value is live'),
    'rolled-back': terminal.style('red', 'the new value was live, and the old one is again'),
  }
  const rows = steps.map(({ step, durationMs, error: failure }) => [
    step,
    `${Math.round(durationMs)} ms`,
    told(failure) || 'ok',
  ])
  return [
    `${terminal.style('bold', name)} in ${environment}: ${endings[outcome]}`,
    ...(versionId === null ? [] : [`version ${versionId}`]),
    ...(error === null ? [] : [told(error)]),
    '',
    terminal.table(['STEP', 'TIME', 'RESULT'], rows),
  ].join('\n')
}
