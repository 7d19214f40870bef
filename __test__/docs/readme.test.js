'use strict'

// The documentation is checked against what it describes: the README's example runs, its tables agree with index.d.ts
// and with the package, and no page links to nothing.

const { spawnSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { environmentDefaults } = require('../..')
const { ALL } = require('../../tools/runtimes/list')
const { root, temporaryDirectory } = require('../support/files')
const { declared, optionsOf } = require('../support/declared')

const read = (...names) => fs.readFileSync(path.join(root, ...names), 'utf8')
const readme = read('README.md')

/** The body rows of the README's table whose first heading is `heading`, as cells. */
function table(heading) {
  const lines = readme.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} |`))
  if (start < 0) throw new Error(`README.md has no table that begins with '${heading}'`)
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'))
  return lines.slice(start + 2, start + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** The Markdown files below `directory`, hidden and generated directories left out. */
function pagesBelow(directory) {
  return fs.readdirSync(path.join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(directory, entry.name)
    const skipped = entry.name.startsWith('.') || ['node_modules', 'target'].includes(entry.name)
    if (entry.isDirectory() && !skipped) return pagesBelow(name)
    return entry.isFile() && entry.name.endsWith('.md') ? [name] : []
  })
}

/** The blocks of code of a page that are in this language. */
const blocksOf = (text, language) =>
  [...text.matchAll(/^```(.*)\n([^]*?)^```$/gm)].filter((match) => match[1] === language).map((match) => match[2])

/** What stands between the first pair of backticks. */
const code = (text) => /`([^`]+)`/.exec(text)?.[1]

describe('the usage example', () => {
  /** Of the pages beside it; they are compiled, not run. */
  const documented = pagesBelow('docs').flatMap((page) => blocksOf(read(page), 'ts'))
  const blocks = blocksOf(readme, 'ts')
  const variables = { TCS_CACHE_KEYS: `k1:${randomBytes(32).toString('base64')}` }
  /** @type {string} */
  let service
  let compiled

  beforeAll(() => {
    service = temporaryDirectory('tcs-readme-')
    fs.mkdirSync(path.join(service, 'node_modules'))
    fs.symlinkSync(root, path.join(service, 'node_modules', 'tcs-secret-delivery'), 'junction')
    // What examples use beside the package.
    for (const name of ['prom-client', '@opentelemetry']) {
      fs.symlinkSync(path.join(root, 'node_modules', name), path.join(service, 'node_modules', name), 'junction')
    }
    fs.writeFileSync(path.join(service, '.env.dev'), 'GITHUB_API_TOKEN=from-the-file\nGITHUB_WEBHOOK_SECRET=second\n')
    const compilerOptions = { strict: true, module: 'nodenext', target: 'es2022', types: ['node'], outDir: 'dist' }
    fs.writeFileSync(
      path.join(service, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['0.mts', '1.mts', ...documented.map((_, i) => `docs-${i}.mts`)] }),
    )
    // What the first example read is printed for the test; the examples are not changed otherwise.
    const shown = 'console.log(JSON.stringify({ token, github, answeredBy }))\n'
    blocks.forEach((block, i) => fs.writeFileSync(path.join(service, `${i}.mts`), i === 0 ? block + shown : block))
    documented.forEach((block, i) => fs.writeFileSync(path.join(service, `docs-${i}.mts`), block))
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    compiled = node(tsc, '-p', '.', '--typeRoots', path.join(root, 'node_modules', '@types'))
  }, 120_000)
  afterAll(() => fs.rmSync(service, { recursive: true }))

  function node(...args) {
    // Nothing of this process's environment: Jest sets NODE_ENV, and a developer may have AWS credentials.
    const env = { PATH: process.env.PATH, HOME: service, USERPROFILE: service, ...variables }
    const options = { cwd: service, encoding: /** @type {const} */ ('utf8'), timeout: 60_000, env }
    const { status, stdout, stderr } = spawnSync(process.execPath, args, options)
    return { status, stdout: stdout.trim(), stderr: stderr.trim() }
  }

  test('compiles under --strict, and reads the secrets of a .env.dev beside it', () => {
    expect(blocks).toHaveLength(2)
    expect(compiled).toEqual({ status: 0, stdout: '', stderr: '' })
    const { status, stdout, stderr } = node('dist/0.mjs')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      token: 'from-the-file',
      github: { api_token: 'from-the-file', webhook_secret: 'second' },
      answeredBy: 'env-file',
    })
  })

  test('of a production configuration is accepted, with its keys from TCS_CACHE_KEYS', () => {
    expect(node('dist/1.mjs')).toEqual({ status: 0, stdout: '', stderr: '' })
    const { TCS_CACHE_KEYS } = variables
    variables.TCS_CACHE_KEYS = ''
    expect(node('dist/1.mjs').stderr).toContain('ENCRYPTION_KEY_INVALID')
    variables.TCS_CACHE_KEYS = TCS_CACHE_KEYS
  })
})

