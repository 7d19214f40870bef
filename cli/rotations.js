'use strict'

const { told } = require('./words')

/**
 * How a rotation, or a way back to a version, ended.
 *
 * @param {import('../index').RotationReport} report
 * @param {import('./terminal').Terminal} terminal
 * @param {string} [live] What is said when it is live.
 */
function rotationShown(
  { name, environment, outcome, steps, versionId, error },
  terminal,
  live = 'the new value is live',
) {
  const endings = {
    finished: terminal.style('green', live),
    unverified: terminal.style('yellow', `${live}, and its check failed`),
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
    ...(rows.length === 0 ? [''] : ['', terminal.table(['STEP', 'TIME', 'RESULT'], rows)]),
  ].join('\n')
}

module.exports = { rotationShown }
