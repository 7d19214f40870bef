'use strict'

const { define } = require('../define')
const { EXIT } = require('../exit')
const { moment, relative } = require('../times')
const { told } = require('../words')

/** @typedef {import('../../index').RotationDue} RotationDue */

const COLOURS = /** @type {const} */ ({ due: 'red', announced: 'yellow', unknown: 'red', manual: 'dim' })

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'due', {
    summary: 'show when declared secrets are due for rotation',
    description:
      "Shows when each declared secret is due for rotation, by its policy or the environment's interval. 'manual': no automatic rotation in this environment; 'unknown': AWS has no such secret, or did not answer.",
    examples: ['due --environment production', 'due --json | jq \'.secrets[] | select(.state == "due") | .name\''],
    exits: { 0: 'the dates were printed, even if secrets are due', 3: 'the configuration is wrong' },
  }).action(
    handleOpen(async ({ terminal, delivery }) => {
      const secrets = await delivery.rotation.due()
      const { environment } = delivery
      terminal.result({ environment, secrets }, (shown) => table(shown, terminal))
      return EXIT.ok
    }),
  )
}

/**
 * @param {{ environment: string, secrets: RotationDue[] }} due
 * @param {import('../terminal').Terminal} terminal
 */
function table({ environment, secrets }, terminal) {
  if (secrets.length === 0) return `No secrets are declared, so none is due in ${environment}.\n`
  const now = Date.now()
  const rows = secrets.map(({ name, state, dueAt, rotatedAt, policy, error }) => [
    name,
    state,
    dueAt === null ? '–' : `${moment(dueAt)} (${relative(dueAt, now)})`,
    rotatedAt === null ? '–' : moment(rotatedAt),
    policy ?? `interval of ${environment}`,
    // Where people rotate, it does not matter why AWS does not tell.
    state !== 'unknown' ? '' : told(error) || 'AWS has no such secret',
  ])
  return terminal.table(['NAME', 'STATE', 'DUE', 'LAST ROTATED', 'POLICY', ''], rows, terminal.words(1, COLOURS))
}
