'use strict'

// Every package manager installs the package into an empty service, which then compiles, runs and passes its own tests.
// No compiler of Rust is there, and nothing runs at installation.

const { randomBytes } = require('node:crypto')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { program } = require('../../tools/runtimes')
const { root, temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Registry } = require('../support/servers/registry')

/** Of the service's audit log: production warns where it has none. */
const AUDIT_KEY = randomBytes(32).toString('base64')

jest.setTimeout(120_000)

const SECRET_DELIVERY = 'tcs-secret-delivery'
const tool = (...names) => path.join(root, 'node_modules', ...names)
const TYPESCRIPT_7 = tool('typescript', 'bin', 'tsc')
// It needs a core for seconds: once for each way to lay out node_modules.
const TYPESCRIPT_5 = program('typescript', 'bin', 'tsc')
const compilers = (manager) =>
  ['npm 10', 'pnpm 10'].includes(manager)
    ? [
        ['5', TYPESCRIPT_5],
        ['7', TYPESCRIPT_7],
      ]
    : [['7', TYPESCRIPT_7]]

/** @type {[AwsEndpoint, Registry]} */
let servers
beforeAll(async () => {
  servers = await Promise.all([AwsEndpoint.start(), Registry.start()])
  await servers[0].put({ GITHUB_API_TOKEN_production: 'from-aws' })
})
afterAll(() => Promise.all(servers?.map((server) => server.stop()) ?? []))

/** Runs Node, as `run` does. */
const node = (home, service, ...args) => run(home, service, process.execPath, ...args)

