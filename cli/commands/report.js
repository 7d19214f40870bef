'use strict'

const path = require('node:path')
const { version } = require('../../package.json')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { writeAtomically } = require('../private-file')

/** It holds no values, and is made to be handed on. */
const READABLE = 0o644

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'report', {
    summary: 'write an HTML page for auditors',
    description:
      'Writes one HTML page without external resources: where every declared secret comes from, what a validation says of it, when it is to be rotated, what each layer costs, and the state of the sources. It holds no values. --json prints the same as data.',
    examples: ['report --out report.html --environment production', 'report --json'],
    exits: { 0: 'written, whatever it says', 5: 'the file could not be written' },
  })
    .option('-o, --out <file>', 'where to; an existing file is replaced')
    .action(
      handle(async (context, { out }) => {
        if (out === undefined && !context.terminal.json) {
          throw new CliError('USAGE', EXIT.usage, 'name a file with --out, such as --out report.html, or add --json')
        }
        const data = await context.withDelivery(gather)
        if (out !== undefined) {
          // Not needed for --json.
          const { page } = require('../report/page')
          writeAtomically(path.resolve(out), page(data), READABLE)
        }
        context.terminal.result(data, () => `${path.resolve(out)}\n`)
        return EXIT.ok
      }),
    )
}

/**
 * @typedef {object} Report
 * @property {string} generatedAt ISO 8601, UTC.
 * @property {string} version Of this package.
 * @property {import('../../index').Environment} environment
 * @property {import('../../index').HealthReport} health
 * @property {(import('../../index').ValidatedSecret & { required: boolean })[]} secrets
 * @property {import('../../index').RotationDue[]} rotation
 * @property {import('../../index').PerformanceMetrics | null} performance
 * @property {{ code: string, message: string } | null} performanceError Why there are no latencies.
 */

/**
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @returns {Promise<Report>}
 */
async function gather(delivery, { declared }) {
  const required = new Set(declared.filter((secret) => secret.required).map(({ name }) => name))
  const health = await delivery.health()
  const { secrets } = await delivery.validateApplicationFunctionality()
  const rotation = await delivery.rotation.due()
  const [performance, performanceError] = await delivery.assessPerformanceImpact().then(
    (metrics) => /** @type {const} */ ([metrics, null]),
    ({ code, message }) => /** @type {const} */ ([null, { code, message }]),
  )
  return {
    generatedAt: new Date().toISOString(),
    version,
    environment: delivery.environment,
    health,
    secrets: secrets.map((secret) => ({ ...secret, required: required.has(secret.name) })),
    rotation,
    performance,
    performanceError,
  }
}
