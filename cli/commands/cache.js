'use strict'

const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { duration, moment } = require('../times')

/** How many copies are looked at together. */
const AT_ONCE = 8

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  const cache = program.command('cache').summary('show and drop the shared copies')
  cache.description('Shows and drops the copies of secrets that instances share in Redis.')

  define(cache, 'show', {
    summary: 'show the copies of declared secrets and their ages',
    description:
      'Shows which declared secrets have a copy in Redis or in the last-known-good file, its version and its age. Secrets without a copy cost an AWS call each.',
    examples: ['cache show --environment production', 'cache show github --json'],
    exits: { 0: 'the copies were printed', 3: 'no Redis is configured' },
  })
    .argument('[tool]', 'only the secrets of this tool')
    .action(
      handleOpen(async ({ terminal, delivery, config }, tool) => {
        await assertRedis(delivery)
        const names = config.declared
          .filter((secret) => tool === undefined || secret.tool?.toUpperCase() === tool.toUpperCase())
          .map(({ name }) => name)
        const copies = []
        while (names.length > 0) copies.push(...(await Promise.all(names.splice(0, AT_ONCE).map(copiesOf))))
        const { environment } = delivery
        terminal.result({ environment, copies: copies.flat() }, ({ copies }) => shown(copies, terminal))
        return EXIT.ok

        /** @param {string} name */
        async function copiesOf(name) {
          const { layers } = await delivery.explain(name)
          return layers
            .filter(({ layer }) => layer === 'redis' || layer === 'snapshot')
            .filter(({ layer, state }) => layer === 'redis' || state === 'hit' || state === 'stale')
            .map(({ layer, state, versionId, ageSeconds, freshUntil, error }) => {
              return { name, layer, state, versionId, ageSeconds, freshUntil, error }
            })
        }
      }),
    )

  define(cache, 'clear', {
    summary: 'drop the shared copies of this environment',
    description:
      "Drops all copies that instances of this environment share in Redis, and has the instances drop theirs. The next read of each secret asks AWS: a fleet that reads many secrets asks for all of them at once, within AWS's rate limit.",
    examples: ['cache clear --environment staging', 'cache clear --environment production --yes'],
    exits: { 0: 'the copies are gone', 2: 'there is no terminal to ask on, and --yes is missing', 4: 'Redis failed' },
  })
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handleOpen(async ({ terminal, delivery }, { yes }) => {
        const { environment } = delivery
        await assertRedis(delivery)
        if (!yes) await terminal.confirm('cache clear', `All shared copies of ${environment} are dropped now.`)
        await delivery.cache.clear()
        terminal.result({ environment, cleared: true }, () => `The shared copies of ${environment} are gone.\n`)
        return EXIT.ok
      }),
    )
}

/** @param {import('../context').SecretDelivery} delivery */
async function assertRedis(delivery) {
  const { checks } = await delivery.health()
  if (checks.redis.status !== 'disabled') return
  throw new CliError(
    'CONFIG_INVALID',
    EXIT.configuration,
    'no Redis is configured (cache.redis.url or REDIS_URL), so no copies are shared',
  )
}

/**
 * @param {{ name: string, layer: string, state: string, versionId: string | null, ageSeconds: number | null, freshUntil: string | null, error: { code: string, message: string } | null }[]} copies
 * @param {import('../terminal').Terminal} terminal
 */
function shown(copies, terminal) {
  if (copies.length === 0) return 'No secrets are declared.\n'
  const rows = copies.map(({ name, layer, state, versionId, ageSeconds, freshUntil, error }) => [
    name,
    layer,
    error === null ? state : error.code,
    versionId ?? '–',
    ageSeconds === null ? '–' : duration(ageSeconds),
    freshUntil === null ? '–' : moment(freshUntil),
  ])
  const colours = terminal.words(2, { hit: 'green', stale: 'yellow', miss: 'dim' })
  return terminal.table(['NAME', 'WHERE', 'STATE', 'VERSION', 'AGE', 'FRESH UNTIL'], rows, colours)
}