/** Runs a program with nothing but what `home` has in `bin` on the path, and nothing of the user's configuration. */
async function run(home, service, command, ...args) {
  const env = {
    PATH: path.join(home, 'bin'),
    HOME: home,
    TCS_TEST_AWS: servers[0].url,
    TCS_AUDIT_KEY: AUDIT_KEY,
  }
  const child = spawn(command, args, {
    cwd: service,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 100_000,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
  const status = await new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
  return { status, output }
}

const yarnOptions = (linker) =>
  `npmRegistryServer: ${servers[1].url}\nunsafeHttpWhitelist: [127.0.0.1]\nnodeLinker: ${linker}\nenableTelemetry: false\n`

const script = (...names) => [process.execPath, program(...names)]

describe.each([
  ['npm 10', [...script('npm10', 'bin', 'npm-cli.js'), 'install']],
  ['npm 11', [...script('npm11', 'bin', 'npm-cli.js'), 'install']],
  ['pnpm 10', [...script('pnpm10', 'bin', 'pnpm.cjs'), 'add']],
  // No longer a script.
  ['pnpm 12', [program(`pnpm12-${process.arch}`, 'pnpm'), 'add']],
  ['Yarn 1', [...script('yarn1', 'bin', 'yarn.js'), 'add', '--no-progress']],
  ['Yarn 4', [...script('yarn4', 'bin', 'yarn.js'), 'add']],
])('%s', (name, command) => {
  /** @type {string} */
  let home
  /** @type {string} */
  let service

  beforeAll(async () => {
    home = temporaryDirectory('tcs-install-')
    service = path.join(home, 'service')
    fs.cpSync(path.join(__dirname, '..', 'fixtures', 'typescript-service'), service, { recursive: true })
    fs.mkdirSync(path.join(home, 'bin'))
    for (const [link, target] of [
      ['node', process.execPath],
      ['sh', '/bin/sh'],
    ]) {
      fs.symlinkSync(target, path.join(home, 'bin', link))
    }
    const { url } = servers[1]
    fs.writeFileSync(path.join(service, '.npmrc'), `registry=${url}\n`)
    fs.writeFileSync(path.join(service, '.yarnrc.yml'), yarnOptions('node-modules'))
    servers[1].downloaded.length = 0
    const { status, output } = await run(home, service, ...command, SECRET_DELIVERY)
    if (status !== 0) throw new Error(`${name}: ${output}`)
  })
  afterAll(() => fs.rmSync(home, { recursive: true }))

  test('brings the binary of this platform and of no other, and runs nothing', () => {
    const own = `${SECRET_DELIVERY}-linux-${process.arch}-gnu`
    const installed = [...new Set(manifests(path.join(service, 'node_modules')).map(packageName))].sort()
    if (name === 'Yarn 1') {
      // It downloads everything, and does not know that packages can be for one C library; the loader does.
      expect(installed).toEqual(['commander', SECRET_DELIVERY, own, own.replace('gnu', 'musl'), 'yaml'].sort())
    } else {
      expect(installed).toEqual(['commander', SECRET_DELIVERY, own, 'yaml'].sort())
      expect([...new Set(servers[1].downloaded)].sort()).toEqual(installed)
    }
    for (const manifest of manifests(path.join(service, 'node_modules'))) {
      const { scripts = {} } = JSON.parse(fs.readFileSync(manifest, 'utf8'))
      expect(Object.keys(scripts).filter((script) => /^(pre|post)?install$|^prepare$/.test(script))).toEqual([])
    }
  })

  test.each(compilers(name))(
    'compiles under --strict with TypeScript %s, and runs as CommonJS and as an ES module',
    async (_, tsc) => {
      fs.rmSync(path.join(service, 'dist'), { recursive: true, force: true })
      const compiled = await node(home, service, tsc, '-p', '.', '--typeRoots', tool('@types'))
      expect(compiled).toEqual({ status: 0, output: '' })
      for (const entry of ['dist/common.cjs', 'dist/module.mjs']) {
        expect([entry, await node(home, service, entry)]).toEqual([entry, { status: 0, output: 'from-aws\n' }])
      }
    },
  )

  test("the service's own Jest tests pass", async () => {
    const jest = tool('jest', 'bin', 'jest.js')
    const { status, output } = await node(
      home,
      service,
      jest,
      '--ci',
      '--rootDir',
      service,
      '--testMatch',
      '**/dist/*.spec.cjs',
    )
    expect(output).toContain('1 passed')
    expect(status).toBe(0)
  })
})

test('Yarn 4 without node_modules finds the binary outside of its archives', async () => {
  const service = temporaryDirectory('tcs-pnp-')
  fs.writeFileSync(path.join(service, 'package.json'), '{ "name": "service" }')
  fs.writeFileSync(path.join(service, '.yarnrc.yml'), yarnOptions('pnp'))
  fs.writeFileSync(path.join(service, '.env.dev'), 'GITHUB_API_TOKEN=from-the-file\n')
  fs.mkdirSync(path.join(service, 'bin'))
  try {
    const { status, output } = await node(service, service, program('yarn4', 'bin', 'yarn.js'), 'add', SECRET_DELIVERY)
    expect([status, output]).toEqual([0, expect.stringContaining('Done')])
    const read = `
      const { SecretDelivery } = require('tcs-secret-delivery')
      new SecretDelivery({ environment: 'dev', aws: { enabled: false } }).getToolSecret('github', 'api_token').then(console.log)`
    const answer = await node(service, service, '-r', './.pnp.cjs', '-e', read)
    expect(answer).toEqual({ status: 0, output: 'from-the-file\n' })
    expect(fs.existsSync(path.join(service, 'node_modules'))).toBe(false)
  } finally {
    fs.rmSync(service, { recursive: true })
  }
})

const packageName = (manifest) => path.basename(path.dirname(manifest))

/** The manifests of this package's packages, wherever a package manager puts them. */
function manifests(modules) {
  const found = fs
    .readdirSync(modules, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|[/\\])(tcs-secret-delivery[\w-]*|commander|yaml)[/\\]package\.json$/.test(name))
    .map((name) => path.join(modules, name))
  if (found.length < 3) throw new Error(`only ${found.length} packages in ${modules}`)
  return found
}
