'use strict'

// `SecretDelivery.open`: the options of the configuration file and of the call together, and what is declared read at once.

const path = require('node:path')
const { declaredIn, isObject, loadConfig } = require('./config-file')
const { fromDocumented } = require('./documented')
const { SecretError, isPassing } = require('./errors')
const { plainOptions } = require('./options')
const { now, setTimeout } = require('./real-time')

/** The options that are paths. A path in the file starts at the file's directory, one in the call at the working directory. */
const PATHS = [
  ['envFile', 'directory'],
  ['envFile', 'path'],
  ['runtime', 'secretDirectories'],
  ['cache', 'snapshotPath'],
  ['audit', 'path'],
]

/**
 * The options of the configuration file, those of the call going first, key by key.
 *
 * @param {unknown} given
 * @returns {Promise<{ options: any, directory: string, names: string[], required: Set<string> }>}
 */
async function loadedOptions(given) {
  const { directory, options: inFile } = await loadConfig({})
  const own = fromDocumented(plainOptions(given))
  if (directory !== process.cwd()) absolute(own)
  const options = merged(plainOptions(inFile), own)
  const declared = declaredIn(options)
  const required = declared.filter((secret) => secret.required).map(({ name }) => name)
  return { options, directory, names: declared.map(({ name }) => name), required: new Set(required) }
}

/** @param {any} options */
function absolute(options) {
  for (const [section, name] of PATHS) {
    const value = options[section]?.[name]
    const isPath = typeof value === 'string' && value !== 'stdout'
    // A path below a directory that is given starts there.
    if (section === 'envFile' && name === 'path' && typeof options.envFile?.directory === 'string') continue
    if (isPath) options[section][name] = path.resolve(value)
    if (Array.isArray(value))
      options[section][name] = value.map((one) => (typeof one === 'string' ? path.resolve(one) : one))
  }
}

/**
 * What stands for one thing: the keys of one account with another one's session token, or the field of one secret in another, would
 * be nobody's.
 */
const WHOLE = [
  /^aws\.(credentials|assumeRole)$/,
  /^secrets\.[^.]+\.aws$/,
  /^tools\.[^.]+\.aws$/,
  /^tools\.[^.]+\.secrets\.[^.]+\.aws$/,
]

/**
 * @param {any} under
 * @param {any} over
 * @param {string} [place] The option's path.
 * @returns {any}
 */
function merged(under, over, place = '') {
  if (over === undefined || over === null) return under
  if (!isObject(under) || !isObject(over) || ArrayBuffer.isView(over)) return over
  if (WHOLE.some((whole) => whole.test(place))) return over
  const names = new Set([...Object.keys(under), ...Object.keys(over)])
  return Object.fromEntries(
    [...names].map((name) => {
      // A tool may be called `constructor`.
      const [below, above] = [under, over].map((one) => (Object.hasOwn(one, name) ? one[name] : undefined))
      return [
        name,
        name === 'logger' ? (above ?? below) : merged(below, above, place === '' ? name : `${place}.${name}`),
      ]
    }),
  )
}

/** While AWS throttles, or a gateway cannot answer, required secrets are read again for this long: an instance that gave up would start anew, and read all. */
const PATIENCE_MS = 30_000
/** Between two rounds, each of which waits for AWS's quota by itself. */
const PAUSE_MS = 100

/**
 * Reads what is declared: together, so that twenty secrets cost one call. What AWS throttled, or a gateway did not let through, is read again.
 *
 * @param {{ getSecret(name: string): Promise<string | null> }} delivery
 * @param {string[]} names
 * @param {Set<string>} required
 * @returns {Promise<void>} Rejects with what a required secret rejects with; with `SECRET_MISSING` that names each one.
 */
async function readAll(delivery, names, required) {
  const end = now() + PATIENCE_MS
  let failures = await readOnce(delivery, names, required)
  while (failures.length > 0 && failures.every(isPassing) && now() < end) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    failures = await readOnce(delivery, [...required], required)
  }
  const missing = failures.filter(({ code }) => code === 'SECRET_MISSING')
  if (missing.length > 0) throw new SecretError('SECRET_MISSING', missing.map(({ message }) => message).join('; '))
  if (failures.length > 0) throw failures[0]
}

/**
 * @param {{ getSecret(name: string): Promise<string | null> }} delivery
 * @param {string[]} names
 * @param {Set<string>} required
 * @returns {Promise<any[]>} What required secrets reject with.
 */
async function readOnce(delivery, names, required) {
  const reads = await Promise.allSettled(names.map((name) => delivery.getSecret(name)))
  return reads.flatMap((read, at) => (read.status === 'rejected' && required.has(names[at]) ? [read.reason] : []))
}

/**
 * @template {{ getSecret(name: string): Promise<string | null>, close(): Promise<void> }} Delivery
 * @param {unknown} given
 * @param {(directory: string, options: any) => Delivery} make
 * @returns {Promise<Delivery>}
 */
async function opened(given, make) {
  const { options, directory, names, required } = await loadedOptions(given)
  const delivery = make(directory, options)
  try {
    await readAll(delivery, names, required)
  } catch (error) {
    await delivery.close()
    throw error
  }
  return delivery
}

module.exports = { opened }
