'use strict'

// What `scan` does with one delivery: reads the secrets that are looked for, which never become JavaScript strings, and has the
// addon search files and git's objects.

const fs = require('node:fs')
const path = require('node:path')
const { scanner } = require('../lib/scanner')
const { CliError, EXIT } = require('./exit')
const git = require('./git')

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
  // A name that holds a value is not printed either.
  const redactor = delivery.redactor()
  const named = (/** @type {string} */ file) => redactor.redact(shown(file))
  const found = (/** @type {any} */ place, /** @type {any} */ file, /** @type {string | null} */ commit) => {
    const { secret, form, line, column } = place
    scanned.findings.push({ secret, environment, path: named(file), line, column, form, commit })
  }
  if (staged) {
    const root = await git.needsRoot(process.cwd(), { bare: false })
    const objects = await git.stagedObjects(root)
    const places = await searchObjects(root, objects, search, scanned)
    for (const [place, object] of places) {
      for (const file of objects.get(object) ?? ['']) found(place, path.join(root, file), null)
    }
    const files = [...objects.values()].flatMap((paths) => [...paths])
    for (const [place, file] of searchNames(files, search)) found(place, path.join(root, file), null)
  }
  if (history) {
    const root = await git.needsRoot(process.cwd(), { bare: true })
    if (git.isShallow(root)) {
      const reason = 'the clone is shallow and does not have the older commits (git fetch --unshallow)'
      scanned.unread.push({ path: shown(path.join(root, '.git', 'shallow')), reason })
    }
    const { objects, names } = await git.historyOf(root)
    const commits = new Map()
    for (const [place, object, kind] of await searchObjects(root, objects, search, scanned)) {
      // The message of a commit or a tag has no path.
      if (kind !== 'blob') found(place, path.join(root, '.git', object), object.slice(0, 10))
      else {
        if (!commits.has(object)) commits.set(object, (await git.commitOf(root, object)) ?? object.slice(0, 10))
        for (const file of objects.get(object) ?? ['']) found(place, path.join(root, file), commits.get(object))
      }
    }
    for (const [place, file] of searchNames(names.keys(), search)) {
      found(place, path.join(root, file), git.shortened(root, names.get(file) ?? ''))
    }
  }
  if (!staged && !history) {
    const { files, folders, odd, unread } = await searched(paths)
    scanned.unread.push(...unread)
    while (files.length + folders.length > 0) {
      const these = files.splice(0)
      for (const [place, file] of searchNames(these.map(shown), search)) found(place, path.resolve(file), null)
      const all = await search.files(these, folders.splice(0))
      scanned.files += all.files
      for (const place of all.found) found(place, place.path, null)
      // Git lists files that were deleted and not staged as such.
      const left = all.unread.filter(({ path }) => fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined)
      for (const { path, reason } of left) scanned.unread.push({ path: named(path), reason })
      // Submodules, and other checkouts that lie in this one.
      for (const folder of all.folders) await addNested(folder, { files, folders, odd, unread: scanned.unread })
    }
    for (const file of odd) searchOdd(file, search, scanned, found)
  }
  return scanned
}

/**
 * @typedef {object} Searched
 * @property {string[]} files
 * @property {string[]} folders Searched as a whole.
 * @property {Buffer[]} odd Files whose names are no text.
 * @property {{ path: string, reason: string }[]} unread
 */

/**
 * @param {string} root
 * @param {Map<string, Set<string>>} objects
 * @param {import('../lib/scanner').Scanner} search
 * @param {Scanned} scanned
 * @returns {Promise<[any, string, string][]>} Each place, its object, and of which kind that is.
 */
async function searchObjects(root, objects, search, scanned) {
  const text = search.texts()
  /** @type {[any, string, string][]} */
  const places = []
  let isText = false
  await git.contents(root, objects.keys(), {
    begin: (_, kind) => (isText = kind !== 'tree'),
    piece: (piece) => isText && text.push(piece),
    end: (object, kind) => {
      if (!isText) return
      scanned.files++
      for (const place of text.end()) places.push([place, object, kind])
    },
    missing: (object) => {
      scanned.unread.push({
        path: [...(objects.get(object) ?? [])].find(Boolean) ?? object,
        reason: 'git does not have its content',
      })
    },
  })
  return places
}

/**
 * Values in the names of files and folders: the place is the beginning of the file.
 *
 * @param {Iterable<string>} files
 * @param {import('../lib/scanner').Scanner} search
 * @returns {[any, string][]} Each place, and the name that has it.
 */
