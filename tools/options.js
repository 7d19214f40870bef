'use strict'

// Makes the table of docs/options.md and tcs-secrets.schema.json from the options that index.d.ts declares. Usage:
// node tools/options.js
//
// The documentation of an option ends in sentences with a fixed form:
//
// - "In seconds, 1 to 3600." or "1 to 10.": the unit and the range of a number
// - "As a URL.": what is in a text, or what an object is like
// - "Default: `5`.": without it the default of a value is none. A member without `?` is needed.
//
// The rest says what the option does. Links start at the root of the repository.

const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..')
const files = {
  declarations: path.join(root, 'index.d.ts'),
  page: path.join(root, 'docs', 'options.md'),
  schema: path.join(root, 'tcs-secrets.schema.json'),
}

/** The interface with all options. */
const OPTIONS = 'SecretDeliveryOptions'

/** What a name of a tool or of a secret type looks like (`SecretName` in crates/secret checks it). */
const NAME = '^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$'

/** What holds for the configuration file only, by option. */
const ADVICE = {
  environment: '--environment of the command line goes first.',
  'aws.credentials': 'A file gets committed: prefer the standard chain.',
  'cache.encryptionKeys': 'A file gets committed: prefer the variable.',
  rotation: 'Hooks are functions: give them in a .js or .ts file.',
  'audit.key': 'A file gets committed: prefer a .js or .ts file that reads it from elsewhere.',
}

/** What only the file has. */
const OF_THE_FILE = {
  $schema: { type: 'string', description: 'Where editors find this schema.' },
  checks: {
    type: 'string',
    description:
      "Path of a module with the service's own checks, which 'tcs-secrets migrate validate' runs: exported functions that are given a SecretDelivery and throw when something does not work.",
  },
}

/** A place in AWS: the schema of the alias of that name. */
const REFERENCE = {
  type: 'object',
  additionalProperties: false,
  properties: {
    id: { type: 'string' },
    field: { type: 'string' },
    versionStage: { type: 'string' },
    assumeRole: { $ref: '#/definitions/ReferenceRole' },
  },
  required: ['id'],
}
/** The role of a reference: as `aws.assumeRole`. */
const ROLE = {
  type: 'object',
  additionalProperties: false,
  properties: {
    roleArn: { type: 'string' },
    sessionName: { type: 'string' },
    externalId: { type: 'string' },
    durationSeconds: { type: 'integer', minimum: 900, maximum: 43_200 },
    sourceIdentity: { type: 'string' },
    tags: { type: 'object', additionalProperties: { type: 'string' } },
  },
  required: ['roleArn'],
}
const PLACE = { anyOf: [{ type: 'string' }, { $ref: '#/definitions/SecretReference' }] }
const DEFINITIONS = {
  SecretReference: REFERENCE,
  ReferenceRole: ROLE,
  ByEnvironment: {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(['development', 'test', 'staging', 'production'].map((name) => [name, PLACE])),
  },
  AwsPlace: { anyOf: [...PLACE.anyOf, { $ref: '#/definitions/ByEnvironment' }] },
}

/**
 * @typedef {{ name: string, needed: boolean, type: string, documentation: string }} Member
 *
 * @typedef {{
 *   path: string, needed: boolean, type: string, documentation: string, what: string, unit?: string, range?: string,
 *   form?: string, preset?: string, children: Option[]
 * }} Option `preset` is the default, as a text.
 */

/**
 * The parts of a text between separators that are not inside of brackets.
 *
 * @param {string} text
 * @param {RegExp} separator
 */
function parts(text, separator) {
  const found = ['']
  let depth = 0
  for (const piece of text.split(/([()[\]{}]|\/\*\*[^]*?\*\/|\n|;| \| )/)) {
    if (/^[([{]$/.test(piece)) depth++
    if (/^[)\]}]$/.test(piece)) depth--
    if (depth === 0 && separator.test(piece)) found.push('')
    else found[found.length - 1] += piece
  }
  return found
}

/**
 * A type without what holds for nearly every option: that it may be unset, and that its lists and objects may be read-only.
 *
 * @param {string} type
 */
