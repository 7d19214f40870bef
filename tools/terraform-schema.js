'use strict'

// Writes the part of the schema of Terraform's AWS provider that the form of `tcs-secrets infra` uses, from the provider's bindings for
// JavaScript, which a registry of packages has (`npm pack @cdktf/provider-aws`); the provider itself is in none:
//
//   node tools/terraform-schema.js <folder of the unpacked package> > __test__/fixtures/terraform-aws.json

const fs = require('node:fs')
const path = require('node:path')
const { modelOf } = require('../cli/infra/model')
const { terraformOf } = require('../cli/infra/terraform')
const { needsFor } = require('../__test__/support/infra-needs')

/**
 * @typedef {object} Member
 * @property {'string' | 'number' | 'boolean' | 'list' | 'map' | 'object'} form
 * @property {boolean} required
 * @property {Record<string, Member>} [members] Of an object, or of each object of a list.
 */
/** @typedef {{ members: Record<string, Member>, attributes: string[] }} Schema */

/** The resource types that the form uses. */
function typesUsed() {
  const { template } = modelOf(needsFor({ tools: { a: { secrets: { b: {} } } } }), { service: 'a', secrets: true })
  return Object.keys(terraformOf(template).resource).sort()
}

/** @param {string} folder @param {string} type @returns {Schema} */
function schemaOf(folder, type) {
  const directory = path.join(folder, 'lib', type.replace(/^aws_/, '').replaceAll('_', '-'))
  const [code, types] = ['index.js', 'index.d.ts'].map((file) => fs.readFileSync(path.join(directory, file), 'utf8'))
  const made = /** @type {string} */ (code)
  const at = made.lastIndexOf('synthesizeAttributes() {')
  const members = membersIn(made, /** @type {string} */ (types), made.slice(at, made.indexOf('};', at)), 'Config')
  const own = made.slice(made.lastIndexOf('extends cdktf.TerraformResource'))
  const attributes = [...own.matchAll(/Attribute\('(\w+)'\)/g)].map(([, name]) => String(name))
  return { members, attributes: [...new Set([...attributes, ...Object.keys(members)])].sort() }
}

/**
 * @param {string} code
 * @param {string} types
 * @param {string} body Where the members are.
 * @param {string} owner The end of the name of the interface that says which are required.
 * @returns {Record<string, Member>}
 */
function membersIn(code, types, body, owner) {
  const about = types.match(new RegExp(`export interface \\w*${owner}\\b[^{]*\\{([\\s\\S]*?)\\n\\}`))?.[1] ?? ''
  const found = [...body.matchAll(/^\s+(\w+): (.*ToTerraform.*|cdktf\..*),$/gm)]
  return Object.fromEntries(
    found.map(([, name = '', how = '']) => {
      const property = /(?:this\._|struct\.)(\w+)/.exec(how)?.[1] ?? ''
      const nested = /(?<!cdktf\.)\b([a-z]\w+)ToTerraform\b/.exec(how.replace(/cdktf\.\w+ToTerraform/g, ''))?.[1]
      const form = /listMapper|setMapper/.test(how)
        ? 'list'
        : /hashMapper/.test(how)
          ? 'map'
          : nested !== undefined
            ? 'object'
            : (/cdktf\.(string|number|boolean)ToTerraform/.exec(how)?.[1] ?? 'object')
      // Of an object that stands as the value of an argument every member has to be there.
      const required = / === undefined \? null /.test(how) || new RegExp(`readonly ${property}:`).test(about)
      if (nested === undefined) return [name, { form, required }]
      const from = code.indexOf(`function ${nested}ToTerraform(struct) {`)
      const inner = code.slice(code.indexOf('return {', from), code.indexOf('};', from))
      const interfaceName = `${nested[0]?.toUpperCase()}${nested.slice(1)}`
      return [name, { form, required, members: membersIn(code, types, inner, interfaceName) }]
    }),
  )
}

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('the folder of the unpacked package @cdktf/provider-aws is missing')
const version = /version (\d+\.\d+\.\d+)/.exec(fs.readFileSync(path.join(folder, 'README.md'), 'utf8'))?.[1]
const resources = Object.fromEntries(typesUsed().map((type) => [type, schemaOf(folder, type)]))
process.stdout.write(`${JSON.stringify({ provider: 'hashicorp/aws', version, resources }, null, 1)}\n`)
