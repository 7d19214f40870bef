'use strict'

// `npm run ready`: everything that CI checks. `-- --fix` repairs what a tool can repair, `-- --only NAME` and `-- --skip NAME`
// (both may be repeated) narrow it down.

const { execFileSync } = require('node:child_process')
const { parseArgs } = require('node:util')
const setup = require('./setup')
const tests = require('./test')

const npx = (/** @type {string[]} */ ...args) => setup.run('npx', ['--no-install', ...args])
const cargo = (/** @type {string[]} */ ...args) => setup.run('cargo', args)

/** The installation of what tests run, beside everything before `generated`. @type {Promise<void> | undefined} */
let servers
/** The build of the addon that runs beside the checks before `generated`. @type {Promise<void> | undefined} */
let addon
let fix = false

/** @type {Record<string, () => void | Promise<void>>} */
const checks = {
  clippy() {
    // All packages in one call: single packages enable other features of their dependencies, and the AWS SDK would be
    // compiled again. Not --all-targets, which would build tests of the addon's library: it has none, because Node-API
    // calls do nothing outside Node.
    const targets = ['--lib', '--bins', '--tests', '--examples']
    const repairs = fix ? ['--fix', '--allow-dirty', '--allow-staged'] : []
    cargo('clippy', '--locked', '--workspace', ...targets, ...repairs, '--', '-D', 'warnings')
  },
  format() {
    npx('prettier', fix ? '--write' : '--check', '--log-level=warn', '.')
    cargo('fmt', '--all', ...(fix ? [] : ['--check']))
  },
  types() {
    npx('tsc', '-p', 'tsconfig.json')
    npx('tsc', '-p', '__test__/types')
  },
  docs() {
    setup.run('cargo', ['doc', '--locked', '--workspace', '--no-deps', '--quiet'], {
      env: { RUSTDOCFLAGS: '-D warnings' },
    })
    const options = [
      '--entryPoints',
      'index.d.ts',
      '--emit',
      'none',
      '--disableSources',
      // Node's own type; `index.d.ts` only says that there is one.
      '--intentionallyNotExported',
      'NodeJS.ReadWriteStream',
      '--treatWarningsAsErrors',
      '--logLevel',
      'Warn',
    ]
    setup.run(process.execPath, [setup.typedoc(), ...options])
  },
  deny() {
    // Advisories are checked where their database can be fetched: .github/workflows/ci.yml.
    setup.run(process.execPath, [require.resolve('./release/deny'), 'bans', 'licenses', 'sources'])
  },
  /** Waits more than it computes, so it runs while the addon is still being linked, on one processor. */
  async rust() {
    await prepared()
    tests.rust()
  },
  async generated() {
    await built()
    const changed = execFileSync('git', ['diff', '--name-only', '--', 'native.d.ts'], {
      cwd: setup.root,
      encoding: 'utf8',
    })
    if (changed !== '' && !fix) setup.fail('native.d.ts differs from the committed one; commit it')
  },
  async test() {
    await prepared()
    await built()
    tests.built()
  },
}

let isPrepared = false

/** Compiles while the addon is still being built. */
async function prepared() {
  if (isPrepared) return
  await servers
  tests.prepare()
  isPrepared = true
}

/** @param {string} name */
async function check(name) {
  console.log(`\n# ${name}`)
  const begun = process.hrtime.bigint()
  await checks[name]()
  // After tests, Jest's closing line stays the last one.
  if (name !== 'test') console.log(`${name} took ${Math.round(Number(process.hrtime.bigint() - begun) / 1e9)} s`)
}

async function built() {
  if (addon === undefined) setup.addon()
  else await addon
}

async function main() {
  const { values } = parseArgs({
    options: {
      fix: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      skip: { type: 'string', multiple: true, default: [] },
    },
  })
  fix = values.fix
  for (const name of [...(values.only ?? []), ...values.skip]) {
    if (!(name in checks)) setup.fail(`there is no check '${name}'; there are ${Object.keys(checks).join(', ')}`)
  }
  const names = Object.keys(checks).filter((name) => values.only?.includes(name) ?? true)
  const wanted = names.filter((name) => !values.skip.includes(name))
  setup.rust()
  // On a fresh checkout packages are installed while cargo compiles for clippy, which needs none of them.
  const installing = setup.nodeModulesBeside()
  if (wanted.includes('test') || wanted.includes('rust')) servers = setup.forTestsBeside()
  if (wanted.includes('clippy')) await check('clippy')
  await installing
  // The optimised build takes longest, and for much of that time uses one processor. The other checks run meanwhile, but
  // not with --fix, which changes the sources that are being compiled.
  const builds = wanted.includes('generated') || wanted.includes('test')
  if (builds && !fix) addon = setup.addonBeside()
  for (const name of wanted.filter((one) => one !== 'clippy')) {
    await check(name)
  }
  // After tests, Jest's closing line stays the last one.
  if (!wanted.includes('test')) console.log('\nready')
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
}

module.exports = { checks: Object.keys(checks) }
