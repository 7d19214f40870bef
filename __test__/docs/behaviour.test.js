'use strict'

// The table of environments in docs/behaviour.md agrees with what environmentDefaults gives.

const { environmentDefaults } = require('../..')
const { code, table } = require('../support/pages')

describe('the table of environments', () => {
  const environments = ['development', 'test', 'staging', 'production']
  const rows = table('docs/behaviour.md', '`environmentDefaults()`').map(([label, ...cells]) => ({
    key: code(label),
    cells,
  }))

  function shown(value) {
    if (value === null) return '–'
    if (typeof value === 'boolean') return value ? 'yes' : 'no'
    return typeof value === 'number' ? String(value) : `\`${value}\``
  }

  test('has a row for each default', () => {
    const { environment, ...defaults } = environmentDefaults('test')
    expect(environments).toContain(environment)
    expect(rows.map(({ key }) => key).sort()).toEqual(Object.keys(defaults).sort())
  })

  test.each(environments)('agrees with environmentDefaults(%j)', (environment) => {
    const defaults = environmentDefaults(environment)
    const column = environments.indexOf(environment)
    const written = Object.fromEntries(rows.map(({ key, cells }) => [key, cells[column]]))
    const expected = Object.fromEntries(rows.map(({ key }) => [key, shown(defaults[key])]))
    expect(written).toEqual(expected)
  })
})
