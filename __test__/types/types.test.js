'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const exported = require('../..')
const { root } = require('../support/files')

const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const run = (...args) => spawnSync(process.execPath, [tsc, ...args], { cwd: root, encoding: 'utf8' })

test('the documented interfaces accept a SecretDelivery, and wrong uses do not compile', () => {
  const { stdout, status } = run('-p', '__test__/types')
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
}, 60_000)

test('the JavaScript of the package agrees with its own types', () => {
  const { stdout, status } = run('-p', 'tsconfig.json')
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
}, 60_000)

test('every class and function that index.d.ts declares is exported, with every declared method', () => {
  const declared = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8')
  const names = [...declared.matchAll(/^export (?:class|function) (\w+)/gm)].map((match) => match[1]).sort()
  expect(Object.keys(exported).sort()).toEqual(names)
  const body = declared.slice(declared.indexOf('export class SecretDelivery<'))
  const methods = [...body.matchAll(/^ {2}(\w+)[<(]/gm)].map((match) => match[1])
  expect(methods.length).toBeGreaterThan(15)
  for (const method of methods)
    expect([method, typeof exported.SecretDelivery.prototype[method]]).toEqual([method, 'function'])
})
