'use strict'

// What `run` does on Windows: `.cmd` files, quoting, and names of variables that differ in case only. The workflows run this on
// Windows too; elsewhere it tests what can be tested without one.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { tooLong, variables } = require('../../cli/child')
const { windowsCommand } = require('../../cli/windows-command')
const { root, temporaryDirectory } = require('../support/files')
const { Cli } = require('../support/cli')

const onWindows = process.platform === 'win32' ? test : test.skip

/** @type {string} */
let directory
/** @type {Cli} */
let cli
beforeAll(() => {
  directory = fs.realpathSync(temporaryDirectory('tcs windows '))
  const { SystemRoot = '', PATHEXT = '' } = process.env
  cli = new Cli(directory, { AWS_ACCESS_KEY_ID: '', SystemRoot, PATHEXT, ComSpec: process.env.ComSpec ?? '' })
  fs.mkdirSync(path.join(directory, '.git'))
  const tools = { github: { secrets: { api_token: {} } } }
  fs.writeFileSync(path.join(directory, 'tcs-secrets.config.json'), JSON.stringify({ tools }))
  fs.writeFileSync(path.join(directory, '.env.dev'), 'GITHUB_API_TOKEN=from-the-file\n')
})
afterAll(() => fs.rmSync(directory, { recursive: true, maxRetries: 10 }))

test('variables differ in more than case, so that no secret hides behind another spelling', () => {
  const base = { Path: 'C:\\', Github_Api_Token: 'old' }
  const over = new Map([['GITHUB_API_TOKEN', 'new']])
  expect(variables(base, over, 'win32')).toEqual({ Path: 'C:\\', GITHUB_API_TOKEN: 'new' })
  expect(variables(base, over, 'linux')).toEqual({ ...base, GITHUB_API_TOKEN: 'new' })
})

test('a value that is too long is named', () => {
  expect(tooLong('A', 'x'.repeat(32_767), 'win32')).toBe('A has 32767 characters, and a variable at most 32766')
  expect(tooLong('A', 'x'.repeat(32_766), 'win32')).toBeUndefined()
  expect(tooLong('A', 'x'.repeat(1_000_000), 'darwin')).toBeUndefined()
})

/** What cross-spawn makes of a call, on a machine that says it is Windows. @param {[string, string[]][]} calls */
function byCrossSpawn(calls) {
  const script = `Object.defineProperty(process, 'platform', { value: 'win32' })
    const parse = require('cross-spawn')._parse
    let text = ''
    process.stdin.on('data', (chunk) => (text += chunk)).on('end', () => {
      console.log(JSON.stringify(JSON.parse(text).map(([command, args]) => {
        const parsed = parse(command, args, { env: {} })
        return { file: parsed.command, args: parsed.args, options: { windowsVerbatimArguments: parsed.options.windowsVerbatimArguments } }
      })))
    })`
  const env = { ...process.env, NODE_PATH: path.join(root, 'node_modules'), comspec: 'cmd.exe' }
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    input: JSON.stringify(calls),
    encoding: 'utf8',
    env,
    cwd: directory,
  })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

