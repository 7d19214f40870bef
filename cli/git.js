'use strict'

const { isUtf8 } = require('node:buffer')
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

/**
 * The output of a call of git.
 *
 * @param {string[]} args
 * @param {string} cwd
 * @param {Buffer} [input]
 * @returns {Promise<Buffer>} Rejects with git's own words where it fails: what it did not list is not searched.
 */
function git(args, cwd, input = Buffer.alloc(0)) {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    /** @type {Buffer[]} */
    const out = []
    /** @type {Buffer[]} */
    const words = []
    child.stdout.on('data', (piece) => out.push(piece))
    child.stderr.on('data', (piece) => words.push(piece))
    child.on('error', (error) => reject(failed(args, error.message)))
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out))
      else reject(failed(args, Buffer.concat(words).toString()))
    })
    // Its end is reported above.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

/** @param {string[]} args @param {string} words */
function failed(args, words) {
  const first = words
    .split('\n')
    .find(Boolean)
    ?.replace(/^fatal: /, '')
  return new CliError('GIT_FAILED', EXIT.source, `git ${args[0]} failed: ${first ?? 'it gives no reason'}`)
}

/** One line of output; `null` where git fails. @param {string[]} args @param {string} cwd */
function asked(args, cwd) {
  const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return status === 0 ? stdout.replace(/\n$/, '') : null
}

/** The root of the checkout that has `folder`; `null` outside of one, or without git. @param {string} folder */
function rootOf(folder) {
  return asked(['rev-parse', '--show-toplevel'], folder)
}

/**
 * Fails where git does not look into a checkout because another user owns it, with what git says to do about that. Git says the same of no
 * checkout otherwise.
 *
 * @param {string} folder
 */
function needsTrust(folder) {
  const env = { ...process.env, LC_ALL: 'C', LANGUAGE: 'C' }
  const { stderr } = spawnSync('git', ['rev-parse', '--show-toplevel'], { cwd: folder, encoding: 'utf8', env })
  const remedy = /git config --global --add safe\.directory .+/.exec(stderr ?? '')?.[0]
  if (remedy === undefined) return
  const why = `${folder} is in a git checkout of another user, which git does not read`
  throw new CliError('GIT_FAILED', EXIT.source, `${why}; if you trust it: ${remedy}`)
}

/** Whether a clone has only the newest commits. @param {string} root */
function isShallow(root) {
  return asked(['rev-parse', '--is-shallow-repository'], root) === 'true'
}

/**
 * The root of the checkout that has `folder`, or with `bare` the folder of a repository that has none.
 *
 * @param {string} folder
 * @param {{ bare: boolean }} allows
 * @returns {Promise<string>}
 */
async function needsRoot(folder, { bare }) {
  const root = rootOf(folder)
  if (root !== null) return root
  const isBare = asked(['rev-parse', '--is-bare-repository'], folder) === 'true'
  if (isBare && bare) return asked(['rev-parse', '--absolute-git-dir'], folder) ?? folder
  needsTrust(folder)
  if (isBare) throw new CliError('NO_REPOSITORY', EXIT.usage, `${folder} is a bare repository, which has no index`)
  const why = await git(['rev-parse', '--show-toplevel'], folder).then(
    () => '',
    (error) => `: ${error.message}`,
  )
  throw new CliError('NO_REPOSITORY', EXIT.usage, `${folder} is not in a git checkout, or git is not installed${why}`)
}

/** The parts of a text that ends each of them with a byte. @param {Buffer} text @param {number} end */
function* parts(text, end) {
  for (let from = 0; from < text.length;) {
    const to = text.indexOf(end, from)
    yield text.subarray(from, to < 0 ? text.length : to)
    if (to < 0) return
    from = to + 1
  }
}

/**
 * The files below a folder that git does not ignore, tracked or not. Submodules are listed as if they were files.
 *
 * @param {string} folder
 * @returns {Promise<{ files: string[], odd: Buffer[] }>} `odd`: those whose names are no UTF-8.
 */
async function filesOf(folder) {
  const listed = await git(['ls-files', '-z', '--cached', '--others', '--exclude-standard'], folder)
  const names = isUtf8(listed) ? listed.toString().split('\0') : [...parts(listed, 0)].map(textOf)
  /** @type {Buffer[]} */
  const odd = []
  const files = new Set()
  // A file with conflicts is listed once for each side.
  for (const name of names) {
    if (typeof name !== 'string') odd.push(Buffer.concat([Buffer.from(folder + path.sep), name]))
    else if (name !== '') files.add(path.join(folder, name))
  }
  return { files: [...files], odd }
}

/** @param {Buffer} name */
const textOf = (name) => (isUtf8(name) ? name.toString() : name)

/**
 * The contents that are staged and differ from the last commit, by their objects.
 *
 * @param {string} root
 * @returns {Promise<Map<string, Set<string>>>} The paths of each object.
 */
async function stagedObjects(root) {
  const args = [
    'diff',
    '--cached',
    '--raw',
    '--no-abbrev',
    '--no-renames',
    '--no-relative',
    '--diff-filter=ACMRT',
    '-z',
  ]
  const objects = new Map()
  for (const { object, path } of changesIn(await git(args, root))) put(objects, object, path)
  return objects
}

/** @param {Map<string, Set<string>>} objects @param {string} object @param {string} path */
function put(objects, object, path) {
  const paths = objects.get(object)
  if (paths === undefined) objects.set(object, new Set([path]))
  else paths.add(path)
}

/**
 * The changes of git's raw format, in which a commit comes before its own: `:100644 100644 <before> <after> M`, then the path; of a merge
 * there are several objects before. A submodule has a commit of another repository, and is left out.
 *
 * @param {Buffer} raw
 * @returns {Generator<{ commit: string, object: string, path: string }>}
 */
