'use strict'

// `npm run quick`: checks what changed since main, committed or not, in about a minute: format, clippy, types, the tests of
// changed crates, and the suites of Jest beside what changed, on a debug addon. It leaves the release addon alone: napi would
// write both into the same file, so the library that cargo built is loaded by way of TCS_SECRET_DELIVERY_BINARY.

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { needsOf } = require('./needs')
const setup = require('./setup')

/** Suites that run for every change of the library. */
const ALWAYS = ['reads/delivery', 'reads/options']

/**
 * The suites for files that no suite imports, or that every suite imports: Rust, lib/, programs, documents. Each pattern is
 * matched with the path of a file from the root; each suite is a part of a path in __test__.
 *
 * @type {[RegExp, string[]][]}
 */
const BESIDE = [
  [/^(src|lib|crates\/(?!aws-endpoint|audit-log))\b/, ALWAYS],
  [/^(src|lib|cli|crates)\/|^ARCHITECTURE\.md$|(^|\/)Cargo\.toml$/, ['architecture/']],
  [/^(src|lib|crates)\/.*(cache|redis|snapshot|coherence|memory|envelope|tiered)/, ['cache/cache', 'cache/redis']],
  [/^(src|lib|crates)\/.*(fleet|flight|batch|refresh|lease)/, ['cache/fleet']],
  [/^(src|lib|crates)\/.*(rotation|staging|hook|event|queue)/, ['rotation/rotate-secret', 'rotation/rotation']],
  [/^(src|lib|crates)\/.*(migration|env_file)/, ['migration/migration', 'migration/retire']],
  [/^(src|lib|crates)\/.*(validation|check|permission|compliance)/, ['migration/validation', 'migration/permissions']],
  [/^(src|lib|crates)\/.*(audit|metrics)/, ['observability/audit', 'observability/metrics', 'docs/metrics']],
  [/^(src|lib|crates)\/.*(error|classify)/, ['reads/errors']],
  [/^(src|lib|crates)\/.*(config|option)/, ['cli/config-schema', 'reads/options']],
  [/^(src|lib|crates)\/.*(variable|runtime|env)/, ['reads/variables', 'reads/environments']],
  [/^lib\/load\.js$/, ['package/loader']],
  [/^lib\/real-time\.js$/, ['package/fake-timers']],
  [/^lib\/(options|logger|receiver)\.js$/, ['reads/unset-options', 'reads/logger', 'reads/receiver']],
  [/^lib\/(copies|candidates)\.js$/, ['reads/testing', 'reads/with-secret']],
  [/^lib\/metrics\.js$/, ['observability/registry']],
  [/^cli\//, ['cli/']],
  [/^(testing\.(js|d\.ts))$/, ['reads/testing', 'types/']],
  [/^index\.d\.ts$/, ['types/', 'docs/options', 'docs/errors', 'docs/usage', 'cli/config-schema', 'reads/options']],
  [/^tcs-secrets\.schema\.json$/, ['cli/config-schema']],
  [
    /\.md$/,
    [
      'docs/pages',
      'docs/options',
      'docs/errors',
      'docs/platforms',
      'docs/behaviour',
      'docs/metrics',
      'docs/usage',
      'cli/docs',
    ],
  ],
  [/^(examples\/|docs\/start\.md$)/, ['docs/start', 'docs/examples', 'rotation/webhook']],
  [/^(crates\/aws-endpoint|tools\/conformance)\//, ['tools/conformance']],
  [/^ops\//, ['observability/dashboard', 'observability/metrics']],
  [/^(package\.json|Cargo\.(toml|lock)|npm\/|\.github\/)/, ['package/release']],
]

/** If more suites import a changed file, they are left to `npm test`. */
const MOST_RELATED = 12

const jestProgram = path.join(setup.root, 'node_modules', 'jest', 'bin', 'jest.js')

/** @param {string} command @param {string[]} args */
const output = (command, args) =>
  execFileSync(command, args, {
    cwd: setup.root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
const lines = (/** @type {string} */ text) => text.split('\n').filter((line) => line !== '')

/** The merge base with main, or the commit given as argument. */
function base() {
  if (process.argv[2] !== undefined) return process.argv[2]
  const exists = (/** @type {string} */ name) => spawnSync('git', ['rev-parse', '-q', '--verify', name]).status === 0
  const main = ['main', 'origin/main'].find(exists)
  return main === undefined ? 'HEAD' : output('git', ['merge-base', 'HEAD', main]).trim()
}

/** Paths, from the root, of files that differ from `base`; deleted ones included. */
function changedFiles() {
  const differing = output('git', ['diff', '--name-only', '--no-renames', base()])
  const untracked = output('git', ['ls-files', '--others', '--exclude-standard'])
  return [...new Set([...lines(differing), ...lines(untracked)])]
}

/** @param {string} file */
const isRust = (file) =>
  /\.rs$|(^|\/)Cargo\.(toml|lock)$|^(clippy|rustfmt)\.toml$/.test(file) && !file.startsWith('tools/fuzz/')

/** The packages of the workspace whose files changed; all of them when the workspace itself did. @param {string[]} files */
function changedPackages(files) {
  /** @type {{ packages: { id: string, name: string, manifest_path: string }[] }} */
  const { packages } = JSON.parse(output('cargo', ['metadata', '--no-deps', '--format-version', '1']))
  if (files.some((file) => /^(Cargo\.(toml|lock)|clippy\.toml)$/.test(file))) return packages
  const folders = packages.map((one) => ({ one, folder: path.dirname(path.relative(setup.root, one.manifest_path)) }))
  const holds = (/** @type {string} */ folder, /** @type {string} */ file) =>
    folder === '.' ? /^(src\/|build\.rs$)/.test(file) : file.startsWith(`${folder}/`)
  return folders.filter(({ folder }) => files.some((file) => holds(folder, file))).map(({ one }) => one)
}

/**
 * Compiles the workspace in the dev profile. One call for all of it: the same features of dependencies, and so the same
 * artifacts, as `cargo test --workspace`.
 *
 * @returns {{ addon: string, tests: { package: string, program: string }[] }}
 */
function compiled() {
  const targets = ['--workspace', '--locked', '--lib', '--bins', '--tests']
  console.log(`> cargo build ${targets.join(' ')}`)
  const messages = lines(output('cargo', ['build', '--quiet', ...targets, '--message-format=json-render-diagnostics']))
  const artifacts = messages.map((line) => JSON.parse(line)).filter(({ reason }) => reason === 'compiler-artifact')
  const library = artifacts.find(({ target }) => target.kind.includes('cdylib')).filenames[0]
  // Node loads files with this ending only. Renamed into place, because a process may have the old file loaded.
  const addon = path.join(path.dirname(library), 'tcs-secret-delivery.node')
  fs.copyFileSync(library, `${addon}.new`)
  fs.renameSync(`${addon}.new`, addon)
  const tests = artifacts.filter(({ profile, executable }) => profile.test && executable !== null)
  return { addon, tests: tests.map((one) => ({ package: one.package_id, program: one.executable })) }
}

/** The suites that import these files, directly or through other modules. @param {string[]} files */
function related(files) {
  if (files.length === 0) return []
  const suites = JSON.parse(
    output(process.execPath, [jestProgram, '--listTests', '--json', '--findRelatedTests', ...files]),
  )
  if (suites.length <= MOST_RELATED) return suites
  console.log(`${suites.length} suites import ${files.join(', ')}: 'npm test' runs them`)
  return []
}

/** The suites to run. @param {string[]} files Which changed. @returns {string[]} */
function suitesFor(files) {
  const beside = files.flatMap((file) =>
    BESIDE.filter(([pattern]) => pattern.test(file)).flatMap(([, suites]) => suites),
  )
  const all = /** @type {string[]} */ (JSON.parse(output(process.execPath, [jestProgram, '--listTests', '--json'])))
  const named = all.filter((suite) =>
    beside.some((name) => suite.includes(`/__test__/${name}`.replaceAll('/', path.sep))),
  )
  const there = files.filter((file) => fs.existsSync(path.join(setup.root, file)))
  const own = there.filter((file) => file.endsWith('.test.js')).map((file) => path.join(setup.root, file))
  // Every suite imports lib/ through index.js; the table above names the suites to run.
  const imported = there.filter((file) => /\.c?js$/.test(file) && !/^(lib\/|index\.js$|.*\.test\.js$)/.test(file))
  const found = [...new Set([...own.filter((suite) => all.includes(suite)), ...named, ...related(imported)])]
  const tooMuch = found.filter((suite) => !own.includes(suite) && needsOf([suite]).has('runtimes'))
  for (const suite of tooMuch) console.log(`left out, as it needs every runtime: ${path.relative(setup.root, suite)}`)
  return found.filter((suite) => !tooMuch.includes(suite))
}

async function main() {
  const began = Date.now()
  setup.rust()
  setup.nodeModules()
  const files = changedFiles()
  if (files.length === 0) return console.log('nothing changed')
  const there = files.filter((file) => fs.existsSync(path.join(setup.root, file)))
  const beside = [
    setup.beside('npx', ['--no-install', 'prettier', '--check', '--ignore-unknown', '--log-level=warn', ...there]),
  ]
  if (files.some((file) => /\.[cm]?[jt]s$/.test(file))) {
    for (const project of ['tsconfig.json', '__test__/types'])
      beside.push(setup.beside('npx', ['--no-install', 'tsc', '-p', project]))
  }
  const rust = files.filter(isRust)
  /** @type {ReturnType<typeof compiled> | undefined} */
  let build
  if (rust.length > 0) {
    setup.run('cargo', ['fmt', '--all', '--check'])
    const targets = ['--workspace', '--locked', '--lib', '--bins', '--tests', '--examples']
    setup.run('cargo', ['clippy', '--quiet', ...targets, '--', '-D', 'warnings'])
    build = compiled()
    const packages = changedPackages(rust)
    if (packages.length > 0) setup.redis()
    for (const { id, manifest_path: manifest } of packages) {
      for (const { program } of build.tests.filter((test) => test.package === id)) {
        setup.run(program, ['--quiet'], { cwd: path.dirname(manifest) })
      }
    }
  }
  const suites = suitesFor(files)
  if (suites.length > 0) {
    if (build === undefined && !setup.addonIsNew()) build = compiled()
    const needs = needsOf(suites)
    // The build has compiled it with the other programs.
    if (build !== undefined) needs.delete('aws-endpoint')
    setup.forTests(needs)
    const env = build === undefined ? undefined : { TCS_SECRET_DELIVERY_BINARY: build.addon }
    setup.run(process.execPath, [jestProgram, '--ci', '--runTestsByPath', ...suites], { env })
  }
  await Promise.all(beside)
  console.log(`\nquick: ${Math.round((Date.now() - began) / 1000)} s`)
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
}

module.exports = { BESIDE }
