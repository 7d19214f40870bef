'use strict'

// Finds and reads the configuration file of a service, for `SecretDelivery.open` and for the command line.

const fs = require('node:fs')
const nodeModule = require('node:module')
const path = require('node:path')
const { fileURLToPath, pathToFileURL } = require('node:url')
const { types } = require('node:util')
const { fromDocumented } = require('./documented')
const { SecretError } = require('./errors')
const { faultOf } = require('./json-fault')
const { plainOptions } = require('./options')
const { readText } = require('./read-file')

const STEM = 'tcs-secrets.config'
const NAMES = ['.json', '.js', '.cjs', '.mjs', '.ts'].map((extension) => STEM + extension)
const KEY = 'tcs-secrets'
/** The largest file that is read, in bytes: a wrong path may name any file. */
const MOST_BYTES = 4 * 1024 * 1024

/** @typedef {import('../index').SecretDeliveryOptions} Given */
/**
 * @typedef {Omit<Given, 'cache' | 'audit' | 'rotation' | 'source' | 'fallback'> & {
 *   cache?: import('../index').CacheOptions | false | null,
 *   audit?: import('../index').AuditOptions | false | null,
 *   rotation?: import('../index').RotationOptions | null,
 * }} Options Without the short forms of the specification.
 */
/**
 * @typedef {object} Declared
 * @property {string | null} tool `null`: its name has no tool.
 * @property {string} secretType The name, where there is no tool.
 * @property {string} name
 * @property {boolean} required
 * @property {string | null} phase
 */
/**
 * @typedef {object} Config
 * @property {string | null} file Its path; `null` if there is no file.
 * @property {string} directory Where relative paths in it start: its directory, or the working directory.
 * @property {Options} options The options for `SecretDelivery`.
 * @property {Declared[]} declared The declared secrets.
 * @property {string | null} checks The module with the service's own checks.
 */

/**
 * @param {object} where
 * @param {string} [where.file] `--config`.
 * @param {string} [where.from] Where the search begins. Default: the working directory.
 * @param {boolean} [where.runsCode] Whether a file of code is run, or taken for an empty one. Default: it is run.
 * @returns {Promise<Config>}
 */
async function loadConfig({ file, from = process.cwd(), runsCode = true }) {
  const found = file === undefined ? search(from) : path.resolve(from, file)
  if (found === null || !(runsCode || found.endsWith('.json'))) {
    return { file: null, directory: from, options: {}, declared: [], checks: null }
  }
  const { $schema: _, checks, ...given } = plainObject(await read(found), found)
  const options = inFile(() => fromDocumented(given), found)
  const directory = path.dirname(found)
  if (checks !== undefined && typeof checks !== 'string')
    throw invalid(`checks must be the path of a module (in ${found})`)
  return {
    file: found,
    directory,
    options: /** @type {Options} */ (options),
    declared: declaredIn(options),
    checks: checks === undefined ? null : path.resolve(directory, checks),
  }
}

/**
 * Has an error name the file as well.
 *
 * @template T
 * @param {() => T} read
 * @param {string} file
 * @returns {T}
 */
function inFile(read, file) {
  try {
    return read()
  } catch (error) {
    ;/** @type {Error} */ (error).message += ` (in ${file})`
    throw error
  }
}

/**
 * Finds the configuration file in `from` or the nearest directory above it, but not above the root of a git repository.
 *
 * @param {string} from
 * @returns {string | null}
 */
function search(from) {
  for (let directory = from; ; directory = path.dirname(directory)) {
    const found = filesIn(directory)
    if (found.length > 1) {
      const names = found.map((file) => path.basename(file)).join(' and ')
      throw invalid(`${directory} has ${names}: keep one of them, or choose with --config`)
    }
    if (found[0] !== undefined) {
      if (directory !== from) assertOwner(found[0])
      return found[0]
    }
    if (directory === path.dirname(directory) || fs.existsSync(path.join(directory, '.git'))) return null
  }
}