function essence(type) {
  const set = type.replace(/ \| (?:Unset|undefined)$/, '').replaceAll(/\breadonly /g, '')
  return set
    .replace('(string & {})', 'string')
    .replace(/^Readonly<(.*)>$/, '$1')
    .replace(/^Record<string, string \| undefined>$/, 'Record<string, string>')
    .replace(/^\((\(.*\) => .*)\)$/, '$1')
}

/**
 * The members of an interface or of an object type.
 *
 * @param {string} body What is between its braces.
 * @returns {Member[]}
 */
function membersOf(body) {
  let documentation = ''
  /** @type {Member[]} */
  const members = []
  // A comment and the member that it is about are parts of their own, as a newline is between them.
  for (const part of parts(body, /^(\n|;)$/).map((one) => one.trim())) {
    if (part === '') continue
    const comment = /^\/\*\*([^]*)\*\/$/.exec(part)
    if (comment !== null) {
      documentation = comment[1].replace(/\s*\n\s*\*? ?/g, ' ').trim()
      continue
    }
    const [, name, optional, rest] = /^(\w+)(\??)([:(][^]*)$/.exec(part) ?? []
    if (name === undefined) throw new Error(`not a member: ${part}`)
    const type = rest.startsWith(':') ? rest.slice(1).trim() : `(${rest.slice(1).replace('):', ') =>')}`
    members.push({ name, needed: optional === '', type: essence(type), documentation })
    documentation = ''
  }
  return members
}

/** What index.d.ts declares: members by interface, and other types by name. @param {string} text */
function declarationsOf(text) {
  const interfaces = new Map(
    [...text.matchAll(/^export interface (\w+)(?: extends \w+)? \{\n([^]*?)^\}/gm)].map(([, name, body]) => [
      name,
      body,
    ]),
  )
  const aliases = new Map([...text.matchAll(/^export type (\w+) = (.+)$/gm)].map(([, name, type]) => [name, type]))
  return { interfaces, aliases }
}

/** @param {string} type */
const isFunction = (type) => type.startsWith('(') && type.includes('=>')

/** The parts of a union. @param {string} type @returns {string[]} */
const unionOf = (type) => (isFunction(type) ? [type] : parts(type, /^ \| $/))

/**
 * What a part of a type is about: the members of its objects, and how a path goes on to them.
 *
 * @param {ReturnType<typeof declarationsOf>} declared
 * @param {string} type
 * @returns {{ step: string, members: Member[] } | undefined}
 */
function inside(declared, type) {
  const list = /^\(?([^()]*)\)?\[\]$/.exec(type)
  if (list !== null) {
    const found = unionOf(list[1]).flatMap((part) => inside(declared, part) ?? [])
    return found.length > 0 ? { step: '[].', members: found[0].members } : undefined
  }
  const record = /^Record<string, (.*)>$/.exec(type)
  if (record !== null) {
    const found = inside(declared, record[1])
    return found && { step: '.*.', members: found.members }
  }
  if (type.startsWith('{')) return { step: '.', members: membersOf(type.slice(1, -1)) }
  const body = declared.interfaces.get(type)
  if (body === undefined) return undefined
  const members = membersOf(body)
  // An object of functions is given as it is: its members are no options.
  return members.every((member) => isFunction(member.type)) ? undefined : { step: '.', members }
}

/**
 * The options of an interface, with what their documentation says.
 *
 * @param {ReturnType<typeof declarationsOf>} declared
 * @param {Member[]} members
 * @param {string} [prefix]
 * @returns {Option[]}
 */
function optionsIn(declared, members, prefix = '') {
  return members.map((member) => {
    const here = prefix + member.name
    const { name: _, ...rest } = member
    const [, before, preset] = /^([^]*?)\s*\bDefault: ([^]*)\.$/.exec(member.documentation) ?? [, member.documentation]
    const [, what, form] = /^([^]*?)\s*\bAs (?:an? )?([^]*)\.$/.exec(before) ?? [, before]
    const [, text = what, unit, range] =
      /^([^]*?)\s*(?:\bIn ([^.,]+)(?:, |\.$))?(?:(?<![\w.])([\d.]+ to [\d.]+)\.)?$/.exec(what) ?? []
    const nested = unionOf(member.type).flatMap((part) => inside(declared, part) ?? [])[0]
    const children = nested === undefined ? [] : optionsIn(declared, nested.members, here + nested.step)
    return { ...rest, path: here, what: text, unit, range, form, preset, children }
  })
}

/** The options that a text of index.d.ts declares, as a tree. @param {string} text */
function read(text) {
  const declared = declarationsOf(text)
  const body = declared.interfaces.get(OPTIONS)
  if (body === undefined) throw new Error(`index.d.ts declares no ${OPTIONS}`)
  return { declared, options: optionsIn(declared, membersOf(body)) }
}

/** Every option in the order of the declarations. @param {Option[]} options @returns {Option[]} */
const flat = (options) => options.flatMap((option) => [option, ...flat(option.children)])

/** @param {string} part One part of a union. @returns {string} */
function wordFor(part) {
  if (part === 'Record<string, string>') return 'object of strings'
  if (part === 'string[]' || /^(boolean|number|string|Uint8Array)$/.test(part)) return part
  if (part.startsWith('(') && part.endsWith('[]'))
    return `list of ${part.slice(1, -3).split(' | ').map(wordFor).join(' or ')}`
  if (part.endsWith('[]')) return 'list'
  return isFunction(part) ? 'function' : 'object'
}

/** The type of an option in words. @param {ReturnType<typeof declarationsOf>} declared @param {Option} option */
function shownType(declared, { type, unit, form }) {
  const words = unionOf(type).map((part) => {
    if (/^('.*'|false)$/.test(part) || declared.aliases.has(part)) return `\`${part}\``
    return wordFor(part)
  })
  const [first, ...others] = words
  // An alias stands for literals: those beside it are listed after it.
  const joined = declared.aliases.has(unionOf(type)[0])
    ? [first, others.join(', ')].filter((part) => part !== '').join(' or ')
    : words.join(', ').replace(/, ([^,]*)$/, ' or $1')
  const units = /** @type {Record<string, string>} */ ({ milliseconds: 'ms', seconds: 's' })
  if (unit !== undefined) return `${joined}, ${units[unit] ?? unit}`
  if (form === undefined) return joined
  return form.startsWith(joined) ? form : `${joined}, ${form}`
}

/** @param {Option} option */
function shownDefault({ type, needed, preset }) {
  if (preset !== undefined) return preset
  if (needed) return 'needed'
  const [first] = unionOf(type)
  return wordFor(first) === 'object' && !first.startsWith('Record<') ? '' : 'none'
}

/** @param {(string | undefined)[]} sentences */
const joined = (sentences) => sentences.filter((one) => one !== undefined && one !== '').join(' ')

/** The page with this table in it. @param {string} page @param {ReturnType<typeof read>} options */
function filledPage(page, { declared, options }) {
  const rows = flat(options).map((option) => {
    const what = joined([option.what, option.range && `${option.range}.`]).replaceAll('](docs/', '](')
    const cells = [`\`${option.path}\``, shownType(declared, option), shownDefault(option), what]
    return `|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell} `)).join('|')}|\n`
  })
  const table = /(^\| option \|.*\n\|[-|]+\|\n)(?:\|.*\n)+/m
  if (!table.test(page)) throw new Error("docs/options.md has no table that begins with 'option'")
  return page.replace(table, (_, head) => head + rows.join(''))
}

/** @param {string} text Markdown. */
const plain = (text) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '')

/**
 * The description of an option in the schema.
 *
 * @param {Option} option
 */
function described({ path: name, what, unit, range, preset }) {
  const number = unit === undefined ? range && `${range}.` : `In ${unit}${range === undefined ? '' : `, ${range}`}.`
  const text = joined([what, number, preset && `Default: ${preset}.`, ADVICE[/** @type {'rotation'} */ (name)]])
  return text === '' ? {} : { description: plain(text) }
}

/**
 * The schema of a part of a type; unset where JSON has no such value.
 *
 * @param {ReturnType<typeof declarationsOf>} declared
 * @param {string} part
 * @param {Option} option
 * @returns {any}
 */
function schemaOf(declared, part, option) {
  if (part === 'false') return { const: false }
  if (part === 'Uint8Array' || isFunction(part)) return undefined
  if (part === 'number' && option.range !== undefined) {
    const [minimum, maximum] = option.range.split(' to ').map(Number)
    return { type: 'number', minimum, maximum }
  }
  if (/^(boolean|number|string)$/.test(part)) return { type: part }
  if (part === 'Record<string, string>') return { type: 'object', additionalProperties: { type: 'string' } }
  if (part.startsWith('Record<')) {
    // Of functions.
    if (option.children.length === 0) return undefined
    const items = objectOf(declared, option.children)
    return { type: 'object', propertyNames: { pattern: NAME }, additionalProperties: items }
  }
  if (part.endsWith('[]')) {
    const item = part.replace(/^\(|\)?\[\]$/g, '')
    return { type: 'array', items: anyOf(unionOf(item).map((one) => schemaOf(declared, one, option))) }
  }
  return option.children.length === 0 ? undefined : objectOf(declared, option.children)
}

/** The name at the end of an option's path. @param {string} name */
const lastStep = (name) => name.slice(name.lastIndexOf('.') + 1)

/** @param {any[]} forms */
const anyOf = (forms) => (forms.length === 1 ? forms[0] : { anyOf: forms })

/** @param {ReturnType<typeof declarationsOf>} declared @param {Option[]} options @returns {any} */
function objectOf(declared, options) {
  const properties = propertiesOf(declared, options)
  const required = options.filter(({ needed }) => needed).map((option) => lastStep(option.path))
  return { type: 'object', additionalProperties: false, properties, ...(required.length > 0 && { required }) }
}

/** @param {ReturnType<typeof declarationsOf>} declared @param {Option[]} options */
function propertiesOf(declared, options) {
  /** @type {Record<string, any>} */
  const properties = {}
  for (const option of options) {
    if (option.type in DEFINITIONS) {
      properties[lastStep(option.path)] = { ...described(option), allOf: [{ $ref: `#/definitions/${option.type}` }] }
      continue
    }
    const given = unionOf(option.type).flatMap((part) => unionOf(declared.aliases.get(part) ?? part))
    const literals = given.filter((part) => part.startsWith("'")).map((part) => part.slice(1, -1))
    const others = given.filter((part) => !part.startsWith("'")).map((part) => schemaOf(declared, part, option))
    const forms = [...(literals.length > 0 ? [{ enum: literals }] : []), ...others].filter((form) => form !== undefined)
    if (forms.length > 0) properties[lastStep(option.path)] = { ...described(option), ...anyOf(forms) }
  }
  return properties
}

