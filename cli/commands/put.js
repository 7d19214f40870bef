'use strict'

const { Option } = require('commander')
const { agreed, changesTable, compareOne, ended, warnUndeclared } = require('../changes')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { toChange } = require('../secrets')
const { refuseValues, sizeOf, valueFrom } = require('../values')

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'put', {
    summary: 'write a value into AWS',
    description:
      'Writes the value of one secret, or of one field of a JSON secret, into AWS. The value comes from standard input, a file, or a hidden prompt on a terminal, and never from an argument. The line end behind a single line is taken off. Shows what changes by name, asks, and writes only if the version that was looked at is still live. Running services follow as they follow a rotation.',
    examples: [
      'put github api_token --environment staging',
      'put TLS_KEY --file key.pem --yes',
      'put DATABASE_PASSWORD --yes < password.txt',
      'put KEY_STORE --binary --file store.p12 --yes',
    ],
    exits: {
      0: 'AWS has the value',
      1: 'another version was live meanwhile, or the answer was not yes; nothing was written',
      2: 'the value is empty or no text, or there is no terminal to ask on and --yes is missing',
      4: 'AWS failed or refused',
      5: 'a value was given as an argument',
    },
  })
    .usage('[options] <name> [type]')
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type...]', 'the secret type, if the name is a tool')
    .option('-f, --file <path>', "file with the value; '-' is standard input")
    .option('--exact', 'take the value byte for byte, with a line end or a byte order mark')
    .option('--binary', 'write the bytes as they are (SecretBinary); services read them with getToolSecretBytes')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .addOption(new Option('--value [text]').hideHelp())
    .action(
      handle(async (context, first, types, options) => {
        const { terminal } = context
        refuseValues(await context.config(), [first, ...types], options)
        const name = toChange(first, types[0], await context.config())
        if (!options.yes && !process.stdin.isTTY)
          throw new CliError('CONFIRMATION_NEEDED', EXIT.usage, noTerminal(name))
        const value = await valueFrom(terminal, name, options)
        return context.withDelivery(async (delivery, config) => {
          warnUndeclared(name, config, terminal)
          const found = await compareOne(delivery, name, value)
          if (found.change !== 'keep') {
            terminal.note(changesTable([found], terminal).trimEnd())
            const question = `${name} gets this value (${sizeOf(value)}) in ${delivery.environment}.`
            await agreed(terminal, options, `put ${name}`, question)
          }
          const report = await delivery.store.put(name, value, { ifVersionId: found.versionId })
          terminal.result({ ...report, fields: found.fields }, (report) => ended(report, terminal))
          return EXIT.ok
        })
      }),
    )
}

/** @param {string} name */
function noTerminal(name) {
  return `put ${name}: standard input is no terminal to ask at; add --yes to go on`
}