test('.cmd files are started by cmd.exe with the quoting of cross-spawn, and no argument becomes a command', () => {
  const pieces = [
    'a',
    ' ',
    '"',
    '\\',
    '%PATH%',
    '&',
    '|',
    '<',
    '>',
    '^',
    '!',
    '(',
    ')',
    ';',
    ',',
    '`',
    '*',
    '?',
    '[x]',
    'é',
    '\t',
  ]
  let state = 5
  const next = (/** @type {number} */ below) => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % below
  // cross-spawn 7.0.6 doubles only one of several backslashes before a quote; see the next test.
  const word = () =>
    Array.from({ length: next(6) }, () => pieces[next(pieces.length)])
      .join('')
      .replace(/\\{2,}/g, '\\')
  const files = [
    '.\\tool.cmd',
    'C:\\Program Files (x86)\\a&b\\tool.cmd',
    'node_modules\\.bin\\jest.cmd',
    'C:\\x\\tool.bat',
  ]
  const calls = Array.from(
    { length: 500 },
    (_, i) => /** @type {[string, string[]]} */ ([files[i % 4], [word(), word(), word()]]),
  )
  const own = calls.map(([command, args]) =>
    windowsCommand(command, args, { comspec: 'cmd.exe' }, (file) => file === command),
  )
  // It recognises what npm wrote only where it is there. path.normalize of this system leaves slashes as they are.
  const shim = 'node_modules/.bin/jest.cmd'
  fs.mkdirSync(path.join(directory, path.dirname(shim)), { recursive: true })
  fs.writeFileSync(path.join(directory, shim), '')
  const given = calls.map(([command, args]) => [command.replace(/^\.\\/, '').replace(/^node_modules.*/, shim), args])
  const theirs = byCrossSpawn(/** @type {[string, string[]][]} */ (given))
  for (const { args } of theirs) args[3] = args[3].replace(shim, shim.replaceAll('/', '\\'))
  expect(own).toEqual(theirs)
  for (const { args } of own) expect((args[3] ?? '').slice(1, -1).replace(/\^./g, '')).not.toMatch(/[&|<>%"]/)
})

test.each([
  ['C:\\a\\\\', '"C:\\a\\\\\\\\"'],
  ['a\\\\"b', '"a\\\\\\\\\\"b"'],
  ['\\\\server\\share', '"\\\\server\\share"'],
  ['', '""'],
])('%j is one argument by the rules of Microsoft', (text, quoted) => {
  const { args } = windowsCommand('C:\\tool.cmd', [text], {}, () => true)
  expect(args[3]?.slice(1, -1).replace(/\^(.)/g, '$1')).toBe(`C:\\tool.cmd ${quoted}`)
})

test('a command is found in PATH by the extensions of PATHEXT, and never in the working directory', () => {
  const files = new Set([
    'C:\\nodejs\\npm.cmd',
    'C:\\nodejs\\node.exe',
    'C:\\tools\\x.y.exe',
    'D:\\a\\run.cmd',
    'npm.cmd',
  ])
  const env = { Path: 'C:\\tools;"C:\\nodejs"', PathExt: '.EXE;.CMD', ComSpec: 'C:\\Windows\\cmd.exe' }
  const start = (/** @type {string} */ command) =>
    windowsCommand(command, ['--version'], env, (file) =>
      [...files].some((one) => one.toLowerCase() === file.toLowerCase()),
    )
  expect(start('npm')).toEqual({
    file: 'C:\\Windows\\cmd.exe',
    args: ['/d', '/s', '/c', '"C:\\nodejs\\npm.CMD ^"--version^""'],
    options: { windowsVerbatimArguments: true },
  })
  expect(start('node')).toEqual({ file: 'C:\\nodejs\\node.EXE', args: ['--version'], options: {} })
  expect(start('node.exe').file).toBe('C:\\nodejs\\node.exe')
  expect(start('x.y').file).toBe('C:\\tools\\x.y.EXE')
  expect(start('D:\\a\\run').args[3]).toBe('"D:\\a\\run.CMD ^"--version^""')
  expect(start('none')).toEqual({ file: 'none', args: ['--version'], options: {} })
})

test('arguments arrive as they are', async () => {
  const args = ['a b', '"q"', '%PATH%', '$HOME', 'x&y', "it's", 'C:\\dir\\', '*']
  const script = 'console.log(JSON.stringify([process.argv.slice(1), process.env.GITHUB_API_TOKEN]))'
  const { status, stdout, stderr } = await cli.run(['run', '--', process.execPath, '-e', script, '--', ...args])
  expect([status, stderr, JSON.parse(stdout)]).toEqual([0, '', [args, 'from-the-file']])
})

onWindows('npm, which is a .cmd file, is started', async () => {
  const { status, stdout } = await cli.run(['run', '--', 'npm', '--version'])
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+/)])
})

onWindows('a variable of another case does not hide the secret', async () => {
  const script = 'console.log(process.env.GITHUB_API_TOKEN)'
  const { stdout } = await cli.run(['run', '--', 'node', '-e', script], { env: { Github_Api_Token: 'old' } })
  expect(stdout.trim()).toBe('from-the-file')
})
