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
  // without them. No network, so the dependencies come from here as well.
  const args = ['install', '--no-audit', '--no-fund', '--offline', '--loglevel=error']
  args.push(...Object.values(packed.platforms), packed.main, dependency('commander'), dependency('yaml'))
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
    'SECURITY.md',
    'cli',
    'docs',
    'examples',
    'index.d.ts',
    'index.js',
    'lib',
    'ops',
    'package.json',
    'rotation.d.ts',
    'rotation.js',
    'tcs-secrets.schema.json',
    'testing.d.ts',
    'testing.js',
  ])
  for (const name of Object.keys(packed.platforms)) {
    const platform = fs.readdirSync(path.join(service, 'node_modules', name)).sort()
    expect(platform).toEqual([
      'LICENSE',
      'README.md',
      'THIRD-PARTY-LICENSES',
      'package.json',
      expect.stringMatching(/\.node$/),
      'webpack.mjs',
    ])
  }
  const { dependencies, optionalDependencies, scripts } = JSON.parse(
    fs.readFileSync(path.join(service, 'node_modules', 'tcs-secret-delivery', 'package.json'), 'utf8'),
  )
  expect([Object.keys(dependencies), scripts]).toEqual([['commander', 'yaml'], undefined])
  expect(Object.keys(optionalDependencies)).toHaveLength(8)
})

/** A folder of an installed package. @param {string[]} names */
const installedAt = (...names) => path.join(service, 'node_modules', ...names)
const manifestOf = (name) => JSON.parse(fs.readFileSync(installedAt(name, 'package.json'), 'utf8'))

test('every package says where its source, its page and its bugs are', () => {
  for (const name of ['tcs-secret-delivery', ...Object.keys(packed.platforms)]) {
    const { repository, homepage, bugs } = manifestOf(name)
    expect([name, repository.type, repository.url]).toEqual([
      name,
      'git',
      expect.stringMatching(/^git\+https:\/\/[\w.]+\/[\w-]+\/[\w-]+\.git$/),
    ])
    const page = repository.url.replace(/^git\+|\.git$/g, '')
    expect([homepage, bugs.url]).toEqual([`${page}#readme`, `${page}/issues`])
  }
})

test('no link of a packed page is dead, and those that leave the package lead to the tag of this version', () => {
  const main = installedAt('tcs-secret-delivery')
  const { repository, version } = manifestOf('tcs-secret-delivery')
  const outside = `${repository.url.replace(/^git\+|\.git$/g, '')}/blob/v${version}/`
  const pages = fs.readdirSync(main, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
  expect(pages).toEqual(
    expect.arrayContaining(['README.md', path.join('docs', 'migration.md'), path.join('docs', 'bundlers.md')]),
  )
  const dead = []
  let left = 0
  for (const page of pages) {
    const text = fs
      .readFileSync(path.join(main, page), 'utf8')
      .replace(/^```[^]*?^```$/gm, '')
      .replace(/`[^`\n]*`/g, '')
    const links = [...text.matchAll(/\]\(<?([^)\s>]+)>?\)/g), ...text.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(
      ([, link]) => link,
    )
    for (const link of links) {
      const [target] = link.split('#')
      if (link.startsWith(outside)) {
        left++
        if (!fs.existsSync(path.join(root, target.slice(outside.length)))) dead.push([page, link])
      } else if (target !== '' && !/^\w+:/.test(target)) {
        const file = path.resolve(main, path.dirname(page), target)
        if (!file.startsWith(main + path.sep) || !fs.existsSync(file)) dead.push([page, link])
      }
    }
  }
  expect(dead).toEqual([])
  // The README links to what contributors read, which is not packed.
  expect(left).toBeGreaterThan(1)
})

test('what the command line names in its help is in the package', () => {
  const help = node(installedAt('tcs-secret-delivery', 'cli', 'index.js'), 'migrate', '--help')
  const named = [...help.output.matchAll(/[\w./-]+\.md/g)].map(([name]) => name)
  expect(help.status).toBe(0)
  expect(named.filter((name) => !fs.existsSync(installedAt('tcs-secret-delivery', name)))).toEqual([])
})

test("npx runs the command line by the package's own name, without asking a registry", () => {
  const { bin, version } = manifestOf('tcs-secret-delivery')
  expect(bin['tcs-secret-delivery']).toBe(bin['tcs-secrets'])
  for (const name of Object.keys(bin)) {
    const shell = process.platform === 'win32'
    // A registry that nobody answers at.
    const env = { npm_config_registry: 'http://127.0.0.1:9', npm_config_fetch_retries: '0' }
    const { status, output } = run('npx', ['--no-install', name, '--version'], { shell, env })
    expect([name, status, output.trim()]).toEqual([name, 0, version])
  }
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
