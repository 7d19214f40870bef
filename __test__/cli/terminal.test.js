'use strict'

// What comes from elsewhere reaches a terminal as visible text: version ids of whoever answers in AWS's place, lines of an audit
// log, arguments, messages. And what is printed fits the terminal without cutting words.

const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { Cli } = require('../support/cli')
const { fitted, hanging, table, widthOf } = require('../../cli/layout')
const { visible, visibleCopy, visibleJson } = require('../../cli/visible')

const onLinux = process.platform === 'linux' ? test : test.skip

// A title, a cleared screen, colours by C0 and by C1, lines of its own, text that runs backwards.
const EVIL = '\u001b]0;title\u0007\u001b[2J\u001b[31m\r\nforged: line\u009b31m\u202egnp.exe\u2028\ufeffx'
/** What a terminal would obey. */
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029\ufeff]/

/** @type {string} */
let directory
/** @type {Cli} */
let cli
/** @type {http.Server} */
let aws
beforeAll(async () => {
  directory = fs.realpathSync(temporaryDirectory('tcs-terminal-'))
  fs.mkdirSync(path.join(directory, '.git'))
  const tools = { github: { secrets: { api_token: {}, other: {} } } }
  fs.writeFileSync(path.join(directory, 'tcs-secrets.config.json'), JSON.stringify({ tools }))
  aws = http.createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += chunk))
    request.on('end', () =>
      response.end(
        JSON.stringify(answer(request.headers['x-amz-target'], JSON.parse(body.startsWith('{') ? body : '{}'))),
      ),
    )
  })
  await new Promise((resolve) => aws.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (aws.address())
  cli = new Cli(directory, {
    TCS_ENVIRONMENT: 'staging',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    TCS_AUDIT_LOG: path.join(directory, 'audit.jsonl'),
  })
})
afterAll(() => {
  aws.close()
  fs.rmSync(directory, { recursive: true })
})

/** AWS's answers, with hostile text wherever it has text. @param {string | string[] | undefined} target @param {any} asked */
function answer(target, asked) {
  const secret = (/** @type {string} */ id) => ({
    ARN: `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${id}-AbCdEf`,
    Name: id,
    SecretString: 'value',
    VersionId: EVIL,
    VersionStages: ['AWSCURRENT', EVIL],
    CreatedDate: 1_700_000_000,
  })
  if (String(target).endsWith('BatchGetSecretValue')) {
    return {
      SecretValues: asked.SecretIdList.map(secret),
      Errors: [{ SecretId: EVIL, ErrorCode: EVIL, Message: EVIL }],
    }
  }
  if (String(target).endsWith('DescribeSecret')) {
    return {
      ...secret(asked.SecretId),
      VersionIdsToStages: { [EVIL]: ['AWSCURRENT'] },
      Tags: [{ Key: EVIL, Value: EVIL }],
    }
  }
  return secret(asked.SecretId ?? 'HEALTH')
}

test.each([
  'get github api_token',
  'explain GITHUB_API_TOKEN',
  'list',
  'list github',
  'due',
  'validate',
  'doctor',
  'migrate plan',
  'migrate validate',
  'audit tail',
])('%s prints no character that a terminal obeys, and no line of others', async (args) => {
  const outcomes = await Promise.all([cli.run(args), cli.run(`${args} --json`)])
  for (const { status, stdout, stderr } of outcomes) {
    expect([status, stdout === '']).toEqual([expect.any(Number), false])
    expect(stdout + stderr).not.toMatch(OBEYED)
    expect(stdout + stderr).not.toMatch(/^\s*forged/m)
    expect(status).not.toBe(70)
  }
})

test('the hostile text is shown, and JSON means the same', async () => {
  const { stdout } = await cli.run('get github api_token')
  expect(stdout).toContain('\\u001b]0;title\\u0007\\u001b[2J\\u001b[31m\\r\\nforged: line\\u009b31m\\u202egnp.exe')
  const { document, status } = await cli.json('get github api_token')
  expect([status, document.versionId.startsWith('\u001b]0;title\u0007')]).toEqual([0, true])
})

test('arguments, and records of a log that somebody wrote, are no exception', async () => {
  fs.writeFileSync(
    path.join(directory, 'forged.jsonl'),
    `${JSON.stringify({ time: '2026-01-01T00:00:00.000Z', event: EVIL, secret: EVIL, caller: EVIL, outcome: 5 })}\n{"event":null}\n`,
  )
  const outcomes = await Promise.all([
    cli.run(['get', EVIL]),
    cli.run(['list', EVIL]),
    cli.run(['--config', EVIL, 'list']),
    cli.run([EVIL]),
    cli.run(['audit', 'tail', path.join(directory, 'forged.jsonl')]),
    cli.run(['audit', 'verify', path.join(directory, EVIL)]),
    cli.run(['export', 'github', '--format', EVIL]),
  ])
  for (const { stdout, stderr, status } of outcomes) {
    expect(status).not.toBe(70)
    expect(stdout + stderr).not.toMatch(OBEYED)
    expect(stdout + stderr).not.toMatch(/^\s*forged/m)
  }
  expect(outcomes[4].stdout).toContain('forged: line')
})

