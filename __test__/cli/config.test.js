'use strict'

// Where the configuration file is found, what may stand in it, and what is said when it cannot be used.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { loadConfig } = require('../../lib/config-file')
const { faultOf } = require('../../lib/json-fault')
const { root, temporaryDirectory } = require('../support/files')

/** @type {string} */
let directory
beforeEach(() => (directory = temporaryDirectory('tcs-config-')))
afterEach(() => fs.rmSync(directory, { recursive: true }))

const tools = { github: { secrets: { api_token: { required: true } } } }

/** @param {string} name @param {unknown} content Text, or what becomes JSON. */
function write(name, content) {
  const file = path.join(directory, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

/** What files give, in a process of its own: Jest has no `import()` of files. @param {string[]} names */
function loaded(...names) {
  const script = `const { loadConfig } = require(${JSON.stringify(path.join(root, 'lib', 'config-file.js'))})
    Promise.all(process.argv.slice(1).map((file) => loadConfig({ file }).then(
      ({ options }) => ({ ...options, hooks: typeof options.rotation?.hooks?.set }),
      ({ code, message }) => ({ code, message }))))
    .then((results) => console.log(JSON.stringify(results)))`
  return JSON.parse(execFileSync(process.execPath, ['-e', script, ...names], { cwd: directory, encoding: 'utf8' }))
}

const refused = (message) =>
  expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) })

test('without a file there are no options', async () => {
  fs.mkdirSync(path.join(directory, '.git'))
  await expect(loadConfig({ from: directory })).resolves.toEqual({
    file: null,
    directory,
    options: {},
    declared: [],
    checks: null,
  })
})

test("the nearest file upward is used, not beyond a git repository, and the directory is the file's", async () => {
  const file = write('tcs-secrets.config.json', { tools })
  const below = path.join(directory, 'a', 'b')
  fs.mkdirSync(below, { recursive: true })
  await expect(loadConfig({ from: below })).resolves.toMatchObject({ file, directory, options: { tools } })
  const nearer = write('a/package.json', { name: 'x', 'tcs-secrets': { environment: 'test' } })
  await expect(loadConfig({ from: below })).resolves.toMatchObject({ file: nearer, options: { environment: 'test' } })
  fs.mkdirSync(path.join(below, '.git'))
  await expect(loadConfig({ from: below })).resolves.toMatchObject({ file: null })
  await expect(loadConfig({ from: below, file: '../../tcs-secrets.config.json' })).resolves.toMatchObject({ file })
})

const asRoot = process.getuid?.() === 0 ? test : test.skip

asRoot('a file above that belongs to another user is only used when it is named', async () => {
  const file = write('tcs-secrets.config.json', {})
  fs.chownSync(file, 12_345, 12_345)
  fs.mkdirSync(path.join(directory, 'below'))
  const from = path.join(directory, 'below')
  await expect(loadConfig({ from })).rejects.toEqual(refused('belongs to another user'))
  await expect(loadConfig({ from, file })).resolves.toMatchObject({ file })
  await expect(loadConfig({ from: directory })).resolves.toMatchObject({ file })
})

test('two files in one directory are refused', async () => {
  write('tcs-secrets.config.json', {})
  write('package.json', { 'tcs-secrets': {} })
  await expect(loadConfig({ from: directory })).rejects.toEqual(refused('tcs-secrets.config.json and package.json'))
})

test('$schema is taken out of what the delivery gets', async () => {
  write('tcs-secrets.config.json', {
    $schema: './schema.json',
    tools: { Git_Hub: { secrets: { 'api-token': { required: true, phase: 'critical' }, other: {} } }, empty: {} },
  })
  const { options, declared } = await loadConfig({ from: directory })
  expect(options).toEqual({
    tools: { Git_Hub: { secrets: { 'api-token': { required: true, phase: 'critical' }, other: {} } }, empty: {} },
  })
  expect(declared).toEqual([
    { tool: 'Git_Hub', secretType: 'api-token', name: 'GIT_HUB_API-TOKEN', required: true, phase: 'critical' },
    { tool: 'Git_Hub', secretType: 'other', name: 'GIT_HUB_OTHER', required: false, phase: null },
  ])
})

test.each([['no object', [], 'must hold an object']])('%s is refused', async (_, content, message) => {
  write('tcs-secrets.config.json', content)
  await expect(loadConfig({ from: directory })).rejects.toEqual(refused(message))
})

test('what is not JSON is refused without repeating it', async () => {
  for (const text of ['{ "a": "topsecret" x }', '{ "a": topsecret }', '{ "a": "topsecret']) {
    write('tcs-secrets.config.json', text)
    const error = await loadConfig({ from: directory }).catch((thrown) => thrown)
    expect(error).toEqual(refused('is not valid JSON'))
    expect(error.message).not.toContain('topsecret')
  }
})

