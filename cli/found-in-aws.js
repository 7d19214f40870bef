'use strict'

// Makes a declaration of the secrets that AWS has: a template that fits most of them, and references for the rest. It holds names of
// secrets and of JSON fields, never values.

const { guessed } = require('./declaration')

/** @typedef {import('../index').FoundSecret} FoundSecret */
/** @typedef {string | Record<string, string>} Reference One for all environments, or one for each. */
/**
 * @typedef {object} Entry Secrets of all environments with one name in AWS, but for the environment.
 * @property {string} shape The name, with `{environment}` in it where it names one.
 * @property {string[]} words What the name says besides the environment.
 * @property {FoundSecret[]} found
 * @property {Reference} aws
 * @property {string[]} fields
 * @property {{ template: string, tool: string | null, type: string | null }[]} fits
 */
/**
 * @typedef {object} Declared
 * @property {string[]} awsIds
 * @property {string} form
 * @property {string | null} tool
 * @property {string[]} types A name, where there is no tool.
 * @property {Reference | null} aws `null`: as the template says.
 */

const DEFAULT_TEMPLATE = '{name}_{environment}'
const ENVIRONMENTS = new Map(
  Object.entries({ production: 'production', prod: 'production', staging: 'staging', stage: 'staging' }).concat(
    Object.entries({ development: 'development', dev: 'development', test: 'test' }),
  ),
)
/** Words that are an environment also at the beginning or the end of any part, as in `staging-jira/token`. */
const PLAIN = new Set(['production', 'staging', 'development'])
const PLACE = '{environment}'
/** What a tool and a type may be called; see `SecretName` in crates/secret. */
const PART = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/
const LOWER = /^[a-z0-9][a-z0-9_-]{0,127}$/
const UPPER = /^[A-Z0-9][A-Z0-9_-]*$/
const LONGEST_FIELD = 1024

/**
 * The environment that a name in AWS says, and the name with a place for it.
 *
 * @param {string} awsId
 * @param {ReadonlyMap<string, string>} environments Their names, by the words for them.
 * @returns {{ shape: string, environment: string | null, word: string | null }}
 */
function shapeOf(awsId, environments) {
  const segments = awsId.split('/')
  /** @param {number} at @param {string} shaped @param {string} word */
  const found = (at, shaped, word) => ({
    shape: segments.map((segment, i) => (i === at ? shaped : segment)).join('/'),
    environment: environments.get(word) ?? null,
    word,
  })
  const whole = segments.findIndex((segment) => environments.has(segment))
  if (whole >= 0) return found(whole, PLACE, segments[whole] ?? '')
  for (const [at, segment] of segments.entries()) {
    const [, before = '', ending = ''] = /^(.*[-_.])([^-_.]+)$/.exec(segment) ?? []
    const isLast = at === segments.length - 1
    if (isLast ? environments.has(ending) : PLAIN.has(ending)) return found(at, before + PLACE, ending)
    const [, beginning = '', after = ''] = /^([^-_.]+)([-_.].*)$/.exec(segment) ?? []
    if (PLAIN.has(beginning)) return found(at, PLACE + after, beginning)
  }
  return { shape: awsId, environment: null, word: null }
}

/** What a part of a shape says besides the environment. @param {string} part */
function wordIn(part) {
  return part.replace(new RegExp(`[-_.]?\\${PLACE.slice(0, -1)}\\}[-_.]?`), '')
}

/**
 * The declaration of what was found.
 *
 * @param {FoundSecret[]} all
 * @param {string[]} [own] Names of environments besides the four.
 * @returns {{ template: string | null, secrets: Declared[], left: { awsId: string, why: string }[], config: any }}
 */
function declarationOfAws(all, own = []) {
  const environments = new Map([...ENVIRONMENTS, ...own.map((name) => /** @type {const} */ ([name, name]))])
  /** @type {{ awsId: string, why: string }[]} */
  const left = []
  /** @type {Map<string, { awsId: string, environment: string | null, word: string | null, found: FoundSecret }[]>} */
  const shapes = new Map()
  for (const found of all) {
    const why = unusable(found)
    if (why !== null) {
      left.push({ awsId: found.awsId, why })
      continue
    }
    const { shape, environment, word } = shapeOf(found.awsId, environments)
    const known = shapes.get(shape) ?? []
    // Of `prod/x` and `production/x` one is the secret of production; the other is a secret of its own.
    if (known.some((other) => other.environment === environment)) {
      shapes.set(found.awsId, [{ awsId: found.awsId, environment: null, word: null, found }])
    } else {
      shapes.set(shape, [...known, { awsId: found.awsId, environment, word, found }])
    }
  }
  const entries = [...shapes].map(([shape, members]) => entryOf(shape, members))
  const template = templateOf(entries)
  return { template, ...declared(entries, template, left) }
}

/** Why a secret is not declared. @param {FoundSecret} found */
function unusable({ form, fields, error }) {
  if (form === 'unread') return error?.code === 'SECRET_ACCESS_DENIED' ? 'denied: it may not be read' : `${error?.code}`
  if (form === 'nothing') return 'it has no value'
  return form === 'json' && fields.length === 0 ? 'a JSON object without values' : null
}

