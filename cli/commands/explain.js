'use strict'

const { define } = require('../define')
const { EXIT } = require('../exit')
const { meantBy, namedBy } = require('../secrets')
const { duration, moment } = require('../times')

/** @typedef {import('../../index').SecretExplanation} SecretExplanation */

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'explain', {
    summary: 'show which layer answers for a secret, and why',
    description:
      'Shows what each layer has, in the order in which a read asks them. It changes nothing and never prints the value. It asks AWS unless a cache answers.',
    examples: ['explain GITHUB_API_TOKEN', 'explain github api_token --environment production --json'],
    exits: { 0: 'the explanation was printed, even if no layer has the secret', 3: 'the configuration is wrong' },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType) => {
        const explanation = await delivery.explain(namedBy(first, secretType))
        terminal.result(explanation, (explanation) =>
          shown(explanation, terminal, meantBy(explanation.name, delivery.environment, config)),
        )
        return EXIT.ok
      }),
    )
}

/**
 * @param {SecretExplanation} explanation
 * @param {import('../terminal').Terminal} terminal
 * @param {string} meant What may have been meant, if no source has it.
 */
function shown(explanation, terminal, meant) {
  const { name, environment, layers } = explanation
  const rows = layers.map(({ layer, state, place, versionId, ageSeconds, freshUntil }) => [
    layer,
    state,
    place ?? '–',
    versionId ?? '–',
    ageSeconds === null ? '–' : duration(ageSeconds),
    freshUntil === null ? '–' : moment(freshUntil),
  ])
  const table = terminal.table(
    ['LAYER', 'STATE', 'PLACE', 'VERSION', 'AGE', 'FRESH UNTIL'],
    rows,
    terminal.words(1, { hit: 'green', stale: 'yellow', error: 'red', disabled: 'dim', skipped: 'dim' }),
  )
  const errors = layers.flatMap(({ layer, error }) =>
    error === null ? [] : [`${layer}: ${terminal.style('red', error.code)} ${error.message}`],
  )
  return [
    `${terminal.style('bold', name)} in ${environment}: ${verdict(explanation)}${explanation.answeredBy === null && explanation.error === null ? meant : ''}`,
    '',
    table,
    ...errors.map((line) => `${line}\n`),
  ].join('\n')
}

/** @param {SecretExplanation} explanation */
function verdict({ answeredBy, stale, error }) {
  if (error !== null) return `a read fails with ${error.code}`
  if (answeredBy === null) return 'no source has it; a read gives null'
  return stale ? `a stale copy answers (${answeredBy}), since AWS fails` : `${answeredBy} answers`
}
