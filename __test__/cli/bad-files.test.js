'use strict'

// Files that are none: each command says what is wrong with which file, at once, and never takes it for a defect of its own.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { parse } = require('../../cli/formats/dotenv')
const { formatOf, read: readImport } = require('../../cli/import-file')
const { readText } = require('../../cli/read-file')
const { temporaryDirectory } = require('../support/files')
const { unprivileged } = require('../support/unprivileged')
const { Cli } = require('../support/cli')

const onUnix = process.platform === 'win32' ? test.skip : test
const AT_ONCE_MS = 5_000

/** Makes a file that is none. @type {Record<string, (file: string) => void>} */
const KINDS = {
  'a directory': (file) => fs.mkdirSync(file),
  'a pipe that nobody writes to': (file) => void execFileSync('mkfifo', [file]),
  'a device without an end': (file) => fs.symlinkSync('/dev/zero', file),
  '200 MB': (file) => {
    fs.writeFileSync(file, '')
    fs.truncateSync(file, 200 * 1024 * 1024)
  },
  'a file that may not be read': (file) => fs.writeFileSync(file, 'A_B=x\n', { mode: 0o000 }),
  'a circle of links': (file) => fs.symlinkSync(file, file),
}

/** @type {string} */
let directory
/** @type {Cli} */
let cli
beforeEach(() => {
  directory = fs.realpathSync(temporaryDirectory('tcs-bad-'))
  fs.chmodSync(directory, 0o755)
  fs.mkdirSync(path.join(directory, '.git'))
  cli = new Cli(directory, { AWS_ACCESS_KEY_ID: '' })
})
afterEach(() => fs.rmSync(directory, { recursive: true }))

/** Runs a call as somebody who has no rights of root. @param {string} args */
async function run(args) {
  const { uid, gid } = unprivileged()
  const become = uid === undefined ? '' : `process.setgroups([]); process.setgid(${gid}); process.setuid(${uid});`
  const entry = JSON.stringify(require.resolve('../../cli'))
  const script = `${become} process.argv.splice(1, 0, ${entry}); require(${entry})`
  const begun = performance.now()
  const outcome = await cli.run(args, { command: [process.execPath, '-e', script, '--'] })
  return { ...outcome, ms: performance.now() - begun, all: outcome.stdout + outcome.stderr }
}

describe.each(Object.entries(KINDS))('%s', (kind, make) => {
  onUnix('as the env file', async () => {
    const file = path.join(directory, '.env.dev')
    make(file)
    const tools = { github: { secrets: { api_token: { required: true } } } }
    fs.writeFileSync(path.join(directory, 'tcs-secrets.config.json'), JSON.stringify({ tools }))
    const calls = ['list', 'list github', 'get github api_token', 'validate', 'doctor', 'run -- true', 'migrate plan']
    const outcomes = await Promise.all(calls.map(run))
    outcomes.forEach(({ status, signal, ms, all }, i) => {
      const isRight = signal === null && status !== 70 && ms < AT_ONCE_MS && !/defect/.test(all)
      expect([calls[i], isRight, all]).toEqual([calls[i], true, all])
    })
    // A link that leads nowhere is a file that does not exist.
    if (kind === 'a circle of links') return
    expect(outcomes[0]).toMatchObject({ status: 4, stderr: expect.stringContaining(file) })
    expect(
      outcomes[0].stderr
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('error: ')),
    ).toHaveLength(1)
  })

  onUnix('as the configuration', async () => {
    const file = path.join(directory, 'tcs-secrets.config.json')
    make(file)
    const { status, ms, stderr } = await run(`list --config ${file}`)
    expect({ status, stderr, isSoon: ms < AT_ONCE_MS }).toEqual({
      status: 3,
      stderr: expect.stringContaining(file),
      isSoon: true,
    })
  })
})

onUnix('doctor tells of links that lead in a circle, in staging too, and ends with its findings', async () => {
  const file = path.join(directory, '.env.staging')
  fs.symlinkSync(file, file)
  fs.writeFileSync(path.join(directory, 'tcs-secrets.config.json'), JSON.stringify({ tools: {} }))
  const { status, all } = await run('doctor --environment staging')
  expect([status, all]).toEqual([1, expect.stringContaining(`${file} is a link that leads to no file`)])
})

