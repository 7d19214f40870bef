'use strict'

const { declaredTools, noToolsDeclared } = require('../context')
const { define } = require('../define')
const { knownEnvironment } = require('../environments')
const { EXIT } = require('../exit')
const { judge } = require('../judgement')
const { isDeclared, nothingOf } = require('../secrets')
const { warnOf } = require('../validations')
const { plural } = require('../words')

/** @typedef {import('../../index').ValidationResult} ValidationResult */

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'validate', {
    summary: 'check that secrets exist and are plausible',
    description:
      'Reads the declared secrets as the service would and checks them against their declarations. Also finds placeholders, white space or quotes around a value, tokens and certificates that expire, and late rotations.',
    examples: [
      'validate',
      'validate github --environment production',
      'validate --environment staging --other-environments production',
    ],
    exits: {
      0: 'there are no errors; there may be warnings',
      1: 'there are errors, or the tool is not declared and has no secret',
      3: 'no tools are declared',
    },
  })
    .argument('[tool]', 'only this tool (default: all declared tools)')
    .option('--other-environments <name...>', 'also check whether these environments have the same values in AWS')
    .action(
      handleOpen(async ({ terminal, delivery, config }, tool, { otherEnvironments }) => {
        for (const name of otherEnvironments ?? []) knownEnvironment(name, config.options)
        warnOf(judge(config, delivery.environment, {})?.doubtful ?? [], terminal)
        if (tool === undefined && config.declared.length === 0 && declaredTools(config).length === 0)
          throw noToolsDeclared(config)
        const result =
          tool === undefined
            ? await validateAll(delivery, config, otherEnvironments)
            : await delivery.validateToolSecrets(tool, { otherEnvironments })
        // A misspelt tool has no secrets, so that nothing could be wrong with them.
        if (tool !== undefined && result.secrets.length === 0 && !isDeclared(tool, config))
          throw nothingOf(tool, delivery, config)
        terminal.result(result, (result) => shown(result, terminal))
        return result.valid ? EXIT.ok : EXIT.no
      }),
    )
}

/**
 * @param {import('../context').SecretDelivery} delivery
 * @param {import('../context').Config} config
 * @param {string[]} [otherEnvironments]
 * @returns {Promise<ValidationResult>}
 */
async function validateAll(delivery, { declared }, otherEnvironments) {
  if (otherEnvironments === undefined) return delivery.validateApplicationFunctionality()
  const tools = [...new Set(declared.map(({ tool }) => tool ?? []).flat())]
  const alone = declared.filter(({ tool }) => tool === null).map(({ name }) => name)
  const all = await Promise.all([
    ...tools.map((tool) => delivery.validateToolSecrets(tool, { otherEnvironments })),
    ...(alone.length === 0 ? [] : [delivery.validateApplicationFunctionality({ names: alone })]),
  ])
  return {
    valid: all.every(({ valid }) => valid),
    tool: null,
    environment: delivery.environment,
    checkedAt: new Date().toISOString(),
    secrets: all.flatMap(({ secrets }) => secrets),
  }
}

/**
 * @param {ValidationResult} result
 * @param {import('../terminal').Terminal} terminal
 */
function shown({ secrets, environment }, terminal) {
  const rows = secrets.flatMap(({ name, source, issues }) =>
    issues.length === 0
      ? [['ok', name, source ?? '–', '']]
      : issues.map(({ code, severity, message }) => [severity, name, source ?? '–', `${code}: ${message}`]),
  )
  const colours = terminal.words(0, { ok: 'green', warning: 'yellow', error: 'red' })
  const table = terminal.table(['RESULT', 'NAME', 'SOURCE', 'ISSUE'], rows, colours)
  const count = (/** @type {string} */ severity) => rows.filter(([result]) => result === severity).length
  const summary = `${plural(secrets.length, 'secret')} in ${environment}: ${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}`
  return secrets.length === 0 ? `${summary}\n` : `${table}\n${summary}\n`
}
