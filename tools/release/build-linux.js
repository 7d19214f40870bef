'use strict'

// Builds the addon for Linux as it is released: for glibc 2.17 and newer, or for musl, independent of this machine.
// Then checks its dependencies, its size and that it may stay loaded. Usage: node tools/release/build-linux.js [target, default
// x86_64-unknown-linux-gnu]. The addon is put beside package.json, like that of `npm run build`.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { MOST_MIB } = require('./package')
const setup = require('../setup')

const GLIBC = '2.17'

/** The suffix of the platform package, by target. @type {Record<string, string>} */
const SUFFIXES = {
  'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
  'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
  'x86_64-unknown-linux-musl': 'linux-x64-musl',
  'aarch64-unknown-linux-musl': 'linux-arm64-musl',
}

/** @param {string} target */
function build(target) {
  const suffix = SUFFIXES[target]
  if (suffix === undefined)
    setup.fail(`no target for Linux: '${target}'; there are ${Object.keys(SUFFIXES).join(', ')}`)
  const musl = target.endsWith('-musl')
  setup.rust()
  setup.zig()
  setup.run(
    'cargo',
    [
      'zigbuild',
      '--locked',
      '--release',
      '-p',
      'tcs-secret-delivery',
      '--target',
      musl ? target : `${target}.${GLIBC}`,
    ],
    {
      env: {
        PATH: `${setup.pythonPrograms}${path.delimiter}${process.env.PATH}`,
        // An addon is a shared library, even on targets whose programs are static by default.
        ...(musl ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {}),
      },
    },
  )
  const directory = process.env.CARGO_TARGET_DIR ?? path.join(setup.root, 'target')
  const addon = path.join(setup.root, `tcs-secret-delivery.${suffix}.node`)
  // Renamed into place, because a process may have the old file loaded.
  fs.copyFileSync(path.join(directory, target, 'release', 'libtcs_secret_delivery.so'), `${addon}.new`)
  fs.renameSync(`${addon}.new`, addon)
  return addon
}

/**
 * The reasons why a file cannot be the addon of a release.
 *
 * @param {string} addon
 * @returns {{ needs: string[], libraries: string[], mib: number, faults: string[] }}
 */
function inspect(addon) {
  const objdump = (/** @type {string} */ option) => execFileSync('objdump', [option, addon], { encoding: 'utf8' })
  const versions = [...objdump('-T').matchAll(/\bGLIBC_([\d.]+)/g)].map((match) => match[1])
  const needs = [...new Set(versions)].sort(older)
  const header = objdump('-p')
  const libraries = [...header.matchAll(/NEEDED\s+(\S+)/g)].map((match) => match[1])
  const mib = fs.statSync(addon).size / 2 ** 20
  const faults = [
    ...needs.filter((version) => older(GLIBC, version) < 0).map((version) => `it needs GLIBC_${version}`),
    ...(mib < MOST_MIB ? [] : [`it has ${mib.toFixed(1)} MiB; less than ${MOST_MIB} were promised`]),
    // NODELETE, see build.rs.
    ...(/^\s*FLAGS_1\s+0x0*[0-9a-f]*[89a-f]$/m.test(header) ? [] : ['it may be unloaded under its own threads']),
  ]
  return { needs, libraries, mib, faults }
}

/** Compares versions. @param {string} a @param {string} b */
const older = (a, b) => a.localeCompare(b, 'en', { numeric: true })

if (require.main === module) {
  const addon = build(process.argv[2] ?? 'x86_64-unknown-linux-gnu')
  const { needs, libraries, mib, faults } = inspect(addon)
  console.log(`${path.basename(addon)}: ${mib.toFixed(1)} MiB, needs ${libraries.join(', ')}`)
  console.log(`newest symbol: ${needs.length === 0 ? 'none of glibc' : `GLIBC_${needs.at(-1)}`}`)
  if (faults.length > 0) setup.fail(faults.join('\n'))
}

module.exports = { inspect }
