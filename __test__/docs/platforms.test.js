'use strict'

// The tables of docs/platforms.md agree with the runtimes that are tested and with the packages of binaries.

const fs = require('node:fs')
const path = require('node:path')
const { ALL } = require('../../tools/runtimes/list')
const { code, read, root, table } = require('../support/pages')

describe('the tables of platforms', () => {
  test('have each runtime that is tested, with its version and how it is used', () => {
    const { optionalDependencies } = JSON.parse(read('tools', 'runtimes', 'package.json'))
    // A package manager that is a program is listed by platform as well.
    const runtimes = Object.entries(optionalDependencies).filter(([name]) => !name.startsWith('pnpm'))
    const versions = runtimes.map(([, wanted]) => wanted.split('@').at(-1))
    const rows = table('docs/platforms.md', 'runtime')
    expect(rows.map(([name]) => name)).toEqual(ALL.map(({ name }) => name))
    expect(rows.map(([, version]) => version).sort()).toEqual(versions.sort())
    for (const [i, { modes }] of ALL.entries()) {
      const shown = ['main', 'worker', 'cluster'].map((mode) => (modes.includes(mode) ? 'yes' : 'no'))
      expect(rows[i].slice(2)).toEqual(shown)
    }
  })

  test('have each platform package', () => {
    const names = fs.readdirSync(path.join(root, 'npm')).map((name) => `tcs-secret-delivery-${name}`)
    expect(
      table('docs/platforms.md', 'binary for')
        .map(([, name]) => code(name))
        .sort(),
    ).toEqual(names.sort())
  })
})
