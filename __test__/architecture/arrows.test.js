'use strict'

// The arrows of ARCHITECTURE.md: a room may use only those that stand before it in the lists of rooms.js.

const fs = require('node:fs')
const path = require('node:path')
const { dependencies, wrongInCrate, wrongInFolder } = require('../support/arrows')
const { code, read, root, table } = require('../support/pages')
const { JAVASCRIPT, RUST } = require('./rooms')

/** The crates of this workspace that each one uses. Those of ARCHITECTURE.md, which the test compares. */
const crates = () => table('ARCHITECTURE.md', 'crate').map(([crate, , uses]) => [code(crate), uses])

/** A planted line. Not written out in this file, as tools/needs.js reads the imports of suites. @param {string} name */
const requires = (name, by = 'require') => `${by}('${name}')`

/** What a folder of JavaScript may require of the rest of the package. */
const OUTSIDE = {
  lib: ['../package.json'],
  // What needs no addon, since the command line also says why one cannot be loaded; `lib/audit` is loaded late, as the package is.
  cli: [
    '..',
    '../package.json',
    '../lib/audit',
    '../lib/config-file',
    '../lib/json-fault',
    '../lib/read-file',
    '../lib/scanner',
    '../lib/suggest',
  ],
}

/**
 * The sources below a folder, by path.
 *
 * @param {string} folder
 * @param {string} ending
 * @returns {Record<string, string>}
 */
function sourcesOf(folder, ending) {
  const files = fs.readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
  const wanted = files.filter((file) => file.endsWith(ending)).map((file) => file.replaceAll('\\', '/'))
  return Object.fromEntries(wanted.map((file) => [file, read(folder, file)]))
}

describe.each(Object.entries(RUST))('%s', (folder, rooms) => {
  const sources = sourcesOf(folder, '.rs')

  test('has arrows that point to earlier rooms only', () => {
    expect(wrongInCrate(rooms, sources)).toEqual([])
    expect(Object.keys(sources).length).toBeGreaterThan(0)
  })

  // A room above another one, used by each of the ways in which a source can name it.
  const [below, above] = rooms.slice(-2)
  if (above === undefined) return
  test(`would not have ${below} use ${above}`, () => {
    const file = Object.keys(sources).find((name) => name === `${below}.rs` || name === `${below}/mod.rs`)
    for (const arrow of [
      `use crate::${above}::Thing;`,
      `use crate::{${below}::x, ${above}::{self, y}};`,
      `fn f() { crate::${above}::thing() }`,
      `use super::${above}::Thing;`,
      `mod tests { use super::super::${above}; }`,
    ]) {
      const wrong = wrongInCrate(rooms, { ...sources, [file]: `${sources[file]}\n${arrow}\n` })
      expect([arrow, wrong]).toEqual([
        arrow,
        [`${file} uses ${above}, which does not stand before ${below} in the list of rooms`],
      ])
    }
    // Words in comments and texts are no arrows, and neither is what a module of the file itself holds.
    for (const harmless of [
      `// use crate::${above}::Thing;`,
      `/// See [crate::${above}].`,
      `const TEXT: &str = "{ crate::${above}::x";`,
      `mod tests { use super::${above}; }`,
    ]) {
      expect(wrongInCrate(rooms, { ...sources, [file]: `${sources[file]}\n${harmless}\n` })).toEqual([])
    }
  })
})

describe('the checker of Rust', () => {
  const sources = { 'lib.rs': 'mod low;\nmod high;\npub use high::Top;\npub struct Root;', 'low.rs': '', 'high.rs': '' }

  test('sees rooms that the list lacks, and rooms that are no more', () => {
    expect(wrongInCrate(['low'], sources)).toEqual(['high is not in the list of rooms'])
    expect(wrongInCrate(['low', 'high', 'gone'], sources)).toEqual(['gone is in the list of rooms and does not exist'])
  })

  test('follows what lib.rs passes on, and refuses what lib.rs holds', () => {
    const check = (/** @type {string} */ text) => wrongInCrate(['low', 'high'], { ...sources, 'low.rs': text })
    expect(check('use crate::Top;')).toEqual(['low.rs uses high, which does not stand before low in the list of rooms'])
    expect(check('use crate::Root;')).toEqual(['low.rs uses Root of lib.rs, which is above every room'])
    expect(check('pub(in crate::high) fn f() {}')).toEqual([])
  })

  test('counts the steps of `super` from a file inside of a room', () => {
    const check = (/** @type {string} */ text) => wrongInCrate(['low', 'high'], { ...sources, 'low/part.rs': text })
    expect(check('use super::high;')).toEqual([])
    expect(check('use super::super::high;')).toHaveLength(1)
    expect(check('mod tests {\n  use super::super::super::high;\n}\nuse super::super::low;')).toHaveLength(1)
  })
})

