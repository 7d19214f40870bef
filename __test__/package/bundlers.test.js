'use strict'

// Every recipe of docs/bundlers.md: built as the page says with the packed package, moved alone into an empty folder, and
// run there; then with the binary taken away and named by TCS_SECRET_DELIVERY_BINARY, and without any binary.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { parse } = require('yaml')
const bundlers = require('../../tools/bundlers')
const { pack } = require('../../tools/release/package')
const { installed } = require('../../tools/runtimes')
const { root, temporaryDirectory } = require('../support/files')
const { read } = require('../support/pages')
const { until } = require('../support/until')

jest.setTimeout(180_000)

const binary = fs.readdirSync(root).find((name) => name.endsWith('.node'))
const suffix = binary.slice('tcs-secret-delivery.'.length, -'.node'.length)
const runtimes = installed()
/** The newer bundlers need a newer Node.js than the oldest that the package supports. */
const builder = runtimes.find(({ name }) => name === 'Node.js 24')?.command ?? process.execPath

/** The recipes of docs/bundlers.md: the files that one writes, the commands that build, and the one that runs. */
function recipes() {
  const [, ...sections] = read('docs', 'bundlers.md').split(/^## /m)
  const blocks = sections.map((text) => [
    text.slice(0, text.indexOf('\n')),
    [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language, code]) => ({ language, code })),
  ])
  return new Map(blocks)
}
const sections = recipes()
const nameOf = (code) => /^(?:\/\/|#) (\S+)\n/.exec(code)?.[1]

/** The packages as npm installs them. @type {string} */
let modules
/** @type {string} */
let kept
beforeAll(() => {
  modules = temporaryDirectory('tcs-bundlers-')
  pack(modules)
  kept = path.join(modules, `tcs-secret-delivery-${suffix}`, binary)
})
afterAll(() => fs.rmSync(modules, { recursive: true }))

/** @type {string} */
let project
/** @type {string} */
let alone
beforeEach(() => {
  project = bundlers.project()
  for (const name of ['tcs-secret-delivery', `tcs-secret-delivery-${suffix}`]) {
    fs.cpSync(path.join(modules, name), path.join(project, 'node_modules', name), { recursive: true })
  }
  fs.writeFileSync(path.join(project, 'package.json'), '{ "name": "service", "private": true }')
  write('app.mjs', code('The service', 'app.mjs'))
  alone = temporaryDirectory('tcs-alone-')
})
afterEach(() => {
  for (const directory of [project, alone]) fs.rmSync(directory, { recursive: true })
})

function write(name, text) {
  const file = path.join(project, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
}

/** A file that a section of the page shows. */
function code(section, name) {
  const block = sections.get(section).find((one) => nameOf(one.code) === name)
  if (block === undefined) throw new Error(`docs/bundlers.md shows no ${name} in its section '${section}'`)
  return block.code
}

/** A folder of programs as a developer has on the path. `npx` runs what is installed in tools/bundlers. */
function programs(node) {
  const bin = fs.mkdtempSync(path.join(alone, '..', 'tcs-bin-'))
  const add = (name, text) => fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${text} "$@"\n`, { mode: 0o755 })
  fs.symlinkSync(node, path.join(bin, 'node'))
  const find = `require(${JSON.stringify(require.resolve('../../tools/bundlers'))}).script(process.argv[1])`
  fs.writeFileSync(
    path.join(bin, 'npx'),
    `#!/bin/sh\nname=$1\nshift\nexec node "$(node -p '${find}' "$name")" "$@"\n`,
    { mode: 0o755 },
  )
  for (const { name, command } of runtimes) if (!name.startsWith('Node')) add(name.toLowerCase(), `exec ${command}`)
  return bin
}

/** Runs a line of a shell, with nothing but the programs of a developer and the secret. */
async function shell(line, { cwd, node = process.execPath, env = {} }) {
  const bin = programs(node)
  const child = spawn('/bin/sh', ['-ec', line], {
    cwd,
    env: { PATH: `${bin}:/usr/bin:/bin`, HOME: alone, GITHUB_API_TOKEN: 'bundled', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const [status] = await once(child, 'close')
  fs.rmSync(bin, { recursive: true })
  return { status, stdout: stdout.trim(), stderr: stderr.trim() }
}

async function build(commands) {
  const line = commands.replaceAll('linux-x64-gnu', suffix)
  const { status, stdout, stderr } = await shell(line, { cwd: project, node: builder })
  if (status !== 0) throw new Error(`${commands}\n${stdout}\n${stderr}`)
}

/** Moves a folder that was built alone to where nothing else is. @param {string} folder */
function isolate(folder) {
  fs.cpSync(path.join(project, folder), alone, { recursive: true, verbatimSymlinks: true })
  fs.rmSync(path.join(project, 'node_modules'), { recursive: true })
}

function takeBinaryAway() {
  const files = fs.readdirSync(alone, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.node'))
  for (const name of files) fs.rmSync(path.join(alone, name))
  return files.length
}

/** What holds of every bundle, once it is alone. @param {(env?: object) => Promise<any>} run */
async function expectToWork(run, { inside = false } = {}) {
  expect(await run()).toMatchObject({ status: 0, stdout: 'bundled' })
  const elsewhere = path.join(temporaryDirectory(), 'kept.node')
  fs.copyFileSync(kept, elsewhere)
  try {
    expect(takeBinaryAway()).toBe(inside ? 0 : 1)
    expect(await run({ TCS_SECRET_DELIVERY_BINARY: elsewhere })).toMatchObject({ status: 0, stdout: 'bundled' })
    // It is that file which is loaded, and it is looked at first.
    fs.truncateSync(elsewhere, 50_000)
    const truncated = await run({ TCS_SECRET_DELIVERY_BINARY: elsewhere })
    expect(truncated.status).not.toBe(0)
    expect(truncated.stderr).toMatch(/kept\.node (is truncated|could not be loaded)/)
    expect(truncated.stderr).toContain('It is named by TCS_SECRET_DELIVERY_BINARY')
  } finally {
    fs.rmSync(path.dirname(elsewhere), { recursive: true })
  }
  if (inside) return
  const without = await run()
  expect(without.status).not.toBe(0)
  expect(without.stderr).toContain(`this bundle has no binary for ${suffix}`)
  expect(without.stderr).toContain(`put ${binary} of the package tcs-secret-delivery-${suffix} beside the bundle`)
  expect(without.stderr).toContain('let TCS_SECRET_DELIVERY_BINARY name that file')
}

/** Sections whose commands write a folder `dist`. Next.js, SAM and the CDK have tests of their own. */
const SCRIPTS = [...sections].flatMap(([section, blocks]) => {
  const scripts = blocks.filter(({ language, code }) => language === 'sh' && /^cd dist && /m.test(code))
  return scripts.map(({ code }, at) => [scripts.length > 1 ? `${section}, ${at + 1}` : section, section, code])
})
const available = (script) =>
  ['bun', 'deno'].every(
    (name) => !script.includes(`${name} `) || runtimes.some((one) => one.name.toLowerCase() === name),
  )

const onLinux = process.platform === 'linux' ? describe : describe.skip

test('the page has a recipe for each bundler of its table', () => {
  const [, table] = /^\| bundler .*\n\|.*\n((?:\|.*\n)+)/m.exec(read('docs', 'bundlers.md'))
  const named = [...table.matchAll(/\[([^\]]+)\]\(#/g)].map(([, name]) => name)
  const own = ['AWS SAM', 'AWS CDK', 'Next.js']
  const tested = new Set([...SCRIPTS.map(([, section]) => section), ...own])
  const shown = named.map((name) => (name === 'Node.js SEA' ? 'Node.js single executable' : name))
  expect(shown.sort()).toEqual([...tested].sort())
})

onLinux('alone in an empty folder', () => {
  test.each(SCRIPTS.filter(([, , script]) => available(script)))('%s', async (_, section, script) => {
    for (const { code } of sections.get(section)) if (nameOf(code)) write(nameOf(code), code)
    const lines = script.trim().split('\n')
    const [, command] = /^cd dist && (.+)$/.exec(lines.at(-1))
    await build(lines.slice(0, -1).join('\n'))
    isolate('dist')
    const inside = section === 'Bun'
    await expectToWork((env) => shell(command, { cwd: alone, env }), { inside })
  })

  describe('as a function of AWS Lambda, which another script loads:', () => {
    /** Builds with the options that a tool gives to esbuild. @param {string[]} options */
    async function handler(options, out) {
      write('handler.mjs', code('AWS SAM', 'handler.mjs'))
      const quoted = options.map((option) => `'${option}'`).join(' ')
      await build(`npx esbuild handler.mjs --bundle --platform=node ${quoted}`)
      isolate('dist')
      fs.mkdirSync(path.join(alone, 'runtime'))
      const script = `require("../${out}").handler().then(console.log)`
      fs.writeFileSync(path.join(alone, 'runtime', 'index.js'), script)
      await expectToWork((env) => shell('node runtime/index.js', { cwd: alone, env }))
    }

    test('AWS SAM', async () => {
      const { Resources } = parse(code('AWS SAM', 'template.yaml'))
      const { BuildMethod, BuildProperties } = Resources.Service.Metadata
      expect(BuildMethod).toBe('esbuild')
      const { EntryPoints, Target, Loader } = BuildProperties
      expect(EntryPoints).toEqual(['handler.mjs'])
      await handler(['--outdir=dist', `--target=${Target}`, ...Loader.map((one) => `--loader:${one}`)], 'handler.js')
    })

    test('AWS CDK', async () => {
      const [, options] = /bundling: (\{.*\}),\n/.exec(code('AWS CDK', 'stack.mjs'))
      const { loader, ...others } = JSON.parse(options.replaceAll(/(\w+):/g, '"$1":').replaceAll("'", '"'))
      expect(others).toEqual({})
      const loaders = Object.entries(loader).map(([extension, name]) => `--loader:${extension}=${name}`)
      await handler(['--outfile=dist/index.js', '--external:@aws-sdk/*', ...loaders], 'index.js')
    })
  })

  describe('what other settings of bundlers do:', () => {
    const run = (env) => shell('node app.js', { cwd: alone, env })

    test("esbuild's loader `file`, which gives a path in place of the binary", async () => {
      await build('npx esbuild app.mjs --bundle --platform=node --loader:.node=file --outdir=dist')
      isolate('dist')
      await expectToWork(run)
    })

    test('platform packages that are external are found in node_modules, and looked at first', async () => {
      await build(
        'npx esbuild app.mjs --bundle --platform=node "--external:tcs-secret-delivery-*" --outfile=dist/app.js',
      )
      isolate('dist')
      const above = path.join(alone, 'node_modules', `tcs-secret-delivery-${suffix}`)
      fs.cpSync(path.join(modules, `tcs-secret-delivery-${suffix}`), above, { recursive: true })
      expect(await run()).toMatchObject({ status: 0, stdout: 'bundled' })
      // The file beside the bundle comes first among those that are found, and is not loaded when it cannot be whole.
      fs.rmSync(above, { recursive: true })
      fs.copyFileSync(kept, path.join(alone, binary))
      expect(await run()).toMatchObject({ status: 0, stdout: 'bundled' })
      fs.truncateSync(path.join(alone, binary), 50_000)
      const { status, stderr } = await run()
      expect(status).toBe(1)
      expect(stderr).toContain(`${binary} is truncated: it has 50000 of at least`)
      expect(stderr).toContain('Make the bundle anew')
    })

    test('a binary of another version, packed into the bundle, is refused', async () => {
      const manifest = path.join(project, 'node_modules', 'tcs-secret-delivery', 'package.json')
      const { version, ...others } = JSON.parse(fs.readFileSync(manifest, 'utf8'))
      fs.writeFileSync(manifest, JSON.stringify({ ...others, version: '99.0.0' }))
      await build('npx esbuild app.mjs --bundle --platform=node --loader:.node=copy --outdir=dist')
      isolate('dist')
      const { status, stderr } = await run()
      expect(status).toBe(1)
      expect(stderr).toContain(`is of version ${version}; version 99.0.0 of the package needs its own`)
    })

    test("webpack's node-loader without the exclusion: the error says what to do", async () => {
      const config = code('webpack', 'webpack.node-loader.config.js')
      write('webpack.config.js', config.replace(' exclude: /tcs-secret-delivery/,', ''))
      await build('npx webpack')
      isolate('dist')
      const { status, stderr } = await shell('node main.js', { cwd: alone })
      expect(status).toBe(1)
      expect(stderr).toContain('is not a binary')
      expect(stderr).toContain('exclude: /tcs-secret-delivery/')
    })
  })

  test('Next.js', async () => {
    write('next.config.mjs', code('Next.js', 'next.config.mjs'))
    write('app/secret/route.js', code('Next.js', 'app/secret/route.js'))
    write('app/layout.js', 'export default ({ children }) => <html><body>{children}</body></html>\n')
    const script = sections.get('Next.js').find(({ language }) => language === 'sh').code
    expect(script).toBe('npx next build\ncd .next/standalone && node server.js\n')
    await build('NEXT_TELEMETRY_DISABLED=1 npx next build')
    // In a repository of several packages, Next.js keeps each one's place in it.
    const standalone = path.join(project, '.next', 'standalone')
    const inside = path.relative(fs.realpathSync(root), fs.realpathSync(project))
    expect(fs.existsSync(path.join(standalone, inside, 'server.js'))).toBe(true)
    isolate(path.join('.next', 'standalone'))

    /** What the route answers, and what the server printed if it answered something else. */
    async function answer(env = {}) {
      const port = await freePort()
      const child = spawn(process.execPath, ['server.js'], {
        cwd: path.join(alone, inside),
        env: {
          PATH: '',
          HOME: alone,
          PORT: port,
          HOSTNAME: '127.0.0.1',
          GITHUB_API_TOKEN: 'bundled',
          TCS_ENVIRONMENT: 'development',
          ...env,
        },
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
      try {
        const response = await until('an answer of the server', () =>
          fetch(`http://127.0.0.1:${port}/secret`).catch(() => undefined),
        )
        return response.status === 200 ? await response.json() : output
      } finally {
        child.kill()
        await once(child, 'close')
      }
    }

    expect(await answer()).toEqual({ found: true })
    for (const name of fs.readdirSync(alone, { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith(binary)) fs.rmSync(path.join(alone, name))
    }
    expect(await answer({ TCS_SECRET_DELIVERY_BINARY: kept })).toEqual({ found: true })
    expect(await answer()).toContain('TCS_SECRET_DELIVERY_BINARY')
  })
})

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {net.AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return String(port)
}
