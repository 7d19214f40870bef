'use strict'

// The tables of docs/errors.md agree with the codes that the package has.

const fs = require('node:fs')
const path = require('node:path')
const { declared } = require('../support/declared')
const { code, read, root, table } = require('../support/pages')

test('the table of error codes is the SecretErrorCode union', () => {
  const union = /export type SecretErrorCode =\n([^]*?)\n\n/.exec(declared)?.[1] ?? ''
  const codes = [...union.matchAll(/'(\w+)'/g)].map((match) => match[1])
  expect(codes).toContain('CLOSED')
  expect(table('docs/errors.md', 'code').map(([name]) => code(name))).toEqual(codes)
})

test('the table of warnings has every warning that is sent, and no other', () => {
  const crates = path.join(root, 'crates')
  const sources = fs
    .readdirSync(crates, { recursive: true, encoding: 'utf8' })
    .filter((name) => /^[\w-]+[\\/]src[\\/].*\.rs$/.test(name))
    .map((name) => fs.readFileSync(path.join(crates, name), 'utf8'))
  const byCore = sources
    .flatMap((text) => [
      ...text.matchAll(/(?:Notice::warning|\btrust\.warn|\bself\.warn)\(\s*(?:"(\w+)"|ErrorCode::(\w+)\.as_str\(\))/g),
    ])
    .map(([, text, variant]) => text ?? variant.replace(/(?!^)[A-Z]/g, '_$&').toUpperCase())
  const library = fs.readdirSync(path.join(root, 'lib')).map((name) => read('lib', name))
  const byLibrary = library.flatMap((text) => [...text.matchAll(/\.#?warn\('([A-Z_]+)'/g)].map(([, name]) => name))
  expect(byCore.length).toBeGreaterThan(15)
  expect(byLibrary).toContain('ALERT')
  const listed = table('docs/errors.md', 'warning').map(([name]) => code(name))
  expect([...listed].sort()).toEqual([...new Set([...byCore, ...byLibrary])].sort())
})

test('each code has a cause and a remedy', () => {
  const rows = [...table('docs/errors.md', 'code'), ...table('docs/errors.md', 'warning')]
  expect(rows.filter((cells) => cells.length !== 3 || cells.includes(''))).toEqual([])
})