function searchNames(files, search) {
  const names = [...new Set(files)]
  const text = search.texts()
  // No name has this byte; a value with line ends would else reach over two of them.
  text.push(Buffer.from(names.map((name) => name.replaceAll('\n', '\0')).join('\n')))
  return text.end().map((place) => [{ ...place, line: 1, column: 1 }, names[place.line - 1] ?? ''])
}

/**
 * A file whose name is no text, and cannot be handed to the addon as one.
 *
 * @param {Buffer} file
 * @param {import('../lib/scanner').Scanner} search
 * @param {Scanned} scanned
 * @param {(place: any, file: string, commit: null) => void} found
 */
function searchOdd(file, search, scanned, found) {
  const text = search.texts()
  try {
    const state = fs.lstatSync(file, { throwIfNoEntry: false })
    if (state?.isSymbolicLink()) {
      text.push(fs.readlinkSync(file, 'buffer'))
      for (const place of text.end()) found(place, String(file), null)
      return
    }
    if (!(state?.isFile() ?? false)) return
    const opened = fs.openSync(file, 'r')
    try {
      const piece = Buffer.alloc(1 << 20)
      for (let read; (read = fs.readSync(opened, piece)) > 0;) text.push(piece.subarray(0, read))
    } finally {
      fs.closeSync(opened)
    }
  } catch (error) {
    scanned.unread.push({
      path: shown(String(file)),
      reason: String(/** @type {NodeJS.ErrnoException} */ (error).code),
    })
    return
  }
  scanned.files++
  for (const place of text.end()) found(place, String(file), null)
}

/**
 * The files that the paths of a call stand for: in a checkout those that git does not ignore, elsewhere all. What git ignores is
 * searched where it was asked for.
 *
 * @param {string[]} paths None: the working directory.
 * @returns {Promise<Searched>}
 */
async function searched(paths) {
  /** @type {Searched} */
  const all = { files: [], folders: [], odd: [], unread: [] }
  for (const given of paths.length > 0 ? paths : ['.']) {
    const whole = path.resolve(given)
    const { state, reason } = stateOf(whole)
    if (state === undefined && reason === undefined) {
      throw new CliError('USAGE', EXIT.usage, `${given}: there is no such file or folder`)
    }
    if (state === undefined) all.unread.push({ path: shown(whole), reason: String(reason) })
    else if (state.isDirectory()) await addFolder(whole, all)
    else if (state.isFile()) all.files.push(fs.realpathSync(whole))
    else all.unread.push({ path: shown(whole), reason: 'it is no regular file' })
  }
  return once(all)
}

/** What a path leads to, or why that is not known; neither where there is nothing. @param {string} file */
function stateOf(file) {
  try {
    const state = fs.statSync(file, { throwIfNoEntry: false })
    const isLink = state === undefined && fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()
    return { state, reason: isLink ? 'it is a link to a file that is not there' : undefined }
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    return { state: undefined, reason: code === 'ELOOP' ? 'it is a circle of links' : String(code) }
  }
}

/** What is named twice, or lies in a folder that is named as well, is searched once. @param {Searched} all @returns {Searched} */
function once({ files, folders, odd, unread }) {
  const isBelow = (/** @type {string} */ file) => (/** @type {string} */ folder) => {
    const parts = path.relative(folder, file).split(path.sep)
    // A folder is searched without the .git in it.
    return parts[0] !== '' && parts[0] !== '..' && !path.isAbsolute(path.join(...parts)) && !parts.includes('.git')
  }
  return {
    files: [...new Set(files)].filter((file) => !folders.some(isBelow(file))),
    folders: [...new Set(folders)].filter((folder) => !folders.some(isBelow(folder))),
    odd: [...new Map(odd.map((file) => [file.toString('latin1'), file])).values()],
    unread,
  }
}

/** @param {string} folder @param {Searched} all */
async function addFolder(folder, all) {
  const root = git.rootOf(folder)
  if (root === null) git.needsTrust(folder)
  const isRoot = root !== null && path.relative(root, fs.realpathSync(folder)) === ''
  if (root === null || (!isRoot && git.isIgnored(folder))) {
    all.folders.push(folder)
    return
  }
  const { files, odd } = await git.filesOf(folder)
  for (const file of files) all.files.push(file)
  all.odd.push(...odd)
}

/** A folder that git lists: a submodule, which may not be checked out, or a checkout of its own. @param {string} folder @param {Searched} all */
async function addNested(folder, all) {
  const root = git.rootOf(folder)
  if (root !== null && path.relative(root, fs.realpathSync(folder)) === '') await addFolder(folder, all)
  else all.folders.push(folder)
}

/** @param {string} file */
const shown = (file) => path.relative(process.cwd(), file).split(path.sep).join('/') || '.'

module.exports = { scan }
