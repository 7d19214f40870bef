'use strict'

const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */

/**
 * What is not met of the profile, and what is waived. One line says what is.
 *
 * @param {import('../../index').ComplianceReport} report
 * @returns {Finding[]}
 */
function complianceFindings({ profile, controls }) {
  if (profile === null) return [finding('compliance', 'note', 'not looked at (compliance)')]
  const of = (/** @type {string} */ state) => controls.filter((control) => control.state === state)
  const unmet = of('not-met').map(({ control, criteria, evidence, setting, remedy }) =>
    finding(
      'compliance',
      'warning',
      `${control} (${criteria.join(', ')}) is not met: ${evidence.join('; ')}`,
      `${setting}: ${remedy}`,
    ),
  )
  const waived = of('waived').map(({ control, waiver, evidence }) =>
    finding('compliance', 'note', `${control} is waived: ${waiver} (${evidence.join('; ')})`),
  )
  const applicable = controls.length - of('not-applicable').length
  const met = of('met').length
  return [
    ...unmet,
    ...waived,
    finding('compliance', met === applicable ? 'ok' : 'note', `${profile}: ${met} of ${applicable} controls are met`),
  ]
}

module.exports = { complianceFindings }
