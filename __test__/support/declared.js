'use strict'

// What index.d.ts declares, read from its text.

const fs = require('node:fs')
const path = require('node:path')
const { root } = require('./files')

const declared = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8')

/**
 * A type without what nearly every option has: that it may be unset, and that its lists may be read-only.
 *
 * @param {string} type
 */
function essence(type) {
  const set = type.replace(/ \| (?:Unset|undefined)$/, '').replaceAll(/\breadonly /g, '')
  return set.replace(/^Readonly<(Record<.*>)>$/, '$1').replace(/^\((\(.*\) => .*)\)$/, '$1')
}

/**
 * Members of each interface, with their documentation.
 *
 * @type {Map<string, { documentation: string, member: string, type: string }[]>}
 */
const interfaces = new Map(
  [...declared.matchAll(/^export interface (\w+) \{\n([^]*?)^\}/gm)].map(([, name, body]) => [
    name,
    [...body.matchAll(/(?: {2}\/\*\*((?:(?!\*\/)[^])*)\*\/\n)? {2}(\w+)\??: (.+)\n/g)].map(
      ([, documentation = '', member, type]) => ({ documentation, member, type: essence(type) }),
    ),
  ]),
)

/**
 * Every option of an interface by its path (`tools.*.secrets`, `rotation.policies[].secretType`), the options inside of
 * it included.
 *
 * @param {string} name
 * @param {string} [prefix]
 * @returns {{ path: string, type: string, documentation: string }[]}
 */
function optionsOf(name, prefix = '') {
  return interfaces.get(name).flatMap(({ documentation, member, type }) => {
    const here = { path: prefix + member, type, documentation }
    const inline = /^\{ (.*) \}$/.exec(type)
    if (inline !== null) {
      const inside = [...inline[1].matchAll(/(\w+)\??: (\w+)/g)]
      return [here, ...inside.map((m) => ({ path: `${here.path}.${m[1]}`, type: m[2], documentation: '' }))]
    }
    const nested = [...interfaces.keys()].find((other) => new RegExp(`\\b${other}\\b`).test(type))
    // The hooks are functions of the service and no settings.
    if (nested === undefined || nested === 'RotationHooks') return [here]
    const step = type.startsWith('Record<') ? '.*.' : type.endsWith('[]') ? '[].' : '.'
    return [here, ...optionsOf(nested, here.path + step)]
  })
}

module.exports = { declared, optionsOf }
