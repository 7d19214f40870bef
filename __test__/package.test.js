'use strict'

// The packed package, installed into a strict TypeScript service by npm, as its users do it.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { pack } = require('../scripts/package')
const { AwsEndpoint, root, temporaryDirectory } = require('../scripts/servers')

jest.setTimeout(180_000)

const tool = (name) => path.join(root, 'node_modules', ...name.split('/'))
/** @type {AwsEndpoint} */
let aws
/** @type {string} */
let service
/** @type {{ main: string, platform: string, platformPackage: string }} */
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

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  await aws.put({ GITHUB_API_TOKEN_production: 'from-aws' })
  packed = pack(temporaryDirectory('tcs-package-'))
  service = temporaryDirectory('tcs-service-')
  fs.cpSync(path.join(__dirname, 'fixtures', 'typescript-service'), service, { recursive: true })
  // Both tarballs at once, since neither is in a registry; the other platforms' packages are optional, so npm goes on
  // without them. No network, so the one dependency comes from here as well.
  const args = ['install', '--no-audit', '--no-fund', '--offline', '--loglevel=error', packed.platform, packed.main]
  args.push(dependency('commander'))
  const { status, output } = run('npm', args, { shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(output)
})
afterAll(async () => {
  await aws?.stop()
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
    'native.js',
    'package.json',
    'tcs-secrets.schema.json',
    'testing.d.ts',
    'testing.js',
  ])
  const platform = fs.readdirSync(path.join(service, 'node_modules', packed.platformPackage)).sort()
  expect(platform).toEqual(['README.md', 'package.json', expect.stringMatching(/\.node$/)])
  const { dependencies, optionalDependencies, scripts } = JSON.parse(
    fs.readFileSync(path.join(service, 'node_modules', 'tcs-secret-delivery', 'package.json'), 'utf8'),
  )
  expect([Object.keys(dependencies), scripts]).toEqual([['commander'], undefined])
  expect(Object.keys(optionalDependencies)).toHaveLength(8)
})

test('a strict service compiles with it as CommonJS and as an ES module, and runs', () => {
  expect(node(path.join(tool('typescript'), 'bin', 'tsc'), '-p', '.', '--typeRoots', tool('@types'))).toEqual({
    status: 0,
    output: '',
  })
  const env = { TCS_TEST_AWS: aws.url }
  for (const entry of ['dist/common.cjs', 'dist/module.mjs']) {
    const { status, output } = run(process.execPath, [entry], { env })
    expect([entry, status, output.trim()]).toEqual([entry, 0, 'from-aws'])
  }
})

test('the command line writes a configuration and reads a first secret', () => {
  const empty = path.join(service, 'empty')
  fs.mkdirSync(path.join(empty, '.git'), { recursive: true })
  const bin = (...args) =>
    run('npx', ['--offline', 'tcs-secrets', ...args], { cwd: empty, shell: process.platform === 'win32' })
  expect(bin('init').status).toBe(0)
  const schema = path.join('node_modules', 'tcs-secret-delivery', 'tcs-secrets.schema.json')
  expect(fs.readFileSync(path.join(empty, 'tcs-secrets.config.json'), 'utf8')).toContain(schema.replaceAll('\\', '/'))
  expect(fs.existsSync(path.join(service, schema))).toBe(true)
  expect(bin('get', 'github', 'api_token', '-e', 'dev', '--reveal')).toEqual({
    status: 0,
    output: 'put-a-development-token-here',
  })
})

test("the service's own Jest tests pass", () => {
  const args = [
    path.join(tool('jest'), 'bin', 'jest.js'),
    '--ci',
    '--rootDir',
    service,
    '--testMatch',
    '**/dist/*.spec.cjs',
  ]
  const { status, output } = run(process.execPath, args, { env: { TCS_TEST_AWS: aws.url } })
  expect(output).toContain('1 passed')
  expect(status).toBe(0)
})

test('publint and arethetypeswrong find nothing', () => {
  const publint = node(path.join(tool('publint'), 'src', 'cli.js'), '--strict', packed.main)
  expect(publint.output).toContain('All good!')
  const attw = node(path.join(tool('@arethetypeswrong/cli'), 'dist', 'index.js'), packed.main, '--no-color')
  expect(attw.output).toContain('No problems found')
  expect([publint.status, attw.status]).toEqual([0, 0])
})

test('without the platform package the error says what is missing and how to get it', () => {
  const there = path.join(service, 'node_modules', packed.platformPackage)
  fs.renameSync(there, `${there}-away`)
  try {
    const { status, output } = node('-e', "require('tcs-secret-delivery')")
    expect(status).not.toBe(0)
    expect(output).toContain(`no binary for ${process.platform}-${process.arch}`)
    expect(output).toContain(`npm install ${packed.platformPackage}@`)
    const overridden = run(process.execPath, ['-e', "require('tcs-secret-delivery')"], {
      env: { NAPI_RS_NATIVE_LIBRARY_PATH: '/no/such/file.node' },
    })
    expect(overridden.output).toContain("NAPI_RS_NATIVE_LIBRARY_PATH names '/no/such/file.node'")
  } finally {
    fs.renameSync(`${there}-away`, there)
  }
})
