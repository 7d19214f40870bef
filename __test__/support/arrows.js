'use strict'

// Which rooms of the house use which: read from the text of the sources and of the Cargo.toml files.
//
// A room is a top-level module of a crate (`reads/` of crates/core, `call.rs` of crates/aws), a file of lib/, or a file or
// folder of cli/.

const path = require('node:path')

/**
 * Rust source whose comments, texts and characters are blanked out, so that braces and paths are code only. Positions stay.
 *
 * @param {string} text
 */
function codeOf(text) {
  const parts = /\/\/.*|\/\*[^]*?\*\/|\bb?r(#*)"[^]*?"\1|"(?:[^"\\]|\\[^])*"|'(?:[^'\\]|\\(?:u\{\w+\}|x\w\w|.))'/g
  return text.replace(parts, (part) => part.replace(/[^\n]/g, ' '))
}

/**
 * The items between a pair of braces, by the commas that are not inside of further braces.
 *
 * @param {string} code
 * @param {number} start The position after the opening brace.
 */
function items(code, start) {
  const found = ['']
  for (let at = start, depth = 1; ; at++) {
    const letter = code[at]
    if (letter === undefined) throw new Error('braces without an end')
    if (letter === '{') depth++
    if (letter === '}' && --depth === 0) return found.map((item) => item.trim()).filter((item) => item !== '')
    if (letter === ',' && depth === 1) found.push('')
    else found[found.length - 1] += letter
  }
}

/**
 * The names at the top of the crate that a source uses by `crate::`, and by `super::` where that is the top of the crate.
 *
 * @param {string} text
 * @param {number} depth How many modules the file is below the top of its crate: 1 for `name.rs` and `mod.rs` of a room.
 * @returns {string[]}
 */
function usedByRust(text, depth) {
  const code = codeOf(text)
  // Modules written inside the file, as ranges of positions: `super` begins one level deeper there.
  const inner = [...code.matchAll(/\bmod\s+\w+\s*\{/g)].map(({ index, 0: head }) => {
    let open = 1
    let end = index + head.length
    for (; open > 0 && end < code.length; end++) open += { '{': 1, '}': -1 }[code[end]] ?? 0
    return { start: index + head.length, end }
  })
  const used = new Set()
  // Not `pub(in crate::…)`, which says who may see something.
  for (const { index, 0: head, 1: from } of code.matchAll(
    /(?<!\bin\s+|\w|:)(crate|super(?:\s*::\s*super)*)\s*::\s*/g,
  )) {
    const modules = inner.filter(({ start, end }) => start <= index && index < end).length
    if (from !== 'crate' && from.match(/super/g).length !== depth + modules) continue
    const rest = index + head.length
    const paths = code[rest] === '{' ? items(code, rest + 1) : [code.slice(rest, rest + 200)]
    for (const one of paths) used.add(/^(?:r#)?(\w+|\*)/.exec(one)[1])
  }
  used.delete('super')
  return [...used]
}

/** The names that lib.rs passes on, with the room that each one is from. @param {string} text */
function passedOn(text) {
  const found = new Map()
  for (const { index, 0: head, 1: room } of codeOf(text).matchAll(/\buse\s+(?:crate::|self::)?(\w+)::/g)) {
    const rest = text.slice(index + head.length, text.indexOf(';', index))
    for (const [name] of rest.matchAll(/\w+/g)) found.set(name, room)
  }
  return found
}

/**
 * What is wrong with the rooms of a crate: one line for each arrow that does not point to an earlier room of the list, for
 * each room that is missing in the list, and for each one that does not exist.
 *
 * @param {string[]} rooms In order: a room may use only those before it.
 * @param {Record<string, string>} sources The crate's sources by path below its `src/`.
 * @returns {string[]}
 */
function wrongInCrate(rooms, sources) {
  const modules = Object.keys(sources)
    .filter((file) => file !== 'lib.rs' && file !== 'main.rs')
    .map((file) => ({ file, steps: file.replace(/(\/mod)?\.rs$/, '').split('/') }))
  const wrong = listed(
    rooms,
    modules.map(({ steps }) => steps[0]),
  )
  const root = passedOn(sources['lib.rs'] ?? '')
  for (const { file, steps } of modules) {
    for (const name of usedByRust(sources[file], steps.length)) {
      const room = rooms.includes(name) ? name : root.get(name)
      if (room === undefined) wrong.push(`${file} uses ${name} of lib.rs, which is above every room`)
      else wrong.push(...upward(rooms, file, steps[0], room))
    }
  }
  return wrong
}

/**
 * The relative paths that a JavaScript source requires.
 *
 * @param {string} text
 */
function requiredBy(text) {
  const code = text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')
  return [...code.matchAll(/\b(?:require|import)\(\s*'([^']+)'\s*\)/g)].map(([, name]) => name)
}

/**
 * What is wrong with the rooms of a folder of JavaScript, as {@link wrongInCrate}; and each way in a circle.
 *
 * @param {string[]} rooms Files without ending, and folders, of the folder: `reads`, `commands`.
 * @param {Record<string, string>} sources The sources by path below the folder.
 * @param {string[]} [outside] What may be required of the rest of the repository, by path from the folder.
 * @returns {string[]}
 */
function wrongInFolder(rooms, sources, outside = []) {
  const room = (/** @type {string} */ file) => file.split('/')[0].replace(/\.js$/, '')
  const wrong = listed(rooms, Object.keys(sources).map(room))
  /** @type {Map<string, string[]>} */
  const graph = new Map()
  for (const [file, text] of Object.entries(sources)) {
    graph.set(file, [])
    for (const name of requiredBy(text).filter((one) => one.startsWith('.'))) {
      const target = path.posix.join(path.posix.dirname(file), name)
      const found = [target, `${target}.js`, `${target}/index.js`].find((one) => one in sources)
      if (found !== undefined) {
        graph.get(file).push(found)
        wrong.push(...upward(rooms, file, room(file), room(found)))
      } else if (!outside.includes(target)) wrong.push(`${file} requires ${name}, which is no room of its folder`)
    }
  }
  return [...wrong, ...circles(graph)]
}

/** The ways in a circle, each written as a line. @param {Map<string, string[]>} graph */
function circles(graph) {
  /** @type {Set<string>} */
  const done = new Set()
  const found = []
  /** @param {string} file @param {string[]} way */
  const follow = (file, way) => {
    if (way.includes(file)) return found.push(`a circle: ${[...way.slice(way.indexOf(file)), file].join(' -> ')}`)
    if (done.has(file)) return
    done.add(file)
    for (const next of graph.get(file) ?? []) follow(next, [...way, file])
  }
  for (const file of graph.keys()) follow(file, [])
  return found
}

/** @param {string[]} rooms @param {string} file @param {string} from @param {string} to */
function upward(rooms, file, from, to) {
  if (from === to || rooms.indexOf(to) < rooms.indexOf(from)) return []
  return [`${file} uses ${to}, which does not stand before ${from} in the list of rooms`]
}

/** @param {string[]} rooms @param {string[]} there */
function listed(rooms, there) {
  return [
    ...[...new Set(there)].filter((room) => !rooms.includes(room)).map((room) => `${room} is not in the list of rooms`),
    ...rooms
      .filter((room) => !there.includes(room))
      .map((room) => `${room} is in the list of rooms and does not exist`),
  ]
}

/**
 * The dependencies of a Cargo.toml, those of development apart.
 *
 * @param {string} text
 * @returns {{ used: string[], inTests: string[] }}
 */
function dependencies(text) {
  const found = { used: [], inTests: [] }
  let section = ''
  for (const line of text.split('\n')) {
    section = /^\[(.*)\]/.exec(line)?.[1] ?? section
    const kind = /^(?:target\..*\.)?(dev-|build-)?dependencies(?:\.([\w-]+))?$/.exec(section)
    if (kind === null) continue
    const into = kind[1] === 'dev-' ? found.inTests : found.used
    const name = line.startsWith('[') ? kind[2] : kind[2] === undefined ? /^([\w-]+)/.exec(line)?.[1] : undefined
    if (name !== undefined) into.push(name)
  }
  return found
}

module.exports = { circles, dependencies, requiredBy, usedByRust, wrongInCrate, wrongInFolder }
