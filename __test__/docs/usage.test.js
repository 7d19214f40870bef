'use strict'

// The README's examples run, and every block of TypeScript in docs/ compiles.

const { spawnSync } = require('node:child_process')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../support/files')
const { blocksOf, pagesBelow, read, root } = require('../support/pages')

describe('the usage example', () => {
  /** Of the pages beside it; they are compiled, not run. start.test.js compiles and runs those of docs/start.md. */
  const documented = pagesBelow('docs')
    .filter((page) => page !== path.join('docs', 'start.md'))
    .flatMap((page) => blocksOf(read(page), 'ts'))
  const blocks = blocksOf(read('README.md'), 'ts')
  const variables = { TCS_CACHE_KEYS: `k1:${randomBytes(32).toString('base64')}` }
  /** @type {string} */
  let service
  let compiled

  beforeAll(() => {
    service = temporaryDirectory('tcs-readme-')
    fs.mkdirSync(path.join(service, 'node_modules'))
    fs.symlinkSync(root, path.join(service, 'node_modules', 'tcs-secret-delivery'), 'junction')
    // What examples use beside the package.
    for (const name of ['prom-client', '@opentelemetry', 'pino', 'winston']) {
      fs.symlinkSync(path.join(root, 'node_modules', name), path.join(service, 'node_modules', name), 'junction')
    }
    fs.writeFileSync(path.join(service, '.env.dev'), 'GITHUB_API_TOKEN=from-the-file\nGITHUB_WEBHOOK_SECRET=second\n')
    const compilerOptions = { strict: true, module: 'nodenext', target: 'es2022', types: ['node'], outDir: 'dist' }
    fs.writeFileSync(
      path.join(service, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['0.mts', '1.mts', ...documented.map((_, i) => `docs-${i}.mts`)] }),
    )
    // What the first example read is printed for the test; the examples are not changed otherwise.
    const shown = 'console.log(JSON.stringify({ token, github, answeredBy }))\n'
    blocks.forEach((block, i) => fs.writeFileSync(path.join(service, `${i}.mts`), i === 0 ? block + shown : block))
    documented.forEach((block, i) => fs.writeFileSync(path.join(service, `docs-${i}.mts`), block))
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    compiled = node(tsc, '-p', '.', '--typeRoots', path.join(root, 'node_modules', '@types'))
  }, 120_000)
  afterAll(() => fs.rmSync(service, { recursive: true }))

  function node(...args) {
    // Nothing of this process's environment: Jest sets NODE_ENV, and a developer may have AWS credentials.
    const env = { PATH: process.env.PATH, HOME: service, USERPROFILE: service, ...variables }
    const options = { cwd: service, encoding: /** @type {const} */ ('utf8'), timeout: 60_000, env }
    const { status, stdout, stderr } = spawnSync(process.execPath, args, options)
    return { status, stdout: stdout.trim(), stderr: stderr.trim() }
  }

  test('compiles under --strict, and reads the secrets of a .env.dev beside it', () => {
    expect(blocks).toHaveLength(2)
    expect(documented.length).toBeGreaterThan(8)
    expect(compiled).toEqual({ status: 0, stdout: '', stderr: '' })
    const { status, stdout, stderr } = node('dist/0.mjs')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      token: 'from-the-file',
      github: { api_token: 'from-the-file', webhook_secret: 'second' },
      answeredBy: 'env-file',
    })
  })

  test('of a production configuration is accepted, with its keys from TCS_CACHE_KEYS', () => {
    expect(node('dist/1.mjs')).toEqual({ status: 0, stdout: '', stderr: '' })
    const { TCS_CACHE_KEYS } = variables
    variables.TCS_CACHE_KEYS = ''
    expect(node('dist/1.mjs').stderr).toContain('ENCRYPTION_KEY_INVALID')
    variables.TCS_CACHE_KEYS = TCS_CACHE_KEYS
  })
})