test('a text is made visible without a loss', () => {
  expect(visible('a\tb\n\u0000\u{e0041}\ud800')).toBe('a\\tb\\n\\u0000\\u{e0041}\\ud800')
  expect(visible('ünï 漢字 🔑 – → …')).toBe('ünï 漢字 🔑 – → …')
  expect(visibleCopy({ [EVIL]: [EVIL, 5, null, true] })).toEqual({ [visible(EVIL)]: [visible(EVIL), 5, null, true] })
  const data = { text: `${EVIL}\u{e0041}\u{1f511}\ud800x` }
  expect(JSON.parse(visibleJson(data))).toEqual(data)
  expect(visibleJson(data)).not.toMatch(OBEYED)
})

describe('the layout', () => {
  const plain = { heading: (/** @type {string} */ text) => text, cell: (/** @type {string} */ text) => text }
  const headings = ['NAME', 'VERSION', 'ISSUE']
  const rows = [
    ['GITHUB_API_TOKEN', 'a'.repeat(36), 'it is longer than it may be, and somebody should look at it some day'],
    ['A_B', '–', ''],
  ]
  /** @param {number} width */
  const lines = (width) => table(headings, rows, width, plain).trimEnd().split('\n')

  test('without a width has one line for each row', () => {
    expect(lines(Infinity)).toHaveLength(3)
  })

  test.each([100, 80, 60, 40, 20])('fits %i columns, and cuts no word', (width) => {
    const found = lines(width)
    const longest = Math.max(...rows.flat().flatMap((cell) => cell.split(' ').map((word) => word.length)))
    const most = Math.max(width, longest + '  version  '.length)
    expect(found.filter((line) => line.length > most)).toEqual([])
    const words = (/** @type {string[]} */ texts) => texts.flatMap((text) => text.split(/\s+/)).filter((word) => word)
    expect(words(found)).toEqual(expect.arrayContaining(words(rows.flat().filter((cell) => cell !== '–'))))
  })

  test('puts what has no room below its row, with its heading', () => {
    expect(lines(60).slice(0, 3)).toEqual([
      'NAME              ISSUE',
      'GITHUB_API_TOKEN  it is longer than it may be, and somebody',
      '                  should look at it some day',
    ])
    expect(lines(60)[3]).toBe(`  version  ${'a'.repeat(36)}`)
  })

  test('counts what is wide or has no width', () => {
    expect(['abc', '漢字', '🔑', 'e\u0301', '\u001b[31mx\u001b[0m'].map(widthOf)).toEqual([3, 4, 2, 1, 1])
    expect(
      table(
        ['A', 'B'],
        [
          ['漢', 'x'],
          ['ab', 'y'],
        ],
        Infinity,
        plain,
      ),
    ).toBe('A   B\n漢  x\nab  y\n')
  })

  test('breaks lines at blanks', () => {
    expect(hanging('ok  ', 'one two three', 12)).toBe('ok  one two\n    three')
    expect(fitted('  one two three four', 12)).toBe('  one two\n    three\n    four')
    expect(fitted(`${'x'.repeat(30)} y`, 12)).toBe(`${'x'.repeat(30)}\n  y`)
  })
})

onLinux('on a terminal of 80 columns nothing is wider, and no word is cut', async () => {
  const long = `A_${'LONG_'.repeat(6)}NAME`
  const tools = {
    github: { secrets: { api_token: {} } },
    [long.slice(0, -5)]: { secrets: { name: { minLength: 99 } } },
  }
  const config = path.join(directory, 'long.json')
  fs.writeFileSync(config, JSON.stringify({ tools }))
  const narrow = (/** @type {string} */ args) =>
    cli.run(
      [
        '-qec',
        `stty cols 80 rows 50; exec '${process.execPath}' '${require.resolve('../../cli')}' ${args}`,
        '/dev/null',
      ],
      {
        command: ['script'],
        env: { SHELL: '/bin/sh', TERM: 'xterm' },
      },
    )
  for (const args of [
    'list',
    'validate',
    `explain ${long}`,
    'doctor',
    'due',
    'audit tail',
    'migrate validate',
    '--help',
    'run --help',
  ]) {
    const { stdout } = await narrow(`${args} --config '${config}'`)
    const shown = stdout.replace(/\u001b\[\d+m/g, '').split(/\r?\n/)
    expect([args, shown.length > 2]).toEqual([args, true])
    // A word that is longer by itself has a line of its own.
    const wide = shown.filter((line) => line.length > 80 && line.trim().split(' ').length > 1)
    expect([args, wide.filter((line) => !/^\s+\w+\s+\S{60,}$/.test(line))]).toEqual([args, []])
  }
})
