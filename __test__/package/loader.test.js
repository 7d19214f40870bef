'use strict'

// What happens when the binary is missing, is not the right one, or lies where loaders stumble. Each test has an
// installation of its own, under a path with spaces and letters beyond ASCII.

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { root, temporaryDirectory } = require('../support/files')
const { unprivileged } = require('../support/unprivileged')

const binary = fs.readdirSync(root).find((name) => name.endsWith('.node'))
const suffix = binary.slice('tcs-secret-delivery.'.length, -'.node'.length)
const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
const linux = process.platform === 'linux'

/** @type {string} */
let directory
beforeEach(() => {
  directory = path.join(temporaryDirectory(), 'a service – Ämter 漢字')
  install(path.join(directory, 'node_modules'))
  fs.writeFileSync(path.join(directory, '.env.dev'), 'GITHUB_API_TOKEN=from-the-file\n')
})
// On Windows a scanner of viruses holds a new binary for a moment.
afterEach(() => fs.rmSync(path.dirname(directory), { recursive: true, maxRetries: 10 }))

/** A filter takes the copy that is written in JavaScript: the native one copies nothing to such a path on Windows before Node.js 24.15. */
const copyAll = { recursive: true, filter: () => true }

/** Lays the package and its platform package where npm would. */
function install(modules) {
  const main = path.join(modules, 'tcs-secret-delivery')
  for (const name of ['index.js', 'lib', 'package.json']) {
    fs.cpSync(path.join(root, name), path.join(main, name), copyAll)
  }
  const platform = path.join(modules, `tcs-secret-delivery-${suffix}`)
  fs.cpSync(path.join(root, 'npm', suffix), platform, copyAll)
  fs.copyFileSync(path.join(root, binary), path.join(platform, binary))
}

const at = (...names) => path.join(directory, 'node_modules', ...names)
const platformPackage = () => at(`tcs-secret-delivery-${suffix}`)
const installedBinary = () => path.join(platformPackage(), binary)

const LOAD = `require('tcs-secret-delivery')`
const READ = `
  const { SecretDelivery } = require('tcs-secret-delivery')
  const read = async () => {
    const delivery = new SecretDelivery({ environment: 'dev', aws: { enabled: false } })
    console.log(await delivery.getToolSecret('github', 'api_token'))
    await delivery.close()
  }
  read()`

function run(source, { flags = [], env = {}, ...options } = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', source], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 30_000,
    env: { PATH: process.env.PATH, ...env },
    ...options,
  })
  return { status, signal, stdout: stdout.trim(), stderr: stderr.trim() }
}

/** What loading says when it fails, as an exception and not as a crash. */
function refusal(env) {
  const { status, signal, stdout, stderr } = run(`try { ${LOAD} } catch (error) { console.log(error.message) }`, {
    env,
  })
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' })
  return stdout
}

test('from a path with spaces and letters beyond ASCII it loads and reads', () => {
  expect(run(READ)).toEqual({ status: 0, signal: null, stdout: 'from-the-file', stderr: '' })
})

test('a variable that names the binary may have blanks and a line end around it', () => {
  const env = { TCS_SECRET_DELIVERY_BINARY: ` ${installedBinary()}\r` }
  expect(run(READ, { env })).toEqual({ status: 0, signal: null, stdout: 'from-the-file', stderr: '' })
  expect(run(READ, { env: { TCS_SECRET_DELIVERY_BINARY: ' ' } }).stdout).toBe('from-the-file')
})

test.each([
  ['no addons at all', ['--no-addons'], 'leave out --no-addons'],
  ['none under the permission model', ['--experimental-permission', '--allow-fs-read=*'], 'add --allow-addons'],
])('where Node.js is told to load %s, the remedy is not to install anew', (_, flags, remedy) => {
  const { stdout } = run(`try { ${LOAD} } catch (error) { console.log(error.message) }`, { flags })
  expect(stdout).toContain(remedy)
  expect(stdout).not.toContain('Install it anew')
})

test('a missing platform package is named, with what brings it', () => {
  fs.rmSync(platformPackage(), { recursive: true })
  const message = refusal()
  expect(message).toContain(`no binary for ${suffix} is installed`)
  expect(message).toContain(`npm install tcs-secret-delivery-${suffix}@${version}`)
  expect(message).toContain('https://github.com/npm/cli/issues/4828')
  expect(message).not.toContain('another kind of machine')
})

test('node_modules from another machine: it says which binary is there and which is needed', () => {
  const other = suffix === 'linux-arm64-gnu' ? 'darwin-arm64' : 'linux-arm64-gnu'
  const copied = at(`tcs-secret-delivery-${other}`)
  fs.cpSync(path.join(root, 'npm', other), copied, copyAll)
  fs.renameSync(installedBinary(), path.join(copied, `tcs-secret-delivery.${other}.node`))
  const message = refusal()
  expect(message).toContain(`no binary for ${suffix} is installed`)
  expect(message).toContain(`Installed is the one for ${other}:`)
})

