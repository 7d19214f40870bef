'use strict'

// The AWS secrets that a configuration declares for one environment, told from the configuration alone. The core does the same
// when it reads (crates/secret/src/aws_ids.rs); a test compares the two.

const { nameOf } = require('../../lib/config-file')
const { readName } = require('../environments')

/** @typedef {import('../../index').SecretDeliveryOptions} Options */
/**
 * @typedef {object} Place
 * @property {string} name The secret's name in the service.
 * @property {string | null} tool
 * @property {string} id A name of AWS's, an ARN, or an ARN without its random ending.
 * @property {string | null} role ARN of the role as which it is read, where it has one of its own.
 * @property {string[]} wider Patterns of ids that grant more, the narrowest first.
 * @property {boolean} isReference Whether the declaration names it; else the template does.
 * @property {boolean} isRotated Whether its declaration lets the service rotate it.
 */

const DEFAULT_TEMPLATE = '{name}_{environment}'

/**
 * @param {Options} options
 * @param {string} environment
 * @returns {Place[]}
 */
function placesOf(options, environment) {
  const template = idOf(options.aws?.secretIdTemplate ?? DEFAULT_TEMPLATE)
  const fill = (/** @type {Record<string, string>} */ words) => filled(template, { environment, ...words })
  const all = fill({ name: '*', tool: '*', TOOL: '*', type: '*', TYPE: '*' })
  /** @param {string | null} tool @param {string} type @param {any} spec @param {any} [ofTool] @returns {Place} */
  const place = (tool, type, spec, ofTool) => {
    const name = tool === null ? type : nameOf(tool, type)
    const given = referenced(spec?.aws, environment) ?? referenced(ofTool, environment)
    const isRotated = spec?.rotationType != null || spec?.rotate != null
    if (given !== undefined) {
      const { id, role } = given
      return { name, tool, id, role, wider: widerThan(id), isReference: true, isRotated }
    }
    const cased = { tool: (tool ?? '').toLowerCase(), TOOL: (tool ?? '').toUpperCase() }
    const typed = { type: type.toLowerCase(), TYPE: type.toUpperCase() }
    const ofItsTool = fill({ ...cased, name: tool === null ? '*' : `${tool.toUpperCase()}_*`, type: '*', TYPE: '*' })
    return {
      name,
      tool,
      id: fill({ ...cased, ...typed, name }),
      role: null,
      wider: [...new Set([ofItsTool, all])],
      isReference: false,
      isRotated,
    }
  }
  const ofTools = Object.entries(options.tools ?? {}).flatMap(([tool, spec]) => [
    ...Object.entries(spec?.secrets ?? {}).map(([type, rules]) => place(tool, type, rules, spec?.aws)),
    // A tool with a JSON secret and no types: its fields come along.
    ...(spec?.aws != null && Object.keys(spec?.secrets ?? {}).length === 0
      ? [place(tool, '*', undefined, spec.aws)]
      : []),
  ])
  return [...ofTools, ...Object.entries(options.secrets ?? {}).map(([name, rules]) => place(null, name, rules))]
}

/** The declared tools whose secrets are not declared, and which are therefore listed. @param {Options} options */
function listedTools({ tools }) {
  return Object.entries(tools ?? {})
    .filter(([, spec]) => spec?.aws == null && Object.keys(spec?.secrets ?? {}).length === 0)
    .map(([tool]) => tool)
}

/** The pattern of what the template makes of a tool's names. @param {Options} options @param {string} environment @param {string} tool */
function patternOfTool(options, environment, tool) {
  const words = { environment, name: `${tool.toUpperCase()}_*`, tool: tool.toLowerCase(), TOOL: tool.toUpperCase() }
  const template = idOf(options.aws?.secretIdTemplate ?? DEFAULT_TEMPLATE)
  return filled(template, words)
}

/** @param {any} given An `aws` of a declaration. @param {string} environment @returns {{ id: string, role: string | null } | undefined} */
function referenced(given, environment) {
  if (given === undefined || given === null) return undefined
  const inEnvironment = (/** @type {string} */ text) => text.replaceAll('{environment}', environment)
  if (typeof given === 'string') return { id: inEnvironment(idOf(given)), role: null }
  if (typeof given.id === 'string') {
    return { id: inEnvironment(idOf(given.id)), role: given.assumeRole?.roleArn ?? null }
  }
  // `prod` and `Production` are production here too.
  const [, here] = Object.entries(given).find(([name]) => readName(name) === environment) ?? []
  return referenced(here, environment)
}

/** @param {string} template @param {Record<string, string>} words */
function filled(template, words) {
  return template.replace(/\{(\w+)\}/g, (_, word) => words[word] ?? '*')
}

/** What stands before the field. @param {string} place */
const idOf = (place) => place.split('#', 1)[0] ?? ''

/** The folder of a reference. @param {string} id */
function widerThan(id) {
  const end = id.lastIndexOf('/')
  return end < 0 || end < id.lastIndexOf(':') ? [] : [`${id.slice(0, end)}/*`]
}

/**
 * The AWS ids of a service: those that it declares, and how it finds the id of any name.
 *
 * @param {Options} options
 * @param {string} environment
 */
function idsOf(options, environment) {
  const places = placesOf(options, environment)
  const declared = new Map(places.map(({ name, id }) => [name, id]))
  const template = idOf(options.aws?.secretIdTemplate ?? DEFAULT_TEMPLATE)
  const byTemplate = (/** @type {string} */ name) =>
    template.includes('{name}') ? template.replaceAll('{name}', name).replaceAll('{environment}', environment) : name
  return { ids: [...declared.values()], idOf: (/** @type {string} */ name) => declared.get(name) ?? byTemplate(name) }
}

module.exports = { idsOf, listedTools, patternOfTool, placesOf }
