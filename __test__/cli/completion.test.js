'use strict'

// Completion, in the shells themselves: a key press in an interactive bash and zsh, and what fish says it would offer.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { hasShell } = require('../support/shells')
const { until } = require('../support/until')
const { Cli } = require('../support/cli')
const { SCRIPTS } = require('../../cli/completions')

const inShell = (/** @type {'bash' | 'zsh' | 'fish'} */ shell) => (hasShell(shell) ? test : test.skip)

/** @type {string} */
let directory
/** @type {Cli} */
let cli
beforeAll(() => {
  directory = fs.realpathSync(temporaryDirectory('tcs-complete-'))
  fs.mkdirSync(path.join(directory, '.git'))
  cli = new Cli(directory)
  const tools = {
    github: { secrets: { api_token: {}, webhook_secret: {} } },
    '$(touch pwned)': { secrets: { 'a b': {} } },
  }
  fs.writeFileSync(path.join(directory, 'tcs-secrets.config.json'), JSON.stringify({ tools }))
  fs.writeFileSync(path.join(directory, 'server.js'), '')
  // The program under its name, as npm links it.
  fs.mkdirSync(path.join(directory, 'bin'))
  fs.symlinkSync(require.resolve('../../cli'), path.join(directory, 'bin', 'tcs-secrets'))
  cli.env.PATH = `${path.join(directory, 'bin')}:${path.dirname(process.execPath)}:${cli.env.PATH}`
  for (const [shell, script] of Object.entries(SCRIPTS))
    fs.writeFileSync(path.join(directory, `script.${shell}`), script)
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

/** @param {string[]} words */
async function offered(...words) {
  const { stdout, status } = await cli.run(['complete', '--', ...words])
  expect(status).toBe(0)
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t')[0])
}

test('offers commands, options, choices, tools, types and names', async () => {
  const found = await Promise.all([
    offered('ex'),
    offered('migrate', 'r'),
    offered('get', ''),
    offered('get', 'github', 'w'),
    offered('get', 'GITHUB_W'),
    offered('export', 'github', '--format', 'd'),
    offered('-e', 's'),
    offered('run', '--tool', 'g'),
    offered('run', '--o'),
    offered('--config', 'x', 'audit', ''),
    offered('run', '--only', 'g'),
  ])
  expect(found).toEqual([
    ['explain', 'export'],
    ['retire', 'rollback'],
    ['github', 'GITHUB_API_TOKEN', 'GITHUB_WEBHOOK_SECRET'],
    ['webhook_secret'],
    ['GITHUB_WEBHOOK_SECRET'],
    ['dotenv', 'docker'],
    ['staging', 'stage'],
    ['github'],
    ['--only'],
    ['verify', 'query', 'unused', 'compare', 'tail', 'help'],
    ['GITHUB_API_TOKEN', 'GITHUB_WEBHOOK_SECRET'],
  ])
})

test('leaves files to the shell, and says nothing where nothing may stand', async () => {
  const found = await Promise.all([
    offered('--config', ''),
    offered('run', '--', 'n'),
    offered('run', 'n'),
    offered('audit', 'tail', ''),
    offered('report', '--out', ''),
    offered('doctor', ''),
    offered('due', 'x'),
  ])
  expect(found).toEqual([[':files'], [':files'], [':files'], [':files'], [':files'], [], []])
})

test('runs no configuration that is code', async () => {
  const other = path.join(directory, 'code')
  fs.mkdirSync(path.join(other, '.git'), { recursive: true })
  fs.writeFileSync(
    path.join(other, 'tcs-secrets.config.mjs'),
    `import fs from 'node:fs'; fs.writeFileSync('ran', ''); export default {}`,
  )
  const { stdout, status } = await cli.run(['complete', '--', 'get', ''], { cwd: other })
  expect([status, stdout, fs.existsSync(path.join(other, 'ran'))]).toEqual([0, '', false])
})

test('completion prints the script of a shell, and refuses others', async () => {
  const printed = await Promise.all(Object.keys(SCRIPTS).map((shell) => cli.run(['completion', shell])))
  expect(printed.map(({ stdout }) => stdout)).toEqual(Object.values(SCRIPTS))
  expect((await cli.run('completion tcsh')).status).toBe(2)
})

/**
 * Types into an interactive shell, one line after the other is there.
 *
 * @param {string} shell
 * @param {[typed: string, shown: string][]} dialogue
 */
async function type(shell, dialogue) {
  const child = spawn('script', ['-qec', shell, '/dev/null'], { cwd: directory, env: { ...cli.env, TERM: 'dumb' } })
  let shown = ''
  child.stdout.on('data', (chunk) => (shown += chunk))
  try {
    for (const [typed, expected] of dialogue) {
      shown = ''
      child.stdin.write(typed)
      await until(`${expected} is shown`, () => shown.includes(expected))
    }
  } finally {
    child.kill('SIGKILL')
  }
}

/** Completions that have one answer are typed out; the function shows what the line has become. */
const SHOW = `tcs-secrets() { if [ "$1" = complete ]; then command tcs-secrets "$@"; else echo "line: $*."; fi; }`

inShell('bash')('Tab in bash', async () => {
  await type('bash --norc --noprofile -i', [
    [`${SHOW}; source ./script.bash; echo re""ady\n`, 'ready'],
    ['tcs-secrets expl\tGITHUB_A\t\n', 'line: explain GITHUB_API_TOKEN.'],
    ['tcs-secrets get githu\tweb\t\n', 'line: get github webhook_secret.'],
    ['tcs-secrets run -- node serv\t\n', 'line: run -- node server.js.'],
  ])
  expect(fs.existsSync(path.join(directory, 'pwned'))).toBe(false)
})

inShell('zsh')('Tab in zsh', async () => {
  await type('zsh -f -i', [
    [`autoload -Uz compinit; compinit -u -D; ${SHOW}; source ./script.zsh; echo re""ady\n`, 'ready'],
    ['tcs-secrets expl\tGITHUB_A\t\n', 'line: explain GITHUB_API_TOKEN.'],
    ['tcs-secrets get githu\tweb\t\n', 'line: get github webhook_secret.'],
    ['tcs-secrets run -- node serv\t\n', 'line: run -- node server.js.'],
  ])
  expect(fs.existsSync(path.join(directory, 'pwned'))).toBe(false)
})

inShell('fish')('what fish offers', async () => {
  const ask = async (/** @type {string} */ line) => {
    const script = `source ./script.fish; complete -C '${line}'`
    const { stdout } = await cli.run(['--no-config', '-c', script], { command: ['fish'] })
    return stdout.split('\n').filter((text) => text !== '')
  }
  expect(await ask('tcs-secrets expl')).toEqual(['explain\tshow which layer answers for a secret, and why'])
  expect(await ask('tcs-secrets get github w')).toEqual(['webhook_secret\tGITHUB_WEBHOOK_SECRET'])
  expect(await ask('tcs-secrets run -- serv')).toEqual(['server.js'])
})
