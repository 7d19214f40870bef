'use strict'

// The table of docs/options.md agrees with index.d.ts.

const { optionsOf } = require('../support/declared')
const { code, table } = require('../support/pages')

describe('the options table', () => {
  const options = optionsOf('SecretDeliveryOptions')
  const rows = new Map(table('docs/options.md', 'option').map(([name, ...cells]) => [code(name), cells]))

  test('names every option of index.d.ts, in its order, and nothing else', () => {
    expect(options.length).toBeGreaterThan(40)
    expect([...rows.keys()]).toEqual(options.map((option) => option.path))
  })

  /** What the table must say about a type. */
  function wordsFor(type) {
    if (type.startsWith('{')) return ['object']
    if (type.startsWith('(') && type.includes('=>')) return ['function']
    return type.split(' | ').map((part) => {
      if (/^('.*'|false|boolean|number|string|string\[\]|Uint8Array|Environment)$/.test(part)) return part
      return part.endsWith('[]') ? 'list' : 'object'
    })
  }

  test('gives each of them its type, its unit and its default', () => {
    const missing = []
    let compared = 0
    for (const { path: name, type, documentation } of options) {
      const [shownType, shownDefault] = rows.get(name) ?? ['', '']
      const units = { milliseconds: 'number, ms', seconds: 'number, s' }
      const unit = units[/\bin (seconds|milliseconds)\b/.exec(documentation)?.[1]]
      const sentence = /Default:? ([^]*?)(?:;|\.\s|\.$|$)/.exec(documentation.trim())?.[1] ?? ''
      const defaults = sentence.match(/`[^`]+`|\b\d+\b/g) ?? []
      compared += defaults.length
      missing.push(
        ...wordsFor(type)
          .filter((word) => !shownType.includes(word))
          .map((word) => [name, 'type', word]),
        ...(unit === undefined || shownType === unit ? [] : [[name, 'unit', unit]]),
        ...defaults.filter((value) => !shownDefault.includes(value)).map((value) => [name, 'default', value]),
      )
    }
    expect(missing).toEqual([])
    expect(compared).toBeGreaterThan(20)
  })
})
