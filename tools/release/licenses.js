'use strict'

// Writes THIRD-PARTY-LICENSES: the licences of every crate that is linked into the addon on some platform, with their texts.
// Run it when Cargo.lock has changed; a test compares the file with the crates. cargo-about does the work: it is compiled
// when it is not there, which takes minutes. Usage: node tools/release/licenses.js

const fs = require('node:fs')
const path = require('node:path')
const { LICENSES } = require('./package')
const setup = require('../setup')

const VERSION = '0.9.3'
const directory = path.join(setup.root, '.venv', `cargo-about-${VERSION}`)

function main() {
  setup.rust()
  if (!fs.existsSync(path.join(directory, 'bin'))) {
    const args = [
      'install',
      `cargo-about@${VERSION}`,
      '--locked',
      '--features',
      'cli',
      '--root',
      directory,
      '--no-track',
    ]
    setup.run('cargo', args)
  }
  // It reads the texts in the crates, so all of them have to be there, also those of other platforms.
  setup.run('cargo', ['fetch', '--locked'])
  const PATH = `${path.join(directory, 'bin')}${path.delimiter}${process.env.PATH}`
  const here = (/** @type {string} */ name) => path.join(__dirname, name)
  const args = ['about', 'generate', '--frozen', '--config', here('licenses.toml'), here('licenses.hbs')]
  setup.run('cargo', [...args, '--output-file', path.join(setup.root, LICENSES)], { env: { PATH } })
}

main()
