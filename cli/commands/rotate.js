'use strict'

const { warnUndeclared } = require('../changes')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { rotationShown } = require('../rotations')
const { toChange } = require('../secrets')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'rotate', {
    summary: 'give a secret a new value in AWS',
    description:
      "Gives a secret a new value in AWS: staged, tested, then live. Hooks ('rotation.hooks' in a configuration file in JavaScript or TypeScript) make the value or apply it to the target system. Without them a random value has to be asked for by --generate, and takes the place of a password only: a URL, a key, a token of another service stays. What AWS rotates, AWS is asked to rotate.",
    examples: [
      'rotate GITHUB_API_TOKEN --environment staging',
      'rotate session key --environment production --yes --generate',
    ],
    exits: {
      0: 'the new value is live',
      1: 'the new value is not live, or its check failed, or the answer was not yes',
      2: 'there is no terminal to ask on, and --yes is missing',
    },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .option('-g, --generate', 'a random value is right, although no hook gives it to the system that the secret opens')
    .action(handleOpen(rotate))
}

/**
 * @param {import('../program').Open} open
 * @param {string} first
 * @param {string | undefined} secretType
 * @param {{ yes?: boolean, generate?: boolean }} options
 */
async function rotate({ terminal, delivery, config }, first, secretType, { yes, generate = false }) {
  const name = toChange(first, secretType, config)
  warnUndeclared(name, config, terminal)
  const hooks = Object.keys(config.options.rotation?.hooks ?? {})
  if (!yes) await confirm(name, delivery.environment, hooks, terminal)
  // Who answered the question has read what happens.
  const options = { generate: generate || !yes }
  const report = await delivery.rotation.rotate(name, undefined, options).catch((error) => {
    // Nothing is rotated without its record: the new value is not live.
    if (error.code === 'AUDIT_WRITE_FAILED') throw new CliError(error.code, EXIT.no, `${name}: ${error.message}`)
    throw error
  })
  terminal.result(report, (report) => rotationShown(report, terminal))
  return report.outcome === 'finished' ? EXIT.ok : EXIT.no
}

/**
 * @param {string} name
 * @param {string} environment
 * @param {string[]} hooks
 * @param {import('../terminal').Terminal} terminal
 */
async function confirm(name, environment, hooks, terminal) {
  const target =
    hooks.length > 0
      ? ''
      : ' No hooks are configured: unless AWS rotates it, the value is a random one, and nothing hands it to the target system.'
  const question = `${name} gets a new value in ${environment} now.${target}`
  await terminal.confirm(`rotate ${name}`, question, `${name} was not rotated`)
}
