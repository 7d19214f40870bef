'use strict'

const { define } = require('../define')
const { EXIT } = require('../exit')
const { namedBy, notFound } = require('../secrets')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'refresh', {
    summary: 'read a secret from AWS now, and replace its copies',
    description:
      'Reads one secret from AWS, whatever the caches have, and replaces its copies: the shared one in Redis, which other instances take over, too. Prints no value.',
    examples: ['refresh github api_token --environment production', 'refresh GITHUB_API_TOKEN --json'],
    exits: { 0: 'the copies are what AWS has', 1: 'no source has the secret', 4: 'AWS or another source failed' },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .action(
      handleOpen(async ({ terminal, delivery, config }, first, secretType) => {
        const name = namedBy(first, secretType)
        const isThere = (await delivery.refresh(name)) !== null
        if (!isThere) throw notFound(name, delivery, config)
        const { versionId } = await delivery.explain(name)
        const { environment } = delivery
        terminal.result({ name, environment, versionId }, ({ name, versionId }) => {
          return `${terminal.style('bold', name)} in ${environment}: read, version ${versionId ?? 'none: only AWS has versions'}\n`
        })
        return EXIT.ok
      }),
    )
}
