'use strict'

// The table of docs/options.md and tcs-secrets.schema.json are made from index.d.ts.

const { declared, options: declaredOptions } = require('../support/declared')
const { code, read, table } = require('../support/pages')
const { made } = require('../../tools/options')

describe('what tools/options.js makes of index.d.ts', () => {
  const page = read('docs', 'options.md')

  test('is committed: otherwise run node tools/options.js', () => {
    const { page: wanted, schema } = made(declared, page)
    expect(page).toBe(wanted)
    expect(read('tcs-secrets.schema.json')).toBe(schema)
  })

  test('follows what is declared', () => {
    const option = `  /** How often a refresh is tried. In seconds, 5 to 60. Default: \`10\` with Redis. */\n  again?: number | false\n`
    const changed = made(declared.replace(/^(export interface CacheOptions \{\n)/m, `$1${option}`), page)
    const row = '| `cache.again` | number or `false`, s | `10` with Redis | How often a refresh is tried. 5 to 60. |'
    expect(changed.page.split('\n')).toEqual(expect.arrayContaining([row]))
    expect(JSON.parse(changed.schema).properties.cache.anyOf[0].properties.again).toEqual({
      description: 'How often a refresh is tried. In seconds, 5 to 60. Default: 10 with Redis.',
      anyOf: [{ type: 'number', minimum: 5, maximum: 60 }, { const: false }],
    })
    const gone = made(
      declared.replace(/^ *\/\*\*(?:(?!\*\/)[^])*\*\/\n *refreshAhead\?: boolean \| Unset\n/m, ''),
      page,
    )
    expect(gone.page).not.toContain('refreshAhead')
    expect(gone.schema).not.toContain('refreshAhead')
  })
})

describe('the options table', () => {
  const options = declaredOptions()
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
      if (/^('.*'|false|boolean|number|string|string\[\]|Uint8Array|Environment|AwsPlace)$/.test(part)) return part
      return part.endsWith('[]') ? 'list' : 'object'
    })
  }

  /** A word as the table shows it. */
  const shown = (word) => (word === 'false' ? '`false`' : word)

  test('gives each of them its type, its unit and its default', () => {
    const missing = []
    let compared = 0
    for (const { path: name, type, documentation } of options) {
      const [shownType, shownDefault] = rows.get(name) ?? ['', '']
      const units = { milliseconds: ', ms', seconds: ', s' }
      const unit = units[/\bIn (seconds|milliseconds)\b/.exec(documentation)?.[1]]
      const sentence = /Default:? ([^]*?)(?:;|\.\s|\.$|$)/.exec(documentation.trim())?.[1] ?? ''
      const defaults = sentence.match(/`[^`]+`|\b\d+\b/g) ?? []
      compared += defaults.length
      missing.push(
        ...wordsFor(type)
          .filter((word) => !shownType.includes(word))
          .map((word) => [name, 'type', word]),
        ...(unit === undefined || shownType === `${wordsFor(type).map(shown).join(' or ')}${unit}`
          ? []
          : [[name, 'unit', unit]]),
        ...defaults.filter((value) => !shownDefault.includes(value)).map((value) => [name, 'default', value]),
      )
    }
    expect(missing).toEqual([])
    expect(compared).toBeGreaterThan(20)
  })
})
