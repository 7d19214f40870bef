'use strict'

const { agreed, ended } = require('../changes')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { notInAws, toChange } = require('../secrets')
const { moment } = require('../times')
const { rotationShown } = require('../rotations')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'restore', {
    summary: 'make an earlier version of a secret live again',
    description:
      "Makes a version live that AWS still has: the one before, or the one that --to names ('history' and the audit log show their ids). Its value goes through the rotation hooks as a new one does. Without hooks only AWS changes. Of a JSON secret only the field goes back, also one that was taken out.",
    examples: ['restore github api_token --environment production', 'restore GITHUB_API_TOKEN --to 1a2b… --yes'],
    exits: {
      0: 'the version is live',
      1: 'it is not live, or AWS has no such version, or the answer was not yes',
      2: 'there is no terminal to ask on, and --yes is missing',
      4: 'AWS failed or refused',
    },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('--to <version>', 'its id (default: the one before)')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType, options) => {
        const name = toChange(first, secretType, config)
        const { current, previous } = await delivery.getSecretVersions(name)
        // A field that was taken out is in the version before only.
        if (current === null && previous === null && options.to === undefined) throw notInAws(name, delivery, config)
        const versionId = options.to ?? previous?.versionId
        if (current === null && previous !== null && versionId === previous.versionId) {
          const question = `${name} is put back into its secret in ${delivery.environment}.`
          await agreed(terminal, options, `restore ${name}`, question)
          const report = await delivery.store.put(name, previous.value)
          terminal.result(report, (report) => ended(report, terminal))
          return EXIT.ok
        }
        if (versionId === undefined) {
          const message = `${name}: AWS has no version before the live one; name one with --to`
          throw new CliError('VERSION_NOT_FOUND', EXIT.no, message)
        }
        const made = versionId === previous?.versionId ? previous?.createdAt : null
        const which = `version ${versionId}${made ? ` of ${moment(made)}` : ''}`
        await agreed(terminal, options, `restore ${name}`, `${name} goes back to ${which} in ${delivery.environment}.`)
        const report = await delivery.rotation.restore(name, { versionId })
        terminal.result(report, (report) => rotationShown(report, terminal, 'that version is live'))
        return report.outcome === 'finished' ? EXIT.ok : EXIT.no
      }),
    )
}
