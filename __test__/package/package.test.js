'use strict'

// What is packed: its files, and what a user has after installing the tarballs. install.test.js has the package managers.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { MOST_MIB, pack } = require('../../tools/release/package')
const { root, temporaryDirectory } = require('../support/files')

jest.setTimeout(180_000)

const tool = (name) => path.join(root, 'node_modules', ...name.split('/'))
/** @type {string} */
let service
/** @type {{ main: string, platforms: Record<string, string> }} */
let packed

function run(command, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: service,
    encoding: 'utf8',
    timeout: 170_000,
    ...options,
    env: { ...process.env, ...options.env },
  })
  return { status, output: `${stdout}${stderr}` }
}

/** A tarball of an installed package. @param {string} name */
function dependency(name) {
  const args = ['pack', tool(name), '--pack-destination', path.dirname(packed.main), '--loglevel=error', '--json']
  const { stdout } = spawnSync('npm', args, { encoding: 'utf8', shell: process.platform === 'win32' })
  const printed = JSON.parse(stdout)
  // An array before npm 12, an object by name since.
  const { filename } = Array.isArray(printed) ? printed[0] : printed[name]
  return path.join(path.dirname(packed.main), filename)
}

const node = (...args) => run(process.execPath, args)

/** Whether the addon is what `npm run build:debug` made; no other build is excused, and none where `CI` is set. */
function isDebug() {
  if (process.env.CI) return false
  const library = { darwin: 'libtcs_secret_delivery.dylib', win32: 'tcs_secret_delivery.dll' }[process.platform]
  const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')
  const made = path.join(target, 'debug', library ?? 'libtcs_secret_delivery.so')
  if (!fs.existsSync(made)) return false
  const { size } = fs.statSync(made)
  return fs.readdirSync(root).some((name) => name.endsWith('.node') && fs.statSync(path.join(root, name)).size === size)
}

beforeAll(() => {
  packed = pack(temporaryDirectory('tcs-package-'))
  service = temporaryDirectory('tcs-service-')
  fs.writeFileSync(path.join(service, 'package.json'), '{ "private": true }')
  // All tarballs at once, since none is in a registry; the other platforms' packages are optional, so npm goes on
  // without them. No network, so the one dependency comes from here as well.
  const args = ['install', '--no-audit', '--no-fund', '--offline', '--loglevel=error']
  args.push(...Object.values(packed.platforms), packed.main, dependency('commander'))
  const { status, output } = run('npm', args, { shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(output)
})
afterAll(() => {
  for (const directory of [service, path.dirname(packed.main)]) fs.rmSync(directory, { recursive: true })
})

test('installs with nothing to compile and nothing but what is published', () => {
  const installed = fs.readdirSync(path.join(service, 'node_modules', 'tcs-secret-delivery')).sort()
  expect(installed).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'cli',
    'index.d.ts',
    'index.js',
    'lib',
    'package.json',
    'tcs-secrets.schema.json',
    'testing.d.ts',
    'testing.js',
  ])
  for (const name of Object.keys(packed.platforms)) {
    const platform = fs.readdirSync(path.join(service, 'node_modules', name)).sort()
    expect(platform).toEqual(['LICENSE', 'README.md', 'package.json', expect.stringMatching(/\.node$/), 'webpack.mjs'])
  }
  const { dependencies, optionalDependencies, scripts } = JSON.parse(
    fs.readFileSync(path.join(service, 'node_modules', 'tcs-secret-delivery', 'package.json'), 'utf8'),
  )
  expect([Object.keys(dependencies), scripts]).toEqual([['commander'], undefined])
  expect(Object.keys(optionalDependencies)).toHaveLength(8)
})

const debug = isDebug()
;(debug ? test.skip : test)(
  `a platform package has less than ${MOST_MIB} MiB when it is installed${debug ? ': not of a debug build' : ''}`,
  () => {
    for (const name of Object.keys(packed.platforms)) {
      const directory = path.join(service, 'node_modules', name)
      const files = fs.readdirSync(directory).map((file) => fs.statSync(path.join(directory, file)).size)
      expect(files.reduce((sum, size) => sum + size)).toBeLessThan(MOST_MIB * 2 ** 20)
    }
  },
)

test('the README gets a newcomer to a first secret', () => {
  const empty = path.join(service, 'empty')
  fs.mkdirSync(path.join(empty, '.git'), { recursive: true })
  const section = /^## Install\n[^]*?^```sh\n([^]*?)^```$/m.exec(fs.readFileSync(path.join(root, 'README.md'), 'utf8'))
  const [install, ...commands] = section[1].trim().split('\n')
  expect(install).toBe('npm install tcs-secret-delivery')
  const results = commands.map((line) => {
    const [npx, ...args] = line.replace(/ +#.*/, '').split(/ +/)
    expect(npx).toBe('npx')
    return run(npx, ['--offline', ...args], { cwd: empty, shell: process.platform === 'win32' })
  })
  expect(results.map(({ status }) => status)).toEqual([0, 0])
  expect(results.at(-1).output).toBe('put-a-development-token-here')
  const schema = path.join('node_modules', 'tcs-secret-delivery', 'tcs-secrets.schema.json')
  expect(fs.readFileSync(path.join(empty, 'tcs-secrets.config.json'), 'utf8')).toContain(schema.replaceAll('\\', '/'))
  expect(fs.existsSync(path.join(service, schema))).toBe(true)
})

test('publint and arethetypeswrong find nothing', () => {
  const publint = node(path.join(tool('publint'), 'src', 'cli.js'), '--strict', packed.main)
  expect(publint.output).toContain('All good!')
  const attw = node(path.join(tool('@arethetypeswrong/cli'), 'dist', 'index.js'), packed.main, '--no-color')
  expect(attw.output).toContain('No problems found')
  expect([publint.status, attw.status]).toEqual([0, 0])
})
