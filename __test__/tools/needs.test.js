'use strict'

// What `npm test -- NAME` sets up: derived from what the suites import.

const fs = require('node:fs')
const path = require('node:path')
const { BESIDE } = require('../../tools/quick')
const { needsOf } = require('../../tools/needs')
const { SERVERS } = require('../../tools/setup')
const { root, temporaryDirectory } = require('../support/files')

const suites = fs
  .readdirSync(path.join(root, '__test__'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => path.join(root, '__test__', name))
const suite = (name) => path.join(root, '__test__', ...`${name}.test.js`.split('/'))

test('a suite needs the servers that it imports, and nothing else', () => {
  expect([...needsOf([suite('reads/options')])]).toEqual([])
  expect([...needsOf([suite('migration/permissions')])]).toEqual(['aws-endpoint'])
  expect([...needsOf([suite('rotation/postgres')])].sort()).toEqual(['aws-endpoint', 'postgres', 'redis'])
})

test('also by way of other modules, which may import each other', () => {
  const directory = temporaryDirectory()
  const write = (name, ...imported) =>
    fs.writeFileSync(path.join(directory, name), imported.map((module) => `require('${module}')\n`).join(''))
  try {
    const redis = path.relative(directory, path.join(root, '__test__', 'support', 'servers', 'redis'))
    write('one.test.js', './two')
    write('two.js', './one.test', './three')
    write('three.js', 'node:fs', redis.split(path.sep).join('/'))
    expect([...needsOf([path.join(directory, 'one.test.js')])]).toEqual(['redis'])
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
})

test('everything that can be set up is needed by a suite', () => {
  expect([...needsOf(suites)].sort()).toEqual(Object.keys(SERVERS).sort())
})

test('`npm run quick` names only suites that exist', () => {
  const names = BESIDE.flatMap(([, beside]) => beside)
  const paths = suites.map((file) => path.relative(path.join(root, '__test__'), file).split(path.sep).join('/'))
  expect(names.filter((name) => !paths.some((file) => file.startsWith(name)))).toEqual([])
})

test('a server that is installed after its module was loaded is found', () => {
  const { existsSync } = fs
  const shown = jest.spyOn(fs, 'existsSync').mockReturnValue(false)
  try {
    const servers = [
      require('../support/servers/pgbouncer').PgBouncer,
      require('../support/servers/rabbitmq').RabbitmqServer,
      require('../support/servers/mariadb').MariadbServer,
    ]
    expect(servers.map((server) => server.isInstalled())).toEqual([false, false, false])
    shown.mockReturnValue(true)
    expect(servers.map((server) => server.isInstalled())).toEqual([true, true, true])
  } finally {
    shown.mockRestore()
  }
  expect(fs.existsSync).toBe(existsSync)
})
