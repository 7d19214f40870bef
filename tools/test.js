'use strict'

// `npm test`: sets up what is missing, builds, and runs every test: Rust's, the failure lab in its short form, Jest's.
// `npm test -- NAME`: only the suites of Jest whose path contains NAME, with the servers that they need and nothing else;
// all arguments go to Jest. `node tools/test.js --part rust` or `--part jest` runs one half of `npm test`, for CI; arguments
// after it go to Jest.

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { needsOf } = require('./needs')
const setup = require('./setup')

const program = path.join(setup.root, 'node_modules', 'jest', 'bin', 'jest.js')

/** All targets of the workspace but the addon, with the features of its dependencies that `cargo test --workspace` uses. */
const TARGETS = ['--workspace', '--locked', '--bins', '--tests', '--examples']

const closingLine = path.join(__dirname, 'jest-closing-line.js')

/** More suites than this do not fail because a machine is busy. */
const FEW = 3

/** @param {string[]} args */
function jest(args) {
  setup.run(process.execPath, [program, '--ci', ...args, '--reporters=default', `--reporters=${closingLine}`])
}

/**
 * Runs all suites. Many of them measure waiting times beside other suites, so the few that fail are run once more, alone: what
 * fails twice fails the run. What was run twice is printed (decision 103).
 *
 * @param {string[]} args
 */
function allSuites(args) {
  const failedFile = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tcs-jest-')), 'failed.json')
  const reporters = ['default', [closingLine, { failedFile }]]
  const all = JSON.stringify({ ...require('../jest.config'), rootDir: setup.root, reporters })
  console.log(`> jest --ci ${args.join(' ')}`)
  const { status } = spawnSync(process.execPath, [program, '--ci', ...args, '--config', all], { stdio: 'inherit' })
  if (status === 0) return
  const failed = fs.existsSync(failedFile) ? JSON.parse(fs.readFileSync(failedFile, 'utf8')) : []
  if (failed.length === 0 || failed.length > FEW) setup.fail(`jest ended with status ${status}`)
  const names = failed.map((/** @type {string} */ file) => path.relative(setup.root, file)).join(', ')
  console.log(`\n# failed beside others, and run once more alone: ${names}`)
  jest(['--runInBand', '--runTestsByPath', ...failed])
  console.log(`passed alone, failed beside others: ${names}`)
}

/** The suites that these arguments of Jest select. @param {string[]} args @returns {string[]} */
function listed(args) {
  const printed = execFileSync(process.execPath, [program, '--listTests', '--json', ...args], { encoding: 'utf8' })
  return JSON.parse(printed)
}

/**
 * Installs the servers, and compiles the tests of Rust and the AWS endpoint.
 *
 * @param {Iterable<setup.Need>} [needs] The servers, when not all of them are needed.
 */
function prepare(needs = /** @type {setup.Need[]} */ (Object.keys(setup.SERVERS))) {
  setup.forTests([...needs].filter((need) => setup.INSTALLED.includes(need)))
  setup.run('cargo', ['build', '--quiet', ...TARGETS])
}

/** Runs the Rust tests. */
function rust() {
  setup.run('cargo', ['test', '--workspace', '--locked', '--quiet'])
}

/** Runs the failure lab and Jest on the existing addon. @param {string[]} [args] */
function built(args = []) {
  // Alone, because it measures waiting times, which other tests would prolong.
  setup.run(process.execPath, [path.join(__dirname, 'lab', 'run.js'), '--short'])
  allSuites(args)
}

async function everything() {
  setup.nodeModules()
  const addon = setup.addonBeside()
  prepare()
  // They wait more than they compute: the addon is linked meanwhile, on one processor.
  rust()
  await addon
  built()
}

/** @param {string | undefined} name @param {string[]} args */
async function part(name, args) {
  if (name === 'rust') {
    setup.redis()
    return rust()
  }
  if (name !== 'jest') setup.fail(`there is no part '${name}'; there are rust and jest`)
  setup.nodeModules()
  const addon = setup.addonBeside()
  prepare(needsOf(listed(args)))
  await addon
  built(args)
}

/** @param {string[]} args */
function selected(args) {
  setup.nodeModules()
  const suites = listed(args)
  if (suites.length === 0) setup.fail(`no suite in __test__ matches '${args.join(' ')}'`)
  setup.forTests(needsOf(suites))
  setup.addonIfOlder()
  jest(args)
}

async function main() {
  const [first, second, ...rest] = process.argv.slice(2)
  if (first === undefined) await everything()
  else if (first === '--part') await part(second, rest)
  else selected(process.argv.slice(2))
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
}

module.exports = { built, prepare, rust }
