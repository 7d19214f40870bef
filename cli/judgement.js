'use strict'

// Judges the names of an env file for a migration: which are secrets, which are configuration, and which have a value that npm
// dotenv reads otherwise than its author meant. Nothing that it returns contains a value.

const { envFilePath } = require('./env-file')
const { LINE, unquoted } = require('./formats/dotenv')
const { matcher } = require('./glob')
const { readText } = require('./read-file')

/**
 * @typedef {object} Judged
 * @property {string} name As in the file.
 * @property {number} line The number of its line, the last one if there are several.
 * @property {string} why
 */
/**
 * @typedef {object} Judgement
 * @property {string[]} names What is moved, declared names included.
 * @property {Judged[]} stays What stays in the file because it is configuration, empty, excluded, or cannot be a secret's name.
 * @property {Judged[]} doubtful What stays until somebody decides.
 */
/** @typedef {{ include?: string[], exclude?: string[], declared?: boolean }} Wishes */

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,256}$/
/** Variables of the platform, the runtime, and their tools. */
const PLATFORM =
  /^(?:(?:AWS|NODE|NPM|TCS|LC|XDG|KUBERNETES|OTEL)_.*|PORT|HOST|HOSTNAME|TZ|PATH|HOME|LANG|LANGUAGE|PWD|SHELL|USER|LOGNAME|TERM|TMPDIR|TEMP|TMP|CI|DEBUG|NO_COLOR|FORCE_COLOR)$/i
/** Bundlers put these into what browsers get, so they are public, and a build reads them from the file. */
const PUBLIC = /^(?:NEXT_PUBLIC|NUXT_PUBLIC|EXPO_PUBLIC|PUBLIC|VITE|REACT_APP|VUE_APP|NG_APP|GATSBY|STORYBOOK)_/i
/** Words in names that always mean a secret. */
const SECRET =
  /(?:^|[_-])(?:SECRETS?|PASS|PWD|TOKENS?|CREDENTIALS?|API_?KEYS?|PRIVATE_?KEYS?)$|(?:PASSWORDS?|PASSWD|PASSPHRASE)$|^(?:DB|PG|SMTP|MYSQL)(?:PASS|PWD)$/i
/** Words in names that mean a secret unless the name says that it is something about one. */
const LIKELY =
  /(?:^|[_-])(?:SECRET|PASSWORD|TOKEN|KEYS?|CREDENTIALS?|PAT|DSN|SALT|PEPPER|SEED|PASSPHRASE|WEBHOOK|SIGNING|BASIC_?AUTH)(?:[_-]|$)/i
const ABOUT =
  /[_-](?:TTL|UR[IL]S?|HOSTS?|PORT|ENABLED|LENGTH|NAMES?|IDS?|TIMEOUT|SECONDS|MS|PATH|FILE|DIR|COUNT|SIZE|LEVEL|MODE|REGION|ALGORITHM|ISSUER|AUDIENCE|EXPIRY|EXPIRES_IN|HEADER|PREFIX|SUFFIX|FORMAT|TYPE|VERSION|DOMAIN|BUCKET|ENDPOINT|ADDRESS|EMAIL|ARN|IMAGE|TAG|TOPIC|QUEUE|BRANCH|COMMIT|SHA|RELEASE|BUILD|ORIGINS?|BROKERS)$|[_-](?:PUBLIC|PUBLISHABLE)[_-]|^(?:(?:.*[_-])?(?:PRIMARY|SORT|PARTITION|FOREIGN|ROUTING|CACHE)[_-]KEYS?)$/i
/** The path of a webhook's address is its secret. */
const WEBHOOK = /(?:^|[_-])(?:WEBHOOK|HOOK)[_-]UR[IL]$/i
/** How many tokens a model may use, and the like. */
const AMOUNT = /TOKENS$/i
/** The beginnings of tokens that services issue. */
const TOKEN =
  /^(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|[sr]k_(?:live|test)_|whsec_|A[KS]IA[A-Z0-9]{12}|AIza|SG\.|npm_|pypi-|dop_v1_|shpat_|hvs\.|GOCSPX-|\d{8,10}:AA[\w-]{33}$|eyJ[\w-]+\.eyJ)/
