'use strict'

const { createHash, timingSafeEqual } = require('node:crypto')
const { noToolsDeclared } = require('../context')
const { define } = require('../define')
const { knownEnvironment, longName } = require('../environments')
const { CliError, EXIT, describe } = require('../exit')
const { plural, told } = require('../words')

/** How many secrets are compared at once: each costs two AWS calls. */
const AT_ONCE = 8

/** @typedef {'equal' | 'different' | 'absent' | 'unknown' | `only in ${string}`} Comparison `unknown`: one side could not be read. */

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'diff', {
    summary: 'compare two environments, or the env file with AWS',
    description:
      'Compares the values of declared secrets in AWS between two environments, or with --file those of the env file with AWS: equal, different, or only in one of them. Prints no values.',
    examples: ['diff staging production', 'diff staging production --tool github --json', 'diff staging --file'],
    exits: {
      0: 'all are equal',
      1: 'there are differences',
      4: 'AWS failed, or refused a secret: the others are compared',
    },
  })
    .argument('<first>', 'an environment')
    .argument('[second]', 'the environment that it is compared with')
    .option('-t, --tool <name...>', 'only secrets of these tools')
    .option('--file', 'compare the env file of the environment with AWS')
    .action(
      handle(async (context, first, second, { tool = [], file }) => {
        if ((second === undefined) !== Boolean(file)) {
          throw new CliError('USAGE', EXIT.usage, 'name two environments, or one and --file')
        }
        const { terminal } = context
        const { sides, secrets } = await context.withDelivery(
          (delivery, config) => {
            const names = config.declared
              .filter(
                (secret) =>
                  tool.length === 0 ||
                  tool.some((/** @type {string} */ one) => one.toUpperCase() === secret.tool?.toUpperCase()),
              )
              .map(({ name }) => name)
            if (names.length === 0 && !file) throw noToolsDeclared(config)
            return file ? fileWithAws(delivery, names, tool) : environments(delivery, names, second)
          },
          (options) => {
            for (const name of [first, ...(second === undefined ? [] : [second])]) knownEnvironment(name, options)
            return { ...options, environment: first }
          },
        )
        const isEqual = secrets.every(({ result }) => result === 'equal' || result === 'absent')
        terminal.result({ sides, equal: isEqual, secrets }, ({ secrets }) => shown(secrets, terminal))
        if (secrets.some(({ error }) => error !== undefined)) return EXIT.source
        return isEqual ? EXIT.ok : EXIT.no
      }),
    )
}

/** @typedef {{ sides: string[], secrets: { name: string, result: Comparison, error?: { code: string, message: string } }[] }} Differences */

/**
 * @param {import('../context').SecretDelivery} delivery
 * @param {string[]} names
 * @param {string} second
 * @returns {Promise<Differences>}
 */
async function environments(delivery, names, second) {
  const sides = [delivery.environment, longName(second)]
  const left = [...names]
  /** @type {Differences['secrets']} */
  const secrets = []
  while (left.length > 0) {
    const some = await Promise.all(left.splice(0, AT_ONCE).map(compared))
    const [first] = some
    // AWS is not there at all: the others would only wait for it as well.
    const isDown = some.every(({ error }) => error !== undefined && error.code !== 'SECRET_ACCESS_DENIED')
    if (isDown && secrets.length === 0 && first?.error)
      throw new CliError(first.error.code, EXIT.source, first.error.message)
    secrets.push(...some)
  }
  return { sides, secrets }

  /** @param {string} name @returns {Promise<Differences['secrets'][number]>} */
  async function compared(name) {
    try {
      const [one, other] = await Promise.all(sides.map((side) => delivery.store.read(name, side)))
      return { name, result: comparison(one ?? null, other ?? null, sides) }
    } catch (error) {
      const { code, message, exit } = describe(error)
      // What fails for one secret says nothing of the others.
      if (exit !== EXIT.source) throw error
      return { name, result: 'unknown', error: { code, message } }
    }
  }
}

/**
 * @param {import('../context').SecretDelivery} delivery
 * @param {string[]} names
 * @param {string[]} tools None: also the names of the file that are not declared.
 * @returns {Promise<Differences>}
 */
async function fileWithAws(delivery, names, tools) {
  const plan = await delivery.migration.plan(tools.length === 0 ? undefined : { names })
  /** @type {Record<string, Comparison>} */
  const results = { keep: 'equal', update: 'different', create: 'only in the file', 'only-in-aws': 'only in AWS' }
  const planned = Object.values(plan.phases).flat()
  /** @type {Differences['secrets']} */
  const secrets = planned.map(({ name, action, error }) => {
    if (error !== null) return { name, result: 'unknown', error: { code: error.code, message: error.message } }
    return { name, result: results[action] ?? 'absent' }
  })
  return { sides: ['the file', 'AWS'], secrets }
}

/** @param {string | Uint8Array | null} one @param {string | Uint8Array | null} other @param {string[]} sides @returns {Comparison} */
function comparison(one, other, sides) {
  if (one === null && other === null) return 'absent'
  if (one === null || other === null) return `only in ${sides[one === null ? 1 : 0]}`
  // Bytes are another secret than a text of the same bytes.
  const digest = (/** @type {string | Uint8Array} */ value) =>
    createHash('sha256')
      .update(typeof value)
      .update(value)
      .digest()
  return timingSafeEqual(digest(one), digest(other)) ? 'equal' : 'different'
}

/** @param {Differences['secrets']} secrets @param {import('../terminal').Terminal} terminal */
function shown(secrets, terminal) {
  const isWhole = secrets.every(({ error }) => error === undefined)
  const rows = secrets.map(({ name, result, error }) => [name, result, ...(isWhole ? [] : [told(error ?? null)])])
  const table = terminal.table(['NAME', 'RESULT', ...(isWhole ? [] : ['WHY'])], rows, (text, row, column) => {
    if (column !== 1) return text
    const { result } = /** @type {{ result: string }} */ (secrets[row])
    return terminal.style(result === 'equal' ? 'green' : result === 'absent' ? 'dim' : 'yellow', text)
  })
  const different = secrets.filter(({ result }) => !['equal', 'absent', 'unknown'].includes(result)).length
  const unknown = isWhole ? '' : `, ${secrets.filter(({ error }) => error !== undefined).length} unknown`
  return `${table}\n${plural(different, 'difference')}${unknown}\n`
}
