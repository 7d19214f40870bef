'use strict'

const { agreed, ended } = require('../changes')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { notFound, toChange } = require('../secrets')
const { moment } = require('../times')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'delete', {
    summary: 'mark a secret for deletion in AWS',
    description:
      "Has AWS delete a secret after a number of days. No service can read it from now on; until the end of these days 'undelete' brings it back. A name that is a field of a JSON secret is taken out of it at once, and 'restore' brings the version before back.",
    examples: ['delete github api_token --environment staging', 'delete OLD_TOKEN --days 7 --yes'],
    exits: {
      0: 'it is marked for deletion, or the field was taken out',
      1: 'AWS has no such secret, or the answer was not yes',
      2: 'wrong number of days, or there is no terminal to ask on and --yes is missing',
      4: 'AWS failed or refused',
    },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('--days <number>', 'days in which it can be brought back, from 7 to 30', '30')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType, options) => {
        const name = toChange(first, secretType, config)
        const recoveryDays = Number(options.days)
        if (!(Number.isInteger(recoveryDays) && recoveryDays >= 7 && recoveryDays <= 30)) {
          throw new CliError('USAGE', EXIT.usage, '--days must be a whole number from 7 to 30')
        }
        const question = `No service can read ${name} in ${delivery.environment} from now on; it can be brought back for ${recoveryDays} days.`
        await agreed(terminal, options, `delete ${name}`, question)
        const report = await delivery.store.delete(name, { recoveryDays })
        if (report.outcome === 'absent') throw notFound(name, delivery, config)
        terminal.result(report, (report) => {
          if (report.outcome !== 'scheduled') return ended(report, terminal)
          const until = report.deletedAt === null ? '' : ` (AWS deletes it at ${moment(report.deletedAt)})`
          return `${terminal.style('bold', name)} in ${report.environment}: it is marked for deletion${until}\nBack: tcs-secrets undelete ${name}\n`
        })
        return EXIT.ok
      }),
    )
}
