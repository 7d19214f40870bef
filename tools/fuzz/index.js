'use strict'

// `npm run fuzz -- [target] [seconds]`: looks for inputs that break a target (all of them without a name, a minute each),
// with libFuzzer on the stable toolchain. Starts from tools/fuzz/corpus, and keeps new inputs in target/fuzz.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const setup = require('../setup')

const DEFAULT_SECONDS = 60
/** An input that needs more time or memory is reported. */
const LIMITS = ['-timeout=10', '-rss_limit_mb=2048', '-max_len=65536']

/** The flags that `cargo fuzz` passes for coverage. No sanitizer, so that stable Rust is sufficient. */
const COVERAGE = [
  '--cfg=fuzzing',
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
]

const crate = __dirname
const targets = fs.readdirSync(path.join(crate, 'corpus')).sort()

/** Builds every target and returns their paths. */
function build() {
  const host = /^host: (.+)$/m.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)?.[1]
  if (host === undefined) throw new Error('rustc does not say what it compiles for')
  const directory = path.join(setup.root, 'target', 'fuzz', 'build')
  const manifest = ['--manifest-path', path.join(crate, 'Cargo.toml'), '--target-dir', directory]
  // With --target, these flags do not apply to build scripts and macros.
  setup.run('cargo', ['build', '--release', '--locked', '--quiet', ...manifest, '--target', host], {
    env: { CARGO_ENCODED_RUSTFLAGS: COVERAGE.join('\x1f') },
  })
  return path.join(directory, host, 'release')
}

/** @param {string} programs @param {string} target @param {number} seconds */
function fuzz(programs, target, seconds) {
  const learnt = path.join(setup.root, 'target', 'fuzz', 'corpus', target)
  const findings = path.join(setup.root, 'target', 'fuzz', 'findings', target)
  for (const directory of [learnt, findings]) fs.mkdirSync(directory, { recursive: true })
  const args = [
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${findings}${path.sep}`,
    '-print_final_stats=1',
    ...LIMITS,
  ]
  const seeds = path.join(crate, 'corpus', target)
  const ran = spawnSync(path.join(programs, target), [...args, learnt, seeds], { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (ran.error) throw ran.error
  const executions = /number_of_executed_units: (\d+)/.exec(ran.stderr)?.[1] ?? '?'
  console.log(`${target}: ${executions} inputs in ${seconds} s${ran.status === 0 ? '' : ', a finding'}`)
  if (ran.status === 0) return true
  console.log(ran.stderr.split('\n').slice(-60).join('\n'))
  return false
}

const [first, second] = process.argv.slice(2)
const named = first !== undefined && !/^\d+$/.test(first)
const seconds = Number((named ? second : first) ?? DEFAULT_SECONDS)
if (named && !targets.includes(first)) setup.fail(`there is no target '${first}'; there are ${targets.join(', ')}`)
if (!Number.isInteger(seconds) || seconds < 1) setup.fail('seconds must be a whole number from 1')
setup.rust()
const programs = build()
const clean = (named ? [first] : targets).map((target) => fuzz(programs, target, seconds))
if (clean.includes(false)) setup.fail('there are findings in target/fuzz/findings')