/** @param {string} directory */
function filesIn(directory) {
  // A link that leads nowhere is there: a service that started without its declaration would miss nothing.
  const isThere = (/** @type {string} */ file) => fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined
  const files = NAMES.map((name) => path.join(directory, name)).filter(isThere)
  const manifest = path.join(directory, 'package.json')
  return fs.existsSync(manifest) && hasKey(manifest) ? [...files, manifest] : files
}

/** @param {string} manifest */
function hasKey(manifest) {
  try {
    return Object.hasOwn(JSON.parse(readText(manifest, MOST_BYTES)), KEY)
  } catch {
    // npm reports a broken package.json itself.
    return false
  }
}

/**
 * Refuses a file in a directory above (such as /tmp) that another user may have put there: it can contain code, and names
 * the places that secrets are read from.
 *
 * @param {string} file
 */
function assertOwner(file) {
  const { uid } = fs.statSync(file, { throwIfNoEntry: false }) ?? fs.lstatSync(file)
  if (process.getuid === undefined || uid === 0 || uid === process.getuid()) return
  throw invalid(`${file} belongs to another user; if it is meant, choose it with --config ${file}`)
}

/** @param {string} file @returns {Promise<unknown>} */
async function read(file) {
  if (!fs.existsSync(file)) throw invalid(`${file} does not exist, or is a link to what does not`)
  const text = textOf(file)
  const extension = path.extname(file)
  if (path.basename(file) === 'package.json') return parse(text, file)[KEY]
  if (extension === '.json') return parse(text, file)
  if (['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts'].includes(extension)) return run(file)
  throw invalid(`${file}: a configuration file ends in .json, .js, .cjs, .mjs or .ts`)
}

/** @param {string} file */
function textOf(file) {
  try {
    return readText(file, MOST_BYTES).replace(/^\uFEFF/, '')
  } catch (error) {
    throw invalid(/** @type {Error} */ (error).message)
  }
}

/** @param {string} text @param {string} file */
function parse(text, file) {
  try {
    return JSON.parse(text)
  } catch {
    const fault = faultOf(text)
    const why = fault === null ? '' : ` (line ${fault.line}, column ${fault.column}): ${fault.reason}`
    throw invalid(`${file} is not valid JSON${why}`)
  }
}

/** The default export of a module. @param {string} file @returns {Promise<unknown>} */
async function run(file) {
  const { default: exported } = await load(file)
  // An `export default` that was compiled to CommonJS.
  return exported?.__esModule ? exported.default : exported
}

/** @param {string} file @returns {Promise<{ default?: any }>} */
async function load(file) {
  try {
    if (/\.c?js$/.test(file)) return required(file)
  } catch (error) {
    // An ES module, which only an import can load here.
    if (!isOfModule(error)) throw notLoaded(file, error)
  }
  const url = pathToFileURL(file).href
  try {
    return await imported(url)
  } catch (error) {
    const asModule = /\.ts$/.test(file) && isOfModule(error) ? await importedAsModule(url) : undefined
    if (asModule !== undefined) return asModule
    if (/** @type {NodeJS.ErrnoException | null | undefined} */ (error)?.code === 'ERR_UNKNOWN_FILE_EXTENSION') {
      throw invalid(
        `${file}: Node ${process.version} cannot import TypeScript. Use Node 22.18 or newer, or a loader (NODE_OPTIONS='--import tsx'), or write the file as .mjs or .json`,
      )
    }
    throw notLoaded(file, error)
  }
}

/** @param {string} url @returns {Promise<{ default?: any }>} */
const imported = (url) => import(/* webpackIgnore: true */ /* @vite-ignore */ url)

/**
 * A TypeScript file with `import` and `export` in a package of the type `commonjs`, which `npm init` writes: a compiler takes it, and
 * Node.js says that it is no module. With what it imports, it is loaded as one.
 *
 * @param {string} url
 * @returns {Promise<{ default?: any } | undefined>} `undefined`: this Node.js cannot, or it is no module either.
 */