describe('the options table', () => {
  const options = optionsOf('SecretDeliveryOptions')
  const rows = new Map(table('option').map(([name, ...cells]) => [code(name), cells]))

  test('names every option of index.d.ts, in its order, and nothing else', () => {
    expect(options.length).toBeGreaterThan(40)
    expect([...rows.keys()]).toEqual(options.map((option) => option.path))
  })

  /** What the table must say about a type. */
  function wordsFor(type) {
    if (type.startsWith('{')) return ['object']
    if (type.startsWith('(') && type.includes('=>')) return ['function']
    return type.split(' | ').map((part) => {
      if (/^('.*'|false|boolean|number|string|string\[\]|Uint8Array|Environment)$/.test(part)) return part
      return part.endsWith('[]') ? 'list' : 'object'
    })
  }

  test('gives each of them its type, its unit and its default', () => {
    const missing = []
    let compared = 0
    for (const { path: name, type, documentation } of options) {
      const [shownType, shownDefault] = rows.get(name) ?? ['', '']
      const units = { milliseconds: 'number, ms', seconds: 'number, s' }
      const unit = units[/\bin (seconds|milliseconds)\b/.exec(documentation)?.[1]]
      const sentence = /Default:? ([^]*?)(?:;|\.\s|\.$|$)/.exec(documentation.trim())?.[1] ?? ''
      const defaults = sentence.match(/`[^`]+`|\b\d+\b/g) ?? []
      compared += defaults.length
      missing.push(
        ...wordsFor(type)
          .filter((word) => !shownType.includes(word))
          .map((word) => [name, 'type', word]),
        ...(unit === undefined || shownType === unit ? [] : [[name, 'unit', unit]]),
        ...defaults.filter((value) => !shownDefault.includes(value)).map((value) => [name, 'default', value]),
      )
    }
    expect(missing).toEqual([])
    expect(compared).toBeGreaterThan(20)
  })
})

test('the table of error codes is the SecretErrorCode union', () => {
  const union = /export type SecretErrorCode =\n([^]*?)\n\n/.exec(declared)?.[1] ?? ''
  const codes = [...union.matchAll(/'(\w+)'/g)].map((match) => match[1])
  expect(codes).toContain('CLOSED')
  expect(table('code').map(([name]) => code(name))).toEqual(codes)
})

test('the README names every warning that the core sends', () => {
  const core = path.join(root, 'crates', 'core', 'src')
  const sent = fs
    .readdirSync(core, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.rs'))
    .flatMap((name) => [
      ...fs
        .readFileSync(path.join(core, name), 'utf8')
        .matchAll(/Notice::warning\(\s*(?:"(\w+)"|ErrorCode::(\w+)\.as_str\(\))/g),
    ])
    .map(([, text, variant]) => text ?? variant.replace(/(?!^)[A-Z]/g, '_$&').toUpperCase())
  const named = /Warnings go to[^]*?\n\n/.exec(readme)?.[0].match(/`[A-Z_]{8,}`/g) ?? []
  expect(named.map(code).sort()).toEqual([...new Set(sent)].sort())
})

describe('the table of environments', () => {
  const environments = ['development', 'test', 'staging', 'production']
  const rows = table('`environmentDefaults()`').map(([label, ...cells]) => ({ key: code(label), cells }))

  function shown(value) {
    if (value === null) return '–'
    if (typeof value === 'boolean') return value ? 'yes' : 'no'
    return typeof value === 'number' ? String(value) : `\`${value}\``
  }

  test('has a row for each default', () => {
    const { environment, ...defaults } = environmentDefaults('test')
    expect(environments).toContain(environment)
    expect(rows.map(({ key }) => key).sort()).toEqual(Object.keys(defaults).sort())
  })

  test.each(environments)('agrees with environmentDefaults(%j)', (environment) => {
    const defaults = environmentDefaults(environment)
    const column = environments.indexOf(environment)
    const written = Object.fromEntries(rows.map(({ key, cells }) => [key, cells[column]]))
    const expected = Object.fromEntries(rows.map(({ key }) => [key, shown(defaults[key])]))
    expect(written).toEqual(expected)
  })
})

describe('the tables of platforms', () => {
  test('have each runtime that is tested, with its version and how it is used', () => {
    const { optionalDependencies } = JSON.parse(read('tools', 'runtimes', 'package.json'))
    // A package manager that is a program is listed by platform as well.
    const runtimes = Object.entries(optionalDependencies).filter(([name]) => !name.startsWith('pnpm'))
    const versions = runtimes.map(([, wanted]) => wanted.split('@').at(-1))
    const rows = table('runtime')
    expect(rows.map(([name]) => name)).toEqual(ALL.map(({ name }) => name))
    expect(rows.map(([, version]) => version).sort()).toEqual(versions.sort())
    for (const [i, { modes }] of ALL.entries()) {
      const shown = ['main', 'worker', 'cluster'].map((mode) => (modes.includes(mode) ? 'yes' : 'no'))
      expect(rows[i].slice(2)).toEqual(shown)
    }
  })

  test('have each platform package', () => {
    const names = fs.readdirSync(path.join(root, 'npm')).map((name) => `tcs-secret-delivery-${name}`)
    expect(
      table('binary for')
        .map(([, name]) => code(name))
        .sort(),
    ).toEqual(names.sort())
  })
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
    // `ts` is compiled above, that of the migration is run by its own test. The rest is output, pictures and commands; JSON is parsed.
    const languages = ['ts', 'json', 'sh', 'text', 'mermaid', 'yaml']
    const found = ['README.md', ...pagesBelow('docs')].flatMap((page) =>
      [...read(page).matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(([, language]) => [page, language]),
    )
    expect(found.length).toBeGreaterThan(20)
    expect(found.filter(([, language]) => !languages.includes(language))).toEqual([['docs/migration.md', 'js']])
    for (const page of pages)
      for (const text of blocksOf(read(page), 'json')) expect(() => JSON.parse(text)).not.toThrow()
  })

  test('name only npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json'))
    const named = pages.flatMap((page) => [...read(page).matchAll(/\bnpm run ([\w:-]*\w)/g)].map(([, name]) => name))
    expect(named.filter((name) => !(name in scripts))).toEqual([])
    expect(new Set(named).size).toBeGreaterThan(3)
  })

  test('about decisions are in the index, numbered without gap', () => {
    const decisions = fs.readdirSync(path.join(root, 'docs', 'decisions')).sort()
    const listed = [...read('docs', 'README.md').matchAll(/\(decisions\/([^)]+)\)/g)].map((match) => match[1])
    expect(listed).toEqual(decisions)
    expect(decisions.map((name) => Number(name.slice(0, 3)))).toEqual(decisions.map((_, index) => index + 1))
  })

  test('leave one place for the tables that the benchmark writes', () => {
    const text = read('docs', 'benchmarks.md')
    const marks = text.match(/<!--.*?-->/g)
    expect(marks).toEqual(['<!-- measured -->', '<!-- end of measured -->'])
    // As tools/bench/run.js looks for it.
    expect(text).toMatch(/\n<!-- measured -->\n[^]*<!-- end of measured -->\n/)
  })
})