function* changesIn(raw) {
  let commit = ''
  let change = ''
  for (const part of parts(raw, 0)) {
    const text = part.toString()
    if (change === '' && !text.startsWith(':')) commit = text
    else if (change === '') change = text
    else {
      const words = change.split(' ')
      const sides = change.lastIndexOf(':', change.indexOf(' ')) + 1
      if (words[sides] !== '160000') yield { commit, object: /** @type {string} */ (words.at(-2)), path: text }
      change = ''
    }
  }
}

/**
 * The objects of the whole history.
 *
 * @param {string} root
 * @returns {Promise<{ objects: Map<string, Set<string>>, names: Map<string, string> }>} The paths that each object had, '' of a commit; and
 *   of each path the commit that brought it.
 */
async function historyOf(root) {
  const paths = new Map()
  const names = new Map()
  const commits = await git(['rev-list', '--all'], root)
  // `rev-list --objects` has one path of an object; the changes of the commits have all. The newest commit comes first.
  const args = ['diff-tree', '--stdin', '-r', '-c', '--root', '--raw', '--no-renames', '-z']
  for (const { commit, object, path } of changesIn(await git(args, root, commits))) {
    names.set(path, commit)
    put(paths, object, path)
  }
  const objects = new Map()
  for (const line of parts(await git(['rev-list', '--objects', '--all'], root), 10)) {
    const end = line.indexOf(32)
    const object = line.toString('latin1', 0, end < 0 ? line.length : end)
    objects.set(object, paths.get(object) ?? new Set([end < 0 ? '' : line.toString('utf8', end + 1)]))
  }
  return { objects, names }
}

/** As people write it. @param {string} root @param {string} commit */
const shortened = (root, commit) => asked(['rev-parse', '--short', commit], root) ?? commit.slice(0, 10)

/** The commit that brought an object; `null` where none shows it. @param {string} root @param {string} object */
async function commitOf(root, object) {
  const args = ['log', '--all', '--reverse', '--no-show-signature', '--format=%h', `--find-object=${object}`]
  return String(await git(args, root)).split('\n')[0] || null
}

/**
 * Hands the contents of objects to `take` in pieces, one object after the other: none is held as a whole.
 *
 * @param {string} root
 * @param {Iterable<string>} objects
 * @param {Taker} take
 * @returns {Promise<void>}
 */
function contents(root, objects, take) {
  const names = [...objects]
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['cat-file', '--batch', '--buffer'], { cwd: root, stdio: ['pipe', 'pipe', 'pipe'] })
    const reader = new BatchReader(names, take)
    let words = ''
    child.on('error', (error) => reject(failed(['cat-file'], error.message)))
    child.stdout.on('data', (piece) => {
      try {
        reader.push(piece)
      } catch (error) {
        child.kill()
        reject(error)
      }
    })
    child.stderr.on('data', (piece) => (words += piece))
    child.on('close', (code) => {
      if (code === 0 && reader.isDone) resolve()
      else reject(failed(['cat-file'], words))
    })
    // Its end is reported above.
    child.stdin.on('error', () => {})
    child.stdin.end(names.map((name) => `${name}\n`).join(''))
  })
}

/**
 * @typedef {object} Taker
 * @property {(object: string, kind: string) => void} begin
 * @property {(piece: Buffer) => void} piece
 * @property {(object: string, kind: string) => void} end
 * @property {(object: string) => void} missing Git does not have its content.
 */

/** Takes the answers of `git cat-file --batch` apart. */
class BatchReader {
  #names
  #take
  #at = 0
  /** The beginning of a head whose end has not come yet. */
  #head = Buffer.alloc(0)
  #kind = ''
  /** What is left of an object, with the line end behind it. */
  #left = 0

  /** @param {string[]} names @param {Taker} take */
  constructor(names, take) {
    this.#names = names
    this.#take = take
  }

  /** Whether every object was answered. */
  get isDone() {
    return this.#at === this.#names.length && this.#left === 0
  }

  /** @param {Buffer} piece */
  push(piece) {
    let rest = piece
    while (rest.length > 0) rest = this.#left > 0 ? this.#content(rest) : this.#begun(rest)
  }

  /** @param {Buffer} rest */
  #begun(rest) {
    const end = rest.indexOf(10)
    const head = Buffer.concat([this.#head, end < 0 ? rest : rest.subarray(0, end)])
    if (end < 0) {
      this.#head = head
      return Buffer.alloc(0)
    }
    this.#head = Buffer.alloc(0)
    const object = /** @type {string} */ (this.#names[this.#at])
    const [, kind, size] = /^[0-9a-f]+ ([a-z]+) ([0-9]+)$/.exec(head.toString()) ?? []
    if (kind === undefined) {
      this.#at++
      this.#take.missing(object)
    } else {
      this.#kind = kind
      this.#left = Number(size) + 1
      this.#take.begin(object, kind)
    }
    return rest.subarray(end + 1)
  }

  /** @param {Buffer} rest */
  #content(rest) {
    const part = rest.subarray(0, this.#left)
    this.#left -= part.length
    const content = this.#left === 0 ? part.subarray(0, -1) : part
    if (content.length > 0) this.#take.piece(content)
    if (this.#left === 0) this.#take.end(/** @type {string} */ (this.#names[this.#at++]), this.#kind)
    return rest.subarray(part.length)
  }
}

module.exports = {
  commitOf,
  contents,
  filesOf,
  historyOf,
  isIgnored,
  isShallow,
  needsRoot,
  needsTrust,
  rootOf,
  shortened,
  stagedObjects,
}
