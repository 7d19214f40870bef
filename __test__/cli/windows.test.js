'use strict'

// What `run` does on Windows: `.cmd` files, quoting, and names of variables that differ in case only. The workflows run this on
// Windows too; elsewhere it tests what can be tested without one.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { tooLong, variables } = require('../../cli/child')
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

test('.cmd files are started by cmd.exe, and no argument becomes a command', () => {
  fs.writeFileSync(path.join(directory, 'tool.cmd'), '@echo off\r\n')
  const script = `Object.defineProperty(process, 'platform', { value: 'win32' })
    const parse = require('cross-spawn')._parse
    const { command, args, options } = parse('./tool.cmd', ['a b', 'say "x" & calc.exe', '%PATH%', 'C:\\\\dir\\\\', '^|<>'], { env: process.env })
    console.log(JSON.stringify({ command, args, verbatim: options.windowsVerbatimArguments }))`
  const { stdout } = spawnSync(process.execPath, ['-e', script], {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, NODE_PATH: path.join(root, 'node_modules'), comspec: 'cmd.exe' },
  })
  const { command, args, verbatim } = JSON.parse(stdout)
  expect([command, args.slice(0, 3), verbatim]).toEqual(['cmd.exe', ['/d', '/s', '/c'], true])
  // Every special character is escaped: no bare & | < > % or quote.
  expect(args[3].slice(1, -1).replace(/\^./g, '')).not.toMatch(/[&|<>%"]/)
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
