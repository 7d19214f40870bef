'use strict'

// Makes a declaration of the secrets of an env file: which tool each of them looks like. It holds names, never values.

/** Names of types, as they end the names of secrets: longer ones first. */
const TYPES = [
  ...['API_TOKEN', 'ACCESS_TOKEN', 'AUTH_TOKEN', 'BOT_TOKEN', 'REFRESH_TOKEN', 'APP_PASSWORD', 'ROOT_PASSWORD'],
  ...['CLIENT_SECRET', 'WEBHOOK_SECRET', 'SIGNING_SECRET', 'SHARED_SECRET', 'APP_SECRET', 'ACCESS_KEY_ID'],
  ...['SECRET_ACCESS_KEY', 'API_KEY', 'ACCESS_KEY', 'SECRET_KEY', 'PRIVATE_KEY', 'SIGNING_KEY', 'ENCRYPTION_KEY'],
  ...['CONNECTION_STRING', 'WEBHOOK_URL', 'DATABASE_URL', 'PASSWORD', 'PASSWD', 'PASSPHRASE', 'PASS', 'PWD'],
  ...['TOKEN', 'SECRET', 'CREDENTIALS', 'CREDENTIAL', 'KEY', 'PAT', 'DSN', 'URL', 'URI', 'HOOK', 'SALT', 'PEPPER'],
].sort((a, b) => b.length - a.length)
/** What a tool and a type may be called; see `SecretName` in crates/secret. */
const PART = /^[A-Z0-9][A-Z0-9_-]{0,127}$/

/**
 * @typedef {{ tools?: Record<string, { secrets: Record<string, {}> }>, secrets?: Record<string, {}> }} Declaration
 * @typedef {{ name: string, tool: string | null, type: string | null }} Guess `null`: declared as a name without a tool.
 */

/** @param {string} name @returns {[tool: string, type: string] | null} */
function divided(name) {
  for (const type of TYPES) {
    const tool = name.slice(0, -type.length - 1)
    if (name.endsWith(`_${type}`) && PART.test(tool)) return [tool, type]
  }
  return null
}

/**
 * Which tool and type each name looks like. A name that ends in no known type belongs to the tool with which it begins, where
 * another name gives one.
 *
 * @param {string[]} names In upper case.
 * @returns {Guess[]} In the order of the names.
 */
function guessed(names) {
  const tools = names.flatMap((name) => divided(name)?.[0] ?? []).sort((a, b) => b.length - a.length)
  return names.map((name) => {
    const own = divided(name)
    const tool = own?.[0] ?? tools.find((one) => name.startsWith(`${one}_`) && PART.test(name.slice(one.length + 1)))
    if (tool === undefined) return { name, tool: null, type: null }
    return { name, tool: tool.toLowerCase(), type: name.slice(tool.length + 1).toLowerCase() }
  })
}

/** @param {Guess[]} guesses @returns {Declaration} */
function declarationOf(guesses) {
  // Maps, because a tool may be called `constructor`.
  /** @type {Map<string, Map<string, {}>>} */
  const tools = new Map()
  /** @type {Map<string, {}>} */
  const secrets = new Map()
  for (const { name, tool, type } of guesses) {
    if (tool === null || type === null) secrets.set(name, {})
    else tools.set(tool, (tools.get(tool) ?? new Map()).set(type, {}))
  }
  const ofTools = [...tools].map(([tool, types]) => [tool, { secrets: Object.fromEntries(types) }])
  return {
    ...(tools.size > 0 && { tools: Object.fromEntries(ofTools) }),
    ...(secrets.size > 0 && { secrets: Object.fromEntries(secrets) }),
  }
}

module.exports = { declarationOf, guessed }
