'use strict'

// The types as a service's compiler sees them: every compiler from the oldest that is supported, `lib: ["es2022"]`, no
// types of Node.js, declarations checked as well.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { COMPILERS, library } = require('../../tools/compilers')
const { root, temporaryDirectory } = require('../support/files')

jest.setTimeout(60_000)

/** @type {string} */
let directory
beforeAll(() => {
  directory = temporaryDirectory('tcs-types-')
  const installed = path.join(directory, 'node_modules', 'tcs-secret-delivery')
  for (const name of ['package.json', 'index.d.ts', 'testing.d.ts', 'index.js', 'testing.js']) {
    fs.cpSync(path.join(root, name), path.join(installed, name))
  }
  fs.writeFileSync(path.join(directory, 'package.json'), '{ "type": "module" }')
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

const NODENEXT = { module: 'nodenext', moduleResolution: 'nodenext' }

/**
 * Compiles one file.
 *
 * @param {string} tsc
 * @param {string} text
 * @param {object} [options]
 * @returns {Promise<string[]>} The errors, one a line.
 */
async function compile(tsc, text, options = NODENEXT) {
  const project = fs.mkdtempSync(path.join(directory, 'project-'))
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    target: 'es2022',
    lib: ['es2022'],
    types: [],
    ...options,
  }
  fs.writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['service.ts'] }))
  fs.writeFileSync(path.join(project, 'service.ts'), text)
  const output = await new Promise((resolve) =>
    execFile(process.execPath, [tsc, '-p', project, '--pretty', 'false'], (_, stdout, stderr) =>
      resolve(stdout + stderr),
    ),
  )
  return output.split('\n').filter((line) => line !== '')
}

const IMPORT = `
import { SecretDelivery, SecretError, defineTools, type SecretDeliveryOptions, type Tools } from 'tcs-secret-delivery'
import { TestDelivery } from 'tcs-secret-delivery/testing'
declare const maybe: string | undefined
declare const orNull: number | null
declare const environment: Record<string, string | undefined>
`

/** What compiles. */
const SERVICE = `${IMPORT}
const constants = {
  environment: 'production',
  tools: { db: { secrets: { credentials: { json: ['username', 'password'], required: true } } }, slack: {} },
  aws: { region: 'eu-central-1', failoverRegions: ['eu-west-1', { region: 'eu-west-2' }] },
  runtime: { secretDirectories: ['/run/secrets', '/etc/secrets'] },
  cache: { ttlSeconds: 60, encryptionKeys: [{ id: 'a', key: 'x' }] },
  rotation: { policies: [{ secretType: 'a', rotationInterval: 7 }] },
} as const
const delivery = new SecretDelivery(constants)
export const value: Promise<string | null> = delivery.getToolSecret('db', 'credentials')
export const other: Promise<string | null> = delivery.getToolSecret('slack', 'anything')
export const plain: SecretDeliveryOptions = constants
export const declared = defineTools(constants.tools)
export const known: Tools = constants.tools
// @ts-expect-error not declared
void delivery.getToolSecret('db', 'credentialz')

new SecretDelivery({
  environment: null,
  tools: undefined,
  aws: { region: maybe, profile: null, timeoutMs: orNull, credentials: undefined, failoverRegions: null },
  envFile: undefined,
  runtime: { variables: environment, precedence: undefined },
  cache: { redis: { url: maybe, tls: null }, encryptionKeys: undefined, maxEntries: orNull },
  rotation: { hooks: { set: undefined, undo: null }, policies: undefined },
  audit: { path: maybe, sink: undefined, key: null },
  alerts: { latencySeconds: orNull },
  logLevel: undefined,
  logger: null,
})
void delivery.validateApplicationFunctionality({ names: ['A_B'] as const, phase: undefined, timeoutMs: undefined })
void delivery.validateToolSecrets('db', { otherEnvironments: ['test', 'staging'] as const })
void delivery.withSecret('db', 'credentials', async (secret) => secret.length, { timeoutMs: undefined, isAuthError: null })
void delivery.migration.plan({ names: ['A_B'] as const })

export class Closing { async [Symbol.asyncDispose]() { await delivery[Symbol.asyncDispose]() } }
export const test: SecretDelivery = new TestDelivery({ secrets: { slack: { bot: 'a', none: maybe } }, names: { SENDGRID: 'x' } })
export const text = (error: unknown) => (error instanceof SecretError ? error.code : null)
class NestLogger { log(message: unknown) { void message } warn(message: unknown) { void message } error(message: unknown) { void message } }
new SecretDelivery({ logger: new NestLogger() })
`

