'use strict'

const { define } = require('../define')
const { EXIT } = require('../exit')
const { meantBy, namedBy, notFound } = require('../secrets')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'get', {
    summary: 'show where a secret comes from; --reveal prints it',
    description:
      'Reads one secret as the service would, and prints its source, its version and its length. With --reveal it prints only the value, followed by a line end on a terminal.',
    examples: ['get github api_token', 'get GITHUB_API_TOKEN --environment staging', 'get GITHUB_API_TOKEN --reveal'],
    exits: { 0: 'a source has the secret', 1: 'no source has the secret', 4: 'a source failed' },
  })
    .argument('<name>', 'name of the secret, or of its tool')
    .argument('[type]', 'the secret type, if the name is a tool')
    .option('--reveal', 'print the value')
    .action(handleOpen(get))
}

/**
 * @param {import('../program').Open} open
 * @param {string} first
 * @param {string | undefined} secretType
 * @param {{ reveal?: boolean }} options
 */
async function get({ terminal, delivery, config }, first, secretType, { reveal }) {
  const name = namedBy(first, secretType)
  // Explain first: a read leaves a copy in the caches, and `explain` would then show that copy.
  const { answeredBy: source, layers, versionId, stale } = await delivery.explain(name)
  const value = await delivery.getSecret(name).catch((error) => {
    // A declared name in other letters counts as required, and is another name in AWS.
    if (error.code === 'SECRET_MISSING') error.message += meantBy(name, delivery.environment, config)
    throw error
  })
  if (value === null) throw notFound(name, delivery, config)
  if (reveal && !terminal.json) {
    terminal.reveal(terminal.isTerminal ? `${value}\n` : value)
    return EXIT.ok
  }
  const place = layers.find(({ layer }) => layer === source)?.place ?? null
  const { length } = [...value]
  const { environment } = delivery
  const found = { name, environment, source, place, stale, versionId, length, ...(reveal && { value }) }
  terminal.result(found, ({ name, source, place, stale, versionId, length }) =>
    [
      `${terminal.style('bold', name)} in ${environment}`,
      `  source   ${source}${place === null ? '' : ` (${place})`}${stale ? ', stale: AWS fails' : ''}`,
      `  version  ${versionId ?? 'none: only AWS has versions'}`,
      `  length   ${length} character${length === 1 ? '' : 's'}`,
      terminal.style('dim', '  --reveal prints the value'),
      '',
    ].join('\n'),
  )
  return EXIT.ok
}
