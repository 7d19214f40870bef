'use strict'

const { declaredTools, noToolsDeclared } = require('../context')
const { define } = require('../define')
const { EXIT } = require('../exit')

/** @typedef {import('../../index').ValidationResult} ValidationResult */

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'validate', {
    summary: 'check that secrets are there and look right',
    description:
      'Reads the declared secrets as the service would and checks them against their rules, and for what is hardly ever meant: placeholders, white space or quotes around a value, tokens and certificates that end, late rotations.',
    examples: ['validate', 'validate github --environment production', 'validate --json'],
    exits: { 0: 'no errors; there may be warnings', 1: 'errors', 3: 'no tools are declared' },
  })
    .argument('[tool]', 'only this tool (default: all declared tools)')
    .action(
      handle(async (context, tool) =>
        context.withDelivery(async (delivery, config) => {
          if (tool === undefined && declaredTools(config).length === 0) throw noToolsDeclared(config)
          const result =
            tool === undefined
              ? await delivery.validateApplicationFunctionality()
              : await delivery.validateToolSecrets(tool)
          context.terminal.result(result, () => shown(result, context.terminal))
          return result.valid ? EXIT.ok : EXIT.no
        }),
      ),
    )
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
  const colours = /** @type {const} */ ({ ok: 'green', warning: 'yellow', error: 'red' })
  const table = terminal.table(['RESULT', 'NAME', 'SOURCE', 'ISSUE'], rows, (text, _, column) =>
    column === 0 ? terminal.style(colours[/** @type {keyof typeof colours} */ (text)] ?? 'bold', text) : text,
  )
  const count = (/** @type {string} */ severity) => rows.filter(([result]) => result === severity).length
  const summary = `${plural(secrets.length, 'secret')} in ${environment}: ${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}`
  return secrets.length === 0 ? `${summary}\n` : `${table}\n${summary}\n`
}

/** @param {number} count @param {string} noun */
function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
