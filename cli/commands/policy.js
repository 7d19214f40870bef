'use strict'

const { Option } = require('commander')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { policiesOf } = require('../infra/fit')
const { FORMATS, formatted } = require('../infra/formats')
const { needsOf } = require('../infra/needs')
const { ROLES } = require('../infra/roles')
const { didYouMean } = require('../../lib/suggest')

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  const roles = Object.entries(ROLES).map(([role, what]) => `${role} (${what})`)
  define(program, 'policy', {
    summary: 'write the least IAM policy for a role, from what is declared',
    description: `Writes what a role needs of the declared secrets, and nothing else, to standard output. The roles: ${roles.join('; ')}. Account and region are taken from the options, else from the configuration, the variables and the identity; in the format cloudformation what is not given is left to the deployment. It changes nothing in AWS.`,
    examples: [
      'policy reader -e production',
      'policy migrator --account 111122223333 --region eu-central-1',
      'policy reader --format cloudformation > reader.json',
    ],
    exits: {
      0: 'the policy was written',
      3: 'nothing is declared, or account or region are unknown',
      5: 'it does not fit',
    },
  })
    .argument('<role>', Object.keys(ROLES).join(', '))
    .option('--account <number>', 'account of the secrets')
    .option('--region <name>', 'region of the secrets')
    .option('--kms-key <key>', 'customer-managed key: its ARN, id or alias (default: migration.kmsKeyId)')
    .option('--vpc-endpoint <id>', 'only by this endpoint of Secrets Manager')
    .option(
      '--rotation-function <name...>',
      'rotator, operator: the functions by which AWS rotates, by name or ARN; RotateSecret needs them',
    )
    .option('--list', 'also ListSecrets (it is added where a tool declares no secrets)')
    .option('--trail-bucket <name>', 'auditor: bucket of the trail')
    .addOption(new Option('--format <format>', 'form of the policy').choices(FORMATS).default('json'))
    .option('--part <number>', 'of several policies only this one')
    .action(
      handle(async (context, role, { format, part, ...given }) => {
        if (!Object.hasOwn(ROLES, role)) {
          const names = Object.keys(ROLES)
          throw new CliError(
            'USAGE',
            EXIT.usage,
            `'${role}' is no role: there are ${names.join(', ')}${didYouMean(role, names)}`,
          )
        }
        const needs = await needsOf(context, given, { isDeployed: format === 'cloudformation' })
        const { documents, notes } = policiesOf(role, needs)
        const chosen = part === undefined ? documents : [partOf(documents, part)]
        const { environment } = needs
        const written = formatted(format, { role, environment, documents: chosen })
        const { terminal } = context
        if (terminal.json) {
          terminal.result({ role, environment, format, notes, policies: documents.length, document: written }, () => '')
          return EXIT.ok
        }
        for (const note of notes) terminal.warn(note)
        terminal.reveal(`${JSON.stringify(written, null, 2)}\n`)
        return EXIT.ok
      }),
    )
}

/** @template T @param {T[]} documents @param {string} part @returns {T} */
function partOf(documents, part) {
  const found = documents[Number(part) - 1]
  if (found === undefined || !/^\d+$/.test(part)) {
    throw new CliError('USAGE', EXIT.usage, `--part must be a number from 1 to ${documents.length}`)
  }
  return found
}
