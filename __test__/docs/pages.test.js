'use strict'

// Every page: links lead somewhere, blocks of code are in languages that something checks, scripts exist.

const fs = require('node:fs')
const path = require('node:path')
const { blocksOf, pagesBelow, read, root, table } = require('../support/pages')

/** Folders whose files pages name by their whole path. */
const FOLDERS = ['crates', 'src', 'lib', 'cli', 'tools', '__test__', 'ops', 'docs', 'examples']
/** Folders with sources whose comments name files. */
const SOURCES = ['crates', 'src', 'lib', 'cli']

/**
 * The files and folders below a folder, with `/` on every system.
 *
 * @param {string} folder
 * @returns {string[]}
 */
const pathsBelow = (folder) =>
  fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', 'target'].includes(entry.name)) return []
    const name = `${folder}/${entry.name}`
    return entry.isDirectory() ? [name, ...pathsBelow(name)] : [name]
  })

describe('the pages', () => {
  const pages = pagesBelow('')
  const withoutCode = (text) => text.replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')

  /** The anchors that GitHub gives a page's headings. */
  const anchors = (page) =>
    [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    )

  test('link to files and headings that exist', () => {
    const dead = []
    let followed = 0
    for (const page of pages) {
      for (const [, target] of withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^\w+:/.test(target)) continue
        followed++
        const [file, anchor] = target.split('#')
        const linked = file === '' ? page : path.join(path.dirname(page), file)
        const found = fs.existsSync(path.join(root, linked))
        if (!found || (anchor !== undefined && !anchors(linked).includes(anchor))) dead.push([page, target])
      }
    }
    expect(dead).toEqual([])
    expect(followed).toBeGreaterThan(20)
  })

  test('have no code that nothing checks', () => {
    // `ts` is compiled by usage.test.js. The `js` of the migration, bundlers, containers and Lambda is run by their own tests, and
    // all of start.md by start.test.js. The rest is output, pictures and commands; JSON is parsed.
    const languages = ['ts', 'json', 'sh', 'text', 'mermaid', 'yaml']
    const found = ['README.md', ...pagesBelow('docs')].flatMap((page) =>
      [...read(page).matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(([, language]) => [page, language]),
    )
    expect(found.length).toBeGreaterThan(20)
    const others = new Set(found.filter(([, language]) => !languages.includes(language)).map((one) => one.join(' ')))
    expect([...others].sort()).toEqual([
      'docs/bundlers.md js',
      'docs/containers.md dockerfile',
      'docs/containers.md js',
      'docs/lambda.md js',
      'docs/migration.md js',
    ])
    for (const page of pages)
      for (const text of blocksOf(read(page), 'json')) expect(() => JSON.parse(text)).not.toThrow()
  })

  test('begin with the README, which fits in 10 KB and links every page for users and operators', () => {
    const readme = read('README.md')
    expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(10 * 1024)
    const here = fs.readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'))
    expect(here.length).toBeGreaterThan(15)
    expect(here.filter((name) => !readme.includes(`(docs/${name}`))).toEqual([])
    // The index is the page that lists the others.
    const index = read('docs', 'README.md')
    expect(here.filter((name) => name !== 'README.md' && !index.includes(`](${name})`))).toEqual([])
  })

  test('name only files of the repository that exist', () => {
    const here = [...FOLDERS.flatMap((folder) => pathsBelow(folder)), ...fs.readdirSync(root)]
    const exists = (name) => here.some((one) => one === name || one.endsWith(`/${name}`))
    // Whole paths, and the ends of paths of sources: `crates/core/src/reads/`, `reads/table.rs`.
    const isOurs = (name) =>
      new RegExp(`^(${FOLDERS.join('|')})/`).test(name) || /^[\w/-]+(\.rs|\.test\.js)$/.test(name)
    const named = [...pages, ...SOURCES.flatMap((folder) => pathsBelow(folder).filter((one) => /\.(rs|js)$/.test(one)))]
      .flatMap((page) => [...read(page).matchAll(/`([^`\s]+)`/g)].map(([, name]) => [page, name.replace(/\/$/, '')]))
      .filter(([, name]) => isOurs(name) && !/[*<{…]/.test(name))
    expect(named.filter(([, name]) => !exists(name))).toEqual([])
    expect(named.length).toBeGreaterThan(200)
  })

  test('name only npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json'))
    const named = pages.flatMap((page) => [...read(page).matchAll(/\bnpm run ([\w:-]*\w)/g)].map(([, name]) => name))
    expect(named.filter((name) => !(name in scripts))).toEqual([])
    expect(new Set(named).size).toBeGreaterThan(3)
  })

  test('about words are in alphabetic order, with a sentence each', () => {
    const rows = table('docs/words.md', 'word')
    const words = rows.map(([word]) => word)
    expect(words.length).toBeGreaterThan(30)
    expect(words).toEqual([...new Set(words)].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)))
    expect(rows.filter(([, meaning]) => !/^[^.]+(\.\w[^.]*)*\.$/.test(meaning.replace(/`[^`]*`/g, 'code')))).toEqual([])
  })

  test('about decisions are in the index, in order, and begin with their status', () => {
    const decisions = fs.readdirSync(path.join(root, 'docs', 'decisions')).sort()
    const listed = [...read('docs', 'README.md').matchAll(/\(decisions\/([^)]+)\)/g)].map((match) => match[1])
    expect(listed).toEqual(decisions)
    const numbers = decisions.map((name) => Number(name.slice(0, 3)))
    expect(new Set(numbers).size).toBe(decisions.length)
    const begins = /^# \d+\. .+\n\nStatus: (accepted|superseded by \[\d{3}\]\([^)]+\)) \(\d{4}-\d\d-\d\d\)/
    expect(decisions.filter((name) => !begins.test(read('docs', 'decisions', name)))).toEqual([])
  })

  test('leave one place for the tables that the benchmark writes', () => {
    const text = read('docs', 'benchmarks.md')
    const marks = text.match(/<!--.*?-->/g)
    expect(marks).toEqual(['<!-- measured -->', '<!-- end of measured -->'])
    // As tools/bench/run.js looks for it.
    expect(text).toMatch(/\n<!-- measured -->\n[^]*<!-- end of measured -->\n/)
  })
})
