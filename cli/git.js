'use strict'

const { spawn, spawnSync } = require('node:child_process')
const path = require('node:path')
const { CliError, EXIT } = require('./exit')

/**
 * Whether git ignores a file; `null` outside of a repository, or without git.
 *
 * @param {string} file
 * @returns {boolean | null}
 */
function isIgnored(file) {
  const args = ['check-ignore', '--quiet', '--no-index', path.basename(file)]
  const { status } = spawnSync('git', args, { cwd: path.dirname(file), stdio: 'ignore' })
  return status === 0 ? true : status === 1 ? false : null
}

/** Most output of one call, in bytes. */
const MOST = 1 << 30

/**
 * What git answers; `null` where it fails.
 *
 * @param {string[]} args
 * @param {string} cwd
 */
function git(args, cwd) {
  const { status, stdout } = spawnSync('git', args, { cwd, maxBuffer: MOST, stdio: ['ignore', 'pipe', 'ignore'] })
  return status === 0 ? stdout.toString() : null
}

/** The root of the checkout that has `folder`; `null` outside of one, or without git. @param {string} folder */
function rootOf(folder) {
  return git(['rev-parse', '--show-toplevel'], folder)?.replace(/\n$/, '') ?? null
}

/** @param {string} folder */
function needsRoot(folder) {
  const root = rootOf(folder)
  if (root !== null) return root
  throw new CliError('NO_REPOSITORY', EXIT.usage, `${folder} is not in a git checkout, or git is not installed`)
}

/**
 * The files below a folder that git does not ignore, tracked or not; `null` outside of a checkout.
 *
 * @param {string} folder
 * @returns {string[] | null}
 */
function filesOf(folder) {
  const listed = git(['ls-files', '-z', '--cached', '--others', '--exclude-standard'], folder)
  if (listed === null) return null
  // A file with conflicts is listed once for each side.
  return [...new Set(listed.split('\0'))].filter(Boolean).map((name) => path.join(folder, name))
}

/** The paths whose content is staged and differs from the last commit. @param {string} root @returns {string[]} */
function stagedPaths(root) {
  const args = ['diff', '--cached', '--name-only', '-z', '--no-renames', '--diff-filter=ACMRT']
  // Before the first commit everything in the index is new.
  return (git(args, root) ?? git(['ls-files', '-z', '--cached'], root) ?? '').split('\0').filter(Boolean)
}

/** The objects of the whole history, each with a path that it had. @param {string} root @returns {Map<string, string>} */
function historyOf(root) {
  const listed = git(['rev-list', '--objects', '--all'], root) ?? ''
  const lines = listed.split('\n').filter(Boolean)
  return new Map(
    lines.map((line) => {
      const [object = ''] = line.split(' ', 1)
      return [object, line.slice(object.length + 1)]
    }),
  )
}

/** The commit that brought an object; empty where there is none. @param {string} root @param {string} object */
function commitOf(root, object) {
  const found = git(['log', '--all', '--reverse', '--format=%h', `--find-object=${object}`], root) ?? ''
  return found.split('\n')[0] ?? ''
}

/**
 * Hands the content of objects to `take`, one after the other.
 *
 * @param {string} root
 * @param {Iterable<string>} objects Names of objects, or `:path` for the index. No line ends.
 * @param {(object: string, kind: string, content: Buffer) => void} take
 * @returns {Promise<void>}
 */
function contents(root, objects, take) {
  const names = [...objects]
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['cat-file', '--batch', '--buffer'], { cwd: root, stdio: ['pipe', 'pipe', 'ignore'] })
    const reader = new BatchReader(names, take)
    child.on('error', reject)
    child.stdout.on('data', (piece) => reader.push(piece))
    child.on('close', () => resolve())
    child.stdin.on('error', () => {})
    child.stdin.end(names.map((name) => `${name}\n`).join(''))
  })
}

/** Takes the answers of `git cat-file --batch` apart. */
class BatchReader {
  /** @type {Buffer[]} */
  #pieces = []
  #length = 0
  #at = 0
  /** @type {{ kind: string, size: number } | undefined} */
  #head
  #names
  #take

  /** @param {string[]} names @param {(object: string, kind: string, content: Buffer) => void} take */
  constructor(names, take) {
    this.#names = names
    this.#take = take
  }

  /** @param {Buffer} piece */
  push(piece) {
    this.#pieces.push(piece)
    this.#length += piece.length
    while (this.#next());
  }

  #next() {
    if (this.#head === undefined) {
      const whole = this.#whole()
      const end = whole.indexOf(10)
      if (end < 0) return false
      const [, kind = '', size] = /^[0-9a-f]+ ([a-z]+) ([0-9]+)$/.exec(whole.subarray(0, end).toString()) ?? []
      this.#rest(whole.subarray(end + 1))
      // `NAME missing`: it is no object, such as a submodule. The answer has no content.
      if (size === undefined) this.#at++
      else this.#head = { kind, size: Number(size) }
      return true
    }
    const { kind, size } = this.#head
    if (this.#length < size + 1) return false
    const whole = this.#whole()
    this.#take(this.#names[this.#at++] ?? '', kind, whole.subarray(0, size))
    this.#rest(whole.subarray(size + 1))
    this.#head = undefined
    return true
  }

  #whole() {
    const whole = this.#pieces.length === 1 ? /** @type {Buffer} */ (this.#pieces[0]) : Buffer.concat(this.#pieces)
    this.#pieces = [whole]
    return whole
  }

  /** @param {Buffer} rest */
  #rest(rest) {
    this.#pieces = [rest]
    this.#length = rest.length
  }
}

module.exports = { commitOf, contents, filesOf, historyOf, isIgnored, needsRoot, rootOf, stagedPaths }