/**
 * @param {string} shape
 * @param {{ awsId: string, environment: string | null, word: string | null, found: FoundSecret }[]} members
 * @returns {Entry}
 */
function entryOf(shape, members) {
  const isPlain = members.every(({ environment, word }) => environment === word)
  /** @type {Reference} */
  const aws = isPlain
    ? shape
    : Object.fromEntries(members.map(({ environment, awsId }) => [/** @type {string} */ (environment), awsId]))
  const found = members.map((member) => member.found)
  const isJson = found.every(({ form }) => form === 'json')
  const fields = isJson ? [...new Set(found.flatMap((one) => one.fields))] : []
  const words = shape
    .split('/')
    .map(wordIn)
    .filter((word) => word !== '')
  return { shape, words, found, aws, fields, fits: isPlain ? fitting(shape, fields, isJson) : [] }
}

/**
 * The templates that give this name in AWS.
 *
 * @param {string} shape
 * @param {string[]} fields
 * @param {boolean} isJson
 */
function fitting(shape, fields, isJson) {
  const parts = shape.split('/')
  const places = parts.flatMap((part, at) => {
    const word = wordIn(part)
    return word !== '' && part.includes(word) ? [{ at, word }] : []
  })
  const [before, last] = [places.at(-2), places.at(-1)]
  if (last === undefined) return []
  /** @param {[{ at: number, word: string }, string][]} given */
  const filled = (...given) =>
    parts
      .map((part, at) =>
        given.reduce((text, [place, by]) => (place.at === at ? text.replace(place.word, by) : text), part),
      )
      .join('/')
  if (isJson) {
    const fits = LOWER.test(last.word) && fields.every((field) => LOWER.test(field))
    return fits ? [{ template: `${filled([last, '{tool}'])}#{type}`, tool: last.word, type: null }] : []
  }
  if (UPPER.test(last.word) && /[A-Z]/.test(last.word)) {
    return [{ template: filled([last, '{name}']), tool: null, type: null }]
  }
  if (before === undefined || !LOWER.test(before.word) || !LOWER.test(last.word)) return []
  return [{ template: filled([before, '{tool}'], [last, '{type}']), tool: before.word, type: last.word }]
}

/** The template that fits most; `null` where none fits two, and none is the default. @param {Entry[]} entries */
function templateOf(entries) {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const { fits } of entries) for (const { template } of fits) counts.set(template, (counts.get(template) ?? 0) + 1)
  const rank = (/** @type {string} */ template) =>
    (counts.get(template) ?? 0) + (template === DEFAULT_TEMPLATE ? 0.5 : 0)
  const [best] = [...counts.keys()].sort((a, b) => rank(b) - rank(a) || (a < b ? -1 : 1))
  return best !== undefined && rank(best) > 1 ? best : null
}

/**
 * @param {Entry[]} entries
 * @param {string | null} template
 * @param {{ awsId: string, why: string }[]} left
 */
function declared(entries, template, left) {
  const names = entries.map(({ words }) => plainName(words.at(-1) ?? '').toUpperCase())
  const guesses = new Map(guessed(names).map((guess, i) => [entries[i], guess]))
  /** @type {Map<string, { aws?: Reference, secrets: Map<string, object> }>} */
  const tools = new Map()
  /** @type {Map<string, object>} */
  const alone = new Map()
  /** @type {Declared[]} */
  const secrets = []
  const taken = new Set()
  const tool = (/** @type {string} */ name) => {
    /** @type {{ aws?: Reference, secrets: Map<string, object> }} */
    const known = tools.get(name) ?? { secrets: new Map() }
    tools.set(name, known)
    return known
  }
  // Those of the template first: it gives their names, and others take what is left.
  const ordered = [...entries].sort((a, b) => Number(isOf(b, template)) - Number(isOf(a, template)))
  for (const entry of ordered) {
    const { words, found, fields } = entry
    const fit = entry.fits.find((one) => one.template === template)
    const guess = /** @type {import('./declaration').Guess} */ (guesses.get(entry))
    const awsIds = found.map(({ awsId }) => awsId)
    const form = /** @type {FoundSecret} */ (found[0]).form
    const aws = fit === undefined ? entry.aws : null
    if (fields.length > 0) {
      const name = fit?.tool ?? freeTool(words, tools, taken, fields)
      const types = fields.flatMap((field) => {
        const why = unnameable(field)
        if (why !== null) left.push({ awsId: `${awsIds.join(', ')} (a field)`, why })
        return why === null ? [typeOf(field, name, taken)] : []
      })
      const spec = tool(name)
      if (aws !== null) spec.aws = aws
      for (const { type, field } of types) {
        spec.secrets.set(type, type === field ? {} : { aws: fieldOf(entry.aws, field) })
      }
      secrets.push({ awsIds, form, tool: name, types: types.map(({ type }) => type), aws })
      continue
    }
    const [first, second] = divided(entry, fit, guess)
    const [name, type] = free(first, second, words, taken)
    const spec = aws === null ? {} : { aws }
    if (name === null) alone.set(type, spec)
    else tool(name).secrets.set(type, spec)
    secrets.push({ awsIds, form, tool: name, types: [type], aws })
  }
  const config = {
    ...(template !== null && template !== DEFAULT_TEMPLATE && { aws: { secretIdTemplate: template } }),
    ...(tools.size > 0 && { tools: Object.fromEntries([...tools].map(([name, spec]) => [name, plainTool(spec)])) }),
    ...(alone.size > 0 && { secrets: Object.fromEntries(alone) }),
  }
  secrets.sort((a, b) => ((a.awsIds[0] ?? '') < (b.awsIds[0] ?? '') ? -1 : 1))
  return { secrets, left, config }
}

