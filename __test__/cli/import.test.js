'use strict'

// import and copy: files of every format, hostile ones, and runs that are killed.

const fs = require('node:fs')
const { cliWorld, error } = require('../support/cli-world')
const { until } = require('../support/until')
const { formatOf, read } = require('../../cli/import-file')

const world = cliWorld()
const { cli, canary } = world
const versions = async (id) => (await world.aws.versions(id)).map(({ value }) => value)
const live = async (id) => (await world.aws.versions(id)).find(({ labels }) => labels.includes('AWSCURRENT'))?.value
const config = /** @type {any} */ ({ declared: [{ name: 'DB_CREDENTIALS' }] })
const values = (text, format) => Object.fromEntries(read(text, format, 'f', config).values)
const left = (text, format) => read(text, format, 'f', config).left.map(({ name, line, why }) => [name, line, why])

describe('what a file says', () => {
  test('in JSON every value is what JSON.parse gives, numbers digit for digit, objects as they are written', () => {
    const hostile = [
      'ä"\\/\b\f\n\r\t\u0001',
      '\u2028€😀',
      '# no comment',
      'a: b',
      '- x',
      '{}',
      '[]',
      '~',
      'null',
      "'",
      '%',
      '*a',
      '&a',
      '!x',
    ]
    const document = Object.fromEntries(hostile.map((value, i) => [`V${i}`, value]))
    expect(values(JSON.stringify(document), 'json')).toEqual(document)
    expect(values(JSON.stringify(document, null, '\t'), 'json')).toEqual(document)
    const text =
      '{"A": 12345678901234567890123, "B":1.50, "C": true, "github": {"api_token": "x"}, "DB_credentials": { "u": 1.0 } }'
    expect(values(text, 'json')).toEqual({
      A: '12345678901234567890123',
      B: '1.50',
      C: 'true',
      GITHUB_API_TOKEN: 'x',
      DB_CREDENTIALS: '{ "u": 1.0 }',
    })
  })

  test('in YAML texts of all forms are read, and digits stay as they are written', () => {
    const text = `A: plain # comment\nB: 'it''s'\nC: "tab\\t"\nD: |\n  two\n  lines\nE: 00123\nF: 0x1F\nG: yes\ngithub: {api_token: x}\nx: &k shared\ny: *k\n`
    expect(values(text, 'yaml')).toEqual({
      A: 'plain',
      B: "it's",
      C: 'tab\t',
      D: 'two\nlines\n',
      E: '00123',
      F: '0x1F',
      G: 'yes',
      GITHUB_API_TOKEN: 'x',
      X: 'shared',
      Y: 'shared',
    })
  })

  test('what cannot be imported is named with its line and the reason', () => {
    const text = '_a: 1\nb.c: 2\nd:\ne: ""\nf: [1]\ng: x\nG: y\nh: {i: {j: 1}}\n<<: {k: 1}\n'
    expect(left(text, 'yaml')).toEqual([
      ['_a', 1, 'no name that a secret can have'],
      ['b.c', 2, 'no name that a secret can have'],
      ['d', 3, 'empty'],
      ['e', 4, 'empty'],
      ['f', 5, expect.stringContaining('a list or a mapping')],
      ['G', 7, 'it stands in line 6 as well'],
      ['H_I', 8, expect.stringContaining('a list or a mapping')],
      ['<<_K', 9, 'no name that a secret can have'],
    ])
    expect(values(text, 'yaml')).toEqual({})
    expect(left('A=x#y\nB=\nC="x\nD=1\nD=2\n', 'dotenv').map(([name, line]) => [name, line])).toEqual([
      ['A', 1],
      ['B', 2],
      ['C', 3],
      ['D', 5],
    ])
    expect(values('export A="x y"\nB=1\n', 'dotenv')).toEqual({ A: 'x y', B: '1' })
  })

  test.each([
    ['{"a": 1,}', 'json', /line 1, column 8: there is a comma/],
    ['{"a": "hunter2\n"}', 'json', /line 1/],
    ['[1]', 'json', /mapping/],
    ['"hunter2"', 'json', /mapping/],
    [`{"a":${'['.repeat(100_000)}`, 'json', /nested/],
    ['a: b: hunter2', 'yaml', /line 1, column 4: a mapping cannot stand inside/],
    ['a: "hunter2', 'yaml', /line 1/],
    ['a: *hunter2', 'yaml', null],
    ['a: &a [*a]\n', 'yaml', null],
    ['a: &a {b: *a}\n', 'yaml', null],
    [`a: ${'['.repeat(20_000)}`, 'yaml', /nested|missing|indentation/],
    ['a: 1\n---\nb: 2', 'yaml', /second document/],
    ['- hunter2', 'yaml', /mapping/],
    ['', 'yaml', /mapping/],
    [`a: ${'x'.repeat(5 * 1024 * 1024)}`, 'yaml', /4194304 are allowed/],
    [
      `&a0 a0: &b0 x\n${Array.from({ length: 30 }, (_, i) => `a${i + 1}: &b${i + 1} [${`*b${i},`.repeat(9)}]`).join('\n')}`,
      'yaml',
      null,
    ],
  ])('a broken, huge or cyclic document is refused without its text: %#', (text, format, message) => {
    const began = Date.now()
    let said = ''
    try {
      const found = read(text, /** @type {any} */ (format), 'f', config)
      expect(found.left.length).toBeGreaterThan(0)
    } catch (failure) {
      said = failure.message
      expect(failure.code).toBe('FILE_UNFIT')
    }
    if (message !== null) expect(said).toMatch(message)
    expect(said).not.toContain('hunter2')
    expect(Date.now() - began).toBeLessThan(3_000)
  })

  test('its format is told by its name', () => {
    expect(['a.json', 'b.YML', 'c.yaml', '.env', 'x'].map(formatOf)).toEqual([
      'json',
      'yaml',
      'yaml',
      'dotenv',
      'dotenv',
    ])
  })
})

