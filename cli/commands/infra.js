'use strict'

const { Option } = require('commander')
const { define } = require('../define')
const { EXIT } = require('../exit')
const { modelOf } = require('../infra/model')
const { needsOf } = require('../infra/needs')
const { terraformOf } = require('../infra/terraform')

/**
 * What AWS takes in a call, in bytes.
 *
 * Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
 */
const MOST_BYTES = 51_200

/** Indented where it may be. @param {unknown} made */
function textOf(made) {
  const indented = `${JSON.stringify(made, null, 2)}\n`
  return indented.length > MOST_BYTES ? `${JSON.stringify(made)}\n` : indented
}

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'infra', {
    summary: 'write everything that an environment needs in AWS, as a template',
    description:
      'Writes a template to standard output: KMS keys, the secrets without values, roles for ECS, EKS, Lambda and people, the VPC endpoint, events, a CloudTrail trail in a locked bucket, and alarms. It holds no value, and changes nothing by itself: aws cloudformation deploy does. Each resource says which sentence of the specification it serves.',
    examples: [
      'infra -e production > production.json',
      'infra -e production --no-secrets > production.json',
      'infra -e production --format terraform > production.tf.json',
    ],
    exits: { 0: 'the template was written', 3: 'nothing is declared' },
  })
    .option('--account <number>', 'account that the policies name (default: where it is deployed)')
    .option('--region <name>', 'region that the policies name (default: where it is deployed)')
    .option('--service <name>', 'name of the service, for tags and metrics', 'tcs-secret-delivery')
    .option(
      '--rotation-function <name...>',
      'rotator, operator: the functions by which AWS rotates, by name or ARN; RotateSecret needs them',
    )
    .option('--no-secrets', 'without the secrets: they are there already, or migrate apply makes them')
    .addOption(
      new Option('--format <format>', 'form of the template')
        .choices(['cloudformation', 'terraform'])
        .default('cloudformation'),
    )
    .action(
      handle(async (context, { format, service, secrets, ...given }) => {
        const needs = await needsOf(context, { ...given, service }, { isDeployed: true })
        const { template, notes } = modelOf(needs, { service, secrets })
        const made = format === 'terraform' ? terraformOf(template) : template
        const { terminal } = context
        const { environment } = needs
        if (terminal.json) terminal.result({ environment, format, notes, template: made }, () => '')
        else {
          const text = textOf(made)
          for (const note of notes) terminal.warn(note)
          if (text.length > MOST_BYTES && format === 'cloudformation') {
            terminal.warn(
              'AWS takes a template of this size from S3 only: add --s3-bucket to aws cloudformation deploy',
            )
          }
          terminal.reveal(text)
        }
        return EXIT.ok
      }),
    )
}