test.each([
  ['{ "a": "topsecret" x }', 1, 20, "a comma or '}' is missing before this"],
  ['{\n  "a": topsecret\n}', 2, 8, 'this is no value: a text needs double quotes'],
  ['{ "a": "topsecret', 1, 8, 'a text does not end in its line'],
  ['{\n  "a": 1,\n}', 2, 9, "there is a comma before '}'"],
  ['{\n  // topsecret\n  "a": 1 }', 2, 3, 'JSON has no comments'],
  ["{ 'a': 1 }", 1, 3, 'names have double quotes'],
  ['{ "a": \'topsecret\' }', 1, 8, 'texts have double quotes'],
  ['{ a: 1 }', 1, 3, 'a name in double quotes is missing'],
  ['{ "a" 1 }', 1, 7, "':' is missing after a name"],
  ['{ "a": 1', 1, 9, "the document ends before '}'"],
  ['', 1, 1, 'the document ends too early'],
  ['{} {}', 1, 4, 'something follows the end of the document'],
  ['{ "a": "\\x" }', 1, 8, 'a text has a control character or an escape that JSON does not have'],
  ['[1,,2]', 1, 4, 'a value is missing'],
  ['{ "a": 01 }', 1, 9, "a comma or '}' is missing before this"],
])('%j is told by line, column and reason', async (text, line, column, reason) => {
  write('tcs-secrets.config.json', text)
  const error = await loadConfig({ from: directory }).catch((thrown) => thrown)
  expect(error).toEqual(refused(`is not valid JSON (line ${line}, column ${column}): ${reason}`))
  expect(error.message).not.toContain('topsecret')
})

test('what is said to be no JSON is none, and the other way round', () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    '1',
    '-0.5e3',
    'true',
    'nul',
    ' ',
    '\n',
    '//',
    "'",
    '\\u00e9',
    '\t',
  ]
  let state = 3
  const next = (/** @type {number} */ below) => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % below
  let valid = 0
  for (let round = 0; round < 30_000; round++) {
    const text = Array.from({ length: 1 + next(7) }, () => pieces[next(pieces.length)]).join('')
    let isJson = true
    try {
      JSON.parse(text)
    } catch {
      isJson = false
    }
    expect([text, faultOf(text) === null]).toEqual([text, isJson])
    if (isJson) valid++
  }
  expect(valid).toBeGreaterThan(100)
  expect(faultOf('['.repeat(100_000))).toMatchObject({ reason: expect.stringContaining('nested') })
})

test('a file that is missing, huge, no file or of another kind is refused', async () => {
  const load = (file) => loadConfig({ from: directory, file })
  await expect(load('none.json')).rejects.toEqual(refused('does not exist'))
  await expect(load('.')).rejects.toEqual(refused('is a directory, not a file'))
  write('config.yaml', 'a: b')
  await expect(load('config.yaml')).rejects.toEqual(refused('.json, .js, .cjs, .mjs or .ts'))
  write('huge.json', `"${'x'.repeat(5_000_000)}"`)
  await expect(load('huge.json')).rejects.toEqual(refused('are allowed'))
})

test('JavaScript exports it, as CommonJS or as a module, and may have functions', () => {
  const exported = `{ tools: ${JSON.stringify(tools)}, rotation: { hooks: { set() {} } } }`
  write('a.cjs', `module.exports = ${exported}`)
  write('b.mjs', `export default ${exported}`)
  write('c.js', `module.exports = ${exported}`)
  write('d.cjs', `exports.__esModule = true; exports.default = ${exported}`)
  write('e.mjs', 'export const tools = {}')
  write('f.mjs', 'throw new TypeError("first\\nsecond")')
  const [nothing, thrown, ...good] = loaded('e.mjs', 'f.mjs', 'a.cjs', 'b.mjs', 'c.js', 'd.cjs')
  expect(good).toMatchObject(Array(4).fill({ tools, hooks: 'function' }))
  expect(nothing.message).toContain("'export default { … }'")
  expect(thrown).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('TypeError: first second') })
})

test('TypeScript is imported where Node can, and else the error says what to do', () => {
  write('config.ts', `const tools: object = ${JSON.stringify(tools)}\nexport default { tools }`)
  const [result] = loaded('config.ts')
  if (/** @type {any} */ (process.features).typescript) expect(result).toMatchObject({ tools })
  else expect(result.message).toContain(`Node ${process.version} cannot import TypeScript. Use Node 22.18 or newer`)
})