;(linux ? test : test.skip)(
  'with too few descriptors left it says what the system refused, and the process goes on',
  () => {
    // Opens files until the system refuses, gives some of them back, and loads.
    const withFree = (count) => `
    const fs = require('node:fs')
    const held = []
    try { for (;;) held.push(fs.openSync('/dev/null')) } catch {}
    for (const one of held.splice(0, ${count})) fs.closeSync(one)
    let said = 'loaded'
    try { ${LOAD} } catch (error) { said = error.message }
    for (const one of held) fs.closeSync(one)
    console.log(said)`
    const limited = (source) => ['-c', 'ulimit -n 128 && exec "$0" -e "$1"', process.execPath, source]
    const refusals = []
    for (let count = 1; count <= 16; count += 1) {
      const options = { cwd: directory, encoding: 'utf8', timeout: 30_000, env: { PATH: process.env.PATH } }
      const { status, signal, stdout, stderr } = spawnSync('sh', limited(withFree(count)), options)
      expect({ count, status, signal, stderr }).toEqual({ count, status: 0, signal: null, stderr: '' })
      if (stdout !== 'loaded\n') refusals.push(stdout)
    }
    expect(refusals.at(-1)).toMatch(
      /^tcs-secret-delivery: the system does not give .*Too many open files.*\n.*ulimit -n/,
    )
  },
)

test('a platform for which there is no binary is told which there are', () => {
  const message = run(`Object.defineProperty(process, 'arch', { value: 'riscv64' }); ${LOAD}`).stderr
  expect(message).toMatch(/there is no binary for \w+-riscv64/)
  for (const name of fs.readdirSync(path.join(root, 'npm'))) expect(message).toContain(name)
})

describe('a binary for another machine is recognised before it is loaded:', () => {
  const elf = (machine) => Buffer.from(`7f454c460201010000000000000000000300${machine}00`, 'hex')
  const windows = (machine) => {
    const bytes = Buffer.alloc(0x100)
    bytes.write('MZ')
    bytes.writeUInt32LE(0x80, 60)
    bytes.write(`PE\0\0${machine}`, 0x80, 'latin1')
    return bytes
  }
  test.each([
    ['linux-x64', elf('3e')],
    ['linux-arm64', elf('b7')],
    ['another machine', elf('f3')],
    ['darwin-x64', Buffer.from('cffaedfe07000001', 'hex')],
    ['darwin-arm64', Buffer.from('cffaedfe0c000001', 'hex')],
    ['win32-x64', windows('\x64\x86')],
    ['win32-arm64', windows('\x64\xaa')],
  ])('%s', (kind, bytes) => {
    fs.writeFileSync(installedBinary(), Buffer.concat([bytes, Buffer.alloc(200)]))
    const here = `${process.platform}-${process.arch}`
    // The one for this machine gets past this check; it is refused for what it lacks.
    const expected = kind === here ? 'could not be loaded' : `is a binary for ${kind}, and this is ${here}`
    expect(refusal()).toContain(expected)
  })
})

describe('a binary that cannot be one is refused, with how to install it anew:', () => {
  test.each([
    ['text', 'version https://git-lfs.github.com/spec/v1\n'],
    ['nothing', ''],
    ['a web page', '<!doctype html>'],
  ])('%s', (_, content) => {
    fs.writeFileSync(installedBinary(), content)
    const message = refusal()
    expect(message).toContain(`${installedBinary()} is not a binary`)
    expect(message).toContain("run 'npm install' on this machine")
  })

  const onLinux = linux ? test : test.skip
  onLinux.each([0.999, 0.5, 0.01])('the first %d of it', (part) => {
    const { size } = fs.statSync(installedBinary())
    fs.truncateSync(installedBinary(), Math.floor(size * part))
    expect(refusal()).toMatch(/is truncated: it has \d+ of at least \d+ bytes/)
  })

  test('another addon', () => {
    const other = require.resolve(`@unrs/resolver-binding-${suffix}`)
    fs.copyFileSync(other, installedBinary())
    expect(refusal()).toContain(`is another addon; version ${version} of the package needs its own`)
  })

  onLinux('a program', () => {
    execFileSync('gcc', ['-x', 'c', '-', '-o', installedBinary()], { input: 'int main(void) { return 0; }' })
    expect(refusal()).toContain('could not be loaded: ')
  })
})

test('a binary of another version is refused', () => {
  const manifest = at('tcs-secret-delivery', 'package.json')
  fs.writeFileSync(manifest, fs.readFileSync(manifest, 'utf8').replace(`"${version}"`, '"99.0.0"'))
  expect(refusal()).toContain(`is of version ${version}; version 99.0.0 of the package needs its own`)
})

