'use strict'

// `tcs-secrets.config.ts` by every supported Node.js: used by those that can import TypeScript, and with the rest a message that
// says what to do. For `SecretDelivery.open()` and for the command line alike.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { addonVariable } = require('../support/addon')
const { root, temporaryDirectory } = require('../support/files')
const { ALL } = require('../../tools/runtimes/list')
// tools/needs.js installs the runtimes for suites that import this.
require('../../tools/runtimes')

jest.setTimeout(60_000)

const CONFIG = 'tcs-secrets.config.ts'
const service = `
const { SecretDelivery } = require(${JSON.stringify(root)})
SecretDelivery.open().then(
  async (delivery) => {
    console.log(JSON.stringify({ value: await delivery.getToolSecret('t', 'a'), environment: delivery.environment }))
    await delivery.close()
  },
  ({ code, message }) => console.log(JSON.stringify({ code, message })),
)`
const typed = `import { names } from './names.ts'
import type { SecretDeliveryOptions } from 'tcs-secret-delivery'

const secrets: Record<string, object> = Object.fromEntries(names.map((name: string) => [name, {}]))
export default {
  environment: 'development',
  aws: { enabled: false },
  tools: { t: { secrets } },
} satisfies SecretDeliveryOptions
`

/** @type {string} */
let directory
beforeEach(() => {
  directory = temporaryDirectory()
  fs.writeFileSync(path.join(directory, '.env.dev'), 'T_A=value\n', { mode: 0o600 })
  fs.writeFileSync(path.join(directory, 'names.ts'), "export const names: string[] = ['a']\n")
})
afterEach(() => fs.rmSync(directory, { recursive: true }))

describe.each(ALL.filter(({ name }) => name.startsWith('Node.js')))('$name', ({ command, name }) => {
  const canImport = Number(name.split(' ')[1]) >= 22
  const run = (/** @type {string[]} */ ...args) => {
    const env = { PATH: process.env.PATH, HOME: directory, NO_COLOR: '1', ...addonVariable() }
    const { stdout, stderr } = spawnSync(command, args, { cwd: directory, env, encoding: 'utf8', timeout: 25_000 })
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout)
  }
  const open = () => run('-e', service)
  const list = () => run(path.join(root, 'cli', 'index.js'), 'list', '--json')
  const write = (/** @type {string} */ text) => fs.writeFileSync(path.join(directory, CONFIG), text)

  test.each(['commonjs', 'module'])('in a package of the type %s', (type) => {
    fs.writeFileSync(path.join(directory, 'package.json'), JSON.stringify({ type }))
    write(typed)
    if (canImport) {
      expect(open()).toEqual({ value: 'value', environment: 'development' })
      expect(JSON.stringify(list())).toContain('"T_A"')
      return
    }
    for (const error of [open(), list().error]) {
      expect(error).toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(
          /tcs-secrets\.config\.ts: Node v\d+\S* cannot import TypeScript\. Use Node 22\.18/,
        ),
      })
    }
  })

  test.each([
    [
      'that has what only a compiler can take away',
      'enum A { B }\nexport default { tools: { t: { secrets: { a: {} } } } }',
    ],
    ['that is no program', 'export default {{{'],
    ['that throws', "throw new TypeError('first')"],
    ['that exports nothing', 'export const a: number = 1'],
    ['that exports no object', 'export default 5'],
  ])('one %s is named', (_, text) => {
    write(text)
    for (const error of [open(), list().error]) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(CONFIG) })
      expect(error.message).not.toMatch(/\n/)
    }
  })
})
