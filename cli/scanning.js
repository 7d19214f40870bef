'use strict'

// What `scan` does with one delivery: reads the secrets that are looked for, which never become JavaScript strings, and has the
// addon search files and git's objects.

const fs = require('node:fs')
const path = require('node:path')
const { scanner } = require('../lib/scanner')
const { CliError, EXIT } = require('./exit')
const { commitOf, contents, filesOf, historyOf, needsRoot, rootOf, stagedPaths } = require('./git')

/**
 * @typedef {object} Finding
 * @property {string} secret
 * @property {string} environment
 * @property {string} path Relative to the working directory.
 * @property {number} line
 * @property {number} column
 * @property {string} form How the value is written.
 * @property {string | null} commit The commit that brought it, with `--history`.
 */
/** @typedef {{ secret: string, environment: string, reason: string }} Unwatched */
/**
 * @typedef {object} Scanned
 * @property {number} values
 * @property {number} files
 * @property {Finding[]} findings
 * @property {Unwatched[]} unwatched
 * @property {{ path: string, reason: string }[]} unread
 */

/**
 * @param {import('./context').SecretDelivery} delivery
 * @param {string[]} names
 * @param {{ paths: string[], staged?: boolean, history?: boolean }} where
 * @returns {Promise<Scanned>}
 */
async function scan(delivery, names, { paths, staged, history }) {
  const { environment } = delivery
  const search = scanner(delivery)
  const { values, leftOut, failed, absent } = await search.watch(names)
  /** @type {Scanned} */
  const scanned = { values, files: 0, findings: [], unwatched: [], unread: [] }
  for (const { secret, reason } of leftOut) scanned.unwatched.push({ secret, environment, reason })
  for (const { secret, code, message } of failed) {
    scanned.unwatched.push({ secret, environment, reason: `${code}: ${message}` })
  }
  if (values === 0 && failed.length > 0) {
    const { code, message } = /** @type {typeof failed[0]} */ (failed[0])
    throw new CliError(code, EXIT.source, `no secret could be read: ${message}`)
  }
  if (values === 0 && absent.length === names.length) {
    throw new CliError(
      'SECRET_NOT_FOUND',
      EXIT.no,
      `no source has any of the ${names.length} secrets in ${environment}`,
    )
  }
  const found = (/** @type {any} */ place, /** @type {any} */ file, /** @type {string | null} */ commit) => {
    const { secret, form, line, column } = place
    scanned.findings.push({ secret, environment, path: shown(file), line, column, form, commit })
  }
  const root = staged || history ? needsRoot(process.cwd()) : ''
  if (staged) {
    const staging = stagedPaths(root).filter((name) => !name.includes('\n'))
    await contents(
      root,
      staging.map((name) => `:${name}`),
      (object, kind, content) => {
        scanned.files++
        for (const place of search.bytes(content)) found(place, path.join(root, object.slice(1)), null)
      },
    )
  }
  if (history) {
    const objects = historyOf(root)
    /** @type {[any, string][]} */
    const places = []
    await contents(root, objects.keys(), (object, kind, content) => {
      if (kind === 'tree') return
      scanned.files++
      for (const place of search.bytes(content)) places.push([place, object])
    })
    for (const [place, object] of places) {
      const name = objects.get(object) ?? ''
      // The message of a commit or a tag has no path.
      if (name === '') found(place, path.join(root, '.git', object), object.slice(0, 10))
      else found(place, path.join(root, name), commitOf(root, object))
    }
  }
  if (!staged && !history) {
    const { files, folders } = searched(paths)
    const all = await search.files(files, folders)
    scanned.files += all.files
    for (const place of all.found) found(place, place.path, null)
    for (const { path, reason } of all.unread) scanned.unread.push({ path: shown(path), reason })
  }
  return scanned
}

/**
 * The files that the paths of a call stand for: in a checkout those that git does not ignore, elsewhere all.
 *
 * @param {string[]} paths None: the working directory.
 */
function searched(paths) {
  /** @type {string[]} */
  const files = []
  /** @type {string[]} */
  const folders = []
  for (const given of paths.length > 0 ? paths : ['.']) {
    const whole = path.resolve(given)
    const state = fs.statSync(whole, { throwIfNoEntry: false })
    if (state === undefined) throw new CliError('USAGE', EXIT.usage, `${given}: there is no such file or folder`)
    const listed = state.isDirectory() && rootOf(whole) !== null ? filesOf(whole) : null
    if (listed !== null) for (const file of listed) files.push(file)
    else if (state.isDirectory()) folders.push(whole)
    else files.push(fs.realpathSync(whole))
  }
  return { files, folders }
}

/** @param {string} file */
const shown = (file) => path.relative(process.cwd(), file).split(path.sep).join('/') || '.'

module.exports = { scan }
