'use strict'

// The fake timers of Jest and of Vitest, whenever they are installed: reads, `withSecret`, checks with a deadline and
// `close()` go on in real time.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const bundlers = require('../../tools/bundlers')
const { installed } = require('../../tools/runtimes')
const { root } = require('../support/files')

jest.setTimeout(120_000)

const binary = path.join(
  root,
  fs.readdirSync(root).find((name) => name.endsWith('.node')),
)

/** Everything that waits. It is put into the tests of a service; `expect` is the runner's. */
const USES = `
async function uses() {
  const delivery = new TestDelivery({ secrets: { slack: { bot_token: 'old', other: 'x' } } })
  const names = Array.from({ length: 300 }, (_, index) => 'A_' + index)
  expect((await Promise.all(names.map((name) => delivery.getSecret(name)))).every((value) => value === null)).toBe(true)
  const refused = Object.assign(new Error('no'), { status: 401 })
  // No value is accepted: it looks several times, with pauses, and gives up.
  let looks = 0
  const error = await delivery
    .withSecret('slack', 'bot_token', async () => { looks++; throw refused }, { timeoutMs: 300 })
    .catch((reason) => reason)
  expect(error).toBe(refused)
  expect(looks).toBeGreaterThan(0)
  // A value that is there only later is found.
  setReal(() => delivery.setToolSecret('slack', 'other', 'new'), 150)
  const found = await delivery.withSecret('slack', 'other', async (secret) => { if (secret !== 'new') throw refused; return secret }, { timeoutMs: 5000 })
  expect(found).toBe('new')
  const { checks } = await delivery.validateApplicationFunctionality({ checks: { hangs: () => new Promise(() => {}), passes() {} }, timeoutMs: 50 })
  expect(checks.map(({ passed }) => passed)).toEqual([false, true])
  await delivery.close()
  const closing = new TestDelivery({ secrets: { slack: { bot_token: 'old' } } })
  const waiting = closing.withSecret('slack', 'bot_token', async () => { throw refused }, { timeoutMs: 60000 }).catch(({ code }) => code)
  await new Promise((resolve) => setReal(resolve, 50))
  await closing.close()
  expect(await waiting).toBe('CLOSED')
}
`

/** @type {string} */
let project
beforeAll(() => {
  project = bundlers.project()
  const installed = path.join(project, 'node_modules', 'tcs-secret-delivery')
  for (const name of ['index.js', 'testing.js', 'lib', 'package.json']) {
    fs.cpSync(path.join(root, name), path.join(installed, name), { recursive: true })
  }
})
afterAll(() => fs.rmSync(project, { recursive: true }))

/** @param {string} name @param {string} text */
function write(name, text) {
  fs.mkdirSync(path.dirname(path.join(project, name)), { recursive: true })
  fs.writeFileSync(path.join(project, name), text)
}

