'use strict'

const { define } = require('../define')
const { EXIT } = require('../exit')
const { namedBy, notFound } = require('../secrets')

/** @type {import('../program').AddCommand} */
module.exports = (program, _, handleOpen) => {
  define(program, 'get', {
    summary: 'show where a secret comes from; --reveal: its value',
    description:
      'Reads one secret as the service would and shows where it comes from, its version and its length. With --reveal it prints the value and nothing else; on a terminal with a line end.',
    examples: ['get github api_token', 'get GITHUB_API_TOKEN --environment staging', 'get GITHUB_API_TOKEN --reveal'],
    exits: { 0: 'a source has it', 1: 'no source has it', 4: 'a source failed' },
  })
    .argument('<name>', "the secret's name, or its tool")
    .argument('[type]', 'its type, where a tool was given')
    .option('--reveal', 'print the value')
    .action(handleOpen(get))
}

/**
 * @param {import('../program').Open} open
 * @param {string} first
 * @param {string | undefined} secretType
 * @param {{ reveal?: boolean }} options
 */
async function get({ terminal, delivery }, first, secretType, { reveal }) {
  const name = namedBy(first, secretType)
  // In this order: a read leaves a copy in the caches, which would then be what is explained.
  const { answeredBy: source, layers, versionId, stale } = await delivery.explain(name)
  const value = await delivery.getSecret(name)
  if (value === null) throw notFound(name, delivery)
  if (reveal && !terminal.json) {
    terminal.write(terminal.isTerminal ? `${value}\n` : value)
    return EXIT.ok
  }
  const place = layers.find(({ layer }) => layer === source)?.place ?? null
  const { length } = [...value]
  const { environment } = delivery
  const found = { name, environment, source, place, stale, versionId, length, ...(reveal && { value }) }
  terminal.result(found, () =>
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
