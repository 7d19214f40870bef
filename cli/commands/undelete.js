'use strict'

const { agreed, ended } = require('../changes')
const { define } = require('../define')
const { EXIT } = require('../exit')
const { namedBy, notFound } = require('../secrets')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'undelete', {
    summary: 'take the mark for deletion from a secret in AWS',
    examples: ['undelete github api_token --environment staging', 'undelete OLD_TOKEN --yes'],
    exits: {
      0: 'the secret can be read again',
      1: 'AWS has no such secret (any more), or the answer was not yes',
      2: 'there is no terminal to ask on, and --yes is missing',
      4: 'AWS failed or refused',
    },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType, options) => {
        const name = namedBy(first, secretType)
        await agreed(terminal, options, `undelete ${name}`, `${name} in ${delivery.environment} can be read again.`)
        const report = await delivery.store.undelete(name)
        if (report.outcome === 'absent') throw notFound(name, delivery, config)
        terminal.result(report, (report) =>
          report.outcome === 'kept'
            ? `${terminal.style('bold', name)} in ${report.environment}: it is not marked for deletion\n`
            : ended(report, terminal),
        )
        return EXIT.ok
      }),
    )
}