/** A connection string with a password or a key. */
const CONNECTION = /(?:^|[;,\s])\s*(?:AccountKey|SharedAccessKey|Password|Pwd)\s*=\s*[^;,\s]/i
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY/
const URL_WITH_PASSWORD = /^[a-z][a-z\d+.-]*:\/\/[^/?#\s@]*:[^/?#\s]+@/i
const PLAIN_VALUE = /^(?:true|false|on|off|yes|no|\d{1,9}(?:\.\d+)?)$/i
/** `${NAME}`, `${NAME:-default}` and `$NAME`, unless a backslash is before it. */
const REFERENCE = /(?<!\\)\$(?:\{([A-Za-z_]\w*)(?::?[-+?=][^}]*)?\}|([A-Za-z_]\w*))/g
/** Bits a character, as of random text of 20 characters and more. */
const LEAST_ENTROPY = 3.6

/**
 * @param {import('./context').Config} config
 * @param {import('../index').Environment} environment
 * @param {Wishes} wishes
 * @returns {Judgement | null} `null`: there is no file that can be judged; the delivery says what is wrong with it.
 */
function judge(config, environment, { include = [], exclude = [], declared: declaredOnly = false }) {
  const entries = entriesOf(config, environment)
  if (entries === null) return null
  const declared = new Set(config.declared.flatMap(({ name }) => [name, name.replaceAll('-', '_')]))
  const included = include.map(matcher)
  const excluded = exclude.map(matcher)
  /** @type {Judgement} */
  const found = { names: [], stays: [], doubtful: [] }
  for (const { name, line, value, doubt } of entries) {
    const isOf = (/** @type {RegExp[]} */ patterns) => patterns.some((pattern) => pattern.test(name))
    const isDeclared = declared.has(name.toUpperCase())
    const why = isOf(excluded)
      ? 'excluded'
      : !NAME.test(name)
        ? 'no name that a secret can have'
        : value === ''
          ? (doubt ?? 'empty, so there is nothing to move')
          : isOf(included)
            ? null
            : declaredOnly && !isDeclared
              ? 'not declared'
              : (doubt ?? (isDeclared ? null : notSecret(name, value)))
    if (why === null) found.names.push(name)
    else if (why === doubt) found.doubtful.push({ name, line, why })
    else found.stays.push({ name, line, why })
  }
  const left = new Set([...found.stays, ...found.doubtful].map(({ name }) => name.toUpperCase()))
  const known = new Set(found.names.map((name) => name.toUpperCase()))
  for (const { name } of config.declared) {
    const spellings = [name, name.replaceAll('-', '_')]
    if (!spellings.some((one) => left.has(one) || known.has(one))) found.names.push(name)
  }
  return found
}

/** Why an undeclared name is no secret; `null`: it looks like one. @param {string} name @param {string} value */
function notSecret(name, value) {
  if (PLATFORM.test(name)) return "the platform's own"
  if (PUBLIC.test(name)) return 'public: browsers get it'
  if (AMOUNT.test(name) && PLAIN_VALUE.test(value)) return 'configuration: a number or a switch'
  if ([TOKEN, PRIVATE_KEY, URL_WITH_PASSWORD, CONNECTION].some((pattern) => pattern.test(value))) return null
  if (SECRET.test(name)) return null
  if (PLAIN_VALUE.test(value)) return 'configuration: a number or a switch'
  if (WEBHOOK.test(name)) return null
  if (ABOUT.test(name)) return 'looks like configuration'
  if (LIKELY.test(name)) return null
  if (value.length >= 20 && /^[\w+/=.~-]+$/.test(value) && /\d/.test(value) && entropy(value) >= LEAST_ENTROPY)
    return null
  return 'looks like configuration'
}

/** Bits a character. @param {string} text */
function entropy(text) {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  return [...counts.values()].reduce((sum, count) => sum - (count / text.length) * Math.log2(count / text.length), 0)
}