/** The JSON Schema of the configuration file. @param {ReturnType<typeof read>} options */
function schemaFor({ declared, options }) {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'tcs-secrets.config.json',
    description:
      'Configuration of tcs-secret-delivery and its command line tcs-secrets: the options of a SecretDelivery that a file can hold.',
    type: 'object',
    additionalProperties: false,
    definitions: DEFINITIONS,
    properties: { ...OF_THE_FILE, ...propertiesOf(declared, options) },
  }
}

/** JSON as prettier writes it: lists of texts on one line. @param {any} value */
const json = (value) =>
  `${JSON.stringify(value, null, 2).replace(/\[\s+("[^"]*"(?:,\s+"[^"]*")*)\s+\]/g, (_, list) => `[${list.replace(/,\s+/g, ', ')}]`)}\n`

/**
 * The texts that both files should have.
 *
 * @param {string} declarations The text of index.d.ts.
 * @param {string} page The text of docs/options.md.
 * @returns {{ page: string, schema: string }}
 */
function made(declarations, page) {
  const options = read(declarations)
  return { page: filledPage(page, options), schema: json(schemaFor(options)) }
}

if (require.main === module) {
  const { page, schema } = made(fs.readFileSync(files.declarations, 'utf8'), fs.readFileSync(files.page, 'utf8'))
  fs.writeFileSync(files.page, page)
  fs.writeFileSync(files.schema, schema)
}

module.exports = { files, flat, made, read }
