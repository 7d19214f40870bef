'use strict'

// `npm run ready`: all that CI checks. `-- --fix` repairs what a tool can repair, `-- --only NAME` and `-- --skip NAME`
// (both may be repeated) narrow it down.

const { execFileSync } = require('node:child_process')
const { parseArgs } = require('node:util')
const setup = require('./setup')
const { program } = require('./runtimes')

const { values } = parseArgs({
  options: {
    fix: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    skip: { type: 'string', multiple: true, default: [] },
  },
})

const npx = (/** @type {string[]} */ ...args) => setup.run('npx', ['--no-install', ...args])
const cargo = (/** @type {string[]} */ ...args) => setup.run('cargo', args)

/** @type {Record<string, () => void>} */
const checks = {
  format() {
    npx('prettier', values.fix ? '--write' : '--check', '--log-level=warn', '.')
    cargo('fmt', '--all', ...(values.fix ? [] : ['--check']))
  },
  clippy() {
    const fix = values.fix ? ['--fix', '--allow-dirty', '--allow-staged'] : []
    cargo('clippy', '--locked', '--workspace', ...fix, '--', '-D', 'warnings')
    // The addon has no Rust tests: Node-API calls do nothing outside Node.
    const crates = ['tcs-secret-delivery-core', 'tcs-secret-delivery-audit-log', 'aws-endpoint']
    const tested = [...crates.flatMap((crate) => ['-p', crate]), '--all-targets']
    cargo('clippy', '--locked', ...tested, ...fix, '--', '-D', 'warnings')
  },
  deny() {
    // Advisories are checked where their database can be fetched: .github/workflows/ci.yml.
    setup.run(process.execPath, [require.resolve('./release/deny'), 'bans', 'licenses', 'sources'])
  },
  docs() {
    setup.run('cargo', ['doc', '--locked', '--workspace', '--no-deps', '--quiet'], {
      env: { RUSTDOCFLAGS: '-D warnings' },
    })
    setup.runtimes()
    const typedoc = ['--entryPoints', 'index.d.ts', '--emit', 'none', '--treatWarningsAsErrors', '--logLevel', 'Warn']
    setup.run(process.execPath, [program('typedoc', 'bin', 'typedoc'), ...typedoc])
  },
  types() {
    npx('tsc', '-p', 'tsconfig.json')
    npx('tsc', '-p', '__test__/types')
  },
  generated() {
    setup.addon()
    const changed = execFileSync('git', ['diff', '--name-only', '--', 'native.d.ts'], {
      cwd: setup.root,
      encoding: 'utf8',
    })
    if (changed !== '' && !values.fix) setup.fail('native.d.ts differs from the committed one; commit it')
  },
  test() {
    setup.run(process.execPath, [require.resolve('./test')])
  },
}

const names = values.only ?? Object.keys(checks)
for (const name of [...names, ...values.skip]) {
  if (!(name in checks)) setup.fail(`there is no check '${name}'; there are ${Object.keys(checks).join(', ')}`)
}
setup.rust()
setup.nodeModules()
for (const name of names) {
  if (values.skip.includes(name)) continue
  console.log(`\n# ${name}`)
  checks[name]()
}
console.log('\nready')
