'use strict'

const { define } = require('../define')
const { EXIT } = require('../exit')
const { moment, relative } = require('../times')
const { told } = require('../words')

/** @typedef {import('../../index').RotationDue} RotationDue */

/** States that need somebody. */
const NEEDY = new Set(['due', 'unknown'])
const COLOURS = /** @type {const} */ ({ due: 'red', announced: 'yellow', unknown: 'red', manual: 'dim' })

const BY = /** @type {const} */ ({ scheduler: 'the scheduler', hand: 'by hand', aws: 'by AWS' })

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'due', {
    summary: 'show when declared secrets are due for rotation',
    description:
      "Shows when each declared secret is due for rotation, by its policy, the environment's interval or AWS's own schedule, and who rotates it then: the scheduler, people ('by hand', with the reason) or AWS. 'manual': no automatic rotation in this environment; 'unknown': AWS has no such secret, or did not answer.",
    examples: [
      'due --environment production',
      'due --check || mail -s "secrets are due" ops@example.com',
      'due --json | jq \'.secrets[] | select(.state == "due") | .name\'',
    ],
    exits: {
      0: 'the dates were printed; with --check: no secret is due',
      1: 'with --check: a secret is due, or its date is unknown',
      3: 'the configuration is wrong',
    },
  })
    .option('--check', 'for cron: print only what needs somebody, and end with 1 if there is something')
    .action(
      handleOpen(async ({ terminal, delivery }, { check }) => {
        const all = await delivery.rotation.due()
        const secrets = check ? all.filter(({ state }) => NEEDY.has(state)) : all
        const { environment } = delivery
        if (!check || terminal.json || secrets.length > 0) {
          terminal.result({ environment, secrets }, (shown) => table(shown, terminal))
        }
        return check && secrets.length > 0 ? EXIT.no : EXIT.ok
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
  const rows = secrets.map(({ name, state, dueAt, rotatedAt, policy, by, why, error }) => [
    name,
    state,
    dueAt === null ? '–' : `${moment(dueAt)} (${relative(dueAt, now)})`,
    by === null ? '–' : BY[by],
    rotatedAt === null ? '–' : moment(rotatedAt),
    by === 'aws' ? "AWS's schedule" : (policy ?? `interval of ${environment}`),
    // Where people rotate, it does not matter why AWS does not tell.
    told(error) || (state === 'unknown' && by === null ? 'AWS has no such secret' : (why ?? '')),
  ])
  return terminal.table(
    ['NAME', 'STATE', 'DUE', 'BY', 'LAST ROTATED', 'POLICY', 'WHY'],
    rows,
    terminal.words(1, COLOURS),
  )
}