describe('import', () => {
  test('writes nothing without --apply, then what is new, then with --overwrite what differs', async () => {
    world.write('s.json', {
      github: { api_token: `${canary}-2`, webhook_secret: `${canary}-3` },
      SLACK_BOT: `${canary}-slack`,
    })
    const dry = await cli.run('import s.json')
    expect(dry).toMatchObject({ status: 1, stdout: expect.stringContaining('1 secret to write, 1 the same, 1 left') })
    expect(await live('GITHUB_API_TOKEN_staging')).toBe(`${canary}-token`)
    expect(await cli.json('import s.json --apply')).toMatchObject({ status: 2, document: error('CONFIRMATION_NEEDED') })
    const first = await cli.json('import s.json --apply --yes')
    const outcomes = ({ document }) => Object.fromEntries(document.secrets.map(({ name, outcome }) => [name, outcome]))
    expect(first.status).toBe(1)
    expect(outcomes(first)).toEqual({
      GITHUB_API_TOKEN: 'different',
      GITHUB_WEBHOOK_SECRET: 'created',
      SLACK_BOT: 'kept',
    })
    const second = await cli.json('import s.json --apply --yes --overwrite')
    expect([second.status, outcomes(second).GITHUB_API_TOKEN]).toEqual([0, 'updated'])
    expect(await live('GITHUB_API_TOKEN_staging')).toBe(`${canary}-2`)
    expect(await cli.run('import s.json')).toMatchObject({ status: 0 })
    expect(
      await cli.run('import - --format yaml --only GITHUB_* --exclude *_SECRET', {
        input: 'github: {api_token: a, b_secret: b}\nZ: c',
      }),
    ).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^NAME[^]*GITHUB_API_TOKEN +changed\n\n0 secrets to write, 0 the same, 1 left/),
    })
  })

  test('writes the fields of one JSON secret after each other, and no other byte', async () => {
    world.write('tcs-secrets.config.json', {
      tools: { jira: { aws: '{environment}/jira', secrets: { a: {}, b: {}, c: {} } } },
    })
    await world.aws.put({ 'staging/jira': `{ "own": 1.50, "a": "${canary}" }` })
    world.write('s.yaml', `jira:\n  a: ${canary}-a\n  b: ${canary}-b\n  c: ${canary}-c\n`)
    expect(await cli.json('import s.yaml --apply --yes --overwrite')).toMatchObject({ status: 0 })
    expect(await live('staging/jira')).toBe(`{ "own": 1.50, "a": "${canary}-a","b":"${canary}-b","c":"${canary}-c" }`)
  })

  test('stops when a permission is missing half-way, and goes on where it was', async () => {
    const all = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`BULK${i}_TOKEN`, `${canary}-${i}`]))
    world.write('s.json', all)
    await world.aws.deny({
      actions: ['CreateSecret'],
      secrets: Array.from({ length: 30 }, (_, i) => `BULK${i + 10}_TOKEN_staging`),
    })
    const stopped = await cli.run('import s.json --apply --yes')
    expect(stopped.status).toBe(4)
    expect(stopped.stdout).toMatch(/10 written[^]*not tried after 5 failures/)
    expect(stopped.stdout).toContain('CreateSecret')
    await world.aws.allow()
    expect(await cli.run('import s.json --apply --yes')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('30 written, 10 the same'),
    })
  })

  test('1,000 secrets, killed again and again: each is written once, and memory stays flat', async () => {
    const names = Array.from({ length: 1_000 }, (_, i) => `MANY${i}_TOKEN`)
    world.write('s.json', Object.fromEntries(names.map((name, i) => [name, `${canary}-${i}`])))
    const written = async () => (await world.aws.calls()).byOperation.CreateSecret ?? 0
    await world.aws.resetCalls()
    for (const most of [3, 150, 400]) {
      const { child, ended } = cli.start(['import', 's.json', '--apply', '--yes'])
      child.stdin.end()
      await until(`${most} are written`, async () => (await written()) >= most, 60_000)
      child.kill('SIGKILL')
      await ended
    }
    const env = { NODE_OPTIONS: `--require ${world.file('peak.cjs')}` }
    world.write(
      'peak.cjs',
      `process.on('exit', () => require('fs').writeFileSync(${JSON.stringify(world.file('peak'))}, String(process.resourceUsage().maxRSS)))`,
    )
    const end = await cli.run('import s.json --apply --yes', { env })
    expect(end).toMatchObject({ status: 0, stdout: expect.stringMatching(/\d+ written, \d+ the same\n$/) })
    for (const [i, name] of names.entries()) {
      expect(await versions(`${name}_staging`)).toEqual([`${canary}-${i}`])
    }
    expect(Number(fs.readFileSync(world.file('peak'), 'utf8')) / 1024).toBeLessThan(400)
    expect(end.stderr).toMatch(/written: 100 of/)
  }, 300_000)

  test('Ctrl-C says what was done', async () => {
    world.write('s.json', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`STOP${i}_TOKEN`, canary])))
    await world.aws.resetCalls()
    const { child, ended } = cli.start(['import', 's.json', '--apply', '--yes'])
    child.stdin.end()
    await until('some are written', async () => ((await world.aws.calls()).byOperation.CreateSecret ?? 0) > 20)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({
      status: 130,
      stderr: expect.stringMatching(/stopped: \d+ of 300 secrets are done; run the command again/),
    })
  })
})