describe.each(Object.entries(COMPILERS))('TypeScript %s', (version, tsc) => {
  test('is that version', async () => {
    const printed = await new Promise((resolve) =>
      execFile(process.execPath, [tsc, '-v'], (_, stdout) => resolve(stdout)),
    )
    expect(printed).toMatch(new RegExp(`^Version ${version.replace('.', '\\.')}\\.`))
  })

  test.each([
    ['nodenext', NODENEXT],
    ['a bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ])('compiles a service for %s, without the types of Node.js', async (_, options) => {
    expect(await compile(tsc, SERVICE, options)).toEqual([])
  })

  test('compiles it together with the types of Node.js, which declare Symbol.asyncDispose as well', async () => {
    const typeRoots = [path.join(root, 'node_modules', '@types')]
    const options = { ...NODENEXT, types: ['node'], typeRoots, skipLibCheck: true, lib: ['es2022'] }
    expect(await compile(tsc, SERVICE, options)).toEqual([])
  })

  test('and with the library that has `await using`', async () => {
    // Since TypeScript 5.2.
    const lib = version === '5.0' ? ['es2022'] : ['es2022', 'esnext.disposable']
    const using =
      version === '5.0'
        ? ''
        : 'export const read = async () => { await using one = new SecretDelivery(); return one.environment }'
    expect(await compile(tsc, `${IMPORT}\n${using}`, { ...NODENEXT, lib })).toEqual([])
  })

  test('names the right rules where one is misspelt', async () => {
    const misspelt = {
      requird: 'true',
      patern: "'x'",
      minLenght: '3',
      Json: "['a']",
      rotationtype: "'x'",
      fase: "'tool'",
    }
    const tools = Object.entries(misspelt).map(
      ([rule, value]) => `{ db: { secrets: { a: { minLength: 8, ${rule}: ${value} } } } }`,
    )
    const uses = tools.flatMap((one, index) => [
      `defineTools(${one})`,
      `new SecretDelivery({ tools: ${one} })`,
      `new TestDelivery({ tools: ${one} })`,
      `const tools${index} = ${one} as const; defineTools(tools${index})`,
      `export const typed${index}: Tools = ${one}`,
    ])
    const from = IMPORT.split('\n').length
    const errors = await compile(tsc, IMPORT + uses.join('\n'))
    // An error has its first line and those that are indented below it.
    const whole = errors.join('\n').split(/\n(?=\S)/)
    const ofUse = (index) => whole.filter((error) => error.includes(`service.ts(${from + index},`))
    const rules = Object.keys(misspelt)
    for (const [index, use] of uses.entries()) {
      const rule = rules[Math.floor(index / 5)]
      // Where the type is given, the compiler's own words are clear.
      const words =
        index % 5 === 4
          ? `'${rule}' does not exist in type 'SecretSpec'`
          : `'${rule}' is not a rule; the rules are required, pattern, minLength, json, rotationType, rotate, phase, aws`
      expect([use, ofUse(index).join('\n')]).toEqual([use, expect.stringContaining(words)])
    }
  })

  test('names the right member where one of a tool is misspelt', async () => {
    const errors = await compile(tsc, `${IMPORT}defineTools({ github: { secrets: {}, secret: {} } })`)
    expect(errors.join('\n')).toContain("'secret' is not a member of a tool; there are 'secrets' and 'aws'")
  })
})

test('the list of rules in the text is that of SecretSpec', () => {
  const source = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8')
  const [, listed] = /type RuleNames = '(.+)'/.exec(source)
  const [, body] = /interface SecretSpec \{\n([^]*?)^\}/m.exec(source)
  expect(listed.split(', ')).toEqual([...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name))
})

describe('the documentation of the types', () => {
  const ts = library()
  const files = ['index.d.ts', 'testing.d.ts'].map((name) =>
    ts.createSourceFile(name, fs.readFileSync(path.join(root, name), 'utf8'), ts.ScriptTarget.Latest, true),
  )
  const isMember = (node) =>
    ts.isPropertySignature(node) ||
    ts.isMethodSignature(node) ||
    ts.isPropertyDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node)
  const isDeclaration = (node) =>
    ts.isInterfaceDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isFunctionDeclaration(node)

  /** Every declaration and every member at any depth: its path, and the text of its JSDoc. */
  const entries = []
  const visit = (node, place) => {
    let here = place
    if (isDeclaration(node) || isMember(node)) {
      here = [...(isDeclaration(node) ? [] : place), node.name?.getText() ?? 'constructor']
      // What a type asks of another type, as `T extends { secrets: infer S }`, is no member of anything.
      const isPattern = ts.isTypeLiteralNode(node.parent) && ts.isConditionalTypeNode(node.parent.parent)
      const text = ts
        .getJSDocCommentsAndTags(node)
        .filter(ts.isJSDoc)
        .map((one) => one.getText())
      // The standard library's own.
      if (!isPattern && here[0] !== 'SymbolConstructor') entries.push([here.join('.'), text.join('\n')])
    }
    ts.forEachChild(node, (child) => visit(child, here))
  }
  for (const file of files) visit(file, [])

  test('is there for each of them', () => {
    expect(entries.length).toBeGreaterThan(350)
    expect(entries.filter(([, text]) => !/\w{3}/.test(text)).map(([name]) => name)).toEqual([])
  })

  test('stands by itself: none sends the reader to another member for what it means', () => {
    const names = new Set(entries.flatMap(([name]) => [name, name.split('.').at(-1)]))
    const sendsOn = (text) =>
      [...text.matchAll(/(?<!\bsuch )\b(?:as|like|see) `([\w.]+)/gi)].some(([, name]) =>
        names.has(name.split('.').at(-1)),
      ) || /^\/\*\*\s*(?:\* )?(?:The same|Likewise|Ditto)\b/.test(text)
    expect(sendsOn('/** Reads it. @throws as `getToolSecret` */')).toBe(true)
    expect(sendsOn('/** The same in another format. */')).toBe(true)
    expect(entries.filter(([, text]) => sendsOn(text))).toEqual([])
  })
})
