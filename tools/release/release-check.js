'use strict'

// Whether this checkout can be released: every manifest has the same version, and the changelog knows it.
// Usage: node tools/release/release-check.js [tag, as v1.2.3]. Without a tag, checks only what must hold at any time.

const fs = require('node:fs')
const path = require('node:path')

/**
 * The reasons why the checkout at `root` cannot be released.
 *
 * @param {string} root
 * @param {string} [tag]
 * @returns {string[]}
 */
function problems(root, tag) {
  const read = (/** @type {string[]} */ ...names) => fs.readFileSync(path.join(root, ...names), 'utf8')
  const json = (/** @type {string[]} */ ...names) => JSON.parse(read(...names))
  const { name, version, napi, license, engines } = json('package.json')
  /** @type {string[]} */
  const found = []
  /** @param {string} what @param {unknown} got @param {unknown} wanted */
  const same = (what, got, wanted) => {
    if (JSON.stringify(got) !== JSON.stringify(wanted))
      found.push(`${what} is ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`)
  }
  const lock = json('package-lock.json')
  same('the version in package-lock.json', lock.version, version)
  same('the version of the root in package-lock.json', lock.packages[''].version, version)
  same(
    'the version in Cargo.toml',
    /^\[workspace\.package\]\nversion = "(.*)"$/m.exec(read('Cargo.toml'))?.[1],
    version,
  )
  const own = /^\[\[package\]\]\nname = "(tcs-secret-delivery[\w-]*)"\nversion = "(.*)"$/gm
  const crates = [...read('Cargo.lock').matchAll(own)]
  if (crates.length === 0) found.push('Cargo.lock has no crate of this workspace')
  for (const [, crate, got] of crates) same(`the version of ${crate} in Cargo.lock`, got, version)

  const wanted = napi.targets
    .map(platform)
    .sort((/** @type {any} */ a, /** @type {any} */ b) => (a.suffix < b.suffix ? -1 : 1))
  same(
    'the list of folders in npm/',
    fs.readdirSync(path.join(root, 'npm')).sort(),
    wanted.map((/** @type {any} */ one) => one.suffix),
  )
  for (const { suffix, os, cpu, libc } of wanted) {
    if (!fs.existsSync(path.join(root, 'npm', suffix, 'package.json'))) continue
    const manifest = json('npm', suffix, 'package.json')
    const main = `${name}.${suffix}.node`
    const expected = {
      name: `${name}-${suffix}`,
      version,
      main,
      exports: {
        '.': { webpack: './webpack.mjs', default: `./${main}` },
        [`./${main}`]: `./${main}`,
        './package.json': './package.json',
      },
      files: [main, 'webpack.mjs'],
      os: [os],
      cpu: [cpu],
      libc,
      license,
      engines,
    }
    for (const [key, value] of Object.entries(expected))
      same(`${key} in npm/${suffix}/package.json`, manifest[key], value)
    same(`scripts in npm/${suffix}/package.json`, manifest.scripts, undefined)
    const webpack = read('npm', suffix, 'webpack.mjs')
    if (!webpack.includes(`new URL('./${main}', import.meta.url)`))
      found.push(`npm/${suffix}/webpack.mjs does not name ${main}`)
  }

  const changelog = read('CHANGELOG.md')
  if (!changelog.includes('\n## [Unreleased]\n')) found.push(`CHANGELOG.md has no section '[Unreleased]'`)
  if (tag === undefined) return found
  same('the tag', tag, `v${version}`)
  const section = (/** @type {string} */ heading) =>
    new RegExp(`^## ${heading}\\n([^]*?)(?=^## |(?![^]))`, 'm').exec(changelog)?.[1].trim()
  const released = section(`\\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d{2}-\\d{2}`)
  if (released === undefined) found.push(`CHANGELOG.md has no section '[${version}] - ' with a date`)
  else if (!/^- /m.test(released)) found.push(`the section of ${version} in CHANGELOG.md lists nothing`)
  if (section('\\[Unreleased\\]')) found.push(`CHANGELOG.md has entries under '[Unreleased]': move them to ${version}`)
  return found
}

/**
 * What npm calls the platform of a target of Rust.
 *
 * @param {string} target
 */
function platform(target) {
  const [machine, , system, abi] = target.split('-')
  const cpu = machine === 'aarch64' ? 'arm64' : 'x64'
  const os = system === 'windows' ? 'win32' : system
  const suffix = [os, cpu, ...(abi === undefined ? [] : [abi])].join('-')
  return { suffix, os, cpu, libc: os === 'linux' ? [abi === 'gnu' ? 'glibc' : abi] : undefined }
}

if (require.main === module) {
  const found = problems(path.resolve(__dirname, '..', '..'), process.argv[2])
  for (const problem of found) console.error(problem)
  process.exitCode = found.length === 0 ? 0 : 1
}

module.exports = { platform, problems }