describe('between the crates', () => {
  const manifests = Object.keys(RUST).map((folder) => folder.replace(/\/?src$/, ''))
  const manifest = (/** @type {string} */ folder) => dependencies(read(folder, 'Cargo.toml'))
  const nameIn = (/** @type {string} */ folder) => (folder === 'crates/core' ? 'delivery-core' : path.basename(folder))

  test('every crate of the workspace is looked at', () => {
    const there = fs.readdirSync(path.join(root, 'crates')).map((name) => `crates/${name}`)
    expect([...there, ''].sort()).toEqual([...manifests].sort())
  })

  test('Cargo.toml has the arrows of ARCHITECTURE.md', () => {
    const ours = manifests.map(nameIn)
    const inCargo = manifests.map((folder) => [
      folder === '' ? 'src' : folder,
      manifest(folder)
        .used.filter((name) => ours.includes(name))
        .sort(),
    ])
    const inPage = crates().map(([crate, uses]) => [
      crate.replace(/\/$/, ''),
      [...uses.matchAll(/`([^`]+)`/g)].map(([, name]) => nameIn(name.replace(/\/$/, ''))).sort(),
    ])
    expect(Object.fromEntries(inCargo)).toEqual(Object.fromEntries(inPage))
  })

  test.each([
    ['the AWS SDK', /^aws-(config|sdk-|smithy-|types|credential)/, ['crates/aws']],
    ['redis', /^redis$/, ['crates/cache']],
    ['napi', /^napi/, ['']],
    // Tests of other crates may start the endpoint; nothing that is shipped contains it.
    ['the AWS endpoint', /^aws-endpoint$/, []],
  ])('%s is used where it should be, tests aside', (_, library, where) => {
    expect(manifests.filter((folder) => manifest(folder).used.some((name) => library.test(name)))).toEqual(where)
  })

  test('a planted dependency is seen', () => {
    const text = '[dependencies]\nsecret.workspace = true\n\n[dev-dependencies]\nredis = "1"\n'
    expect(dependencies(text)).toEqual({ used: ['secret'], inTests: ['redis'] })
    expect(dependencies(`${text}\n[target.'cfg(unix)'.dependencies]\nredis = "1"\n`).used).toEqual(['secret', 'redis'])
    expect(dependencies(`${text}\n[dependencies.napi]\nversion = "3"\n`).used).toEqual(['secret', 'napi'])
  })
})

describe.each(Object.entries(JAVASCRIPT))('%s/', (folder, rooms) => {
  const sources = sourcesOf(folder, '.js')

  test('requires earlier rooms only, and none in a circle', () => {
    expect(wrongInFolder(rooms, sources, OUTSIDE[folder])).toEqual([])
  })

  test('would not have its first room require its last one', () => {
    const file = `${rooms[0]}.js`
    const above = rooms.at(-1)
    for (const arrow of [requires(`./${above}`), requires(`./${above}`, 'import')]) {
      const wrong = wrongInFolder(rooms, { ...sources, [file]: `${sources[file]}\n${arrow}\n` }, OUTSIDE[folder])
      expect(wrong).toContain(`${file} uses ${above}, which does not stand before ${rooms[0]} in the list of rooms`)
    }
    const comment = `// ${requires(`./${above}`)}\n/** @type {${requires(`./${above}`, 'import')}.Thing} */\n`
    expect(wrongInFolder(rooms, { ...sources, [file]: comment + sources[file] }, OUTSIDE[folder])).toEqual([])
  })

  test('would not have a file from outside of the folder', () => {
    const file = `${rooms[0]}.js`
    expect(wrongInFolder(rooms, { ...sources, [file]: requires('../tools/setup') }, OUTSIDE[folder])).toEqual([
      `${file} requires ../tools/setup, which is no room of its folder`,
    ])
  })
})

test('ARCHITECTURE.md names every room', () => {
  const page = read('ARCHITECTURE.md')
  const isNamed = (/** @type {string[]} */ ...names) => names.some((name) => page.includes(`\`${name}\``))
  const rust = Object.values(RUST).flat()
  const javascript = Object.entries(JAVASCRIPT).flatMap(([folder, rooms]) => rooms.map((room) => `${folder}/${room}`))
  expect(rust.filter((room) => !isNamed(room, `${room}/`))).toEqual([])
  expect(javascript.filter((room) => !isNamed(`${room}.js`, `${room}/`))).toEqual([])
})

test('a circle inside of a room is seen', () => {
  const sources = { 'room/a.js': requires('./b'), 'room/b.js': requires('./c'), 'room/c.js': requires('./a') }
  expect(wrongInFolder(['room'], sources)).toEqual(['a circle: room/a.js -> room/b.js -> room/c.js -> room/a.js'])
})