onUnix('a device without an end is no key file and no module of checks, and a pipe is a key file', async () => {
  for (const args of ['audit verify --key-file /dev/zero', 'migrate validate --checks /dev/zero']) {
    const { status, ms, stderr } = await run(args)
    expect([args, status === 3 || status === 4, ms < AT_ONCE_MS, stderr]).toEqual([
      args,
      true,
      true,
      expect.stringContaining('/dev/zero'),
    ])
  }
  const line = `head -c 32 /dev/zero | base64 | ${process.execPath} ${require.resolve('../../cli')} audit verify none.jsonl --key-file /dev/stdin`
  const { stderr } = await cli.run(['-c', line], { command: ['sh'] })
  expect(stderr).toContain('there is no audit log at none.jsonl')
})

test('an empty command is a mistake of its caller, and no defect', async () => {
  const { status, stderr } = await cli.run(['run', '--', ''])
  expect([status, stderr]).toEqual([2, expect.stringContaining('the command is empty')])
})

test('bytes that are no UTF-8 are not imported, from an env file, YAML or JSON', async () => {
  const texts = { env: 'A_TOKEN=p\xe4ss\nB_TOKEN=fine\n', yaml: 'A_TOKEN: p\xe4ss\n', json: '{"A_TOKEN":"p\xe4ss"}' }
  for (const [format, text] of Object.entries(texts)) {
    const file = path.join(directory, `in.${format}`)
    fs.writeFileSync(file, Buffer.from(text, 'latin1'))
    const { left, values } = readImport(readText(file), formatOf(file), file, /** @type {any} */ ({ declared: [] }))
    expect(left).toEqual([{ name: 'A_TOKEN', line: 1, why: expect.stringContaining('no UTF-8') }])
    expect(values.has('A_TOKEN')).toBe(false)
  }
})

test('an env file in UTF-16, as PowerShell writes it, has names', () => {
  const wide = () => Buffer.from('\ufeffA_B=x\r\n', 'utf16le')
  for (const bytes of [wide(), wide().swap16(), Buffer.from('\ufeffA_B=x\n')]) {
    fs.writeFileSync(path.join(directory, '.env.dev'), bytes)
    expect([...parse(readText(path.join(directory, '.env.dev')).replace(/^\ufeff/, ''))]).toEqual([['A_B', 'x']])
  }
})

onUnix('a working directory that is no more is no defect', async () => {
  const gone = path.join(directory, 'gone')
  const line = `mkdir ${gone}; cd ${gone}; rmdir ${gone}; exec ${process.execPath} ${require.resolve('../../cli')} list`
  const { status, stderr } = await cli.run(['-c', line], { command: ['sh'] })
  expect([status, stderr]).toEqual([4, 'error: the working directory does not exist any more\n'])
})

onUnix('init says which file it could not write', async () => {
  fs.rmSync(path.join(directory, '.git'), { recursive: true })
  execFileSync('git', ['init', '--quiet', '.'], { cwd: directory })
  fs.mkdirSync(path.join(directory, '.gitignore'))
  const { status, stderr } = await cli.run('init')
  expect([status, stderr]).toEqual([5, expect.stringMatching(/^error: \.gitignore could not be written \(EISDIR\)/)])
})

test('a file that is no audit log is called so, and not a torn one', async () => {
  for (const text of ['notes', 'notes\nof a meeting', 'notes\n']) {
    fs.writeFileSync(path.join(directory, 'notes.txt'), text)
    const { status, stdout } = await cli.run('audit verify notes.txt')
    expect([text, status, stdout]).toEqual([text, 1, expect.stringMatching(/^no audit log   .*notes\.txt\n/)])
    expect(stdout).toContain('the first line is not a record: this is no audit log, or its beginning was changed')
    expect(stdout).not.toMatch(/torn|tampered/)
  }
})
