'use strict'

// Type-checks all crates and their tests for platforms that cannot be built on this machine (decision 92). Nothing is compiled
// to machine code, linked or run: what is found is what does not compile there, or warns.
// Usage: node tools/release/check-targets.js [target…]. Each target is one of `rustup target add`.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const root = path.resolve(__dirname, '..', '..')
const TARGETS = ['x86_64-pc-windows-msvc', 'aarch64-pc-windows-msvc', 'aarch64-apple-darwin', 'x86_64-apple-darwin']

/**
 * What stands in for the build script of AWS-LC, which would compile C for the target: a check needs its Rust bindings only.
 *
 * @param {string} target
 * @param {string} lock The text of Cargo.lock.
 * @returns {string} A configuration file of cargo.
 */
function withoutC(target, lock) {
  const [, version] = /name = "aws-lc-sys"\nversion = "([^"]+)"/.exec(lock) ?? []
  if (version === undefined) throw new Error('Cargo.lock has no aws-lc-sys')
  // Its other build script asks for these.
  const told = { include: os.tmpdir(), root: os.tmpdir(), libcrypto: 'none', conf: 'none' }
  const settings = Object.entries(told).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  const section = `[target.${target}.aws_lc_${version.replaceAll('.', '_')}]`
  return [section, 'rustc-cfg = ["universal"]', ...settings, ''].join('\n')
}

/** @param {string} target @returns {boolean} Whether it compiles without a warning. */
function check(target) {
  console.log(`\n${target}`)
  const lock = fs.readFileSync(path.join(root, 'Cargo.lock'), 'utf8')
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tcs-check-'))
  const file = path.join(directory, 'config.toml')
  fs.writeFileSync(file, withoutC(target, lock))
  const what = ['check', '--locked', '--quiet', '--workspace', '--lib', '--bins', '--tests', '--target', target]
  const { status } = spawnSync('cargo', ['--config', file, ...what], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, RUSTFLAGS: '-D warnings' },
  })
  fs.rmSync(directory, { recursive: true })
  return status === 0
}

if (require.main === module) {
  const targets = process.argv.length > 2 ? process.argv.slice(2) : TARGETS
  const wrong = targets.filter((target) => !check(target))
  console.log(wrong.length === 0 ? 'all compile' : `wrong: ${wrong.join(', ')}`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}

module.exports = { withoutC }