async function run(command, args) {
  const child = spawn(command, args, {
    cwd: project,
    env: { PATH: process.env.PATH, CI: '1', NO_COLOR: '1', TCS_SECRET_DELIVERY_BINARY: binary },
    timeout: 60_000,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
  const [status] = await once(child, 'close')
  return { status, output }
}

describe('Jest', () => {
  const jestRun = (name, config = {}) => {
    const own = { rootDir: project, testEnvironment: 'node', testMatch: [`**/${name}`], ...config }
    return run(process.execPath, [
      path.join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
      '--ci',
      '--config',
      JSON.stringify(own),
    ])
  }
  const HEAD = `
    const setReal = require('node:timers').setTimeout
    const { TestDelivery } = require('tcs-secret-delivery/testing')
    ${USES}`

  test.each([
    ['that are real', `test('it', uses)`, {}],
    ['that are faked in the test', `test('it', async () => { jest.useFakeTimers(); await uses() })`, {}],
    ['that are faked before the package is loaded', `test('it', uses)`, { fakeTimers: { enableGlobally: true } }],
    [
      'of the older kind',
      `test('it', async () => { jest.useFakeTimers({ legacyFakeTimers: true }); await uses() })`,
      {},
    ],
    [
      'of the older kind, everywhere',
      `test('it', uses)`,
      { fakeTimers: { enableGlobally: true, legacyFakeTimers: true } },
    ],
  ])('timers %s', async (name, body, config) => {
    const file = `${name.replaceAll(/\W+/g, '-')}.test.js`
    write(file, HEAD + body)
    const { status, output } = await jestRun(file, config)
    expect([status, output]).toEqual([0, expect.stringContaining('1 passed')])
  })
})

describe('Vitest', () => {
  const command = installed().find(({ name }) => name === 'Node.js 24')?.command ?? process.execPath
  const vitest = (name, ...args) =>
    run(command, [bundlers.script('vitest'), 'run', '--root', path.join(project, 'vitest'), ...args, name])

  test.each([
    [
      'in the test',
      `import { TestDelivery } from 'tcs-secret-delivery/testing'\ntest('it', async () => { vi.useFakeTimers(); await uses() })`,
    ],
    [
      'before the package is loaded',
      `vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'setInterval', 'queueMicrotask', 'performance', 'Date'] })\nconst { TestDelivery } = await import('tcs-secret-delivery/testing')\ntest('it', uses)`,
    ],
  ])('timers that are faked %s', async (name, body) => {
    const file = `${name.replaceAll(' ', '-')}.test.mjs`
    write(
      path.join('vitest', file),
      `import { test, vi, expect } from 'vitest'\nimport timers from 'node:timers'\nconst setReal = timers.setTimeout\n${body.replace("test('it'", `${USES}\ntest('it'`)}`,
    )
    for (const pool of ['forks', 'threads']) {
      const { status, output } = await vitest(file, '--pool', pool)
      expect([pool, status, output]).toEqual([pool, 0, expect.stringContaining('1 passed')])
    }
  })
})

test('@sinonjs/fake-timers, which also replaces what node:timers has, before the package is loaded', async () => {
  const file = path.join(project, 'sinon.cjs')
  const sinon = require.resolve('@sinonjs/fake-timers', { paths: [require.resolve('jest')] })
  fs.writeFileSync(
    file,
    `
    const setReal = require('node:timers').setTimeout
    const expect = (got) => {
      const check = (holds, wanted) => { if (!holds) throw new Error(JSON.stringify([got, wanted])) }
      return {
        toBe: (wanted) => check(got === wanted, wanted),
        toEqual: (wanted) => check(JSON.stringify(got) === JSON.stringify(wanted), wanted),
        toBeGreaterThan: (wanted) => check(got > wanted, wanted),
      }
    }
    require(${JSON.stringify(sinon)}).install()
    if (require('node:timers').setTimeout === setReal) throw new Error('node:timers is not faked')
    const { TestDelivery } = require('tcs-secret-delivery/testing')
    ${USES}
    uses().then(() => console.log('done'), (error) => { console.error(error); process.exitCode = 1 })`,
  )
  const { status, output } = await run(process.execPath, [file])
  expect([status, output]).toEqual([0, 'done\n'])
})

test.each(['before', 'after'])(
  '@sinonjs/fake-timers, installed %s the package is loaded, stops no clock of it',
  async (order) => {
    const file = path.join(project, `clock-${order}.cjs`)
    const sinon = require.resolve('@sinonjs/fake-timers', { paths: [require.resolve('jest')] })
    const lines = [
      `require(${JSON.stringify(sinon)}).install()`,
      `const { now } = require(${JSON.stringify(path.join(root, 'lib/real-time.js'))})`,
    ]
    fs.writeFileSync(
      file,
      `
    ${(order === 'before' ? lines : lines.reverse()).join('\n')}
    if (performance.now() !== 0) throw new Error('performance is not faked')
    const begun = now()
    let turns = 0
    while (now() === begun) if (++turns > 1e8) throw new Error('it stands still')
    console.log('done')`,
    )
    const { status, output } = await run(process.execPath, [file])
    expect([status, output]).toEqual([0, 'done\n'])
  },
)
