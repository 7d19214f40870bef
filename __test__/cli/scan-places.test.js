'use strict'

// `tcs-secrets scan` misses nothing in silence: names, encodings, checkouts within checkouts, repositories that are broken or bare.

const { execFileSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const Ajv = require('ajv').default
const { cliWorld } = require('../support/cli-world')

const world = cliWorld()
const { canary, file } = world
const token = () => `${canary}-token`
const onLinux = process.platform === 'linux' ? test : test.skip

/** @param {string} folder @param {string[]} args */
const gitIn = (folder, ...args) =>
  execFileSync(
    'git',
    [
      '-c',
      'user.name=t',
      '-c',
      'user.email=t@t',
      '-c',
      'commit.gpgsign=false',
      '-c',
      'protocol.file.allow=always',
      ...args,
    ],
    { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  )
/** @param {string[]} args */
const git = (...args) => gitIn(world.directory, ...args)

beforeEach(() => {
  fs.rmSync(file('.git'), { recursive: true, force: true })
  git('init', '-q', '-b', 'main')
})
afterAll(() => fs.mkdirSync(file('.git'), { recursive: true }))

/** @param {string} args */
async function scan(args = '') {
  const { status, document, stderr } = await world.cli.json(`scan ${args}`.trim())
  const found = (document.findings ?? []).map(({ path, line, column }) => `${path}:${line}:${column}`)
  return { status, found, document, stderr }
}

test('a folder that git ignores is searched where it is asked for', async () => {
  world.write('.gitignore', 'dist/\n')
  fs.mkdirSync(file('dist/sub'), { recursive: true })
  world.write('dist/sub/b.js', token())
  expect(await scan()).toMatchObject({ status: 0 })
  expect(await scan('dist')).toMatchObject({ status: 1, found: ['dist/sub/b.js:1:1'] })
  expect(await scan('dist/sub')).toMatchObject({ status: 1, found: ['dist/sub/b.js:1:1'] })
})

test('a file that was deleted and not staged as such is no problem', async () => {
  world.write('a.txt', 'nothing')
  git('add', '.')
  fs.rmSync(file('a.txt'))
  expect(await scan()).toMatchObject({ status: 0, document: { unread: [] } })
})

onLinux('files are found whatever their names are', async () => {
  const bytes = Buffer.concat([Buffer.from(file('inv-')), Buffer.from([0xff, 0xfe])])
  world.write('new\nline.txt', `x ${token()}`)
  fs.writeFileSync(bytes, token())
  const both = ['inv-��:1:1', 'new\nline.txt:1:3']
  expect(await scan()).toMatchObject({ status: 1, found: expect.arrayContaining(both), document: { unread: [] } })
  git('add', '.')
  expect(await scan('--staged')).toMatchObject({ status: 1, found: expect.arrayContaining(both) })
  git('commit', '-qm', 'x')
  expect((await scan('--history')).found).toHaveLength(2)
  const sarif = await world.cli.run('scan --sarif')
  const places = JSON.parse(sarif.stdout).runs[0].results.map(({ locations }) => locations[0].physicalLocation)
  expect(places.map(({ artifactLocation }) => artifactLocation.uri)).toContain('new%0Aline.txt')
  // The world empties its directory by names that are text.
  fs.rmSync(bytes)
})

test('text in 16 bits is searched to its end, in both orders, with a mark and without, and inside of binaries', async () => {
  const text = `first\nline ${token()}\n`
  const little = Buffer.from(text, 'utf16le')
  const big = Buffer.from(little).swap16()
  fs.writeFileSync(file('little.txt'), Buffer.concat([Buffer.from([0xff, 0xfe]), little]))
  fs.writeFileSync(file('big.txt'), Buffer.concat([Buffer.from([0xfe, 0xff]), big]))
  fs.writeFileSync(file('little-bare.txt'), little)
  fs.writeFileSync(file('big-bare.txt'), big)
  fs.writeFileSync(file('inside.bin'), Buffer.concat([Buffer.from([77, 90, 0, 0, 7]), little, Buffer.from([1, 2])]))
  const { found } = await scan()
  const names = ['big-bare.txt', 'big.txt', 'inside.bin', 'little-bare.txt', 'little.txt']
  expect(found.map((place) => place.split(':')[0])).toEqual(names)
  expect(found).toEqual(expect.arrayContaining(['big.txt:2:6', 'little.txt:2:6']))
  git('add', '.')
  expect((await scan('--staged')).found).toHaveLength(names.length)
})

test('text in 16 bits of more than 64 MiB is searched to its end', async () => {
  const long = fs.openSync(file('long.txt'), 'w')
  fs.writeSync(long, Buffer.from([0xff, 0xfe]))
  const filler = Buffer.from('0123456789\n'.repeat(100_000), 'utf16le')
  for (let at = 0; at < 31; at++) fs.writeSync(long, filler)
  fs.writeSync(long, Buffer.from(token(), 'utf16le'))
  fs.closeSync(long)
  expect((await scan()).found).toEqual(['long.txt:3100001:1'])
}, 120_000)

test('submodules and checkouts within the checkout are searched', async () => {
  const other = path.join(world.logs, `other-${randomBytes(4).toString('hex')}`)
  fs.mkdirSync(other)
  gitIn(other, 'init', '-q', '-b', 'main')
  fs.writeFileSync(path.join(other, 's.txt'), token())
  gitIn(other, 'add', '.')
  gitIn(other, 'commit', '-qm', 's')
  git('submodule', '--quiet', 'add', other, 'sub')
  git('commit', '-qm', 'sub')
  gitIn(world.directory, 'clone', '-q', other, 'nested')
  expect(await scan()).toMatchObject({ status: 1, found: ['nested/s.txt:1:1', 'sub/s.txt:1:1'] })
  fs.rmSync(file('nested'), { recursive: true })
  git('submodule', '--quiet', 'deinit', '-f', 'sub')
  expect(await scan()).toMatchObject({ status: 0, found: [] })
  fs.rmSync(other, { recursive: true })
})

test('a bare repository has a history, and no index', async () => {
  world.write('a.txt', token())
  git('add', '.')
  git('commit', '-qm', 'x')
  fs.rmSync(file('a.txt'))
  git('commit', '-qam', 'gone')
  git('clone', '-q', '--bare', '.', 'bare.git')
  const config = `--config ${file('tcs-secrets.config.json')}`
  const inBare = async (/** @type {string} */ args) =>
    JSON.parse((await world.cli.run(`${config} --json scan ${args}`, { cwd: file('bare.git') })).stdout)
  expect((await inBare('--history')).findings.map(({ commit }) => commit)).toHaveLength(1)
  expect(await inBare('--staged')).toMatchObject({
    error: { code: 'NO_REPOSITORY', message: expect.stringMatching(/bare/) },
  })
})

test('a repository that is broken is no success', async () => {
  world.write('a.txt', token())
  world.write('b.txt', 'nothing')
  git('add', '.')
  git('commit', '-qm', 'x')
  const tree = git('rev-parse', 'HEAD^{tree}').trim()
  const object = (/** @type {string} */ id) => file(`.git/objects/${id.slice(0, 2)}/${id.slice(2)}`)
  fs.renameSync(object(tree), file('.git/kept'))
  expect(await scan('--history')).toMatchObject({ status: 4, document: { error: { code: 'GIT_FAILED' } } })
  fs.renameSync(file('.git/kept'), object(tree))
  expect(await scan('--history')).toMatchObject({ status: 1 })
})

test('a merge, a tag and a large object: each place has a commit, and no object is held as a whole', async () => {
  world.write('a.txt', 'nothing')
  git('add', '.')
  git('commit', '-qm', 'a')
  git('checkout', '-qb', 'side')
  const large = file('large.bin')
  const piece = randomBytes(1 << 20)
  for (let at = 0; at < 64; at++) fs.appendFileSync(large, piece)
  fs.appendFileSync(large, `\n${token()}`)
  git('add', '.')
  git('commit', '-qm', 'side')
  git('checkout', '-q', 'main')
  world.write('b.txt', 'b')
  git('add', '.')
  git('commit', '-qm', 'b')
  git('merge', '-q', '--no-edit', 'side')
  git('tag', '-am', `tag ${token()}`, 'v1')
  const { status, document } = await scan('--history')
  expect(status).toBe(1)
  expect(document.findings.map(({ path, commit }) => [path.replace(/[0-9a-f]{40}/, 'ID'), typeof commit])).toEqual([
    ['.git/ID', 'string'],
    ['large.bin', 'string'],
  ])
}, 60_000)

onLinux('what is no file is said', async () => {
  execFileSync('mkfifo', [file('pipe')])
  expect(await scan('pipe')).toMatchObject({
    status: 4,
    document: { unread: [{ path: 'pipe', reason: 'it is no regular file' }] },
  })
})

test('a value in the name of a file is found, and printed nowhere', async () => {
  fs.mkdirSync(file(`dump-${token()}`))
  world.write(`dump-${token()}/a.txt`, `x ${token()}`)
  const name = /^dump-\[secret \w+\]\/a\.txt:1:/
  const everywhere = async (/** @type {string} */ args) => {
    const { status, found, document, stderr } = await scan(args)
    expect(status).toBe(1)
    expect(
      found
        .filter((place) => name.test(place))
        .map((place) => place.split(':').at(-1))
        .sort(),
    ).toEqual(['1', '3'])
    expect(JSON.stringify(document) + stderr).not.toContain(token())
    expect(stderr).not.toContain('ALERT')
    return document.findings.filter(({ path }) => name.test(`${path}:1:`)).map(({ commit }) => commit)
  }
  await everywhere('')
  git('add', '.')
  await everywhere('--staged')
  git('commit', '-qm', 'x')
  const commit = git('log', '--format=%h').trim()
  expect(await everywhere('--history')).toEqual([commit, commit])
})

test('files of the same content are all named, in the index and in the history', async () => {
  for (const name of ['a.txt', 'b.txt', 'c.txt']) world.write(name, `t=${token()}`)
  git('add', '.')
  const found = ['a.txt:1:3', 'b.txt:1:3', 'c.txt:1:3']
  expect(await scan('--staged')).toMatchObject({ status: 1, found })
  git('commit', '-qm', 'x')
  expect(await scan('--history')).toMatchObject({ status: 1, found })
})

test('a name that a file had is found in the history, also where its content has another name', async () => {
  world.write(`k-${token()}.txt`, 'hello')
  git('add', '.')
  git('commit', '-qm', 'x')
  const commit = git('log', '--format=%h').trim()
  git('mv', `k-${token()}.txt`, 'ok.txt')
  git('commit', '-qm', 'y')
  const { status, document } = await scan('--history')
  expect(status).toBe(1)
  expect(document.findings).toMatchObject([{ path: 'k-[secret GITHUB_API_TOKEN].txt', commit }])
})

test('a shallow clone is no whole history', async () => {
  world.write('a.txt', token())
  git('add', '.')
  git('commit', '-qm', 'x')
  git('rm', '-q', 'a.txt')
  world.write('b.txt', 'nothing')
  git('add', '.')
  git('commit', '-qm', 'y')
  expect(await scan('--history')).toMatchObject({ status: 1 })
  git('clone', '-q', '--bare', '--depth', '1', `file://${world.directory}`, 'clone')
  fs.rmSync(file('.git'), { recursive: true })
  fs.renameSync(file('clone'), file('.git'))
  git('config', 'core.bare', 'false')
  const { status, document, stderr } = await scan('--history')
  expect([status, document.findings]).toEqual([4, []])
  expect(document.unread).toEqual([{ path: '.git/shallow', reason: expect.stringContaining('git fetch --unshallow') }])
  expect(stderr).toContain('.git/shallow was not searched: the clone is shallow')
})

test('of a checkout of another user it is said what git asks for', async () => {
  world.write('a.txt', token())
  world.cli.env.GIT_TEST_ASSUME_DIFFERENT_OWNER = '1'
  try {
    for (const args of ['', '--staged', '--history']) {
      const { status, document } = await scan(args)
      const message = expect.stringContaining(`git config --global --add safe.directory ${world.directory}`)
      expect([args, status, document.error]).toEqual([args, 4, { code: 'GIT_FAILED', message }])
    }
  } finally {
    delete world.cli.env.GIT_TEST_ASSUME_DIFFERENT_OWNER
  }
})

test('a link that is named and leads nowhere is told from what is not there', async () => {
  fs.symlinkSync('gone.txt', file('link'))
  fs.symlinkSync('circle', file('circle'))
  const unread = (/** @type {string} */ path, /** @type {string} */ reason) => ({
    status: 4,
    document: { unread: [{ path, reason }] },
  })
  expect(await scan('link')).toMatchObject(unread('link', 'it is a link to a file that is not there'))
  expect(await scan('circle')).toMatchObject(unread('circle', 'it is a circle of links'))
  expect(await scan('gone.txt')).toMatchObject({ status: 2 })
})

test('a file that is named twice is searched once, also in a folder that is named', async () => {
  world.write('a.txt', token())
  fs.mkdirSync(file('folder'))
  world.write('folder/b.txt', token())
  for (const [args, found] of [
    ['a.txt a.txt', ['a.txt:1:1']],
    ['folder folder/b.txt folder', ['folder/b.txt:1:1']],
  ]) {
    expect((await scan(args)).found).toEqual(found)
    fs.renameSync(file('.git'), file('no-git'))
    expect(await scan(args)).toMatchObject({ found, document: { files: 1 } })
    fs.renameSync(file('no-git'), file('.git'))
  }
})

onLinux('the target of a link is a text that is searched, as in the index; the link is not followed', async () => {
  const outside = file('../linked.txt')
  fs.writeFileSync(outside, token())
  fs.symlinkSync(`gone/${token()}`, file('link'))
  fs.symlinkSync(outside, file('outside'))
  expect(await scan()).toMatchObject({ status: 1, found: ['link:1:6'] })
  git('add', '.')
  expect(await scan('--staged')).toMatchObject({ status: 1, found: ['link:1:6'] })
  fs.rmSync(outside)
})

test('SARIF is what its schema says, and counts columns as it says', async () => {
  world.write('wide ü#?.txt', `é😀 ${token()}`)
  const { stdout } = await world.cli.run('scan --sarif')
  const document = JSON.parse(stdout)
  // Draft 4, of which it uses nothing that later drafts read in another way but the name of its id.
  const { $schema: _, id, ...schema } = require('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json')
  const reference = /^[^\s<>"{}|\\^`]*$/
  const formats = { uri: /^[a-z][a-z\d+.-]*:[^\s<>"{}|\\^`]*$/i, 'uri-reference': reference, 'date-time': true }
  const validate = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false, formats }).compile({
    $id: id,
    ...schema,
  })
  validate(document)
  expect(validate.errors).toBeNull()
  const [run] = document.runs
  expect(run.columnKind).toBe('utf16CodeUnits')
  expect(run.results[0].locations[0].physicalLocation).toEqual({
    artifactLocation: { uri: 'wide%20%C3%BC%23%3F.txt' },
    region: { startLine: 1, startColumn: 5 },
  })
})