/** @param {Entry} entry @param {string | null} template */
const isOf = ({ fits }, template) => fits.some((one) => one.template === template)

/** @param {{ aws?: Reference, secrets: Map<string, object> }} spec */
const plainTool = ({ aws, secrets }) => ({ ...(aws !== undefined && { aws }), secrets: Object.fromEntries(secrets) })

/**
 * Tool and type of a secret that is no JSON object; without a tool, its name.
 *
 * @param {Entry} entry
 * @param {Entry['fits'][number] | undefined} fit
 * @param {import('./declaration').Guess} guess
 * @returns {[tool: string | null, type: string]}
 */
function divided({ words }, fit, guess) {
  if (fit?.tool != null && fit.type !== null) return [fit.tool, fit.type]
  const isName = UPPER.test(words.at(-1) ?? '')
  if (fit !== undefined || isName || words.length < 2) {
    return guess.tool !== null && guess.type !== null ? [guess.tool, guess.type] : [null, guess.name]
  }
  return [plainName(words.at(-2) ?? ''), plainName(words.at(-1) ?? '')]
}

/** A word as a tool or a type may be called. @param {string} word */
function plainName(word) {
  const name = word.replaceAll(/[^A-Za-z0-9_-]/g, '_').replace(/^[^A-Za-z0-9]+/, '')
  return (name === '' ? 'secret' : name).slice(0, 128).toLowerCase()
}

/** Why a field cannot be declared. @param {string} field */
function unnameable(field) {
  if (field === '' || field.startsWith('#') || /\p{Cc}/u.test(field)) return 'its name cannot be written as a reference'
  return Buffer.byteLength(field) > LONGEST_FIELD ? 'its name is too long for a reference' : null
}

/** @param {Reference} aws @param {string} field @returns {Reference} */
function fieldOf(aws, field) {
  if (typeof aws === 'string') return `${aws}#${field}`
  return Object.fromEntries(Object.entries(aws).map(([environment, id]) => [environment, `${id}#${field}`]))
}

/** @param {string} field @param {string} tool @param {Set<string>} taken */
function typeOf(field, tool, taken) {
  const wanted = PART.test(field) ? field : plainName(field)
  for (let count = 1; ; count++) {
    const type = count === 1 ? wanted : `${wanted.slice(0, 120)}_${count}`
    const name = `${tool}_${type}`.toUpperCase()
    if (taken.has(name)) continue
    taken.add(name)
    return { type, field }
  }
}

/**
 * A name for the tool of a JSON secret that no other tool has, and none of whose secrets is another's.
 *
 * @param {string[]} words
 * @param {ReadonlyMap<string, unknown>} tools
 * @param {ReadonlySet<string>} taken
 * @param {string[]} fields
 */
function freeTool(words, tools, taken, fields) {
  const isFree = (/** @type {string} */ name) =>
    !tools.has(name) && fields.every((field) => !taken.has(`${name}_${field}`.toUpperCase()))
  return firstFree(candidates(words), isFree)
}

/**
 * @param {string | null} tool
 * @param {string} type
 * @param {string[]} words
 * @param {Set<string>} taken
 * @returns {[tool: string | null, type: string]}
 */
function free(tool, type, words, taken) {
  const full = (/** @type {string | null} */ one, /** @type {string} */ other) =>
    (one === null ? other : `${one}_${other}`).toUpperCase()
  const name = full(tool, type)
  if (!taken.has(name)) {
    taken.add(name)
    return [tool, type]
  }
  if (tool === null) {
    const other = firstFree([words.join('_')], (one) => !taken.has(one.toUpperCase())).toUpperCase()
    taken.add(other)
    return [null, other]
  }
  const other = firstFree(candidates(words.slice(0, -1)), (one) => !taken.has(full(one, type)))
  taken.add(full(other, type))
  return [other, type]
}

/** The last word, the last two, … @param {string[]} words */
function candidates(words) {
  return words.length === 0 ? ['secret'] : words.map((_, i) => words.slice(words.length - 1 - i).join('_'))
}

/** @param {string[]} names @param {(name: string) => boolean} isFree */
function firstFree(names, isFree) {
  const plain = names.map(plainName)
  const found = plain.find(isFree)
  if (found !== undefined) return found
  const longest = (plain.at(-1) ?? 'secret').slice(0, 120)
  for (let count = 2; ; count++) if (isFree(`${longest}_${count}`)) return `${longest}_${count}`
}

module.exports = { declarationOfAws }