async function importedAsModule(url) {
  const { registerHooks } = /** @type {any} */ (nodeModule)
  if (registerHooks === undefined) return undefined
  const hooks = registerHooks({
    /** @type {(of: string, context: any, next: (of: string, context: any) => any) => any} */
    load: (of, context, next) =>
      next(of, context.format === 'commonjs-typescript' ? { ...context, format: 'module-typescript' } : context),
  })
  try {
    // Another URL, since Node.js remembers that the first one failed.
    return await imported(`${url}?module`)
  } catch (error) {
    if (isOfModule(error)) return undefined
    throw notLoaded(fileURLToPath(url), error)
  } finally {
    hooks.deregister()
  }
}

/**
 * Test runners have a `require` of their own, and not all of them an `import`.
 *
 * @param {string} file
 * @returns {{ default?: any }}
 */
function required(file) {
  const exported = nodeModule.createRequire(file)(file)
  return types.isModuleNamespaceObject(exported) ? exported : { default: exported }
}

/** @param {unknown} error */
function isOfModule(error) {
  const { code, name } = /** @type {NodeJS.ErrnoException} */ (error ?? {})
  return code === 'ERR_REQUIRE_ESM' || code === 'ERR_REQUIRE_ASYNC_MODULE' || name === 'SyntaxError'
}

/** @param {string} file @param {unknown} error */
function notLoaded(file, error) {
  // A module may throw anything.
  if (!types.isNativeError(error) && !(error instanceof Error)) {
    return invalid(`${file} could not be loaded: it throws ${error === null ? 'null' : typeof error}, and no error`)
  }
  const { message, name } = error
  const line = String(message)
    .trim()
    .replace(/\s*\n\s*/g, ' ')
  return invalid(`${file} could not be loaded: ${name}: ${line}`)
}

/**
 * The functions that a module exports, by name: those of its default, if that is an object, else its own.
 *
 * @param {string} file
 * @returns {Promise<Record<string, Function>>}
 */
async function functionsOf(file) {
  // Node's loader reads whatever it is given to the end, which a device may not have.
  if (fs.existsSync(file)) textOf(file)
  const [exported, module] = [await run(file), await load(file)]
  const members = Object.entries(isObject(exported) ? exported : module)
  return Object.fromEntries(members.filter(([, member]) => typeof member === 'function'))
}

/**
 * @param {unknown} value
 * @param {string} file
 * @returns {Record<string, any>}
 */
function plainObject(value, file) {
  // Members of a class are options as well, as in `new SecretDelivery()`; a promise or a Map is refused, and not taken for empty.
  if (isObject(value)) return inFile(() => plainOptions(value), file)
  const what =
    path.extname(file) === '.json'
      ? 'hold an object'
      : "export an object ('export default { … }' or 'module.exports = { … }')"
  throw invalid(`${file} must ${what}`)
}

/**
 * @param {Record<string, any>} options
 * @returns {Declared[]}
 */
function declaredIn({ tools, secrets }) {
  const alone = Object.entries(isObject(secrets) ? secrets : {}).map(([name, rules]) => {
    return { tool: null, secretType: name, name, ...ofRules(rules) }
  })
  const ofTools = Object.entries(isObject(tools) ? tools : {}).flatMap(([tool, spec]) =>
    Object.entries(isObject(spec?.secrets) ? spec.secrets : {}).map(([secretType, rules]) => {
      return { tool, secretType, name: nameOf(tool, secretType), ...ofRules(rules) }
    }),
  )
  return [...ofTools, ...alone]
}

/** @param {any} rules */
function ofRules(rules) {
  return { required: rules?.required === true, phase: rules?.phase ?? null }
}

/** @param {unknown} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The name of a tool's secret. @param {string} tool @param {string} secretType */
function nameOf(tool, secretType) {
  return `${tool}_${secretType}`.toUpperCase()
}

/** @param {string} message */
function invalid(message) {
  return new SecretError('CONFIG_INVALID', message)
}

module.exports = { NAMES, declaredIn, filesIn, functionsOf, isObject, loadConfig, nameOf }
