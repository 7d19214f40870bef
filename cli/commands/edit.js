'use strict'

const { faultOf } = require('../../lib/json-fault')
const { agreed, changesTable, compareOne, ended } = require('../changes')
const { define } = require('../define')
const { editText } = require('../editor')
const { CliError, EXIT } = require('../exit')
const { notInAws, toChange } = require('../secrets')
const { MOST_BYTES, nothing, sizeOf } = require('../values')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'edit', {
    summary: 'change the value of a secret in an editor',
    description:
      'Opens the live value of a secret in $VISUAL, $EDITOR or vi, in a private file that is removed again, also when a signal ends this program. Then shows what changes by name, asks, and writes only if the version that was opened is still live. A JSON secret has to stay JSON.',
    examples: ['edit jira config --environment staging', 'EDITOR="code --wait" tcs-secrets edit DATABASE_URL'],
    exits: {
      0: 'AWS has the new value, or nothing was changed in the editor',
      1: 'AWS has no such secret, another version was live meanwhile, or the answer was not yes; nothing was written',
      2: 'there is no terminal, the editor failed, or the new value cannot be one',
      4: 'AWS failed or refused',
    },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('-y, --yes', 'do not ask after the editor has ended')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType, options) => {
        const name = toChange(first, secretType, config)
        if (!options.yes && !process.stdin.isTTY) {
          const message = `edit ${name}: standard input is no terminal; use 'put', or --yes with an editor that needs none`
          throw new CliError('CONFIRMATION_NEEDED', EXIT.usage, message)
        }
        const { current } = await delivery.getSecretVersions(name)
        if (current === null) throw notInAws(name, delivery, config)
        if (typeof (await delivery.store.read(name)) !== 'string') {
          throw nothing(name, "AWS has it as bytes, which no editor takes; 'put --file' gives it others")
        }
        const wasJson = isJson(current.value)
        const text = await editText(current.value, wasJson ? '.json' : '.txt')
        const value = current.value.endsWith('\n') ? text : text.replace(/\r?\n$/, '')
        if (value === current.value) {
          const { environment } = delivery
          const { versionId } = current
          terminal.result(
            { name, environment, outcome: 'kept', versionId },
            ({ name }) => `${name}: nothing was changed\n`,
          )
          return EXIT.ok
        }
        assertFit(name, value, wasJson)
        const found = await compareOne(delivery, name, value)
        terminal.note(changesTable([found], terminal).trimEnd())
        const question = `${name} gets this value (${sizeOf(value)}) in ${delivery.environment}.`
        await agreed(terminal, options, `edit ${name}`, question)
        const report = await delivery.store.put(name, value, { ifVersionId: current.versionId })
        terminal.result({ ...report, fields: found.fields }, (report) => ended(report, terminal))
        return EXIT.ok
      }),
    )
}

/** @param {string} text */
function isJson(text) {
  return /^\s*[{[]/.test(text) && faultOf(text) === null
}

/** @param {string} name @param {string} value @param {boolean} wasJson */
function assertFit(name, value, wasJson) {
  if (value === '') throw nothing(name, "the value is empty; 'delete' takes a secret away")
  const bytes = Buffer.byteLength(value)
  if (bytes > MOST_BYTES) throw nothing(name, `the value has ${bytes} bytes, AWS stores ${MOST_BYTES}`)
  const fault = wasJson ? faultOf(value) : null
  if (fault !== null) {
    throw nothing(name, `it was JSON and is none now: line ${fault.line}, column ${fault.column}: ${fault.reason}`)
  }
}