describe('TCS_SECRET_DELIVERY_BINARY', () => {
  test('names the binary, whatever is installed', () => {
    fs.writeFileSync(installedBinary(), 'not this one')
    const env = { TCS_SECRET_DELIVERY_BINARY: path.join(root, binary) }
    expect(run(READ, { env })).toEqual({ status: 0, signal: null, stdout: 'from-the-file', stderr: '' })
  })

  test.each([
    ['./relative.node', 'It has to be the absolute path of a .node file'],
    [path.resolve('/no/such/library.so'), 'It has to be the absolute path of a .node file'],
    [path.resolve('/no/such/file.node'), 'could not be read (ENOENT)'],
  ])('%s is refused', (file, reason) => {
    const message = refusal({ TCS_SECRET_DELIVERY_BINARY: file })
    expect(message).toContain('TCS_SECRET_DELIVERY_BINARY')
    expect(message).toContain(file)
    expect(message).toContain(reason)
  })

  test('is named by the error when what it names is not this binary', () => {
    const file = path.join(directory, 'x.node')
    fs.writeFileSync(file, 'text')
    const message = refusal({ TCS_SECRET_DELIVERY_BINARY: file })
    expect(message).toContain('is not a binary')
    expect(message).toContain('It is named by TCS_SECRET_DELIVERY_BINARY')
  })
})

if (suffix.endsWith('-gnu')) {
  test('a Node that is linked with musl is given the binary for musl', () => {
    const program = path.join(directory, 'node')
    const loader = `-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1`
    execFileSync('gcc', ['-x', 'c', '-', '-o', program, loader], { input: 'int main(void) { return 0; }' })
    const message = run(`process.execPath = ${JSON.stringify(program)}; ${LOAD}`).stderr
    expect(message).toContain(`no binary for linux-${process.arch}-musl is installed`)
    expect(message).toContain(`Installed is the one for ${suffix}:`)
  })
}

// The read-only attribute of a directory forbids nothing on Windows.
const whereModesCount = process.platform === 'win32' ? test.skip : test

whereModesCount('node_modules that nobody may write to is enough', () => {
  const user = unprivileged()
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(directory, name)
    fs.chmodSync(file, fs.statSync(file).isDirectory() ? 0o555 : 0o444)
  }
  for (const above of [directory, path.dirname(directory)]) fs.chmodSync(above, 0o555)
  const write = `
    try { require('fs').writeFileSync(${JSON.stringify(at('tcs-secret-delivery', 'x'))}, ''); console.log('written') } catch {}`
  expect(run(write + READ, user)).toEqual({ status: 0, signal: null, stdout: 'from-the-file', stderr: '' })
  for (const name of ['', ...fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })]) {
    const file = path.join(directory, name)
    if (fs.statSync(file).isDirectory()) fs.chmodSync(file, 0o755)
  }
  fs.chmodSync(path.dirname(directory), 0o755)
})

test('two installations in one process do not see each other', () => {
  const other = path.join(directory, 'nested', 'node_modules')
  install(other)
  // One of them has another version, in the package as in the binary, where one of the same length fits.
  const newer = version.replace(/\d/, (digit) => String((Number(digit) + 1) % 10))
  const manifest = path.join(other, 'tcs-secret-delivery', 'package.json')
  fs.writeFileSync(manifest, fs.readFileSync(manifest, 'utf8').replace(`"${version}"`, `"${newer}"`))
  const image = path.join(other, `tcs-secret-delivery-${suffix}`, binary)
  fs.writeFileSync(image, fs.readFileSync(image, 'latin1').replaceAll(version, newer), 'latin1')
  // macOS on arm64 kills a process that touches a page whose signature is wrong.
  if (process.platform === 'darwin') execFileSync('codesign', ['--force', '--sign', '-', image])
  const source = `
    const one = require('tcs-secret-delivery')
    const two = require(${JSON.stringify(path.join(other, 'tcs-secret-delivery'))})
    const options = { environment: 'dev', aws: { enabled: false }, cache: {} }
    const main = async () => {
      const a = new one.SecretDelivery(options)
      const b = new two.SecretDelivery(options)
      await a.cache.set('GITHUB_API_TOKEN', 'mine')
      const read = () => Promise.all([a.getSecret('GITHUB_API_TOKEN'), b.getSecret('GITHUB_API_TOKEN')])
      console.log(one.SecretDelivery !== two.SecretDelivery, ...(await read()))
      await a.close()
      console.log(await a.getSecret('X').catch((e) => [e.code, e instanceof one.SecretError, e instanceof two.SecretError]))
      console.log(await b.getSecret('GITHUB_API_TOKEN'))
      await b.close()
    }
    main()`
  const { status, stdout, stderr } = run(source)
  expect({ status, stderr, lines: stdout.split('\n') }).toEqual({
    status: 0,
    stderr: '',
    lines: ['true mine from-the-file', "[ 'CLOSED', true, false ]", 'from-the-file'],
  })
})

test('frozen intrinsics change nothing', () => {
  const { status, stdout } = run(READ, { flags: ['--frozen-intrinsics', '--no-warnings'] })
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'from-the-file' })
})