describe('copy', () => {
  test('copies what the other environment does not have, and replaces with --overwrite', async () => {
    await world.aws.put({ GITHUB_WEBHOOK_SECRET_staging: `${canary}-hook` })
    const dry = await cli.json('copy staging production --dry-run')
    expect(dry).toMatchObject({ status: 1, document: { from: 'staging', to: 'production', applied: false } })
    expect(dry.document.secrets.map(({ name, change }) => [name, change])).toEqual([
      ['GITHUB_API_TOKEN', 'update'],
      ['GITHUB_WEBHOOK_SECRET', 'create'],
      ['DATABASE_PASSWORD', 'create'],
    ])
    expect(await cli.run('copy staging prod --yes')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('2 written'),
    })
    expect(await live('GITHUB_WEBHOOK_SECRET_production')).toBe(`${canary}-hook`)
    expect(await live('GITHUB_API_TOKEN_production')).toBe(`${canary}-production`)
    expect(await cli.run('copy staging production github_api_token --overwrite --yes')).toMatchObject({ status: 0 })
    expect(await live('GITHUB_API_TOKEN_production')).toBe(`${canary}-token`)
  }, 60_000)

  test('says what is not there, and refuses one environment twice', async () => {
    expect(await cli.run('copy staging production NOT_THERE --yes')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('Not in staging: NOT_THERE'),
    })
    expect(await cli.run('copy staging stage --yes')).toMatchObject({ status: 2 })
    expect(await cli.run('copy staging production')).toMatchObject({ status: 2 })
  })
})