/**
 * The assignments of the env file, each name once.
 *
 * @param {import('./context').Config} config
 * @param {import('../index').Environment} environment
 * @returns {{ name: string, line: number, value: string, doubt: string | null }[] | null}
 */
function entriesOf(config, environment) {
  const file = envFilePath(config, environment)
  if (file === null) return null
  let text
  try {
    text = readText(file)
  } catch {
    return null
  }
  return entriesIn(text)
}

/**
 * The assignments of a text in the grammar of env files, each name once.
 *
 * @param {string} given
 * @returns {{ name: string, line: number, value: string, doubt: string | null }[]}
 */
function entriesIn(given) {
  const text = given.replace(/^\uFEFF/, '').replace(/\r\n?/gm, '\n')
  /** @type {Map<string, { name: string, line: number, value: string, doubt: string | null }>} */
  const entries = new Map()
  const matches = [...text.matchAll(new RegExp(LINE, 'gmd'))]
  const names = new Set(matches.map(([, name = '']) => name))
  for (const match of matches) {
    const [whole, name = '', written = ''] = match
    const begin = match.index + (/^\s*/.exec(whole)?.[0].length ?? 0)
    const line = text.slice(0, begin).split('\n').length
    const value = unquoted(written.trim())
    const before = entries.get(name)
    const twice =
      before !== undefined && before.value !== value
        ? `it stands in line ${before.line} and in line ${line} with different values`
        : null
    entries.set(name, {
      name,
      line,
      value,
      doubt:
        notUtf8(value) ??
        twice ??
        doubtOf(text, match, written, value) ??
        referenceIn(written, names) ??
        before?.doubt ??
        null,
    })
  }
  return [...entries.values()]
}

/** Reading a file as UTF-8 puts this in the place of bytes that are none. */
const REPLACEMENT = '\uFFFD'

/** Why a value from a file is not the one that its author wrote; `null`: it may be. @param {string} value */
function notUtf8(value) {
  return value.includes(REPLACEMENT)
    ? 'its value has bytes that are no UTF-8; turn the file into UTF-8 with iconv'
    : null
}

/**
 * What is surprising about an assignment.
 *
 * @param {string} text
 * @param {RegExpMatchArray} match
 * @param {string} written
 * @param {string} value
 */
function doubtOf(text, match, written, value) {
  const { indices = [] } = /** @type {RegExpMatchArray & { indices?: [number, number][] }} */ (match)
  const end =
    indices[2]?.[1] ?? (indices[1]?.[1] ?? 0) + (/^\s*[=:]/.exec(text.slice(indices[1]?.[1]))?.[0].length ?? 0)
  if (text[end] === '#' && /\S/.test(text[end - 1] ?? ' ')) {
    return `its value ends before the # in its line, without a blank before the #; if the # is a part of it, quote the value`
  }
  const bare = written.trim()
  const isQuoted = bare.length > 1 && /^(['"`])[^]*\1$/.test(bare)
  if (!isQuoted && /^['"`]|['"`]$/.test(value)) return 'a quote at one end of its value is a part of it'
  return null
}

/**
 * Says that a value refers to another variable. npm dotenv keeps `$NAME` as it stands, but dotenv-expand, a shell and Docker
 * Compose put the other value there, so the service may have worked with a value that this file does not have. Without
 * braces a name of the file is needed: bcrypt's `$2b$10$abc` is no reference.
 *
 * @param {string} written
 * @param {Set<string>} names
 */
function referenceIn(written, names) {
  if (written.trim().startsWith("'")) return null
  for (const [, braced, bare = ''] of written.matchAll(REFERENCE)) {
    if (braced === undefined && !names.has(bare)) continue
    return `it refers to the variable ${braced ?? bare}, which npm dotenv does not fill in; write the whole value, or single quotes around it if it is meant as it stands`
  }
  return null
}

/** Whether a text is a token or random, so that it is hardly a word that somebody typed. @param {string} text */
function looksSecret(text) {
  return TOKEN.test(text) || (text.length >= 16 && /\d/.test(text) && entropy(text) >= LEAST_ENTROPY)
}

module.exports = { entriesIn, judge, looksSecret, notUtf8 }
