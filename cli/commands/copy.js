'use strict'

const { assertAsked, exitOf, planShown, planned, write, written } = require('../bulk')
const { noToolsDeclared } = require('../context')
const { define } = require('../define')
const { knownEnvironment, longName } = require('../environments')
const { CliError, EXIT } = require('../exit')

/** How many secrets are read at once. */
const AT_ONCE = 8

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'copy', {
    summary: 'copy secrets from one environment to another in AWS',
    description:
      'Copies the values of declared secrets, or of those that are named, from one environment to another. Shows what changes by name, and asks. What the other environment has with another value is replaced with --overwrite only. Values are not printed.',
    examples: ['copy staging production GITHUB_API_TOKEN', 'copy staging qa --tool github --overwrite --yes'],
    exits: {
      0: 'the other environment has everything',
      1: 'something is missing in the first one, or was left in the second one, or the answer was not yes',
      2: 'there is no terminal to ask on, and --yes is missing',
      4: 'AWS failed or refused',
    },
  })
    .argument('<from>', 'an environment')
    .argument('<to>', 'the environment that gets the values')
    .argument('[name...]', 'names of secrets (default: all declared ones)')
    .option('-t, --tool <name...>', 'only secrets of these tools')
    .option('--overwrite', 'also replace other values')
    .option('--dry-run', 'only show what would be written')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handle(async (context, from, to, names, options) => {
        const { terminal } = context
        if (longName(from) === longName(to)) throw new CliError('USAGE', EXIT.usage, 'name two different environments')
        if (!options.dryRun) assertAsked(options, `copy ${from} ${to}`)
        return context.withDelivery(
          async (delivery, config) => {
            const wanted = namesOf(config, names, options.tool)
            const { values, absent } = await readAll(delivery, wanted, longName(from))
            const plan = await planned(delivery, values, options)
            const missing = absent.length === 0 ? '' : `Not in ${longName(from)}: ${absent.join(', ')}\n`
            const sides = { from: longName(from), to: delivery.environment }
            if (options.dryRun) {
              const document = { ...sides, applied: false, secrets: plan.found, absent }
              terminal.result(document, () => planShown(plan, terminal) + missing)
              return plan.writes.length + plan.left.length + absent.length === 0 ? EXIT.ok : EXIT.no
            }
            if (!options.yes) terminal.note((planShown(plan, terminal) + missing).trimEnd())
            const what = { what: `copy ${from} ${to}`, yes: options.yes }
            const report = await write(delivery, values, plan, terminal, what)
            const document = { ...sides, applied: true, ...report, absent }
            terminal.result(document, (report) => written(report, terminal) + missing)
            return exitOf(report.secrets) || (absent.length === 0 ? EXIT.ok : EXIT.no)
          },
          (options) => {
            for (const name of [from, to]) knownEnvironment(name, options)
            return { ...options, environment: to }
          },
        )
      }),
    )
}

/** @param {import('../context').Config} config @param {string[]} names @param {string[]} [tools] */
function namesOf(config, names, tools) {
  if (names.length > 0) return [...new Set(names.map((name) => name.toUpperCase()))]
  const isAsked = (/** @type {string | null} */ tool) =>
    tools === undefined || tools.some((one) => one.toUpperCase() === tool?.toUpperCase())
  const declared = config.declared.filter(({ tool }) => isAsked(tool)).map(({ name }) => name)
  if (declared.length === 0) throw noToolsDeclared(config)
  return declared
}

/**
 * @param {import('../context').SecretDelivery} delivery
 * @param {string[]} names
 * @param {string} environment
 */
async function readAll(delivery, names, environment) {
  /** @type {Map<string, string | Uint8Array>} Bytes stay bytes. */
  const values = new Map()
  /** @type {string[]} */
  const absent = []
  const left = [...names]
  while (left.length > 0) {
    const some = left.splice(0, AT_ONCE)
    const read = await Promise.all(some.map((name) => delivery.store.read(name, environment)))
    some.forEach((name, i) => {
      const value = read[i] ?? null
      if (value === null) absent.push(name)
      else values.set(name, value)
    })
  }
  return { values, absent }
}
