'use strict'

const { randomUUID } = require('node:crypto')
const { Option } = require('commander')
const { agreed, compareOne, ended, warnUndeclared } = require('../changes')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { toChange } = require('../secrets')

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** The alphabets that have a name. */
const CHARSETS = {
  alphanumeric: `${LETTERS}0123456789`,
  hex: '0123456789abcdef',
  base64url: `${LETTERS}0123456789-_`,
  printable: `${LETTERS}0123456789!#%&()*+,-./:;<=>?@[]^_{|}~`,
}

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'generate', {
    summary: 'give a secret a random value in AWS, which nobody sees',
    description:
      "Makes a random value and writes it into AWS: a new secret, or another value for one that exists, if that is nothing that another service issued (a URL, a key, a token stays). The value is not printed. No rotation hook is called: use 'rotate' where one hands the value to another system.",
    examples: ['generate session key --environment staging', 'generate PEPPER --length 64 --charset hex --yes'],
    exits: {
      0: 'the new value is live',
      1: 'another version was live meanwhile, or the answer was not yes; nothing was written',
      2: 'wrong length, or there is no terminal to ask on and --yes is missing',
      4: 'AWS failed or refused, or the value that is there is nothing that a random text may replace',
    },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('-l, --length <number>', 'number of characters, from 8 to 4096', '32')
    .addOption(
      new Option('--charset <name>', 'what it is made of').choices(Object.keys(CHARSETS)).default('alphanumeric'),
    )
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType, options) => {
        const name = toChange(first, secretType, config)
        const length = Number(options.length)
        if (!(Number.isInteger(length) && length >= 8 && length <= 4096)) {
          throw new CliError('USAGE', EXIT.usage, '--length must be a whole number from 8 to 4096')
        }
        warnUndeclared(name, config, terminal)
        const { change, versionId } = await compareOne(delivery, name, randomUUID())
        const what = change === 'create' ? 'is made with' : 'has a value, which is replaced by'
        const question = `${name} ${what} a random one of ${length} characters in ${delivery.environment}.`
        await agreed(terminal, options, `generate ${name}`, question)
        const alphabet = CHARSETS[/** @type {keyof typeof CHARSETS} */ (options.charset)]
        const report = await delivery.store.generate(name, { length, alphabet, ifVersionId: versionId })
        terminal.result(report, (report) => ended(report, terminal))
        return EXIT.ok
      }),
    )
}
